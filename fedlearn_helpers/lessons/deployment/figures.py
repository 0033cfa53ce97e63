"""The figures of notebook 10, and its widget."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.plots import Drawing, new_figure, percent

_INK = "#1b1b1b"
_NEW, _BAD = "#3f90da", "#bd1f01"
_LOOKS = (
    {"color": _NEW, "marker": "o", "linestyle": "-"},
    {"color": "#e76300", "marker": "^", "linestyle": "-."},
    {"color": "#832db6", "marker": "D", "linestyle": "--"},
    {"color": _INK, "marker": "v", "linestyle": ":"},
)


def machines(num_nodes: int) -> Drawing:
    """Draw which program runs on which machine, and who calls whom."""
    figure, axis = new_figure(8.0, 3.4)
    axis.axis("off")
    axis.set(xlim=(0, 10), ylim=(0, 4.2))
    _machine(axis, 3.2, 2.45, 3.6, "the server's machine", ("SuperLink", "ServerApp"))
    shown = min(num_nodes, 3)
    width = 2.7
    places = np.linspace(0.2, 10 - 0.2 - width, shown)
    for number, left in enumerate(places):
        last = number == shown - 1 and num_nodes > shown
        name = f"{num_nodes - shown + 1} more hospitals" if last else f"hospital {number}"
        _machine(axis, left, 0.1, width, name, ("SuperNode", "ClientApp"))
        axis.annotate(
            "",
            xy=(4.15 + 0.5 * (number - (shown - 1) / 2), 2.4),
            xytext=(left + width / 2, 1.7),
            arrowprops={"arrowstyle": "-|>", "color": _INK, "linewidth": 1.5},
        )
    axis.text(9.95, 2.05, "calls go this way only", ha="right", va="center", fontsize=10, style="italic")
    return Drawing(
        figure,
        f"Above, the server's machine with a SuperLink and a ServerApp. Below, {num_nodes} hospitals, each with a "
        "SuperNode and a ClientApp. An arrow goes from every SuperNode up to the SuperLink, and none comes down.",
    )


def _machine(axis: Axes, left: float, bottom: float, width: float, name: str, programs: Sequence[str]) -> None:
    box: dict[str, Any] = {"boxstyle": "round,pad=0.05", "edgecolor": _INK, "linewidth": 1.2}
    axis.add_patch(FancyBboxPatch((left, bottom), width, 1.5, facecolor="#f4f4f4", **box))
    axis.text(left + width / 2, bottom + 1.27, name, ha="center", va="center", fontsize=10)
    each = (width - 0.3) / len(programs)
    for number, (program, color) in enumerate(zip(programs, ("#cfe3f7", "#fde3cf"), strict=True)):
        place = left + 0.15 + number * each
        axis.add_patch(FancyBboxPatch((place + 0.05, bottom + 0.15), each - 0.1, 0.75, facecolor=color, **box))
        axis.text(place + each / 2, bottom + 0.52, program, ha="center", va="center", fontsize=10)


def seconds_of_rounds(seconds: Sequence[float], failures: Sequence[int]) -> Drawing:
    """Draw how long each round of a run took, and mark those in which somebody failed.

    Args:
        seconds: of each round.
        failures: of each round, how many messages got no usable answer.
    """
    figure, axis = new_figure(6.5, 3.2)
    places = np.arange(1, len(seconds) + 1)
    colors = [_BAD if failed else _NEW for failed in failures]
    hatches = ["//" if failed else "" for failed in failures]
    axis.bar(places, seconds, 0.6, color=colors, hatch=hatches, edgecolor="white")
    for place, height, failed in zip(places, seconds, failures, strict=True):
        text = f"{height:.0f} s" + (f", {failed} failed" if failed else "")
        axis.text(place, height, text, ha="center", va="bottom", fontsize=10)
    axis.margins(y=0.15)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="round", ylabel="seconds")
    said = [
        f"round {place} {height:.0f} s" + (f" with {failed} failed" if failed else "")
        for place, height, failed in zip(places, seconds, failures, strict=True)
    ]
    return Drawing(figure, f"Seconds of each round of the run: {', '.join(said)}.")


def forms(size: Mapping[str, float], latency: Mapping[str, float]) -> Drawing:
    """Draw how large the forms of a model are, and how long one image takes.

    Args:
        size: by form, kB.
        latency: by form, milliseconds.
    """
    figure, axes = new_figure(8.5, 0.9 + 0.5 * len(size), 1, 2, sharey=True)
    for axis, values, label in zip(axes, (size, latency), ("size in kB", "milliseconds for one image"), strict=True):
        places = np.arange(len(values))[::-1]
        axis.barh(places, list(values.values()), color=_NEW, edgecolor=_INK, linewidth=0.6, height=0.6)
        for place, value in zip(places, values.values(), strict=True):
            axis.text(value, place, f" {value:.3g}", va="center", fontsize=10)
        axis.set_yticks(places, list(values))
        axis.margins(x=0.18)
        axis.set_xlabel(label)
    said = [f"{name} {size[name]:.0f} kB and {latency[name]:.3g} ms" for name in size]
    return Drawing(figure, f"Size and time for one image by form of the model: {'; '.join(said)}.")


def stages(rollouts: Mapping[str, tuple[Sequence[tuple[int, int, int, float]], bool]], num_devices: int) -> Drawing:
    """Draw updates that are pushed out in stages: how many devices voted for which model.

    Args:
        rollouts: by name of the update, its stages (devices that had it by then, their votes for "worse" and for
            "better", and the p-value), and whether it was rolled back in the end.
        num_devices: of the whole fleet.
    """
    figure, axes = new_figure(3.3 * len(rollouts), 3.6, 1, len(rollouts), sharey=True, squeeze=False)
    said = []
    for axis, (name, (steps, back)) in zip(axes.flat, rollouts.items(), strict=True):
        places = np.arange(len(steps))
        for shift, column, label, color, hatch in ((-0.2, 1, "worse", _BAD, "//"), (0.2, 2, "better", _NEW, "")):
            shares = [step[column] / max(step[0], 1) for step in steps]
            axis.bar(places + shift, shares, 0.38, color=color, hatch=hatch, edgecolor="white", label=label)
        for place, (count, *votes, p) in zip(places, steps, strict=True):
            top = max(votes) / max(count, 1)
            axis.text(place, top + 0.01, f"p {p:.2g}", ha="center", va="bottom", fontsize=9)
        axis.set_xticks(places, [f"{step[0]:,}" for step in steps])
        axis.set_xlim(-0.6, max(len(of) for of, _ in rollouts.values()) - 0.4)
        axis.yaxis.set_major_formatter(percent)
        axis.set(title=f"{name}:\n{'rolled back' if back else 'on all devices'}", xlabel="devices that have it")
        each = [f"{of[0]:,} devices {of[1]} worse and {of[2]} better, p {of[3]:.2g}" for of in steps]
        said.append(f"{name}: {', '.join(each)}, then {'rolled back' if back else 'on all devices'}")
    axes[0, 0].set_ylabel("share of these devices\n(the others vote neither)")
    axes[0, 0].margins(y=0.12)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=10)
    return Drawing(figure, f"Updates in stages to {num_devices:,} devices, votes of the devices. {'; '.join(said)}.")


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, xlabel: str, ylabel: str, title: str = ""
) -> Drawing:
    """Draw curves over logarithmic axes.

    Args:
        curves: by name, x and y values, all > 0.
        xlabel, ylabel: with units.
        title: of the figure.
    """
    figure, axis = new_figure(7.5, 3.8)
    said = []
    for (name, (x, y)), look in zip(curves.items(), _LOOKS, strict=False):
        axis.plot(x, y, label=name, linewidth=2, markersize=6, **look)
        said.append(f"{name}: " + ", ".join(f"{value:.3g} at {place:,.0f}" for place, value in zip(x, y, strict=True)))
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel, title=title)
    figure.legend(loc="outside upper center", ncols=4, fontsize=10)
    return Drawing(figure, f"{ylabel} by {xlabel}. {'; '.join(said)}.")


def costs(values: Mapping[str, str]) -> Drawing:
    """Draw what a federation costs: texts by name, as a table."""
    figure, axis = new_figure(7.0, 0.32 * len(values))
    axis.axis("off")
    for row, (name, value) in enumerate(values.items()):
        height = 1 - (row + 0.5) / len(values)
        axis.text(0.62, height, name, ha="right", va="center", fontsize=11)
        axis.text(0.66, height, value, ha="left", va="center", fontsize=11, fontweight="bold")
    return Drawing(
        figure, f"What this federation costs: {', '.join(f'{name} {value}' for name, value in values.items())}."
    )


def explore_scale(needs: Callable[[int, float, int, int, int], Mapping[str, str]], parameters: int) -> None:
    """Choose how many devices there are and how often they take part, and read what that costs.

    Args:
        needs: of devices, their share in a round, rounds a day, parameters of the model and models that an aggregator
            takes, what it costs: text by name.
        parameters: of the model, at first.
    """

    def draw(devices: int, share: float, rounds: int, parameters: int, fan_out: int) -> str:
        return costs(needs(devices, share, rounds, parameters, fan_out)).html()

    def choice(label: str, values: Sequence[float], at_first: float, form: str = "{:,}") -> ipywidgets.SelectionSlider:
        options = [(form.format(value), value) for value in sorted({*values, at_first})]
        return ipywidgets.SelectionSlider(
            options=options, value=at_first, description=label, continuous_update=False, style=WIDE
        )

    controls = {
        "devices": choice("devices", [10**power for power in range(1, 8)], 10**6),
        "share": choice("share in a round", [0.0001, 0.001, 0.01, 0.1, 1.0], 0.01, "{:g}"),
        "rounds": choice("rounds a day", [1, 4, 24, 96, 288], 24),
        "parameters": choice("parameters", [10**5, 10**6, 10**7, 10**8, 10**9], parameters),
        "fan_out": choice("models an aggregator takes", [10, 100, 1000], 100),
    }
    explore(draw, controls, examples=[{"devices": 10}, {"devices": 10**6}, {"parameters": 10**8}])
