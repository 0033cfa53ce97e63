"""The figures of notebook 11, and its widgets: a threshold, and a coalition."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.lessons.common.words import spread
from fedlearn_helpers.metrics import AtThreshold, roc_curve, wilson
from fedlearn_helpers.plots import Drawing, new_figure, percent

_INK = "#1b1b1b"
# Colours of petroff10 where they tell apart on white, and markers and dashes for grey.
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#3f90da", "marker": "o", "linestyle": "-"},
    {"color": "#e76300", "marker": "^", "linestyle": "--"},
    {"color": "#832db6", "marker": "D", "linestyle": "-."},
    {"color": "#00767a", "marker": "s", "linestyle": ":"},
    {"color": "#a96b59", "marker": "P", "linestyle": (0, (3, 1, 1, 1))},
    {"color": "#c0397e", "marker": "v", "linestyle": (0, (5, 2))},
)


def missing(shares: pd.DataFrame) -> Drawing:
    """Draw which share of each column is missing at each hospital; shares (hospitals, columns) in [0, 1]."""
    figure, axis = new_figure(8.0, 0.55 * len(shares) + 1.3)
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=2.5, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        axis.text(column, row, f"{shares.iloc[row, column]:.0%}", ha="center", va="center", fontsize=9, color=_INK)
    axis.set_xticks(range(shares.shape[1]), shares.columns, rotation=45, ha="right")
    axis.set_yticks(range(len(shares)), shares.index)
    axis.set_title("missing values", loc="left", fontsize=11)
    worst = [f"{name} {share:.0%}" for name, share in shares.mean().sort_values(ascending=False).head(4).items()]
    return Drawing(figure, f"A table of shares of missing values by hospital and column. Most on average: {worst}.")


def bisection(path: Sequence[tuple[float, float, float]], found: float, name: str) -> Drawing:
    """Draw how bisection closes in: (threshold asked about, low, high) for each question, and what it found."""
    figure, (axis, widths) = new_figure(8.0, 3.4, columns=2, width_ratios=(3, 2))
    asked, low, high = np.array(path).T
    steps = np.arange(1, len(path) + 1)
    first = slice(0, 8)  # later ones are too narrow to be seen
    axis.vlines(steps[first], low[first], high[first], color="#94a4a2", linewidth=8, label="where the median can be")
    look = {"color": _LOOKS[1]["color"], "markersize": 6, "label": "threshold that is asked about"}
    axis.plot(steps[first], asked[first], "o", **look)
    axis.axhline(found, color=_INK, linestyle=":", linewidth=1.5, label="median")
    axis.set(xlabel="question, the first 8", ylabel=name)
    widths.plot(steps, high - low, "s", color=_LOOKS[0]["color"], markersize=5)
    widths.set_yscale("log")
    widths.set(xlabel="question", ylabel="width of the range")
    for one in (axis, widths):
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return Drawing(
        figure, f"{len(path)} questions. The first asks about {asked[0]:g}; the range closes in on {found:.3f}."
    )


def by_hospital(
    values: Mapping[str, np.ndarray],
    names: Sequence[str],
    ylabel: str,
    levels: Sequence[float] | None = None,
    level_name: str = "",
) -> Drawing:
    """Draw methods at each hospital: the mean over splits as a marker, the range as a line.

    Args:
        values: by method, (splits, hospitals), nan where there is none.
        names: of the hospitals.
        ylabel: what is measured.
        levels: a height for each hospital to compare with.
        level_name: what that is.
    """
    figure, axis = new_figure(8.0, 4.2)
    places = np.arange(len(names), dtype=float)
    offsets = np.linspace(-0.3, 0.3, len(values))
    said = []
    for (method, of), offset, look in zip(values.items(), offsets, _looks(len(values)), strict=True):
        known = np.ma.masked_invalid(of)
        mean = known.mean(axis=0).filled(np.nan)
        axis.vlines(places + offset, known.min(axis=0), known.max(axis=0), color=look["color"], linewidth=2, alpha=0.5)
        axis.plot(places + offset, mean, label=method, markersize=8, **{**look, "linestyle": ""})
        said.append(f"{method}: {', '.join(f'{name} {height:.2f}' for name, height in zip(names, mean, strict=True))}")
    if levels is not None:
        axis.hlines(levels, places - 0.4, places + 0.4, color=_INK, linestyle=(0, (4, 2)), label=level_name)
    axis.set_xticks(places, names)
    axis.set(ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return Drawing(figure, f"{ylabel} by hospital, mean over splits. {'; '.join(said)}.")


def roc(scored: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Drawing:
    """Draw the ROC curve of each hospital that has both classes; scores (n,) and labels (n,) by hospital."""
    figure, axis = new_figure(6.8, 4.6)
    axis.plot([0, 1], [0, 1], color=_INK, linestyle=(0, (1, 2)), linewidth=1.2, label="guessing")
    said = []
    for (name, (scores, labels)), look in zip(scored.items(), _looks(len(scored)), strict=True):
        healthy = int((labels == 0).sum())
        if not 0 < healthy < len(labels):
            said.append(f"{name} has one class only")
            continue
        curve = roc_curve(scores, labels)
        look = {key: look[key] for key in ("color", "linestyle")}
        axis.plot(
            curve.false_positive_rates, curve.sensitivities, linewidth=2,
            label=f"{name}, {int(labels.sum())} : {healthy}", **look,
        )  # fmt: skip
        said.append(f"{name}: {healthy} healthy patients make {healthy} steps to the right")
    axis.set(xlabel="1 − specificity: healthy patients who are alarmed", ylabel="sensitivity: ill ones who are found")
    axis.xaxis.set_major_formatter(percent)
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside right upper", title="ill : healthy", fontsize=10)
    return Drawing(figure, f"ROC curves. {'; '.join(said)}.")


def decisions(of_each: Sequence[Mapping[str, AtThreshold]], names: Sequence[str], wanted: float | None) -> Drawing:
    """Draw sensitivity and specificity at each hospital with Wilson's intervals.

    Args:
        of_each: by threshold's name, what it does, for each hospital.
        names: of the hospitals.
        wanted: the sensitivity that was aimed at; None draws no line.
    """
    figure, axes = new_figure(8.0, 4.0, columns=2, sharey=True)
    said = []
    ways = list(of_each[0])
    offsets = np.linspace(-0.15, 0.15, len(ways)) if len(ways) > 1 else [0.0]
    for axis, title in zip(axes, ("sensitivity", "specificity"), strict=True):
        for way, offset, look in zip(ways, offsets, _LOOKS, strict=False):
            for place, each in enumerate(of_each):
                of = each[way]
                right, rows = (
                    (of.true_positives, of.positives) if title == "sensitivity" else (of.true_negatives, of.negatives)
                )
                if not rows:
                    continue
                interval = wilson(right, rows)
                label = f"threshold: {way}" if axis is axes[0] and place == 0 else None
                axis.vlines(place + offset, interval.low, interval.high, color=look["color"], linewidth=2, alpha=0.5)
                axis.plot(
                    place + offset, interval.value, label=label, markersize=8,
                    **{**look, "linestyle": ""},
                )  # fmt: skip
                said.append(f"{title} at {names[place]}, {way}: {interval.value:.0%}")
        axis.set_xticks(range(len(names)), names, rotation=20, ha="right")
        axis.set_title(title, fontsize=11)
        axis.yaxis.set_major_formatter(percent)
    if wanted is not None:
        axes[0].axhline(wanted, color=_INK, linestyle=(0, (4, 2)), linewidth=1.2, label="wanted")
    axes[0].set_ylim(-0.03, 1.03)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return Drawing(figure, f"{'; '.join(said)}.")


def explore_threshold(decide: Callable[[float], Sequence[AtThreshold]], names: Sequence[str], start: float) -> None:
    """Choose a threshold, and see what it does at each hospital; see `decisions`.

    Args:
        decide: of a threshold, what it does at each hospital.
        names: of the hospitals.
        start: the threshold at first, in [0, 1].
    """

    def draw(threshold: float) -> str:
        return decisions([{f"{threshold:.2f}": of} for of in decide(threshold)], names, None).html()

    control = ipywidgets.FloatSlider(
        value=start, min=0.0, max=1.0, step=0.01, description="threshold", continuous_update=False, style=WIDE
    )
    explore(draw, {"threshold": control}, examples=[{}, {"threshold": 0.5}, {"threshold": 0.9}])


def gains(sizes: Sequence[int], of_each: np.ndarray, names: Sequence[str]) -> Drawing:
    """Draw gains in AUC (splits, sizes, hospitals), nan where there is none: means of the splits, by rows to train on.

    A line for each hospital, and a thick one for the mean of the hospitals, with its range over the splits as a band.
    """
    figure, axis = new_figure(7.5, 4.2)
    means = np.nanmean(of_each, axis=0)
    for name, mean, look in zip(names, means.T, _looks(len(names)), strict=True):
        axis.plot(sizes, mean, label=name, linewidth=1.3, markersize=6, **look)
    together = np.nanmean(of_each, axis=2)
    axis.fill_between(sizes, together.min(axis=0), together.max(axis=0), color=_INK, alpha=0.12, linewidth=0)
    axis.plot(sizes, together.mean(axis=0), color=_INK, linewidth=3, label="mean of the hospitals, and its range")
    axis.axhline(0, color=_INK, linestyle=":", linewidth=1.2)
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
    axis.set_xticks([], minor=True)
    axis.set(xlabel="training rows of each hospital, at most", ylabel="gain in AUC, together minus alone")
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    curves = [*zip(names, means.T, strict=True), ("mean of the hospitals", together.mean(axis=0))]
    said = [
        f"{name}: {', '.join(f'{gain:+.3f} at {size:g}' for gain, size in zip(mean, sizes, strict=True))}"
        for name, mean in curves
    ]
    return Drawing(figure, f"Gain in AUC by training rows of each hospital. {'; '.join(said)}.")


def contributions(values: Mapping[str, np.ndarray], names: Sequence[str]) -> Drawing:
    """Draw values (splits, hospitals) by utility: the mean as a bar, and the range over the splits as a line."""
    figure, axes = new_figure(8.0, 3.8, columns=len(values), sharey=True)
    said = []
    for axis, (utility, of), look in zip(np.atleast_1d(axes), values.items(), _LOOKS, strict=False):
        means = of.mean(axis=0)
        axis.bar(range(len(names)), means, color=look["color"], alpha=0.45, width=0.6)
        axis.vlines(range(len(names)), of.min(axis=0), of.max(axis=0), color=_INK, linewidth=2)
        axis.axhline(0, color=_INK, linewidth=1)
        axis.set_xticks(range(len(names)), names, rotation=20, ha="right")
        axis.set_title(f"in units of {utility}", fontsize=11)
        listed = ", ".join(f"{name} {spread(column, 3)}" for name, column in zip(names, of.T, strict=True))
        said.append(f"{utility}: {listed}")
    np.atleast_1d(axes)[0].set_ylabel("Shapley value, mean and range")
    return Drawing(figure, f"Shapley values, mean and range over splits. {'; '.join(said)}.")


def coalition(
    by_utility: Mapping[str, Sequence[Mapping[tuple[int, ...], float]]],
    names: Sequence[str],
    members: tuple[int, ...],
) -> Drawing:
    """Draw what a coalition is worth, and what each of the others would add to it.

    Args:
        by_utility: by utility, for each split the worth of every coalition.
        names: of the hospitals.
        members: of the coalition, by number, ascending.
    """
    figure, axes = new_figure(8.0, 3.4, columns=len(by_utility))
    others = [k for k in range(len(names)) if k not in members]
    who = " and ".join(names[k] for k in members) or "nobody"
    said = []
    for axis, (utility, splits) in zip(np.atleast_1d(axes), by_utility.items(), strict=True):
        steps = [
            of[tuple(sorted((*some, k)))] - of[some]
            for of in splits
            for some in of
            for k in range(len(names))
            if k not in some
        ]
        axis.set_ylim(min(steps) - 0.02, max(steps) + 0.02)  # the same for every coalition
        worth = np.array([of[members] for of in splits])
        interval = f"{worth.mean():.3f} ({worth.min():.3f} to {worth.max():.3f})"
        axis.set_title(f"{utility}: {interval}", fontsize=11)
        said.append(f"{utility}: {interval}")
        for place, other in enumerate(others):
            joined = tuple(sorted((*members, other)))
            added = np.array([of[joined] for of in splits]) - worth
            axis.vlines(place, added.min(), added.max(), color=_LOOKS[1]["color"], linewidth=3, alpha=0.5)
            axis.plot(place, added.mean(), "^", color=_LOOKS[1]["color"], markersize=9)
            said.append(f"{names[other]} would add {spread(added, 3)}")
        axis.axhline(0, color=_INK, linestyle=":", linewidth=1.2)
        axis.set_xlim(-0.5, max(len(others), 1) - 0.5)
        axis.set_xticks(range(len(others)), [names[k] for k in others], rotation=20, ha="right")
    np.atleast_1d(axes)[0].set_ylabel("what it would add")
    figure.suptitle(f"worth of {who}, and who would add what", fontsize=11)
    return Drawing(figure, f"Worth of {who}. {'; '.join(said)}.")


def explore_coalitions(
    by_utility: Mapping[str, Sequence[Mapping[tuple[int, ...], float]]], names: Sequence[str]
) -> None:
    """Choose a coalition; see `coalition`."""
    every = [members for size in range(len(names) + 1) for members in combinations(range(len(names)), size)]
    called = {" + ".join(names[k] for k in members) or "nobody": members for members in every}

    def draw(coalition: str) -> str:
        return _coalition(by_utility, names, called[coalition]).html()

    first = names[0]
    control = ipywidgets.Dropdown(options=list(called), value=first, description="coalition", style=WIDE)
    explore(draw, {"coalition": control}, examples=[{}, {"coalition": "nobody"}, {"coalition": list(called)[-2]}])


_coalition = coalition  # the control has the same name


def _looks(count: int) -> list[dict[str, Any]]:
    """Return so many looks; the first ones again if there are more than looks."""
    return [_LOOKS[number % len(_LOOKS)] for number in range(count)]
