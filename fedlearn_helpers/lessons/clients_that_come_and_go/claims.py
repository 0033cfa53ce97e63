"""What notebook 03 claims, to be tried again."""

from collections.abc import Callable, Sequence

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference


def _above(higher: str, lower: str, key: str, when: str = "") -> Callable[[Metrics], list[float]]:
    """Return the margins of "one rule is above another", seed by seed, at the end or at another moment."""
    return difference(f"{higher}_{key}_accuracy{when}_per_seed", f"{lower}_{key}_accuracy{when}_per_seed")


def _gap(metrics: Metrics, rule: str) -> list[float]:
    """By how much the classes of the fast are above those of the slow."""
    return difference(f"{rule}_fast_classes_accuracy_per_seed", f"{rule}_slow_classes_accuracy_per_seed")(metrics)


def _gap_of_dropping(metrics: Metrics) -> list[float]:
    return [gap - 0.05 for gap in _gap(metrics, "drop")]


def _trap(metrics: Metrics) -> list[float]:
    """By how much the loss of the slow's classes by rounds is larger than by the clock."""
    by_rounds = _above("wait", "drop", "slow_classes", "_equal_rounds")(metrics)
    return _minus(by_rounds, _above("wait", "drop", "slow_classes")(metrics))


def _less_bias(metrics: Metrics) -> list[float]:
    """By how much the groups are nearer to each other with partial work than with dropping."""
    return [
        abs(drop) - abs(partial) for drop, partial in zip(_gap(metrics, "drop"), _gap(metrics, "partial"), strict=True)
    ]


def _control(metrics: Metrics) -> list[float]:
    """By how much more dropping costs the slow's classes than in the control, where clients are alike."""
    alike = difference("wait_slow_classes_accuracy_alike_per_seed", "drop_slow_classes_accuracy_alike_per_seed")(
        metrics
    )
    return _minus(_above("wait", "drop", "slow_classes")(metrics), alike)


def _small_pull(metrics: Metrics) -> list[float]:
    """How far the pull's effect is below two points."""
    effect = _above("partial_pull", "partial", "test")(metrics)
    return [0.02 - abs(points) for points in effect]


def _swing(metrics: Metrics) -> list[float]:
    return [swing - 0.05 for swing in metrics["away_chance_fast_classes_swing_per_seed"]]


def _minus(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [one - two for one, two in zip(first, second, strict=True)]


CLAIMS = (
    Claim(
        "trap-answer",
        "After as many rounds, dropping is worse on all classes.",
        _above("wait", "drop", "test", "_equal_rounds"),
    ),
    Claim("trap-answer", "By rounds, dropping seems to cost the classes of the slow more than by the clock.", _trap),
    Claim(
        "classes-sentences",
        "After as much time, the classes of the slow are worse with dropping than with waiting.",
        _above("wait", "drop", "slow_classes"),
        fails="In the time of three rounds of waiting (num_rounds = 3), in which waiting has hardly begun.",
    ),
    Claim(
        "classes-sentences",
        "After as much time, the classes of the fast are better with dropping than with waiting.",
        _above("drop", "wait", "fast_classes"),
    ),
    Claim(
        "classes-sentences",
        "With dropping the two groups of classes stay more than five points apart.",
        _gap_of_dropping,
    ),
    Claim(
        "control-answer", "Against the control of alike clients, the classes of the slow lose by dropping.", _control
    ),
    Claim(
        "partial-sentences",
        "Partial work is above dropping on all classes.",
        _above("partial", "drop", "test"),
        fails="the CNN, half the time: within a point of each other.",
    ),
    Claim("partial-sentences", "Partial work is above waiting on all classes.", _above("partial", "wait", "test")),
    Claim(
        "partial-sentences",
        "Partial work is above dropping on the classes of the slow.",
        _above("partial", "drop", "slow_classes"),
    ),
    Claim("partial-sentences", "With partial work the groups are nearer to each other than with dropping.", _less_bias),
    Claim("partial-notice", "The pull changes the accuracy on all classes by less than two points.", _small_pull),
    Claim(
        "away-sentences",
        "Where absence goes with the data, the classes of those who are hardly there are worse than by chance.",
        _above("away_chance", "away_owners", "slow_classes"),
    ),
    Claim(
        "away-sentences",
        "Where absence goes with the data, the classes of those who are nearly always there are better.",
        _above("away_owners", "away_chance", "fast_classes"),
    ),
    Claim(
        "away-sentences",
        "By chance, single rounds of the last quarter differ by more than five points on the first group's classes.",
        _swing,
    ),
)

VARIANTS = (
    Variant("half the rate", {"learning_rate": 0.05}),
    Variant("twice the rate", {"learning_rate": 0.2}),
    Variant("half the time", {"num_rounds": 12}),
    Variant("twice the time", {"num_rounds": 48}),
    Variant("the CNN, half the time", {"model": "cnn", "num_rounds": 12}),
)
