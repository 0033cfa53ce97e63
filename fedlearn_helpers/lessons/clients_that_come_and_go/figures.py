"""The figures of notebook 03, and its widgets: one moves a deadline, one compares by rounds or by the clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.availability.devices import Answer, Devices, Late, Status, round_seconds
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.metrics import last_quarter, values_at
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK = "#1b1b1b"
_LOOKS: dict[Status, dict[str, Any]] = {
    "in time": {"facecolor": "#92dadd", "edgecolor": _INK, "linewidth": 0.8},
    "partial": {"facecolor": "#ffd9b8", "edgecolor": _INK, "linewidth": 0.8, "hatch": "//"},
    "late": {"facecolor": "#e8e8e8", "edgecolor": "#717581", "linewidth": 0.8, "hatch": ".."},
}
"""Of a device's bar, by the status of its answer."""
_LABELS: dict[Status, str] = {"in time": "in time", "partial": "partial work, in time", "late": "late: work is lost"}
_IN_WORDS: dict[Status, str] = {"in time": "in time", "partial": "partial work", "late": "late", "away": "away"}
_RULES: dict[str, Late | None] = {"wait for all": None, "drop the late": "drop", "partial work": "partial"}
_STYLES_OF_RUNS: dict[str, dict[str, Any]] = {
    "wait for all": {"color": STYLES["federated"]["color"], "linestyle": "-"},
    "drop the late": {"color": "#832db6", "linestyle": "--"},
    "partial work": {"color": "#e76300", "linestyle": "-."},
    "partial work and pull": {"color": "#a96b59", "linestyle": ":"},
    "away by chance": {"color": _INK, "linestyle": "-"},
    "away with their data": {"color": "#ffa90e", "linestyle": "--"},
}
"""By rule, or by who is away; FedAvg that waits is the federation of notebook 02, in its colour."""
_STYLES_OF_GROUPS: tuple[dict[str, Any], ...] = (
    {"color": _INK, "marker": "o"},
    {"color": _INK, "marker": "D", "markerfacecolor": "white", "markeredgewidth": 2},
)
_LOWEST = 0.6  # where axes of accuracies begin, unless one is lower
_ROUND_STEPS = (1, 2, 5, 10)  # between ticks: no 72.5 %, which would be written 73 %

ValuesOfSeeds = Mapping[str, Mapping[str, Sequence[float]]]
"""By row, and in it by group, one share in [0, 1] per seed; the same groups in every row."""
Run = tuple[Sequence[float], Sequence[float]]
"""When a model changed, from 0 on (simulated seconds, or rounds), and its accuracy from then on; of equal length."""
Runs = Mapping[str, Sequence[Run]]
"""By rule, one run per seed."""
CurvesOfSeeds = Mapping[str, Sequence[Mapping[str, Sequence[float]]]]
"""By rule, and for each seed: `clock`, the ends of rounds from 0 on, and the accuracies `fast` and `slow` from then."""


def speed_and_availability(devices: Devices, steps: int, num_rounds: int, deadline: float) -> Drawing:
    """Draw how long each device takes for a round, and in which rounds it is there; the fastest on top.

    Args:
        devices: one per client.
        steps: training steps of a client in a round.
        num_rounds: how many rounds to look at.
        deadline: in simulated seconds, drawn as a line.
    """
    seconds = devices.seconds_per_transfer + steps * devices.seconds_per_step
    order = np.argsort(seconds, kind="stable")
    there = np.array([[devices.is_there(client, number + 1) for number in range(num_rounds)] for client in order])
    figure, (left, right) = new_figure(9.0, 1.6 + 0.09 * min(len(devices), 60), 1, 2, sharey=True, width_ratios=(1, 1))

    rows, late = np.arange(len(devices)), seconds[order] > deadline
    for chosen, look, label in ((~late, _LOOKS["in time"], "in time"), (late, _LOOKS["late"], "too late")):
        left.barh(rows[chosen], seconds[order][chosen], height=0.8, label=label, **look)
    left.axvline(deadline, color=_INK, linestyle="--", linewidth=2, label="deadline")
    left.xaxis.set_major_locator(MaxNLocator(8, steps=_ROUND_STEPS))
    left.set(xlabel="simulated seconds for a round", ylabel="devices, the fastest on top", yticks=[])

    edges = (0.5, num_rounds + 0.5, len(devices) - 0.5, -0.5)  # columns count from 1, rows from 0 downwards
    right.imshow(~there, cmap="Greys", vmin=-0.25, vmax=1.25, aspect="auto", extent=edges)
    right.grid(False)
    right.set(xlabel="round", ylabel="the same devices, in the same order", ylim=(len(devices) - 0.5, -0.5))
    apart = -(-num_rounds // 12)
    right.set_xticks(range(apart, num_rounds + 1, apart))
    dark = colormaps["Greys"](1.25 / 1.5)
    right.plot([], [], marker="s", markersize=9, color=dark, linestyle="none", label="away in this round")
    figure.legend(loc="outside upper center", ncols=4, fontsize=10)
    return Drawing(
        figure,
        f"Left: seconds that each of {len(devices)} devices takes for a round, from {seconds.min():.1f} to "
        f"{seconds.max():.1f}; {(~late).sum()} meet the deadline of {deadline:.1f} seconds. Right: who is there in "
        f"which of {num_rounds} rounds; a device is there in {there.mean():.0%} of them on average.",
    )


def one_round(
    devices: Devices,
    clients: Sequence[int],
    server_round: int,
    steps: int,
    *,
    deadline: float | None = None,
    late: Late = "drop",
) -> Drawing:
    """Draw one round in simulated time: a bar for each client that is asked.

    The time axis is as long as the slowest client would take without a deadline. The bar of a client that is late ends
    at the deadline, where the server stops listening.

    Args:
        devices: one per client.
        clients: who is asked, by number.
        server_round: decides who is there.
        steps: training steps that every client is asked for.
        deadline, late: as in `Devices.answer`.

    Raises:
        InputError: a deadline not above 0, or an unknown `late`.
    """
    answers = [devices.answer(client, server_round, steps, deadline=deadline, late=late) for client in clients]
    without_deadline = [devices.answer(client, server_round, steps).seconds for client in clients]
    end = round_seconds(answers, deadline)
    statuses = Counter(answer.status for answer in answers)

    figure, axis = new_figure(9.0, 1.7 + 0.3 * min(len(clients), 30))
    _draw_answers(axis, answers, deadline)
    handles = [Patch(label=_LABELS[status], **look) for status, look in _LOOKS.items() if statuses[status]]
    at_deadline = deadline is not None and end == deadline
    axis.axvline(end, color=_INK, linewidth=2.5)
    says = "the deadline ends the round" if at_deadline else "the last answer ends the round"
    handles += axis.plot([], [], color=_INK, linewidth=2.5, label=f"{says}: {end:.1f} s")
    if deadline is not None and not at_deadline:
        axis.axvline(deadline, color=_INK, linestyle=":", linewidth=2)
        handles += axis.plot([], [], ":", color=_INK, linewidth=2, label=f"deadline: {deadline:.1f} s")
    axis.set_yticks(range(len(clients)), [f"client {client}" for client in clients], fontsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(10, steps=_ROUND_STEPS))
    axis.set(xlabel="simulated seconds since the server asked", xlim=(0, 1.05 * max([*without_deadline, end])))
    axis.invert_yaxis()
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=9)

    counted = ", ".join(f"{statuses[status]} {words}" for status, words in _IN_WORDS.items())
    limit = "no deadline" if deadline is None else f"the deadline is after {deadline:.1f} seconds"
    return Drawing(
        figure,
        f"{len(clients)} clients are asked, {limit}: {counted}. The round lasts {end:.1f} simulated seconds.",
    )


def _draw_answers(axis: Axes, answers: Sequence[Answer], deadline: float | None) -> None:
    """Draw one bar per answer, from top to bottom; a word for a device that is away or would have gone on."""
    for row, answer in enumerate(answers):
        if answer.status == "away":
            axis.text(0, row, "  away", va="center", fontsize=9)
            continue
        shown = answer.seconds if deadline is None else min(answer.seconds, deadline)
        axis.barh(row, shown, height=0.7, **_LOOKS[answer.status])
        if answer.status == "late":
            axis.text(shown, row, f"  would need {answer.seconds:.1f} s", va="center", fontsize=9)


def accuracy_by_clock(runs: Runs, until: float, *, lines: Mapping[str, float]) -> Drawing:
    """Draw accuracy against simulated time: the mean over seeds, and a band over their range.

    Args:
        runs: by rule.
        until: where the time axis ends, the same for all.
        lines: test accuracies of the reference lines, by the keys of `STYLES`.
    """
    figure, axis = new_figure(8.5, 4.2)
    _draw_runs(axis, runs, until)
    for name, height in lines.items():
        label = f"{name}: {height:.1%}"
        axis.axhline(height, label=label, linewidth=2, **{**STYLES[name], "marker": ""})
    axis.set(xlabel="simulated seconds", ylabel="accuracy on the test images")
    axis.yaxis.set_major_formatter(percent)
    _legend(figure, axis, runs)
    said = ", ".join(f"{name} {height:.1%}" for name, height in lines.items())
    return Drawing(
        figure,
        f"Test accuracy against simulated seconds, mean and range of {_seeds_of_runs(runs)}. "
        f"Mean over the last quarter of {until:.0f} seconds: {_ends(runs, until)}. Reference lines: {said}.",
    )


def accuracy_of_groups(
    panels: Mapping[str, Runs], until: float, *, xlabel: str = "simulated seconds", beyond: float = 0.0
) -> Drawing:
    """Draw accuracy against time, a panel for each group of classes.

    Args:
        panels: by the group's name, its runs; the same rules in all.
        until: where the time axis ends, the same for all.
        xlabel: what the times of the runs are.
        beyond: how much further the axis goes, so that a model that is there at the end alone can be seen.
    """
    figure, axes = new_figure(9.0, 3.9, 1, len(panels), sharey=True, squeeze=False)
    everything = [run for runs in panels.values() for of_seeds in runs.values() for run in of_seeds]
    lowest = min(values_at(*run, np.linspace(0.15 * until, until, 400)).min() for run in everything)
    for axis, (name, runs) in zip(axes[0], panels.items(), strict=True):
        _draw_runs(axis, runs, until, beyond)
        axis.set_title(name, fontsize=11)
        axis.set(xlabel=xlabel)
        axis.set_xticks([tick for tick in axis.get_xticks() if tick <= until])
    axes[0, 0].set_ylabel("accuracy on the test images")
    axes[0, 0].set_ylim(bottom=max(lowest - 0.05, 0.0))  # the first rounds come from below
    axes[0, 0].yaxis.set_major_formatter(percent)
    runs = next(iter(panels.values()))
    _legend(figure, axes[0, 0], runs)
    means = "; ".join(f"{name}: {_ends(runs, until)}" for name, runs in panels.items())
    return Drawing(
        figure,
        f"Accuracy by group of classes against {xlabel}, mean and range of {_seeds_of_runs(runs)}. "
        f"Mean over the last quarter: {means}.",
    )


def _draw_runs(axis: Axes, runs: Runs, until: float, beyond: float = 0.0) -> None:
    """Draw a step curve and a band per rule; a model stays as it is until the next one is there.

    A bracket above the time axis marks the last quarter.
    """
    moments = np.linspace(0, until + beyond, 400)
    across = axis.get_xaxis_transform()  # x in data, y in heights of the axes
    ends = {"arrowstyle": "|-|,widthA=0.3,widthB=0.3", "color": _INK, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (until, 0.04), (0.75 * until, 0.04), xycoords=across, textcoords=across, arrowprops=ends)
    axis.text(0.875 * until, 0.06, "last quarter", transform=across, ha="center", va="bottom", fontsize=9)
    for rule, of_seeds in runs.items():
        style = _STYLES_OF_RUNS[rule]
        values = np.array([values_at(*run, moments) for run in of_seeds])
        low, high = values.min(axis=0), values.max(axis=0)
        axis.fill_between(moments, low, high, alpha=0.2, linewidth=0, color=style["color"])
        axis.plot(moments, values.mean(axis=0), label=rule, linewidth=2, **style)
    axis.set_xlim(0, until + beyond)


def _legend(figure: Figure, axis: Axes, runs: Runs) -> None:
    """Name the lines, each upon its band."""
    handles: list[Any] = []
    labels = []
    several = len(next(iter(runs.values()))) > 1
    for line, label in zip(*axis.get_legend_handles_labels(), strict=True):
        with_band = several and label in runs
        color = _STYLES_OF_RUNS[label]["color"] if with_band else _INK
        handles.append((Patch(color=color, alpha=0.2, linewidth=0), line) if with_band else line)
        labels.append(label)
    title = f"line: mean, band: range of {_seeds_of_runs(runs)}" if several else None
    figure.legend(
        handles,
        labels,
        title=title,
        title_fontsize=10,
        loc="outside upper center",
        ncols=4,
        fontsize=10,
        handlelength=3,
    )


def _ends(runs: Runs, until: float) -> str:
    return ", ".join(
        f"{rule} {np.mean([last_quarter(*run, until) for run in of_seeds]):.1%}" for rule, of_seeds in runs.items()
    )


def accuracy_on_classes(values: ValuesOfSeeds) -> Drawing:
    """Draw how good models are on the classes of the fast and of the slow clients.

    Args:
        values: by rule, and in it by group of classes; at most two groups.
    """
    said = f"Accuracy on the test images, {' and '.join(next(iter(values.values())))}: {_means(values)}."
    return Drawing(_rows_of_groups(values, xlabel="accuracy on the test images"), said)


def accuracy_on_own_images(values: ValuesOfSeeds) -> Drawing:
    """Draw how good models are on the images of the clients that use them.

    Args:
        values: by way of learning, and in it by group, the mean over its clients per seed; at most two groups.
    """
    groups = " and over ".join(next(iter(values.values())))
    said = f"Accuracy on the clients' own validation images, means over {groups}: {_means(values)}."
    return Drawing(_rows_of_groups(values, xlabel="accuracy on own validation images, mean over clients"), said)


def _means(values: ValuesOfSeeds) -> str:
    """Say the mean over seeds of every group in every row."""
    return "; ".join(
        f"{row} {' and '.join(f'{np.mean(seeds):.1%}' for seeds in of.values())}" for row, of in values.items()
    )


def _rows_of_groups(values: ValuesOfSeeds, *, xlabel: str, lowest: float = _LOWEST) -> Figure:
    """Draw a mark per row and group, the mean over seeds, and a line over their range.

    The axis begins at `lowest`, or further left where a mark would not be seen.
    """
    groups = list(next(iter(values.values())))
    figure, axis = new_figure(8.5, 1.4 + 0.45 * len(values))
    for row, of_groups in enumerate(values.values()):
        for shift, (group, style) in enumerate(zip(groups, _STYLES_OF_GROUPS, strict=False)):
            height, seeds = row + 0.25 * (shift - (len(groups) - 1) / 2), of_groups[group]
            axis.plot([min(seeds), max(seeds)], [height, height], color=style["color"], linewidth=2)
            label = group if row == 0 else None
            axis.plot(np.mean(seeds), height, markersize=9, linestyle="none", label=label, **style)
    if len(of_groups[groups[0]]) > 1:
        axis.plot([], [], color=_INK, linewidth=2, label="range of the seeds")
    axis.set_yticks(range(len(values)), list(values))
    smallest = min(share for of_groups in values.values() for seeds in of_groups.values() for share in seeds)
    left = min(lowest, max(smallest - 0.02, 0.0))
    axis.set(xlabel=f"{xlabel} (the axis begins at {left:.0%})", xlim=(left, None), ylim=(len(values) - 0.5, -0.5))
    axis.xaxis.set_major_locator(MaxNLocator(8, steps=_ROUND_STEPS))
    axis.xaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return figure


def _seeds_of_runs(runs: Runs) -> str:
    count = len(next(iter(runs.values())))
    return f"{count} seed{'s' if count > 1 else ''}"


def explore_one_round(
    devices: Devices, clients: Sequence[int], server_round: int, steps: int, *, deadline: float
) -> None:
    """Move the deadline of one round, choose what happens when a device is late, and see who is in time.

    Args:
        devices, clients, server_round, steps: as in `one_round`.
        deadline: where the slider stands at first, in simulated seconds.
    """

    def draw(rule: str, deadline: float) -> str:
        late = _RULES[rule]
        limits: dict[str, Any] = {} if late is None else {"deadline": deadline, "late": late}
        return one_round(devices, clients, server_round, steps, **limits).html()

    slowest = max(devices.seconds_per_transfer + steps * devices.seconds_per_step)
    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(_RULES), value="drop the late", description="rule"),
            "deadline": ipywidgets.FloatSlider(
                round(deadline, 1),
                min=0.5,
                max=max(float(np.ceil(slowest)), deadline),
                step=0.5,
                description="deadline, s",
                continuous_update=False,
                style=WIDE,
            ),
        },
        examples=[{"rule": rule} for rule in _RULES],
    )


BY_ROUNDS, BY_CLOCK = "after as many rounds", "after as much time"


def explore_comparison(curves: CurvesOfSeeds, num_rounds: int, budget: float) -> None:
    """Compare rules by rounds or by the clock, after any number of rounds of the first rule.

    Args:
        curves: by rule; the first one's rounds are counted.
        num_rounds: how many rounds the first rule has trained.
        budget: simulated seconds that all rules have had.
    """

    def draw(compared: str, rounds: int) -> str:
        return one_comparison(curves, rounds, budget, by_clock=compared == BY_CLOCK).html()

    explore(
        draw,
        {
            "compared": ipywidgets.ToggleButtons(options=[BY_ROUNDS, BY_CLOCK], description="compare"),
            "rounds": slider("rounds of waiting", num_rounds, 1, num_rounds),
        },
        examples=[
            {"compared": BY_ROUNDS},
            {"compared": BY_CLOCK},
            {"compared": BY_ROUNDS, "rounds": most_misleading(curves, num_rounds, budget)},
        ],
    )


def one_comparison(curves: CurvesOfSeeds, rounds: int, budget: float, *, by_clock: bool) -> Drawing:
    """Draw what rules reach on both groups of classes, after as many rounds or as much time as the first rule.

    The title says for both ways of comparing by how much the last rule is above the first one on the classes of the
    slow, in points.

    Args:
        curves, budget: as in `explore_comparison`.
        rounds: of the first rule.
        by_clock: whether the others have as much time, or as many rounds.
    """
    rows, moment = _compared(curves, rounds, budget, by_clock=by_clock)
    said = _means({row.replace("\n", ", "): of_groups for row, of_groups in rows.items()})
    figure = _rows_of_groups(rows, xlabel="accuracy on the test images", lowest=0.4)
    how = f"After {moment:.0f} simulated seconds each" if by_clock else f"After {rounds} rounds each"
    first, *_, last = curves
    ahead = ahead_on_slow(curves, rounds, budget)
    points = ", ".join(f"{name} {value:+.1f} points" for name, value in ahead.items())
    figure.axes[0].set_title(f"{how}\n{last} minus {first}, classes of the slow: {points}", fontsize=11)
    figure.axes[0].set_xlim(right=1.0)  # the same axis for all settings
    return Drawing(figure, f"{how}, accuracy on the classes of the fast and of the slow clients: {said}.")


_WAYS = {"by rounds": False, "by the clock": True}


def ahead_on_slow(curves: CurvesOfSeeds, rounds: int, budget: float) -> dict[str, float]:
    """Return by how many points the last rule is above the first one on the classes of the slow, for both ways.

    Args:
        curves, rounds, budget: as in `one_comparison`.
    """
    ahead = {}
    for name, way in _WAYS.items():
        rows, _ = _compared(curves, rounds, budget, by_clock=way)
        first, *_, last = (float(np.mean(of_groups["classes of the slow clients"])) for of_groups in rows.values())
        ahead[name] = 100 * (last - first)
    return ahead


def most_misleading(curves: CurvesOfSeeds, num_rounds: int, budget: float) -> int:
    """Return after how many rounds of the first rule the two ways of comparing are furthest apart.

    Args:
        curves, num_rounds, budget: as in `explore_comparison`.
    """

    def apart(rounds: int) -> float:
        by_rounds, by_clock = ahead_on_slow(curves, rounds, budget).values()
        return abs(by_rounds - by_clock)

    return max(range(1, num_rounds + 1), key=apart)


def _compared(
    curves: CurvesOfSeeds, rounds: int, budget: float, *, by_clock: bool
) -> tuple[dict[str, dict[str, list[float]]], float]:
    """Return accuracies by rule and group of classes, and the moment by which the first rule had its rounds."""
    first = next(iter(curves))
    moment = min(budget, *(run["clock"][rounds] for run in curves[first]))
    rows: dict[str, dict[str, list[float]]] = {}
    for rule, of_seeds in curves.items():
        counts = [_rounds_until(run, moment) if by_clock else min(rounds, len(run["clock"]) - 1) for run in of_seeds]
        untils = [moment if by_clock else run["clock"][count] for run, count in zip(of_seeds, counts, strict=True)]
        count = round(np.mean(counts))
        row = f"{rule}\n{count} round{'' if count == 1 else 's'}, {np.mean(untils):.0f} s"
        rows[row] = {
            f"classes of the {group} clients": [
                last_quarter(run["clock"], run[group], until) for run, until in zip(of_seeds, untils, strict=True)
            ]
            for group in ("fast", "slow")
        }
    return rows, moment


def _rounds_until(run: Mapping[str, Sequence[float]], moment: float) -> int:
    """Return how many rounds have ended at a moment; the clock begins with the time before the first."""
    return int(np.searchsorted(np.array(run["clock"]), moment + 1e-9, side="right")) - 1
