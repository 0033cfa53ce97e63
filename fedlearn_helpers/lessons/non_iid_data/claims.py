"""What notebook 04 claims, to be tried again."""

from collections.abc import Callable

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference

_SKEWED = "dirichlet:0.1"


def _ends(what: str, kind: str) -> Callable[[Metrics], list[float]]:
    """By how much federations with one local epoch a round are ahead of those with ten, seed by seed."""
    return difference(f"equal_{what} {kind} 1", f"equal_{what} {kind} 10")


def _drift_needs_both(metrics: Metrics) -> list[float]:
    """By how much ten local epochs cost more with different clients than with alike ones."""
    skewed, alike = (_ends("work", kind)(metrics) for kind in (_SKEWED, "iid"))
    return [cost - other for cost, other in zip(skewed, alike, strict=True)]


def _alike_lose_little(metrics: Metrics) -> list[float]:
    return [0.03 - cost for cost in _ends("work", "iid")(metrics)]


def _cosine_of_iid_falls(metrics: Metrics) -> list[float]:
    return [metrics["update_cosine_mean_iid"] - metrics["update_cosine_mean_trained_iid"] - 0.2]


def _cosine_of_skewed_is_small(metrics: Metrics) -> list[float]:
    return [0.3 - metrics["update_cosine_mean"], 0.1 - abs(metrics["update_cosine_mean_trained"])]


def _line(place: int, sign: int) -> Callable[[Metrics], list[float]]:
    """By how much the average is above (sign 1) or below (sign -1) the worse end."""
    return lambda metrics: [sign * metrics["line_average_minus_worse_end"][place]]


def _label_skew_too(metrics: Metrics) -> list[float]:
    name = "label (pathological:1)"
    ahead = difference(f"own: local only {name}", f"own: centralized {name}")(metrics)
    far = difference(f"distance {name}", "distance concept shift")(metrics)
    return [min(pair) for pair in zip(ahead, far, strict=True)]


def _own_choice(metrics: Metrics) -> list[float]:
    alone, federated = (metrics[f"{way}_client_accuracy_mean"] for way in ("local_only", "fedavg"))
    return [alone - federated]


def _late(metrics: Metrics, rule: str, part: int) -> float:
    """The mean of five rounds at the end of the long federation (part 1), or of its first third (part 3)."""
    accuracies = metrics[f"long_test_accuracy {rule}"]
    end = (len(accuracies) - 1) // part
    five = accuracies[max(end - 4, 1) : end + 1]
    return sum(five) / len(five)


CLAIMS = (
    Claim(
        "federation-clients-answer",
        "With the notebook's partition clients do better alone on their own images.",
        _own_choice,
        fails="nearly alike clients, such as dirichlet:1 and more",
    ),
    Claim(
        "federation-answer",
        "On the test images the federation is far ahead of local only.",
        lambda metrics: [metrics["fedavg_test_accuracy"] - metrics["local_only_stopped_test_accuracy"] - 0.2],
    ),
    Claim(
        "comparison-answer",
        "With one class a client FedAvg is behind FedAvg on IID data, with the same seed.",
        difference("test_accuracy fedavg iid", "test_accuracy fedavg pathological:1"),
    ),
    Claim(
        "comparison-answer",
        "With Dirichlet 0.1 FedAvg is behind FedAvg on IID data, with the same seed.",
        difference("test_accuracy fedavg iid", f"test_accuracy fedavg {_SKEWED}"),
    ),
    Claim(
        "dial-answer",
        "On own images FedAvg is ahead of local only with IID data.",
        difference("own_accuracy fedavg iid", "own_accuracy local only iid"),
    ),
    Claim(
        "dial-answer",
        "On own images local only is ahead of FedAvg with two classes a client.",
        difference("own_accuracy local only pathological:2", "own_accuracy fedavg pathological:2"),
    ),
    Claim(
        "only-slow-answer",
        "Three times the rounds bring FedAvg with one class a client nearer to what IID data had before.",
        lambda metrics: [_late(metrics, "pathological:1", 1) - _late(metrics, "pathological:1", 3)],
    ),
    Claim(
        "only-slow-answer",
        "With one class a client FedAvg is behind IID data after three times the rounds, too.",
        lambda metrics: [_late(metrics, "iid", 1) - _late(metrics, "pathological:1", 1)],
    ),
    Claim(
        "drift-answer",
        "From a trained model even IID clients are far from parallel: their cosine falls by more than 0.2.",
        _cosine_of_iid_falls,
        unit="cosine",
    ),
    Claim(
        "drift-answer",
        "Skewed clients have a small cosine from both starts: below 0.3, and then within 0.1 of 0.",
        _cosine_of_skewed_is_small,
        unit="cosine",
        fails="twice the rate: from the trained model it is a little more than 0.1 away from 0",
    ),
    Claim(
        "drift-when",
        "At equal work ten local epochs a round cost more with different clients than with alike ones.",
        _drift_needs_both,
    ),
    Claim(
        "drift-when",
        "With alike clients ten local epochs a round cost less than three points at equal work.",
        _alike_lose_little,
    ),
    Claim(
        "drift-when",
        "At equally many rounds, few of them, ten local epochs are ahead of one with different clients, on average.",
        lambda metrics: [-value for value in _ends("rounds", _SKEWED)(metrics)],
        fails="twice the rate: not with every seed; two classes a client: about a tie",
    ),
    Claim(
        "line-notice",
        "Same start, same mixture: the average is at least as good as the worse end.",
        _line(0, 1),
    ),
    Claim("line-notice", "Same start, half of the classes: the average is above both ends.", _line(1, 1)),
    Claim("line-notice", "Two starts: the average is below both ends.", _line(2, -1)),
    Claim(
        "other-skews-explained",
        "Quantity skew costs FedAvg less than one class a client does.",
        difference("test: fedavg quantity", "test_accuracy fedavg pathological:1"),
    ),
    Claim(
        "other-skews-answer",
        "Under label skew, too, centralized training is behind local only on own images, at another distance.",
        _label_skew_too,
    ),
    Claim(
        "other-skews-answer",
        "Under concept shift even centralized training is behind local only on own images.",
        difference("own: local only concept shift", "own: centralized concept shift"),
    ),
)

VARIANTS = (
    Variant("twice the rounds", {"num_rounds": 40}),
    Variant("half the rate", {"learning_rate": 0.025}),
    Variant("twice the rate", {"learning_rate": 0.1}),
)
