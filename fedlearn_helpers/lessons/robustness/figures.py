"""The figures of notebook 09, and its widget: numbers in a plane, of which some lie."""

import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.lessons.robustness.trigger_widget import draw_trigger, stamped
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

__all__ = ["by_strength", "draw_trigger", "explore_plane", "lines", "pay", "plane", "stamped", "table", "who_counts"]

_INK = "#1b1b1b"
_FEDERATED = STYLES["federated"]["color"]
# A rule looks the same in every figure: colours of petroff10 where they tell apart on white, and markers for grey.
_LOOKS: dict[str, dict[str, Any]] = {
    "mean": {"color": _FEDERATED, "linestyle": "-", "marker": "o"},
    "norm clipping": {"color": "#e76300", "linestyle": "-.", "marker": "^"},
    "median": {"color": "#832db6", "linestyle": "--", "marker": "D"},
    "geometric median": {"color": "#00767a", "linestyle": (0, (3, 1, 1, 1)), "marker": "X"},
    "trimmed mean": {"color": "#a96b59", "linestyle": ":", "marker": "P"},
    "Krum": {"color": _INK, "linestyle": (0, (5, 2)), "marker": "v"},
    "Multi-Krum": {"color": "#8a6d00", "linestyle": (0, (1, 1)), "marker": "s"},
    "Bulyan": {"color": "#c0397e", "linestyle": (0, (4, 1, 1, 1)), "marker": "h"},
}
_OBEYED = 0.25  # a backdoor that is obeyed in so many more cases than without one is shown bold


def _looks(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return how curves look: rules as they always do, others by their place."""
    return [_LOOKS.get(name, look) for name, look in zip(names, _LOOKS.values(), strict=False)]


def _of(values: Sequence[float]) -> str:
    return f"{np.mean(values):.0%}"


def plane(
    points: np.ndarray,
    attackers: Collection[int],
    results: Mapping[str, np.ndarray],
) -> Drawing:
    """Draw clients' updates of two numbers each, and what rules make of them.

    Args:
        points: (clients, 2).
        attackers: positions of those that lie.
        results: by rule, (2,).
    """
    figure, axis = new_figure(7.5, 4.4)
    lie = np.isin(np.arange(len(points)), list(attackers))
    axis.plot(*points[~lie].T, "o", color="#94a4a2", markersize=6, label="honest", linestyle="")
    for (name, place), look in zip(results.items(), _looks(results), strict=True):
        hollow = {"markerfacecolor": "none", "markeredgecolor": look["color"], "markeredgewidth": 2}
        axis.plot(*place, label=name, markersize=11, **{**look, **hollow, "linestyle": ""})
    axis.plot(
        *points[lie].T,
        "x",
        color="#bd1f01",
        markersize=8,
        markeredgewidth=2,
        label=f"attackers, {lie.sum()}",
        linestyle="",
    )
    axis.set(xlabel="first number of the update", ylabel="second number")
    figure.legend(loc="outside right upper", fontsize=10)
    truth = points[~lie].mean(axis=0)
    far = ", ".join(f"{name} {np.linalg.norm(place - truth):.2f}" for name, place in results.items())
    return Drawing(
        figure,
        f"{len(points) - lie.sum()} honest clients and {lie.sum()} attackers as points. Distance of each rule's "
        f"result to the honest mean: {far}.",
    )


def explore_plane(
    make: Callable[[int, float], tuple[np.ndarray, Collection[int], Mapping[str, np.ndarray]]],
    attackers: int,
    most: int,
) -> None:
    """Choose how many lie, and how far away they are; see `plane`.

    Args:
        make: of the number of attackers and their distance, what `plane` draws.
        attackers: their number at first.
        most: of them.
    """

    def draw(attackers: int, distance: float) -> str:
        return plane(*make(attackers, distance)).html()

    controls = {
        "attackers": slider("attackers", attackers, 0, most),
        "distance": ipywidgets.FloatSlider(
            value=6.0, min=0.0, max=20.0, step=0.5, description="their distance", continuous_update=False, style=WIDE
        ),
    }
    explore(draw, controls, examples=[{"distance": 2.0}, {"distance": 20.0}, {"attackers": most}])


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    *,
    xlabel: str,
    ylabel: str,
    shares: bool = True,
    log_x: bool = False,
    log_y: bool = False,
    mark: Mapping[str, float] | None = None,
    levels: Mapping[str, float] | None = None,
) -> Drawing:
    """Draw curves: the mean over seeds, and a band over their range.

    Args:
        curves: by name, x values, and for each of them the values of all seeds.
        xlabel, ylabel: with units.
        shares: whether heights are shares in [0, 1].
        log_x, log_y: whether an axis is logarithmic.
        mark: by label, a place on the x axis.
        levels: by label, a height.
    """
    figure, axis = new_figure(7.5, 4.2)
    said = []
    for (name, (x, values)), look in zip(curves.items(), _looks(curves), strict=True):
        heights = np.array([np.mean(of) for of in values])
        lowest, highest = np.array([min(of) for of in values]), np.array([max(of) for of in values])
        axis.fill_between(x, lowest, highest, color=look["color"], alpha=0.12, linewidth=0)
        axis.plot(x, heights, label=name, linewidth=2, markersize=7, **look)
        at = [
            f"{h:.0%} at {place:g}" if shares else f"{h:.3g} at {place:g}" for h, place in zip(heights, x, strict=True)
        ]
        said.append(f"{name}: {', '.join(at)}")
    for label, place in (mark or {}).items():
        axis.axvline(place, color=_INK, linestyle=":", linewidth=1.5, label=label)
    for (label, height), dashes in zip((levels or {}).items(), ((0, (6, 3)), (0, (1, 2))), strict=False):
        axis.axhline(height, color=_INK, linestyle=dashes, linewidth=1.2, label=label)
        said.append(f"{label}: {height:.0%}" if shares else f"{label}: {height:.3g}")
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if shares:
        axis.yaxis.set_major_formatter(percent)
        axis.set_ylim(bottom=0)
    if log_x:
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axis.set_xticks([], minor=True)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log_y:
        axis.set_yscale("log")
    figure.legend(loc="outside upper center", ncols=4, fontsize=10)
    return Drawing(figure, f"{ylabel} by {xlabel}, means. {'; '.join(said)}.")


def table(
    accuracy: Mapping[tuple[str, str], Sequence[float]],
    success: Mapping[tuple[str, str], Sequence[float]],
    usual: Mapping[tuple[str, str], Sequence[float]],
    *,
    best: float,
) -> Drawing:
    """Draw the accuracy of every defence under every attack: the mean over seeds, and below it their range.

    The darker a cell, the more is lost.

    Args:
        accuracy: by attack and defence, in [0, 1], one per seed.
        success: for backdoors, the share of triggered images that are called the target.
        usual: the same share without any attack, under some other name of an attack.
        best: accuracy without any attack, where the colour begins.
    """
    attacks, defences = ([*dict.fromkeys(key[place] for key in accuracy)] for place in (0, 1))
    means = np.array([[np.mean(accuracy[attack, defence]) for defence in defences] for attack in attacks])
    without = {defence: float(np.mean(of)) for (_, defence), of in usual.items()}
    figure, axis = new_figure(1.9 + 0.95 * len(defences), 1.0 + 0.62 * len(attacks))
    axis.imshow(best - means, cmap="Oranges", vmin=0, vmax=1.4 * best, aspect="auto")
    axis.grid(False)
    axis.set_xticks(range(len(defences)), [textwrap.fill(name, 10) for name in defences], fontsize=10)
    axis.set_yticks(range(len(attacks)), attacks, fontsize=10)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for row, attack in enumerate(attacks):
        for column, defence in enumerate(defences):
            of, key = accuracy[attack, defence], (attack, defence)
            weight = "normal"
            lower = f"{100 * min(of):.0f} to {100 * max(of):.0f}"
            if key in success:
                obeyed, anyway = float(np.mean(success[key])), without[defence]
                lower = f"obeys {100 * obeyed:.0f} ({100 * anyway:.0f})"
                weight = "bold" if obeyed - anyway > _OBEYED else "normal"
            axis.text(column, row - 0.14, f"{100 * means[row, column]:.0f}", ha="center", va="center", color=_INK)
            axis.text(column, row + 0.24, lower, ha="center", va="center", fontsize=8, color=_INK, fontweight=weight)
    said = []
    for attack in attacks:
        cells = [
            f"{defence} {_of(accuracy[attack, defence])}"
            + (
                f" (obeys {_of(success[attack, defence])}, {without[defence]:.0%} without)"
                if (attack, defence) in success
                else ""
            )
            for defence in defences
        ]
        said.append(f"{attack}: {', '.join(cells)}")
    return Drawing(figure, f"Test accuracy in percent by attack and defence, means over seeds. {'; '.join(said)}.")


def who_counts(chosen: Sequence[float], changes: Mapping[str, Sequence[float]], rounds: int) -> Drawing:
    """Draw each client's change of accuracy against the number of rounds in which its model counted.

    Args:
        chosen: by client, rounds in which it was chosen.
        changes: by rule, every client's accuracy on its own classes, less that with the mean.
        rounds: of the federation.
    """
    figure, axes = new_figure(8.0, 3.8, 1, len(changes), sharey=True, squeeze=False)
    counts = np.asarray(chosen)
    shift = np.linspace(-0.2, 0.2, len(counts))  # so that clients with equal numbers do not hide each other
    said = []
    for axis, (name, values), look in zip(axes.flat, changes.items(), _looks(changes), strict=True):
        points = 100 * np.asarray(values)
        axis.axhline(0, color=_INK, linewidth=1)
        axis.plot(counts + shift, points, markersize=7, alpha=0.7, **{**look, "linestyle": ""})
        axis.set(xlabel=f"rounds in which Multi-Krum\nchose the client, of {rounds}", title=f"{name} against the mean")
        axis.set_xlim(-0.5, rounds + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        for word, group in (("in every round", counts == rounds), ("in fewer rounds", counts < rounds)):
            if group.any():
                said.append(f"{name}, {group.sum()} clients chosen {word}: {points[group].mean():+.0f} points")
    axes[0, 0].set_ylabel("change on its own classes, points")
    return Drawing(figure, f"Change of each client's accuracy by the rounds in which it counted. {'; '.join(said)}.")


def pay(roles: Sequence[str], shares: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw what clients would get by several rules.

    Args:
        roles: who each client is.
        shares: by rule, each client's share of the pay; may be negative.
    """
    figure, axis = new_figure(8.5, 3.8)
    width = 0.8 / len(shares)
    hatches = ("", "//", "..", "xx")
    for number, ((name, values), look) in enumerate(zip(shares.items(), _looks(shares), strict=True)):
        places = np.arange(len(roles)) + (number - (len(shares) - 1) / 2) * width
        axis.bar(places, values, width, label=name, color=look["color"], hatch=hatches[number], edgecolor="white")
    axis.axhline(0, color=_INK, linewidth=1)
    axis.set_xticks(range(len(roles)), roles, fontsize=9)
    axis.yaxis.set_major_formatter(percent)
    axis.set_ylabel("share of the pay")
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    said = [
        f"{name}: " + ", ".join(f"{role} {value:.0%}" for role, value in zip(roles, values, strict=True))
        for name, values in shares.items()
    ]
    flat = "; ".join(said).replace("\n", " ")
    return Drawing(figure, f"Pay of each client by rule. {flat}.")


def by_strength(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], levels: Mapping[str, float]
) -> Drawing:
    """Draw accuracy against the strength of an attack; see `lines`."""
    return lines(curves, xlabel="strength s of one attacker", ylabel="test accuracy", log_x=True, levels=levels)
