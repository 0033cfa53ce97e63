"""What notebook 00 claims, to be tried again."""

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference

_FEW = 2  # where four pictures stand among 1, 2, 4, 8, ...


def _steps_hide_less(metrics: Metrics) -> list[float]:
    """By how many of four pictures more are found after 50 steps than of the most pictures, as shares, after one."""
    after_1, after_50 = metrics["found_after_1_step"], metrics["found_after_50_steps"]
    return [after_50[_FEW] / 2**_FEW - after_1[-1] / 2 ** (len(after_1) - 1)]


def _some_are_read(metrics: Metrics) -> list[float]:
    return [float(metrics["found_after_50_steps"][_FEW])]


def _many_steps_lead_first(metrics: Metrics) -> list[float]:
    one, _, fifty = metrics["error_by_steps"]
    return [one[1] - fifty[1]]


def _many_steps_rest_elsewhere(metrics: Metrics) -> list[float]:
    one, five, fifty = metrics["distance_to_centralized"]
    return [min(five - one, fifty - five)]


def _bytes(metrics: Metrics) -> list[float]:
    return [metrics["megabytes_per_megabyte_of_images"] - 1]


CLAIMS = (
    Claim(
        "together-answer",
        "The federation is above a client alone that trained for as many passes.",
        difference("federated_accuracy", "local_only_accuracy"),
    ),
    Claim(
        "together-answer",
        "It is above a client alone that stopped where its validation images were best.",
        difference("federated_accuracy", "local_only_stopped_accuracy"),
    ),
    Claim(
        "together-answer",
        "It is above the luckiest client at its best moment on the test images.",
        difference("federated_accuracy", "local_only_best_accuracy"),
    ),
    Claim(
        "together-answer",
        "All images in one place give more.",
        difference("centralized_accuracy", "federated_accuracy"),
    ),
    Claim("wire-answer", "The federation sent more than the images weigh.", _bytes, unit="times"),
    Claim("many-steps-answer", "Of four pictures some are found after 50 steps.", _some_are_read, unit="pictures"),
    Claim(
        "many-steps-answer",
        "Of the most pictures one step gives away a smaller share than 50 steps of four.",
        _steps_hide_less,
        unit="share",
    ),
    Claim(
        "toy-steps-answer",
        "After one round 50 local steps are ahead of one.",
        _many_steps_lead_first,
        unit="mean squared error",
    ),
    Claim(
        "toy-drift-why",
        "The more local steps, the farther from the centralized line the rounds come to rest.",
        _many_steps_rest_elsewhere,
        unit="distance",
    ),
)

VARIANTS = (
    Variant("twice the rounds", {"image_rounds": 24, "num_rounds": 16}),
    Variant("half the rounds", {"image_rounds": 6, "num_rounds": 4}),
    Variant("half the rate", {"image_learning_rate": 0.0015, "learning_rate": 0.05}),
    Variant("twice the rate", {"image_learning_rate": 0.006, "learning_rate": 0.2}),
)
