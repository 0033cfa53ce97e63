"""What notebook 05 claims, to be tried again."""

import re
from collections.abc import Callable, Sequence

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant

_LATE = re.compile(r"(?P<strategy>.+) on (?P<partition>.+) with rate (?P<rate>.+): late test accuracy")


def _runs(metrics: Metrics) -> dict[tuple[str, float], Sequence[float]]:
    """Return accuracies by seed, by strategy and rate, of the first partition."""
    found: dict[tuple[str, float], Sequence[float]] = {}
    for name, values in metrics.items():
        if match := _LATE.fullmatch(name):
            found.setdefault((match["strategy"], float(match["rate"])), values)
    return found


def _above_fedavg(strategy: str, which: Callable[[list[float]], float]) -> Callable[[Metrics], list[float]]:
    """Return the margins of "at this rate the strategy is above FedAvg": of the rates, `which` chooses one."""

    def margins(metrics: Metrics) -> list[float]:
        runs = _runs(metrics)
        rate = which([rate for _, rate in runs])
        pairs = zip(runs[strategy, rate], runs["fedavg", rate], strict=True)
        return [own - other for own, other in pairs]

    return margins


def _low(rates: list[float]) -> float:
    """Return the lower one of the two rates whose curves the notebook shows."""
    grid = sorted(set(rates))
    return grid[len(grid) // 2 - 1]


def _lead_falls_with_the_rate(metrics: Metrics) -> list[float]:
    """By how much SCAFFOLD's paired difference is smaller at the largest client rate than at the lower one shown."""
    at_low, at_high = (_above_fedavg("scaffold", which)(metrics) for which in (_low, max))
    return [low - high for low, high in zip(at_low, at_high, strict=True)]


def _opposite(margins: Callable[[Metrics], Sequence[float]]) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [-margin for margin in margins(metrics)]


def _points(pattern: str) -> Callable[[Metrics], list[float]]:
    """Return the margins of the first metric of this name, a list of points by seed."""

    def margins(metrics: Metrics) -> list[float]:
        name = next(name for name in metrics if re.fullmatch(pattern, name))
        return [point / 100 for point in metrics[name]]

    return margins


def _gap_shrinks(change: str) -> Callable[[Metrics], list[float]]:
    """Return the margins of "with this change SCAFFOLD is less far behind FedAvg than as it is"."""

    def margins(metrics: Metrics) -> list[float]:
        before = _points("SCAFFOLD, as it is on .*: points above fedavg, by seed")(metrics)
        after = _points(f"SCAFFOLD, {change} on .*: points above fedavg, by seed")(metrics)
        return [changed - usual for usual, changed in zip(before, after, strict=True)]

    return margins


def _closer_when_tuned(metrics: Metrics) -> list[float]:
    """By how much the strategies' spread shrinks from one rate for all to a rate for each: the least of two."""
    runs = _runs(metrics)
    rates = [rate for _, rate in runs]
    spreads = []
    for rate in (min(rates), max(rates)):
        means = [sum(values) / len(values) for (_, own), values in runs.items() if own == rate]
        spreads.append(max(means) - min(means))
    partition = next(match["partition"] for name in metrics if (match := _LATE.fullmatch(name)))
    tuned = [metrics[f"{strategy} on {partition}: test_accuracy"] for strategy in {strategy for strategy, _ in runs}]
    return [min(spreads) - (max(tuned) - min(tuned))]


def _rises_with_few(strategy: str) -> Callable[[Metrics], list[float]]:
    """Return the margins of "this strategy's paired difference is larger when few clients take part"."""

    def margins(metrics: Metrics) -> list[float]:
        full = _points(f"{strategy} on [^,]*: points above fedavg, by seed")(metrics)
        few = _points(f"{strategy} on .*, few clients: points above fedavg, by seed")(metrics)
        return [after - before for before, after in zip(full, few, strict=True)]

    return margins


def _fairer(metrics: Metrics) -> list[float]:
    of = {
        q: next(values for name, values in metrics.items() if re.fullmatch(f"q {q} on .*: worst, by seed", name))
        for q in ("0", "1")
    }
    return [one - zero for zero, one in zip(of["0"], of["1"], strict=True)]


CLAIMS = (
    Claim(
        "luck-rate",
        "SCAFFOLD's lead over FedAvg is smaller at the largest client rate than at the lower one that is shown.",
        _lead_falls_with_the_rate,
    ),
    Claim(
        "experiment-answer",
        "At the largest client rate SCAFFOLD is behind FedAvg.",
        _opposite(_above_fedavg("scaffold", max)),
        fails="half the rates: the largest is small then",
    ),
    Claim(
        "experiment-answer",
        "At the lower client rate that is shown FedDyn is ahead of FedAvg.",
        _above_fedavg("feddyn", _low),
    ),
    Claim(
        "experiment-answer",
        "At the lower client rate that is shown FedAvgM is ahead of FedAvg.",
        _above_fedavg("fedavgm", _low),
    ),
    Claim(
        "best-answer",
        "Each at its own rate, the strategies are closer together than at either of the outer rates.",
        _closer_when_tuned,
    ),
    Claim(
        "cause-answer",
        "With the weighted mean SCAFFOLD is behind FedAvg at the largest rate, too.",
        _opposite(_points("SCAFFOLD, weighted mean on .*: points above fedavg, by seed")),
        fails="half the rates: the largest is small then",
    ),
    Claim(
        "cause-left",
        "The weighted mean closes some of SCAFFOLD's gap at the largest rate.",
        _gap_shrinks("weighted mean"),
        fails="five other seeds, twice the rounds, twice the rates, two classes a client: wider with some seeds",
    ),
    Claim(
        "cause-left",
        "Full batches with equal steps close some of SCAFFOLD's gap at the largest rate.",
        _gap_shrinks("full batches, equal steps"),
        fails="five other seeds, twice the rates, two classes a client: wider with some seeds",
    ),
    Claim(
        "cause-left",
        "The weighted mean and full batches with equal steps together close some of it.",
        _gap_shrinks("both"),
        fails="five other seeds, twice the rates, two classes a client: wider with some seeds",
    ),
    Claim(
        "partial-answer",
        "With few clients in a round FedAvg reaches less.",
        lambda metrics: [
            next(values for name, values in metrics.items() if name.endswith("test accuracy lost with few clients"))
        ],
    ),
    Claim(
        "partial-answer",
        "With few clients in a round SCAFFOLD is ahead of FedAvg, each at its own rate.",
        _points("scaffold on .*, few clients: points above fedavg, by seed"),
    ),
    Claim(
        "partial-answer",
        "With few clients in a round FedDyn is ahead of FedAvg, each at its own rate.",
        _points("feddyn on .*, few clients: points above fedavg, by seed"),
    ),
    Claim("partial-answer", "SCAFFOLD's memory helps more with few clients in a round.", _rises_with_few("scaffold")),
    Claim(
        "fairness-answer",
        "With q = 1 the worst client is better off than with q = 0.",
        _fairer,
        fails="five other seeds: one of them; and where q-FedAvg has half the rounds",
    ),
)

VARIANTS = (
    Variant("five other seeds", {"seed": 100, "num_seeds": 5}),
    Variant("twice the rounds", {"num_rounds": 44}),
    Variant("half the rates", {"learning_rates": "0.005,0.01,0.025,0.05"}),
    Variant("twice the rates", {"learning_rates": "0.02,0.04,0.1,0.2"}),
    Variant("two classes a client", {"partitions": "pathological:2"}),
)
