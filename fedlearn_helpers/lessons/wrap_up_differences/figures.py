"""The figures of the second wrap-up."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers import plots
from fedlearn_helpers.metrics import last_quarter
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK = "#1b1b1b"
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": STYLES["federated"]["color"], "linewidth": 2.5},
    {"color": "#832db6", "linewidth": 1.2},
)

CurvesOfSeeds = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each seed, the seconds at which rounds ended and the accuracies from then on."""


def class_counts(counts: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw which shop has how many images of which class.

    Args:
        counts: (clients, classes) numbers of training images.
        class_names: one name per class.
    """
    missing = int((counts == 0).sum())
    figure = plots.class_counts(counts, class_names)
    figure.axes[0].set_ylabel("shop")
    return Drawing(
        figure,
        f"Images of every class at every one of {len(counts)} shops: of {counts.size} pairs {missing} are empty.",
    )


def by_the_clock(curves: Mapping[str, CurvesOfSeeds], until: float, *, lines: Mapping[str, float]) -> Drawing:
    """Draw the accuracy of the server's model over simulated time, the mean of the seeds and their range.

    The legend has the means over the last quarter of the time.

    Args:
        curves: by rule; two of them.
        until: where the time axis ends.
        lines: test accuracies of the reference lines, by the keys of `STYLES`.
    """
    figure, axis = new_figure(8.5, 4.0)
    said = []
    for (rule, of_seeds), look in zip(curves.items(), _LOOKS, strict=True):
        seconds, values = of_seeds[0][0], np.array([accuracies for _, accuracies in of_seeds])
        low, high = values.min(axis=0), values.max(axis=0)
        axis.fill_between(seconds, low, high, step="post", alpha=0.15, linewidth=0, color=look["color"])
        end = float(np.mean([last_quarter(*curve, until) for curve in of_seeds]))
        axis.step(seconds, values.mean(axis=0), where="post", label=f"{rule}, last quarter: {end:.1%}", **look)
        said.append(f"{rule} {end:.1%}")
    for name, height in lines.items():
        axis.axhline(height, label=f"{name}: {height:.0%}", linewidth=2, **{**STYLES[name], "marker": ""})
    axis.set(xlabel="simulated seconds", ylabel="accuracy on the test images", xlim=(0, until))
    across = axis.get_xaxis_transform()  # x in data, y in heights of the axes
    ends = {"arrowstyle": "|-|,widthA=0.3,widthB=0.3", "color": _INK, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (until, 0.04), (0.75 * until, 0.04), xycoords=across, textcoords=across, arrowprops=ends)
    axis.text(0.875 * until, 0.06, "last quarter", transform=across, ha="center", va="bottom", fontsize=9)
    axis.yaxis.set_major_formatter(percent)
    seeds = len(next(iter(curves.values())))
    title = f"federations: mean (line) and range (band) of {seeds} seeds; others: one seed" if seeds > 1 else None
    figure.legend(title=title, title_fontsize=10, loc="outside upper center", ncols=2, fontsize=10)
    return Drawing(
        figure,
        f"Accuracy of the server's model over {until:.0f} simulated seconds. Mean over the last quarter: "
        f"{', '.join(said)}. Reference lines: {', '.join(f'{name} {height:.1%}' for name, height in lines.items())}.",
    )


def change_by_share(held: np.ndarray, change: np.ndarray, class_names: Sequence[str], *, threshold: float) -> Drawing:
    """Draw by how much the accuracy on each class changes, a row each, those with the smallest share on top.

    Args:
        held: (classes,) share of a class's images that the shops asked hold.
        change: (seeds, classes) differences of accuracies.
        class_names: one name per class.
        threshold: a share; a line separates the classes with less of it.
    """
    order, points = np.argsort(held), 100 * np.asarray(change)
    figure, axis = new_figure(8.5, 1.5 + 0.28 * len(order))
    for row, label in enumerate(order):
        values = points[:, label]
        axis.plot([values.min(), values.max()], [row, row], color=_INK, linewidth=1.5)
        axis.plot(values.mean(), row, "o", color="#832db6", markersize=7)
    axis.axvline(0, color=_INK, linewidth=1)
    border = int((np.asarray(held) < threshold).sum()) - 0.5
    axis.axhline(border, color=_INK, linestyle=":", linewidth=1.5, label=f"above: less than {threshold:.0%} held")
    axis.plot([], [], "o", color="#832db6", label="mean of the seeds")
    axis.plot([], [], color=_INK, linewidth=1.5, label="their range")
    axis.set_yticks(range(len(order)), [f"{class_names[label]}, {held[label]:.0%} held" for label in order], fontsize=9)
    axis.set(xlabel="accuracy on a class, the faster half minus waiting, points", ylim=(len(order) - 0.5, -0.5))
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    said = ", ".join(f"{class_names[k]} ({held[k]:.0%}) {np.mean(points[:, k]):+.1f}" for k in order)
    return Drawing(
        figure, f"The faster half minus waiting, accuracy on each class in points, by the share that is held: {said}."
    )


def by_distance(distances: np.ndarray, accuracies: np.ndarray) -> Drawing:
    """Draw how good each shop's own model is on every other shop's images, over the distance of their mixtures.

    Args:
        distances: (shops, shops) of the label mixtures.
        accuracies: (shops, shops): the model of the row's shop on the images of the column's shop.
    """
    shops = len(distances)
    apart = ~np.eye(shops, dtype=bool)
    figure, axis = new_figure(8.0, 4.0)
    look = {"linestyle": "none", "markersize": 7}
    axis.plot(
        distances[apart], accuracies[apart], "o", color=_INK, alpha=0.35, label="on another shop's images", **look
    )
    own = {**look, "color": STYLES["local only"]["color"], "marker": STYLES["local only"]["marker"]}
    axis.plot(distances[~apart], accuracies[~apart], label="at home", **own)
    for name, (one, two), marker in (("nearest", nearest(distances), "s"), ("furthest", furthest(distances), "D")):
        label = f"{name} pair: shops {one} and {two}"
        pair = {
            "markerfacecolor": "none",
            "markeredgewidth": 2,
            "markersize": 12,
            "linestyle": "none",
            "marker": marker,
        }
        points = [accuracies[one, two], accuracies[two, one]]
        axis.plot([distances[one, two]] * 2, points, color="#832db6", label=label, **pair)
    axis.set(xlabel="total variation distance of the two shops", ylabel="accuracy of a shop's own model")
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    means = [float(accuracies[chosen].mean()) for chosen in (~apart, apart)]
    return Drawing(
        figure,
        f"Accuracy of shops' own models over the distance to the shop whose images are used: at home {means[0]:.1%} on "
        f"average, on other shops' images {means[1]:.1%}.",
    )


def nearest(distances: np.ndarray) -> tuple[int, int]:
    """Return the two shops whose mixtures are most alike."""
    one, two = np.unravel_index(np.argmin(distances + 2 * np.eye(len(distances))), distances.shape)
    return int(one), int(two)


def furthest(distances: np.ndarray) -> tuple[int, int]:
    """Return the two shops whose mixtures differ most."""
    one, two = np.unravel_index(np.argmax(distances), distances.shape)
    return int(one), int(two)
