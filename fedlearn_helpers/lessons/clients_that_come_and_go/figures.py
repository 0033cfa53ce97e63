"""The figures and the widget of notebook 03."""

from collections import Counter
from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedlearn_helpers import plots
from fedlearn_helpers.availability.devices import Devices, Late, round_seconds
from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.plots import STYLES, new_figure

_INK = "#1b1b1b"


def device_map(devices: Devices, steps: int, num_rounds: int, deadline: float) -> Figure:
    """Draw how long each device takes for a round, and in which rounds it is there; the fastest on top.

    Args:
        devices: one per client.
        steps: training steps of a client in a round.
        num_rounds: how many rounds to look at.
        deadline: in simulated seconds, drawn as a line.
    """
    seconds = devices.seconds_per_transfer + steps * devices.seconds_per_step
    order = np.argsort(seconds, kind="stable")
    rows = np.arange(len(devices))
    figure, (left, right) = new_figure(10.0, 1.6 + 0.19 * min(len(devices), 40), 1, 2, sharey=True, width_ratios=(3, 2))
    late = seconds[order] > deadline
    for chosen, look, label in ((~late, _LOOKS["in time"], "in time"), (late, _LOOKS["late"], "too late")):
        left.barh(rows[chosen], seconds[order][chosen], height=0.75, label=label, **look)
    left.axvline(deadline, color=_INK, linestyle="--", linewidth=2, label="deadline")
    left.set(xlabel="simulated seconds for a round", ylabel="client, the fastest on top")
    left.legend(fontsize=9, loc="upper right", framealpha=0.9)
    there = [[devices.is_there(client, number + 1) for number in range(num_rounds)] for client in order]
    right.imshow(~np.array(there), cmap="Greys", vmin=-0.25, vmax=1.25, aspect="auto", extent=_extent(there))
    right.grid(False)
    right.set(xlabel="round (dark: the device is away)", ylim=(len(devices) - 0.5, -0.5))
    if num_rounds <= 20:
        right.set_xticks(range(1, num_rounds + 1))
    left.set_yticks(rows if len(devices) <= 40 else [], order if len(devices) <= 40 else [], fontsize=8)
    return figure


def _extent(rows: Sequence[Sequence[bool]]) -> tuple[float, float, float, float]:
    """Return the edges of a map whose columns count from 1 and whose rows count from 0, downwards."""
    return (0.5, len(rows[0]) + 0.5, len(rows) - 0.5, -0.5)


_LOOKS = {
    "in time": {"facecolor": STYLES["federated"]["color"], "edgecolor": _INK, "linewidth": 0.8},
    "partial": {"facecolor": "#b9d9f4", "edgecolor": _INK, "linewidth": 0.8, "hatch": "//"},
    "late": {"facecolor": "#e3e3e3", "edgecolor": STYLES["centralized"]["color"], "linewidth": 0.8, "hatch": ".."},
}


_NAMES = {"in time": "in time", "partial": "partial work, in time", "late": "late: cut off", "away": "away"}


class RoundInTime:
    """One round in simulated time: a bar for each client that is asked.

    Args:
        devices: one per client.
        clients: who is asked, by number.
        server_round: decides who is there.
        steps: training steps that every client is asked for.
        deadline, late: as in `Devices.answer`.

    Raises:
        InputError: a deadline not above 0, or an unknown `late`.
    """

    def __init__(
        self,
        devices: Devices,
        clients: Sequence[int],
        server_round: int,
        steps: int,
        *,
        deadline: float | None = None,
        late: Late = "drop",
    ) -> None:
        self._clients, self._deadline = list(clients), deadline
        self.answers = [
            devices.answer(client, server_round, steps, deadline=deadline, late=late) for client in self._clients
        ]
        self._in_full = [devices.answer(client, server_round, steps).seconds for client in self._clients]
        self._statuses = Counter(answer.status for answer in self.answers)
        self.seconds = round_seconds(self.answers, deadline)

    def draw(self) -> Figure:
        """Draw the round, with the time axis as long as the slowest client would take."""
        figure, axis = new_figure(9.0, 1.7 + 0.3 * min(len(self._clients), 30))
        for row, answer in enumerate(self.answers):
            if answer.status == "away":
                axis.text(0, row, "  away", va="center", fontsize=9)
            else:
                axis.barh(row, answer.seconds, height=0.7, **_LOOKS[answer.status])
        axis.axvline(self.seconds, color=_INK, linewidth=2.5)
        if self._deadline is not None:
            axis.axvline(self._deadline, color="w", linewidth=1)  # shows as a dashed line on top of the round's end
            axis.axvline(self._deadline, color=_INK, linestyle="--", linewidth=2)
        handles = [Patch(label=_NAMES[status], **_LOOKS[status]) for status in _LOOKS if self._statuses[status]]
        handles += axis.plot([], [], color=_INK, linewidth=2.5, label=f"the round ends: {self.seconds:.1f} s")
        if self._deadline is not None:
            handles += axis.plot([], [], "--", color=_INK, linewidth=2, label=f"deadline: {self._deadline:.1f} s")
        axis.set_yticks(range(len(self._clients)), [f"client {client}" for client in self._clients], fontsize=9)
        axis.set(
            xlabel="simulated seconds since the server asked", xlim=(0, 1.05 * max([*self._in_full, self.seconds]))
        )
        axis.invert_yaxis()
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=9)
        return figure

    def describe(self) -> str:
        """Say what the drawing shows."""
        statuses = ", ".join(
            f"{self._statuses[status]} {_NAMES[status].split(':')[0].split(',')[0]}" for status in _NAMES
        )
        limit = "no deadline" if self._deadline is None else f"the deadline is after {self._deadline:.1f} seconds"
        return (
            f"{len(self._clients)} clients are asked, {limit}: {statuses}. "
            f"The round lasts {self.seconds:.1f} simulated seconds."
        )


_RULE_STYLES = (
    {"color": "#3f90da", "marker": "o", "linestyle": "-"},
    {"color": "#832db6", "marker": "s", "linestyle": "--"},
    {"color": "#b07500", "marker": "^", "linestyle": "-."},
    {"color": "#1b1b1b", "marker": "D", "linestyle": ":"},
)


def accuracy_by_clock(
    runs: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]], lines: Mapping[str, float]
) -> Figure:
    """Draw accuracy against simulated time: the mean over seeds, and a band over their range.

    A model stays as it is until the next round ends. A curve ends where the first of its seeds does.

    Args:
        runs: by rule (at most four), one pair per seed: the clock (rounds + 1,) from 0 on, and the accuracies then.
        lines: heights of the reference lines by label, which starts with a key of `STYLES`.
    """
    figure, axis = new_figure(8.5, 4.6)
    for (rule, seeds), style in zip(runs.items(), _RULE_STYLES, strict=False):
        times = np.unique(np.concatenate([clock for clock, _ in seeds]))
        times = times[times <= min(clock[-1] for clock, _ in seeds)]
        values = np.array(
            [np.asarray(accuracies)[np.searchsorted(clock, times, side="right") - 1] for clock, accuracies in seeds]
        )
        low, high, mean = values.min(axis=0), values.max(axis=0), values.mean(axis=0)
        axis.fill_between(times, low, high, step="post", alpha=0.15, linewidth=0, color=style["color"])
        look = {"linewidth": 2, "markersize": 6, "markevery": 0.12, "drawstyle": "steps-post"}
        axis.plot(times, mean, label=rule, **look, **style)
    for label, height in lines.items():
        style = next(style for name, style in STYLES.items() if label.startswith(name))
        axis.axhline(height, label=label, linewidth=2, **{**style, "marker": ""})
    begin = min(clock[1] for seeds in runs.values() for clock, _ in seeds if len(clock) > 1)
    end = max(clock[-1] for seeds in runs.values() for clock, _ in seeds)
    ticks = [digit * 10.0**power for power in range(-2, 9) for digit in (1, 2, 5)]
    axis.set(xscale="log", xlim=(0.9 * begin, 1.1 * end), ylabel="accuracy on the test images")
    axis.set_xlabel("simulated seconds (logarithmic)")
    axis.set_xticks([tick for tick in ticks if 0.9 * begin <= tick <= 1.1 * end])
    axis.xaxis.set_major_formatter("{x:,g}")
    axis.minorticks_off()
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def grouped_dots(rows: Mapping[str, Mapping[str, Sequence[float]]], *, xlabel: str) -> Figure:
    """Draw one row per rule, and in it a mark per group and seed, with the mean of each group filled.

    Args:
        rows: by rule, the values of the seeds by group; the same groups in every row, at most three.
        xlabel: with units.
    """
    groups = list(next(iter(rows.values())))
    figure, axis = new_figure(8.5, 1.5 + 0.55 * len(rows))
    for place, values in enumerate(rows.values()):
        for shift, (group, style) in enumerate(zip(groups, _RULE_STYLES, strict=False)):
            height = place + 0.22 * (shift - (len(groups) - 1) / 2)
            look = {"color": style["color"], "marker": style["marker"]}
            axis.plot([min(values[group]), max(values[group])], [height, height], color=style["color"], linewidth=2)
            axis.plot(values[group], [height] * len(values[group]), fillstyle="none", linestyle="none", **look)
            label = group if place == 0 else None
            axis.plot(np.mean(values[group]), height, markersize=9, linestyle="none", label=label, **look)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    axis.xaxis.set_major_formatter(lambda share, position: f"{share:.0%}")
    figure.legend(loc="outside upper center", ncols=len(groups), fontsize=10)
    return figure


_RULES: dict[str, Late | None] = {"wait for all": None, "drop the late": "drop", "partial work": "partial"}


def round_in_time(devices: Devices, clients: Sequence[int], server_round: int, steps: int, *, deadline: float) -> None:
    """Move the deadline of one round, choose what becomes of late devices, and see who is in time.

    Args:
        devices: one per client.
        clients: who is asked, by number.
        server_round: decides who is there.
        steps: training steps that every client is asked for.
        deadline: where the slider stands at first, in simulated seconds.
    """

    def draw(rule: str, deadline: float) -> str:
        late = _RULES[rule]
        limits = {} if late is None else {"deadline": deadline, "late": late}
        picture = RoundInTime(devices, clients, server_round, steps, **limits)
        return plots.image(picture.draw(), alt=picture.describe())

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
    )
