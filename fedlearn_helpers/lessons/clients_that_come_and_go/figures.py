"""The figures of notebook 03, and the widget that moves a deadline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedlearn_helpers.availability.devices import Answer, Devices, Late, Status, round_seconds
from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK = "#1b1b1b"
_LOOKS: dict[Status, dict[str, Any]] = {
    "in time": {"facecolor": STYLES["federated"]["color"], "edgecolor": _INK, "linewidth": 0.8},
    "partial": {"facecolor": "#b9d9f4", "edgecolor": _INK, "linewidth": 0.8, "hatch": "//"},
    "late": {"facecolor": "#e3e3e3", "edgecolor": STYLES["centralized"]["color"], "linewidth": 0.8, "hatch": ".."},
}
"""Of a device's bar, by the status of its answer."""
_LABELS: dict[Status, str] = {"in time": "in time", "partial": "partial work, in time", "late": "late: cut off"}
_IN_WORDS: dict[Status, str] = {"in time": "in time", "partial": "partial work", "late": "late", "away": "away"}
_RULES: dict[str, Late | None] = {"wait for all": None, "drop the late": "drop", "partial work": "partial"}
_SERIES_STYLES = (
    {"color": "#3f90da", "marker": "o", "linestyle": "-"},
    {"color": "#832db6", "marker": "s", "linestyle": "--"},
    {"color": "#b07500", "marker": "^", "linestyle": "-."},
    {"color": _INK, "marker": "D", "linestyle": ":"},
)

ValuesOfSeeds = Mapping[str, Mapping[str, Sequence[float]]]
"""By row, and in it by group, one share in [0, 1] per seed; the same groups in every row."""
Run = tuple[Sequence[float], Sequence[float]]
"""The clock (rounds + 1,) in simulated seconds, from 0 on, and the accuracies (rounds + 1,) at these times."""


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
    figure, (left, right) = new_figure(10.0, 1.6 + 0.19 * min(len(devices), 40), 1, 2, sharey=True, width_ratios=(3, 2))

    rows, late = np.arange(len(devices)), seconds[order] > deadline
    for chosen, look, label in ((~late, _LOOKS["in time"], "in time"), (late, _LOOKS["late"], "too late")):
        left.barh(rows[chosen], seconds[order][chosen], height=0.75, label=label, **look)
    left.axvline(deadline, color=_INK, linestyle="--", linewidth=2, label="deadline")
    left.set(xlabel="simulated seconds for a round", ylabel="client, the fastest on top")
    left.legend(fontsize=9, loc="upper right", framealpha=0.9)
    left.set_yticks(rows if len(devices) <= 40 else [], order if len(devices) <= 40 else [], fontsize=8)

    edges = (0.5, num_rounds + 0.5, len(devices) - 0.5, -0.5)  # columns count from 1, rows from 0 downwards
    right.imshow(~there, cmap="Greys", vmin=-0.25, vmax=1.25, aspect="auto", extent=edges)
    right.grid(False)
    right.set(xlabel="round (dark: the device is away)", ylim=(len(devices) - 0.5, -0.5))
    if num_rounds <= 20:
        right.set_xticks(range(1, num_rounds + 1))
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

    The time axis is as long as the slowest client would take without a deadline.

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
    _draw_answers(axis, answers)
    axis.axvline(end, color=_INK, linewidth=2.5)
    handles = [Patch(label=_LABELS[status], **look) for status, look in _LOOKS.items() if statuses[status]]
    handles += axis.plot([], [], color=_INK, linewidth=2.5, label=f"the round ends: {end:.1f} s")
    if deadline is not None:
        axis.axvline(deadline, color="w", linewidth=1)  # keeps the dashes visible where the round ends at the deadline
        axis.axvline(deadline, color=_INK, linestyle="--", linewidth=2)
        handles += axis.plot([], [], "--", color=_INK, linewidth=2, label=f"deadline: {deadline:.1f} s")
    axis.set_yticks(range(len(clients)), [f"client {client}" for client in clients], fontsize=9)
    axis.set(xlabel="simulated seconds since the server asked", xlim=(0, 1.05 * max([*without_deadline, end])))
    axis.invert_yaxis()
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=9)

    counted = ", ".join(f"{statuses[status]} {words}" for status, words in _IN_WORDS.items())
    limit = "no deadline" if deadline is None else f"the deadline is after {deadline:.1f} seconds"
    return Drawing(
        figure,
        f"{len(clients)} clients are asked, {limit}: {counted}. The round lasts {end:.1f} simulated seconds.",
    )


def _draw_answers(axis: Axes, answers: Sequence[Answer]) -> None:
    """Draw one bar per answer, from top to bottom; a word for a device that is away."""
    for row, answer in enumerate(answers):
        if answer.status == "away":
            axis.text(0, row, "  away", va="center", fontsize=9)
        else:
            axis.barh(row, answer.seconds, height=0.7, **_LOOKS[answer.status])


def accuracy_by_clock(runs: Mapping[str, Sequence[Run]], *, local_only: float, centralized: float) -> Drawing:
    """Draw accuracy against simulated time: the mean over seeds, and a band over their range.

    A model stays as it is until the next round ends. A curve ends where its shortest run does.

    Args:
        runs: by rule (at most four), one run per seed.
        local_only, centralized: test accuracies of the reference lines.
    """
    figure, axis = new_figure(8.5, 4.6)
    for (rule, seeds), style in zip(runs.items(), _SERIES_STYLES, strict=False):
        times, values = _at_common_times(seeds)
        low, high, mean = values.min(axis=0), values.max(axis=0), values.mean(axis=0)
        axis.fill_between(times, low, high, step="post", alpha=0.15, linewidth=0, color=style["color"])
        look = {"linewidth": 2, "markersize": 6, "markevery": 0.12, "drawstyle": "steps-post"}
        axis.plot(times, mean, label=rule, **look, **style)
    for name, height in (("local only", local_only), ("centralized", centralized)):
        axis.axhline(height, label=f"{name}: {height:.1%}", linewidth=2, **{**STYLES[name], "marker": ""})

    first = min(clock[1] for seeds in runs.values() for clock, _ in seeds if len(clock) > 1)
    last = max(clock[-1] for seeds in runs.values() for clock, _ in seeds)
    ticks = [digit * 10.0**power for power in range(-2, 9) for digit in (1, 2, 5)]
    axis.set(xscale="log", xlim=(0.9 * first, 1.1 * last), ylabel="accuracy on the test images")
    axis.set_xlabel("simulated seconds (logarithmic)")
    axis.set_xticks([tick for tick in ticks if 0.9 * first <= tick <= 1.1 * last])
    axis.xaxis.set_major_formatter("{x:,g}")
    axis.minorticks_off()
    figure.legend(loc="outside right center", fontsize=9)

    ends = {
        rule: (np.mean([accuracies[-1] for _, accuracies in seeds]), np.mean([clock[-1] for clock, _ in seeds]))
        for rule, seeds in runs.items()
    }
    return Drawing(
        figure,
        f"Test accuracy against simulated seconds, mean and range of {_seeds(next(iter(runs.values())))}. "
        "After the last round: "
        + "; ".join(f"{rule} {accuracy:.1%} after {seconds:.0f} seconds" for rule, (accuracy, seconds) in ends.items())
        + f". Local only {local_only:.1%}, centralized {centralized:.1%}.",
    )


def _at_common_times(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return the times (n,) at which any run changes, up to the end of the shortest, and accuracies (runs, n) then."""
    times = np.unique(np.concatenate([clock for clock, _ in runs]))
    times = times[times <= min(clock[-1] for clock, _ in runs)]
    rounds = [np.searchsorted(clock, times, side="right") - 1 for clock, _ in runs]
    return times, np.array([np.asarray(accuracies)[done] for (_, accuracies), done in zip(runs, rounds, strict=True)])


def accuracy_on_classes(values: ValuesOfSeeds) -> Drawing:
    """Draw, for each rule, the accuracy on the classes of the fast and of the slow clients.

    Args:
        values: by rule, and in it for the fast clients' classes and for the slow clients'.
    """
    said = f"Accuracy on the classes of the fast and of the slow clients, {_seeds_of(values)}. Means: {_means(values)}."
    return Drawing(_rows_of_groups(values, xlabel="accuracy on the test images of these classes"), said)


def accuracy_on_own_images(values: ValuesOfSeeds) -> Drawing:
    """Draw, for each way of learning, the mean accuracy of fast and of slow clients on their own images.

    Args:
        values: by way of learning, and in it for the fast clients and for the slow ones.
    """
    said = f"Accuracy on the clients' own validation images, means over fast and over slow clients: {_means(values)}."
    return Drawing(_rows_of_groups(values, xlabel="accuracy on own validation images, mean over clients"), said)


def accuracy_without_clients(values: ValuesOfSeeds) -> Drawing:
    """Draw what federations know before and after they have lost clients.

    Args:
        values: by federation, and in it on the class of the lost clients and on all classes.
    """
    said = (
        f"Accuracy on the class of the lost clients and on all classes, {_seeds_of(values)}. Means: {_means(values)}."
    )
    return Drawing(_rows_of_groups(values, xlabel="accuracy on the test images"), said)


def _rows_of_groups(values: ValuesOfSeeds, *, xlabel: str) -> Figure:
    """Draw a mark per group and seed in each row, with the mean of each group filled; at most four groups."""
    groups = list(next(iter(values.values())))
    figure, axis = new_figure(8.5, 1.5 + 0.55 * len(values))
    for row, of_groups in enumerate(values.values()):
        for shift, (group, style) in enumerate(zip(groups, _SERIES_STYLES, strict=False)):
            height, seeds = row + 0.22 * (shift - (len(groups) - 1) / 2), of_groups[group]
            look = {"color": style["color"], "marker": style["marker"]}
            axis.plot([min(seeds), max(seeds)], [height, height], color=style["color"], linewidth=2)
            axis.plot(seeds, [height] * len(seeds), fillstyle="none", linestyle="none", **look)
            label = group if row == 0 else None
            axis.plot(np.mean(seeds), height, markersize=9, linestyle="none", label=label, **look)
    axis.set_yticks(range(len(values)), list(values))
    axis.set(xlabel=xlabel, ylim=(len(values) - 0.5, -0.5))
    axis.xaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=len(groups), fontsize=10)
    return figure


def _means(values: ValuesOfSeeds) -> str:
    """Say the mean over seeds of every group in every row."""
    return "; ".join(
        f"{row} {' and '.join(f'{np.mean(seeds):.1%}' for seeds in of_groups.values())}"
        for row, of_groups in values.items()
    )


def _seeds_of(values: ValuesOfSeeds) -> str:
    return _seeds(next(iter(next(iter(values.values())).values())))


def _seeds(runs: Sequence[object]) -> str:
    return f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"


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
