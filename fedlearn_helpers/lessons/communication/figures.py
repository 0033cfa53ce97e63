"""The figures of notebook 07, and its widget, which changes one thing at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from fedlearn_helpers.communication.links import Clock
from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.metrics import values_at
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK = "#1b1b1b"
_FEDERATED = STYLES["federated"]["color"]
_OTHERS = (  # of petroff10, without the colours of the three ways of learning
    {"color": "#832db6", "linestyle": "--"},
    {"color": "#e76300", "linestyle": "-."},
    {"color": "#a96b59", "linestyle": ":"},
    {"color": "#00767a", "linestyle": (0, (3, 1, 1, 1))},
    {"color": "#ffa90e", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#94a4a2", "linestyle": (0, (6, 2))},
    {"color": _INK, "linestyle": (0, (1, 1))},
)
_PARTS = (
    ("receives the model", {"facecolor": "#92dadd"}),
    ("works", {"facecolor": "#ffd9b8", "hatch": "//"}),
    ("sends its answer", {"facecolor": "#b9ac70", "hatch": ".."}),
)
_MOMENTS = 300
_ROUND_STEPS = (1, 2, 5, 10)  # between ticks: no 72.5 %, which would be written 73 %
_BELOW_TARGET = 0.22  # how far below the target an axis of accuracies begins
_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Kilobytes per second of a typical client's way up, on the widget's slider."""

Curve = Mapping[str, Sequence[float]]
"""A run of one seed, a value per version of the model from 0, the first: `accuracy`, and what it had cost by then."""
Curves = Mapping[str, Sequence[Curve]]
"""By setting, one curve per seed; the first setting is drawn in the colour of the federation."""


def one_round(clock: Clock, num_bytes: int) -> Drawing:
    """Draw where the time of a round goes: a bar for each client, with the way down, the work and the way up.

    Args:
        clock: one link per client.
        num_bytes: that go down, and up again.
    """
    clients = range(len(clock))
    down = np.array([clock.links.arrival(k, 0, "down", num_bytes, 0.0) for k in clients])
    trained = np.array([clock.trained(k, 0, 0.0, num_bytes) for k in clients])
    answered = np.array([clock.answered(k, 0, 0.0, num_bytes, num_bytes) for k in clients])
    figure, axis = new_figure(8.5, 1.6 + 0.3 * min(len(clock), 30))
    starts = (np.zeros(len(clock)), down, trained)
    for (label, look), start, end in zip(_PARTS, starts, (down, trained, answered), strict=True):
        axis.barh(clients, end - start, left=start, height=0.7, label=label, edgecolor=_INK, linewidth=0.8, **look)
    slowest = int(np.argmax(answered))
    axis.axvline(answered[slowest], color=_INK, linewidth=2.5, label="the last answer ends the round")
    axis.set_yticks(list(clients), [f"client {k}" for k in clients], fontsize=9)
    axis.set(xlabel="simulated seconds since the server asked", xlim=(0, 1.03 * answered[slowest]))
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=4, fontsize=9)
    on_link = (answered - (trained - down)) / answered
    return Drawing(
        figure,
        f"One round of {len(clock)} clients with {num_bytes / 1e3:.0f} kB each way. The last answer comes from client "
        f"{slowest}, after {answered[slowest]:.0f} simulated seconds. Between {on_link.min():.0%} and "
        f"{on_link.max():.0%} of a client's time goes to its link.",
    )


def accuracy_by(
    curves: Curves, budgets: Mapping[str, str], *, log: bool = True, target: float | None = None
) -> Drawing:
    """Draw accuracy against several budgets, a panel each: the mean over seeds, and a band over their range.

    Args:
        curves: by setting.
        budgets: by the name of a cost in the curves, what the axis says.
        log: whether the axes of costs are logarithmic.
        target: an accuracy in [0, 1], drawn as a line; what is far below it is not drawn.
    """
    figure, axes = new_figure(9.5, 4.4, 1, len(budgets), sharey=True, squeeze=False)
    for axis, (budget, label) in zip(axes[0], budgets.items(), strict=True):
        _draw_curves(axis, curves, budget, log=log)
        axis.set_xlabel(label)
        if target is not None:
            axis.axhline(target, color=_INK, linestyle=":", linewidth=1.5, label=f"target: {target:.1%}")
            axis.set_ylim(bottom=target - _BELOW_TARGET)
    axes[0, 0].set_ylabel("accuracy on the test images")
    axes[0, 0].yaxis.set_major_formatter(percent)
    count = len(next(iter(curves.values())))
    title = f"line: mean, band: range of {count} seeds" if count > 1 else None
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, title=title, loc="outside upper center", ncols=3, fontsize=9, title_fontsize=9, handlelength=3
    )
    ends = "; ".join(
        f"{name} {np.mean([curve['accuracy'][-1] for curve in of]):.1%} after "
        + " and ".join(f"{np.mean([curve[budget][-1] for curve in of]):.3g} {budget}" for budget in budgets)
        for name, of in curves.items()
    )
    return Drawing(figure, f"Test accuracy against {' and against '.join(budgets.values())}. Each ends at: {ends}.")


def _draw_curves(axis: Axes, curves: Curves, budget: str, *, log: bool) -> None:
    costs = [np.asarray(curve[budget], dtype=float) for of in curves.values() for curve in of]
    least, most = min(cost[1] for cost in costs), max(cost[-1] for cost in costs)
    for number, (name, of) in enumerate(curves.items()):
        style = {"color": _FEDERATED, "linestyle": "-"} if number == 0 else _OTHERS[(number - 1) % len(_OTHERS)]
        first = max(curve[budget][1] for curve in of)
        last = float(np.mean([curve[budget][-1] for curve in of]))  # a model stays as it is after its last version
        moments = np.geomspace(first, last, _MOMENTS) if log else np.linspace(0, last, _MOMENTS)
        values = np.array([values_at(curve[budget], curve["accuracy"], moments) for curve in of])
        axis.fill_between(
            moments, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.15, linewidth=0
        )
        axis.plot(moments, values.mean(axis=0), label=name, linewidth=2, **style)
    if log:
        axis.set_xscale("log")
        axis.set_xlim(0.8 * least, 1.25 * most)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_xlim(0, most)


def coded(numbers: np.ndarray, decoded: Mapping[str, np.ndarray]) -> Drawing:
    """Draw some numbers of an update, and what arrives of them, a panel for each codec.

    Args:
        numbers: (n,) of the update; some dozens.
        decoded: by codec, (n,) what was decoded.
    """
    figure, axes = new_figure(9.0, 1.2 + 1.25 * len(decoded), len(decoded), 1, sharex=True, sharey=True, squeeze=False)
    places = np.arange(len(numbers))
    for axis, (name, values) in zip(axes[:, 0], decoded.items(), strict=True):
        axis.bar(places, numbers, color="#d0d0d0", width=0.9, label="the update")
        axis.plot(places, values, "o", color=_FEDERATED, markersize=4, label="what arrives")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set_yticks([0], [])
    axes[-1, 0].set_xlabel("place in the update, some of them")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    zeros = ", ".join(f"{name} {np.mean(values == 0):.0%}" for name, values in decoded.items())
    return Drawing(
        figure, f"{len(numbers)} numbers of an update, and what arrives of them. Shares that arrive as 0: {zeros}."
    )


def distance_to_best(distances: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw how far the model of the toy is from the best one, round by round.

    Args:
        distances: by way of sending, one distance per round, from 0 on.
    """
    figure, axis = new_figure(7.5, 3.6)
    for number, (name, values) in enumerate(distances.items()):
        style = {"color": _FEDERATED, "linestyle": "-"} if number == 0 else _OTHERS[number - 1]
        axis.plot(range(len(values)), values, label=name, linewidth=2, **style)
    axis.set(xlabel="round", ylabel="distance to the best model", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    ends = ", ".join(f"{name} {values[-1]:.2f}" for name, values in distances.items())
    return Drawing(figure, f"Distance to the best model by round. In the end: {ends}.")


def accuracy_of_groups(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw how good models are on the classes of the fast and of the slow clients: the mean, and the range of seeds.

    Args:
        values: by server, and in it by group of classes, one accuracy a seed.
    """
    groups = list(next(iter(values.values())))
    figure, axis = new_figure(8.5, 1.5 + 0.5 * len(values))
    looks = ({"marker": "o", "color": _INK}, {"marker": "D", "color": _INK, "markerfacecolor": "white"})
    for row, of_groups in enumerate(values.values()):
        for shift, group, look in zip((-0.15, 0.15), groups, looks, strict=True):
            seeds = of_groups[group]
            axis.plot([min(seeds), max(seeds)], [row + shift] * 2, color=_INK, linewidth=2)
            label = group if row == 0 else None
            axis.plot(np.mean(seeds), row + shift, markersize=9, linestyle="none", label=label, **look)
    axis.plot([], [], color=_INK, linewidth=2, label="range of the seeds")
    axis.set_yticks(range(len(values)), list(values))
    axis.set(xlabel="accuracy on the test images of these classes")
    axis.xaxis.set_major_locator(MaxNLocator(8, steps=_ROUND_STEPS))
    axis.xaxis.set_major_formatter(percent)
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    said = "; ".join(
        f"{name} {' and '.join(f'{np.mean(of[group]):.1%}' for group in groups)}" for name, of in values.items()
    )
    return Drawing(figure, f"Accuracy on {' and '.join(groups)}, means over the seeds: {said}.")


def disagreement(by_graph: Mapping[str, Sequence[float]], rates: Mapping[str, float]) -> Drawing:
    """Draw what is left of the clients' disagreement, round by round, and the rate that the second eigenvalue sets.

    Args:
        by_graph: by graph, one disagreement per round, from 0 on, as a share of the first.
        rates: by graph, the second largest absolute eigenvalue.
    """
    figure, axis = new_figure(7.5, 4.0)
    lowest = 1e-4
    for number, (name, values) in enumerate(by_graph.items()):
        style = _OTHERS[number % len(_OTHERS)]
        shown = np.maximum(values, lowest)
        axis.plot(range(len(values)), shown, label=name, linewidth=2, **style)
        rounds = np.arange(len(values))
        axis.plot(rounds, np.maximum(rates[name] ** rounds, lowest), color=style["color"], linewidth=1, alpha=0.6)
    axis.plot([], [], color=_INK, linewidth=1, label="second eigenvalue to the power of the round")
    axis.set(xlabel="round of averaging", ylabel="disagreement left", yscale="log", ylim=(lowest, 1.3))
    axis.yaxis.set_major_formatter(percent_small)
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    left = ", ".join(f"{name} {values[-1]:.2%}" for name, values in by_graph.items())
    return Drawing(figure, f"Disagreement of clients that average with neighbours, by round. Left in the end: {left}.")


def percent_small(share: float, position: float) -> str:
    """Format a tick of a logarithmic axis of shares."""
    return f"{100 * share:g}%"


def one_setting(curve: Curve, first: Curve, target: float, *, what: str) -> Drawing:
    """Draw one setting's accuracy by megabytes and by hours, above the setting that the widget begins with.

    Args:
        curve: of the chosen setting, with `megabytes` and `hours`.
        first: of the setting at the beginning, in grey.
        target: an accuracy in [0, 1], drawn as a line.
        what: the setting in words.
    """
    figure, axes = new_figure(9.0, 3.6, 1, 2, sharey=True)
    reached = {budget: _first_reaching(curve, budget, target) for budget in ("megabytes", "hours")}
    labels = {"megabytes": "megabytes of all clients", "hours": "simulated hours"}
    for axis, (budget, cost) in zip(axes, reached.items(), strict=True):
        for one, label, color in ((first, "the first setting", "#b0b0b0"), (curve, "as chosen", _FEDERATED)):
            axis.step(one[budget][1:], one["accuracy"][1:], where="post", linewidth=2.5, color=color, label=label)
        axis.axhline(target, color=_INK, linestyle=":", linewidth=1.5, label="the target")
        axis.set(xscale="log", xlabel=labels[budget])
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        title = f"{target:.1%} is not reached" if cost is None else f"{target:.1%} after {cost:,.3g} {budget}"
        axis.set_title(title, fontsize=11)
    axes[0].set_ylabel("accuracy on the test images")
    axes[0].yaxis.set_major_locator(MaxNLocator(6, steps=_ROUND_STEPS))
    axes[0].yaxis.set_major_formatter(percent)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
    costs = " and ".join(f"after {cost:,.3g} {budget}" for budget, cost in reached.items() if cost is not None)
    when = f"reached {costs}" if costs else "not reached"
    return Drawing(
        figure,
        f"{what}: {curve['accuracy'][-1]:.1%} in the end, {curve['megabytes'][-1]:,.3g} megabytes and "
        f"{curve['hours'][-1]:,.3g} hours. An accuracy of {target:.1%} is {when}.",
    )


def _first_reaching(curve: Curve, budget: str, target: float) -> float | None:
    pairs = zip(curve[budget], curve["accuracy"], strict=True)
    return next((cost for cost, accuracy in pairs if accuracy >= target), None)


def explore_one_thing(
    curve_of: Callable[[int, str, float, str], Curve],
    epochs: Sequence[int],
    codecs: Sequence[str],
    speed: float,
    target: float,
) -> None:
    """Change local epochs, compression, the links' speed and the village, one at a time; see bytes, hours, accuracy.

    Args:
        curve_of: returns the curve of local epochs, a compression, kilobytes per second, and "no village" or
            "a village"; of runs that are there, on a clock that is computed anew.
        epochs, codecs: of which there are runs.
        speed: of the links at first, in kilobytes per second of a typical way up, > 0.
        target: an accuracy in [0, 1].
    """
    links = ("no village", "a village")
    first = curve_of(epochs[0], codecs[0], speed, links[0])

    def draw(epochs: int, codec: str, speed: float, link: str) -> str:
        plural = "" if epochs == 1 else "s"
        what = f"{epochs} local epoch{plural}, {codec}, {speed:g} kB/s up, {link}"
        return one_setting(curve_of(epochs, codec, speed, link), first, target, what=what).html()

    def buttons(options: Sequence[Any], description: str) -> ipywidgets.ToggleButtons:
        return ipywidgets.ToggleButtons(options=list(options), description=description, style=WIDE)

    explore(
        draw,
        {
            "epochs": buttons(epochs, "local epochs"),
            "codec": buttons(codecs, "compression"),
            "speed": ipywidgets.SelectionSlider(
                options=sorted({*_SPEEDS, speed}),
                value=speed,
                description="kB/s up",
                continuous_update=False,
                style=WIDE,
            ),
            "link": buttons(links, "links"),
        },
        examples=[{}, {"codec": codecs[-1]}, {"epochs": epochs[-1]}],
    )


def joules(by_setting: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Draw what a phone spends by setting, on its radio and on its training.

    Args:
        by_setting: in it by part, the joules until the target.
    """
    figure, axis = new_figure(8.5, 1.5 + 0.45 * len(by_setting))
    left = np.zeros(len(by_setting))
    looks: list[Mapping[str, Any]] = [{"facecolor": "#92dadd"}, {"facecolor": "#b9ac70", "hatch": ".."}]
    looks.append({"facecolor": "#ffd9b8", "hatch": "//"})
    for part, look in zip(next(iter(by_setting.values())), looks, strict=True):
        values = np.array([parts[part] for parts in by_setting.values()])
        axis.barh(range(len(left)), values, left=left, label=part, edgecolor=_INK, linewidth=0.8, height=0.7, **look)
        left += values
    axis.set_yticks(range(len(left)), list(by_setting))
    axis.set(xlabel="joules of one phone, until the target accuracy")
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    said = ", ".join(f"{name} {total:.3g}" for name, total in zip(by_setting, left, strict=True))
    return Drawing(figure, f"Joules that one phone spends until the target accuracy: {said}.")
