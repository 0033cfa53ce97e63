"""The figures of notebook 08, and its widgets: pictures by batch size, and what noise promises."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK = "#1b1b1b"
_FEDERATED = STYLES["federated"]["color"]
_OTHERS = (  # of petroff10, without the colours of the three ways of learning
    {"color": "#832db6", "linestyle": "--", "marker": "D"},
    {"color": "#e76300", "linestyle": "-.", "marker": "^"},
    {"color": "#a96b59", "linestyle": ":", "marker": "P"},
    {"color": "#00767a", "linestyle": (0, (3, 1, 1, 1)), "marker": "X"},
)
_LEAST_RATE = 1e-3  # false positives below this share cannot be told from none with hundreds of records
_FEW = 0.01  # share of others that an attack may accuse
_FEW_DECADES = 300  # an axis whose ends differ by less has ticks at 2 and 5, too
_MULTIPLIERS = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
"""Noise multipliers on the widget's slider."""


def _style(number: int) -> dict[str, Any]:
    if number == 0:
        return {"color": _FEDERATED, "linestyle": "-", "marker": "o"}
    return dict(_OTHERS[(number - 1) % len(_OTHERS)])


def pictures(rows: Mapping[str, Sequence[Any]], notes: Mapping[str, Sequence[str]] | None = None) -> Drawing:
    """Draw rows of pictures.

    Args:
        rows: by the row's name, pictures (channels, height, width) with values in [0, 1]; what is outside is cut off.
        notes: by the row's name, a few words above each picture.
    """
    notes = notes or {}
    columns = max(len(row) for row in rows.values())
    figure, axes = new_figure(1.5 + 1.3 * columns, 1.5 * len(rows), len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, (name, row) in enumerate(rows.items()):
        axes[number, 0].text(
            -0.1, 0.5, name, transform=axes[number, 0].transAxes, ha="right", va="center", fontsize=10, wrap=True
        )
        for place, picture in enumerate(row):
            _draw_picture(axes[number, place], picture)
            if name in notes:
                axes[number, place].set_title(notes[name][place], fontsize=9)
    said = []
    for name, row in rows.items():
        shown = ", ".join(notes[name]) if name in notes else str(len(row))
        said.append(f"{name}: {shown}" if name else shown)
    return Drawing(figure, f"Pictures, shown row by row: {'; '.join(said)}.")


def _draw_picture(axis: Axes, picture: Any) -> None:
    shown = np.clip(np.asarray(picture, dtype=float), 0, 1)
    axis.imshow(shown[0] if len(shown) == 1 else shown.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]],
    *,
    xlabel: str,
    ylabel: str,
    shares: bool = False,
    log_x: bool = False,
    mark: Mapping[str, float] | None = None,
) -> Drawing:
    """Draw curves: the mean over seeds or pictures, and a band over their range.

    Args:
        curves: by name, x values, and for each of them the values of all seeds or pictures.
        xlabel, ylabel: with units.
        shares: whether heights are shares in [0, 1].
        log_x: whether the x axis is logarithmic.
        mark: by label, heights of horizontal lines.
    """
    figure, axis = new_figure(7.5, 4.0)
    said = []
    for number, (name, (x, values)) in enumerate(curves.items()):
        style = _style(number)
        heights = np.array([np.mean(of) for of in values])
        lowest, highest = np.array([min(of) for of in values]), np.array([max(of) for of in values])
        axis.fill_between(x, lowest, highest, color=style["color"], alpha=0.15, linewidth=0)
        axis.plot(x, heights, label=name, linewidth=2, markersize=7, **style)
        ends = [f"{height:.0%}" if shares else f"{height:.3g}" for height in (heights[0], heights[-1])]
        said.append(f"{name}: {ends[0]} at {x[0]:g}, {ends[1]} at {x[-1]:g}")
    for label, height in (mark or {}).items():
        axis.axhline(height, color=_INK, linestyle=":", linewidth=1.5, label=label)
        said.append(f"{label}: {height:.0%}" if shares else f"{label}: {height:.3g}")
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if shares:
        axis.yaxis.set_major_formatter(percent)
    if log_x:
        _logarithmic(axis)
        axis.set_xticks(sorted({value for x, _ in curves.values() for value in x}))
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return Drawing(figure, f"{ylabel} by {xlabel}, means. {'; '.join(said)}.")


def _logarithmic(axis: Axes, *, y: bool = False) -> None:
    axis.set_xscale("log")
    for one in (axis.xaxis, axis.yaxis) if y else (axis.xaxis,):
        if one is axis.yaxis:
            axis.set_yscale("log")
        least, most = one.get_view_interval()
        if most < _FEW_DECADES * least:  # powers of ten alone would be one tick, or none
            one.set_major_locator(LogLocator(subs=(1, 2, 5)))
        one.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        one.set_minor_formatter(NullFormatter())


def scores_of(scores: np.ndarray, is_member: np.ndarray) -> Drawing:
    """Draw how sure a model is of the right class, for its training images and for others.

    Args:
        scores: (n,) log odds of the right class.
        is_member: (n,) bool.
    """
    figure, axis = new_figure(7.5, 3.6)
    low, high = np.quantile(scores, [0.005, 0.995])
    edges = np.linspace(low, high, 31)
    looks = (
        ("in the training set", is_member, {"facecolor": _FEDERATED, "alpha": 0.6}),
        ("not in it", ~is_member, {"facecolor": "none", "edgecolor": _INK, "hatch": "//"}),
    )
    for label, chosen, look in looks:
        axis.hist(np.clip(scores[chosen], low, high), edges, label=label, **look)
    axis.set(xlabel="log odds that the model gives the right class", ylabel="images")
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    medians = [float(np.median(scores[chosen])) for _, chosen, _ in looks]
    return Drawing(
        figure,
        f"Histograms of log odds. Medians: {medians[0]:.1f} in the training set, {medians[1]:.1f} for others.",
    )


def roc(curves: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]) -> Drawing:
    """Draw which share of the members attacks find, against the share of others that they accuse.

    Args:
        curves: by attack, and for each seed, false positive rates and true positive rates; both rise.
    """
    figure, axis = new_figure(7.0, 4.8)
    grid = np.geomspace(_LEAST_RATE, 1, 200)
    said = []
    for number, (name, of_seeds) in enumerate(curves.items()):
        style = {**_style(number), "marker": ""}
        found = np.array([[true[false <= limit].max() for limit in grid] for false, true in of_seeds])
        shown = np.maximum(found, _LEAST_RATE)
        for of_seed in shown:
            axis.plot(grid, of_seed, color=style["color"], linewidth=0.8, alpha=0.5)
        axis.plot(grid, np.maximum(found.mean(axis=0), _LEAST_RATE), label=name, linewidth=2.5, **style)
        at_limit = np.mean([true[false <= _FEW].max() for false, true in of_seeds])
        said.append(f"{name} finds {at_limit:.1%} of the members at {_FEW:.0%} false positives")
    axis.plot([_LEAST_RATE, 1], [_LEAST_RATE, 1], color=_INK, linestyle=":", linewidth=1.5, label="guessing")
    axis.axvline(_FEW, color="#b0b0b0", linewidth=1.5, label=f"{_FEW:.0%} of the others are accused")
    axis.set(
        xlabel="false positive rate: share of the others that are accused",
        ylabel="true positive rate: share of members found",
        xlim=(_LEAST_RATE, 1),
        ylim=(_LEAST_RATE, 1.3),
    )
    _logarithmic(axis, y=True)
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    return Drawing(figure, f"Both axes are logarithmic. {'; '.join(said)}.")


def two_worlds(without: np.ndarray, with_it: np.ndarray, *, what: str) -> Drawing:
    """Draw what a mechanism answers, many times, for two data sets that differ in one record.

    Args:
        without, with_it: (n,) answers each.
        what: is asked, with units.
    """
    figure, axis = new_figure(7.5, 3.4)
    edges = np.histogram_bin_edges(np.concatenate([without, with_it]), 60)
    axis.hist(without, edges, label="without the record", facecolor="none", edgecolor=_INK, hatch="//")
    axis.hist(with_it, edges, label="with it", facecolor=_FEDERATED, alpha=0.6)
    axis.set(xlabel=what, ylabel="answers")
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    return Drawing(
        figure,
        f"Histograms of {what} for two data sets that differ in one record. Means {without.mean():.3g} and "
        f"{with_it.mean():.3g}, standard deviation {with_it.std():.3g}.",
    )


def epsilon_curves(panels: Mapping[str, tuple[Sequence[float], Sequence[float]]], chosen: Sequence[float]) -> Drawing:
    """Draw epsilon against one thing at a time, in a panel each.

    Args:
        panels: by the axis's label, x values and epsilons.
        chosen: by panel, the x value of this notebook's setting.
    """
    figure, axes = new_figure(9.0, 5.6, 2, 2, sharey=True)
    said = []
    for axis, (label, (x, epsilons)), here in zip(axes.flat, panels.items(), chosen, strict=True):
        axis.plot(x, epsilons, color=_FEDERATED, linewidth=2, marker="o", markersize=4)
        axis.axvline(here, color=_INK, linestyle=":", linewidth=1.5)
        axis.set(xlabel=label, ylabel="epsilon")
        _logarithmic(axis, y=True)
        said.append(f"{label} from {x[0]:g} to {x[-1]:g}: epsilon from {epsilons[0]:.2g} to {epsilons[-1]:.2g}")
    return Drawing(figure, f"Four curves of epsilon; a dotted line marks this notebook's setting. {'; '.join(said)}.")


def accuracy_against_epsilon(
    epsilons: Sequence[float], accuracies: Sequence[Sequence[float]], unprotected: Sequence[float]
) -> Drawing:
    """Draw what privacy costs: accuracy against epsilon.

    Args:
        epsilons: of each noise, falling or rising.
        accuracies: for each of them, one accuracy a seed.
        unprotected: one accuracy a seed, without noise and clipping.
    """
    figure, axis = new_figure(7.5, 4.0)
    for epsilon, values in zip(epsilons, accuracies, strict=True):
        axis.plot([epsilon] * len(values), values, "o", color=_FEDERATED, markersize=5, fillstyle="none")
    axis.plot(
        epsilons, [np.mean(values) for values in accuracies], color=_FEDERATED, linewidth=2, label="private, mean"
    )
    axis.plot([], [], "o", color=_FEDERATED, fillstyle="none", label="a seed")
    axis.axhline(float(np.mean(unprotected)), color=_INK, linestyle=":", linewidth=1.5, label="no clipping, no noise")
    axis.set(xlabel="epsilon: to the left more privacy", ylabel="accuracy on the test images")
    axis.yaxis.set_major_formatter(percent)
    _logarithmic(axis)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    pairs = ", ".join(
        f"{np.mean(values):.1%} at {epsilon:.2g}" for epsilon, values in zip(epsilons, accuracies, strict=True)
    )
    return Drawing(figure, f"Accuracy against epsilon: {pairs}. Without both {np.mean(unprotected):.1%}.")


def attack_and_model(
    noises: Sequence[float],
    epsilons: Sequence[float],
    aucs: Mapping[str, Sequence[Sequence[float]]],
    accuracies: Sequence[Sequence[float]],
    *,
    num_classes: int,
) -> Drawing:
    """Draw how well an attack does under noise, and how well the model.

    Args:
        noises: noise multipliers.
        epsilons: of each of them; infinite without noise.
        aucs: by group of images, for each noise one AUC a seed.
        accuracies: for each noise one accuracy a seed.
        num_classes: of which the model chooses one.
    """
    figure, axes = new_figure(9.5, 4.2, 1, 2)
    curves = [(axes[0], f"attack, {name}", values) for name, values in aucs.items()]
    curves.append((axes[1], "model", accuracies))
    places = range(len(noises))
    said = []
    for number, (axis, name, values) in enumerate(curves):
        style, means = _style(number), [float(np.mean(of)) for of in values]
        lowest, highest = [min(of) for of in values], [max(of) for of in values]
        axis.fill_between(places, lowest, highest, color=style["color"], alpha=0.15, linewidth=0)
        axis.plot(places, means, label=name, linewidth=2, markersize=7, **style)
        said.append(f"{name} {means[0]:.2f} without noise and {means[-1]:.2f} with {noises[-1]:g}")
    for axis, chance, label in ((axes[0], 0.5, "AUC"), (axes[1], 1 / num_classes, "accuracy")):
        axis.axhline(chance, color=_INK, linestyle=":", linewidth=1.5)
        axis.text(0, chance, " guessing", va="bottom", fontsize=9)
        labels = [f"{z:g}\n{_short(of)}" for z, of in zip(noises, epsilons, strict=True)]
        axis.set_xticks(places, labels, fontsize=9)
        axis.set(xlabel="noise multiplier, and epsilon below it", ylabel=label)
    axes[1].yaxis.set_major_formatter(percent)
    axes[1].set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return Drawing(figure, f"AUC of the attack and accuracy of the model by noise: {'; '.join(said)}.")


def _short(epsilon: float) -> str:
    return "∞" if np.isinf(epsilon) else f"{epsilon:.0f}" if epsilon >= 10 else f"{epsilon:.1f}"


def explore_batches(original: Any, by_size: Mapping[int, tuple[Sequence[Any], Sequence[float]]]) -> None:
    """Choose how many images a batch has, and see the pictures that its gradient gives away.

    Args:
        original: the images, as many as the largest batch.
        by_size: by batch size, the pictures in the order of the images, and their PSNRs in dB.
    """
    sizes = list(by_size)

    def draw(size: int) -> str:
        found, decibels = by_size[size]
        rows = {"images": original[:size], "from the gradient": found}
        return pictures(rows, {"from the gradient": [f"{value:.0f} dB" for value in decibels]}).html()

    control = ipywidgets.ToggleButtons(options=sizes, value=sizes[0], description="images in the batch", style=WIDE)
    explore(draw, {"size": control}, examples=[{"size": sizes[0]}, {"size": sizes[-1]}])


def noise_promise(
    epsilon_of: Callable[[float, int, float], float], noise: float, rounds: int, share: float, delta: float
) -> Drawing:
    """Draw what one release shows of a client, and what all rounds together promise.

    Args:
        epsilon_of: of noise multiplier, rounds and share of clients in a round.
        noise: the noise multiplier, > 0.
        rounds: >= 1.
        share: in (0, 1].
        delta: as it is in `epsilon_of`.
    """
    figure, axes = new_figure(9.0, 3.4, 1, 2)
    places = np.linspace(-3 * noise, 1 + 3 * noise, 300)
    without, present = (np.exp(-0.5 * ((places - at) / noise) ** 2) for at in (0.0, 1.0))
    with_it = share * present + (1 - share) * without  # it is in a share of the rounds only
    axes[0].plot(places, without, label="without the client", linewidth=2, color=_INK, linestyle="--")
    axes[0].plot(places, with_it, label="with it", linewidth=2, color=_FEDERATED)
    axes[0].set(xlabel="what a round shows, in units of the clip norm", yticks=[], ylabel="likelihood")
    axes[0].legend(loc="upper right", fontsize=9)
    counts = np.unique(np.geomspace(1, max(100, rounds), 30).astype(int))
    axes[1].plot(counts, [epsilon_of(noise, int(count), share) for count in counts], color=_FEDERATED, linewidth=2)
    spent = epsilon_of(noise, rounds, share)
    axes[1].plot(rounds, spent, "o", color=_INK, markersize=8)
    axes[1].set(xlabel="rounds", ylabel="epsilon")
    axes[1].set_title(f"after {rounds} rounds: epsilon {spent:.2f}", fontsize=11)
    _logarithmic(axes[1], y=True)
    return Drawing(
        figure,
        f"Noise multiplier {noise:g}, {rounds} rounds, {share:.0%} of the clients in each: epsilon {spent:.2f} at "
        f"delta {delta:g}.",
    )


def explore_noise(
    epsilon_of: Callable[[float, int, float], float], noise: float, rounds: int, share: float, delta: float
) -> None:
    """Change the noise, the rounds and the share of clients in a round; see `noise_promise`."""

    def draw(noise: float, rounds: int, share: float) -> str:
        return noise_promise(epsilon_of, noise, rounds, share, delta).html()

    def choose(options: Sequence[float], value: float, description: str) -> ipywidgets.SelectionSlider:
        return ipywidgets.SelectionSlider(
            options=sorted({*options, value}),
            value=value,
            description=description,
            continuous_update=False,
            style=WIDE,
        )

    explore(
        draw,
        {
            "noise": choose(_MULTIPLIERS, noise, "noise multiplier"),
            "rounds": choose((1, 5, 20, 100, 500), rounds, "rounds"),
            "share": choose((0.01, 0.1, 0.5, 1.0), share, "share in a round"),
        },
        examples=[{}, {"noise": _MULTIPLIERS[-3]}, {"share": 1.0}],
    )
