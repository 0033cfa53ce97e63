"""What notebook 07 claims, to be tried again."""

from collections.abc import Callable, Sequence

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference


def _fewer(few: str, many: str, budget: str) -> Callable[[Metrics], list[float]]:
    """Return the margins of "one setting reaches the target with less of a budget than another"."""
    higher = difference(f"{many}_{budget}_to_target_per_seed", f"{few}_{budget}_to_target_per_seed")

    def margins(metrics: Metrics) -> list[float]:
        reached = metrics[f"{few}_reached_per_seed"]
        return [margin if found else -1.0 for margin, found in zip(higher(metrics), reached, strict=True)]

    return margins


def _above(higher: str, lower: str) -> Callable[[Metrics], list[float]]:
    return difference(f"{higher}_test_accuracy_per_seed", f"{lower}_test_accuracy_per_seed")


def _within(points: float, name: str) -> Callable[[Metrics], list[float]]:
    """Return by how much a setting loses less than so many points against float32."""

    def margins(metrics: Metrics) -> list[float]:
        return [points / 100 + gain for gain in _above(name, "1_epoch")(metrics)]

    return margins


def _times_fewer(name: str, times: float) -> Callable[[Metrics], list[float]]:
    """Return by how much the factor of all bytes is above a number."""

    def margins(metrics: Metrics) -> list[float]:
        return [metrics[f"{name}_times_fewer_bytes"] - times]

    return margins


def _one_way_saves_half_at_most(metrics: Metrics) -> list[float]:
    names = ("8_bits_up", "random_1_percent_up", "top_1_percent_up", "top_1_percent_up_feedback")
    return [2 - metrics["1_epoch_megabytes"] / metrics[f"{name}_megabytes"] for name in names]


def _zip(metrics: Metrics) -> list[float]:
    return [metrics["zip_share_left"] - 0.85]


def _fewer_days(metrics: Metrics) -> list[float]:
    names = ("1_epoch_days_with_a_village_per_seed", "20_epochs_days_with_a_village_per_seed")
    if not all(name in metrics for name in names):  # one of them has not reached the target
        return [-1.0]
    return difference(*names)(metrics)


def _server(higher: str, lower: str, budget: str) -> Callable[[Metrics], list[float]]:
    return difference(f"{higher}_accuracy_equal_{budget}_per_seed", f"{lower}_accuracy_equal_{budget}_per_seed")


def _no_gain_in_bytes(metrics: Metrics) -> list[float]:
    """By how much the buffer's gain at equal bytes is below two points."""
    return [0.02 - gain for gain in _server("buffered", "waits_for_all", "megabytes")(metrics)]


def _gap(metrics: Metrics, name: str) -> Sequence[float]:
    return difference(f"{name}_fast_equal_megabytes_per_seed", f"{name}_slow_equal_megabytes_per_seed")(metrics)


def _leans_to_the_fast(metrics: Metrics) -> list[float]:
    pairs = zip(_gap(metrics, "buffered"), _gap(metrics, "waits_for_all"), strict=True)
    return [buffered - waiting for buffered, waiting in pairs]


def _ring(metrics: Metrics) -> list[float]:
    """By how much more than three times the rounds a ring of twice the size needs."""
    rounds = metrics["ring_rounds_to_agree"]
    return [more / few - 3 for few, more in zip(rounds[:-1], rounds[1:], strict=True)]


CLAIMS = (
    Claim("zip-answer", "A zip leaves more than 85 % of trained weights.", _zip, unit="share"),
    Claim(
        "rounds-answer",
        "FedSGD needs more rounds to the target than FedAvg with one local epoch.",
        _fewer("1_epoch", "fedsgd", "rounds"),
        unit="rounds",
    ),
    Claim(
        "rounds-answer",
        "Five local epochs need fewer rounds than one.",
        _fewer("5_epochs", "1_epoch", "rounds"),
        unit="rounds",
    ),
    Claim(
        "rounds-answer",
        "Twenty local epochs need fewer rounds than one.",
        _fewer("20_epochs", "1_epoch", "rounds"),
        unit="rounds",
    ),
    Claim(
        "budgets-lesson",
        "One gradient a round is dearer than one local epoch in bytes until the target.",
        _fewer("1_epoch", "fedsgd", "megabytes"),
        unit="MB",
    ),
    Claim(
        "budgets-lesson",
        "One gradient a round is dearer than one local epoch in hours until the target.",
        _fewer("1_epoch", "fedsgd", "hours"),
        unit="hours",
    ),
    Claim(
        "one-way-answer",
        "Without feedback a random 1 % up is above the top 1 %.",
        _above("random_1_percent_up", "top_1_percent_up"),
        fails="twice the rates; CIFAR-10, where the top 1 % is ahead",
    ),
    Claim(
        "few-answer",
        "With four clients the top 1 % with feedback is above a random 1 %.",
        _above("top_1_percent_up_feedback_4_clients", "random_1_percent_up_4_clients"),
        fails="half the rates, where there is less noise",
    ),
    Claim(
        "village-answer",
        "With a village 20 epochs reach the target in fewer days than one epoch.",
        _fewer_days,
        unit="days",
    ),
    Claim(
        "one-way-answer",
        "With the top 1 % up, error feedback gains.",
        _above("top_1_percent_up_feedback", "top_1_percent_up"),
    ),
    Claim("one-way-answer", "One way alone never saves half of the bytes.", _one_way_saves_half_at_most, unit="times"),
    Claim("both-answer", "8 bits both ways lose less than half a point.", _within(0.5, "8_bits")),
    Claim("both-answer", "2 bits both ways lose less than a point.", _within(1.0, "2_bits")),
    Claim(
        "both-answer",
        "2 bits both ways send at least 15 times fewer bytes, the first model not counted.",
        _times_fewer("2_bits", 15),
        unit="times",
    ),
    Claim("both-answer", "Signs both ways lose more than 2 bits both ways.", _above("2_bits", "sign")),
    Claim(
        "async-answer",
        "At equal hours a buffer of few answers is above waiting for all.",
        _server("buffered", "waits_for_all", "hours"),
        fails="CIFAR-10: no clear difference",
    ),
    Claim(
        "async-answer",
        "At equal hours a buffer of half of the clients is above waiting for all.",
        _server("waits_for_half", "waits_for_all", "hours"),
        fails="CIFAR-10: no clear difference",
    ),
    Claim("async-groups-notice", "At equal bytes a buffer is no more than two points above.", _no_gain_in_bytes),
    Claim(
        "async-lesson",
        "At equal bytes the classes of the fast are farther above those of the slow with a buffer.",
        _leans_to_the_fast,
        fails="alike devices, where nobody is fast",
    ),
    Claim(
        "gossip-answer",
        "A ring of twice the clients needs more than three times the rounds to agree.",
        _ring,
        unit="times",
    ),
)

VARIANTS = (
    Variant("twice the rounds", {"num_rounds": 50}),
    Variant("half the rates", {"learning_rate": 0.05, "fedsgd_rate": 0.1}),
    Variant("twice the rates", {"learning_rate": 0.2, "fedsgd_rate": 0.4}),
    Variant("links ten times as fast", {"kilobytes_per_second": 20.0}),
    Variant("alike devices", {"slow_factor": 1.0}),
)
