"""The figures and the widget of notebook 04."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedlearn_helpers import partition, plots
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, line, slider
from fedlearn_helpers.partition.heterogeneity import class_counts, heterogeneity
from fedlearn_helpers.plots import STYLES, new_figure, percent


def partition_maps(maps: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Figure:
    """Draw who holds which classes under several rules, side by side: a circle's area is a number of examples.

    Args:
        maps: (clients, classes) numbers of examples by title, one or more; the circles' scale is common to all.
        class_names: one name per class, written below the maps.
    """
    clients, classes = next(iter(maps.values())).shape
    width, height = max(0.24 * classes, 1.6), min(max(0.26 * clients, 1.6), 7.0)
    figure, axes = new_figure(1.0 + (width + 0.3) * len(maps), 1.5 + height, 1, len(maps), sharey=True, squeeze=False)
    inches = min(width / classes, height / clients)  # of a cell
    most = max(counts.max() for counts in maps.values())
    for axis, (title, counts) in zip(axes[0], maps.items(), strict=True):
        area = (72 * 0.95 * inches) ** 2  # of a circle that fills a cell, in square points
        owner, label = np.nonzero(counts)
        axis.scatter(label, owner, s=area * counts[owner, label] / most, color="#1b1b1b", linewidths=0)
        axis.set_xticks(range(classes), class_names, rotation=90, fontsize=8)
        axis.set(title=title, xlim=(-0.6, classes - 0.4), ylim=(clients - 0.4, -0.6))
    if clients <= 30:
        axes[0][0].set_yticks(range(clients))
    axes[0][0].set_ylabel("client")
    return figure


def accuracy_by_distance(table: pd.DataFrame) -> Figure:
    """Draw test accuracy against the clients' distance to everybody's mixture of classes, one mark per seed.

    Args:
        table: from `strategies.compare` with one strategy, which is drawn as "federated".
    """
    figure, axis = new_figure(9.0, 4.8)
    ways = {("federated" if name not in STYLES else name): rows for name, rows in table.groupby("strategy", sort=False)}
    for name, rows in ways.items():
        style = STYLES[name]
        means = rows.groupby("partition", sort=False)[["heterogeneity", "test_accuracy"]].mean()
        axis.plot(*means.sort_values("heterogeneity").to_numpy().T, linewidth=2, **{**style, "marker": ""})
        axis.plot(
            rows["heterogeneity"], rows["test_accuracy"], label=name, fillstyle="none", **{**style, "linestyle": "none"}
        )
    for position, (name, rows) in enumerate(table.groupby("partition", sort=False)):
        place = (rows["heterogeneity"].mean(), 1.02 + 0.06 * (position % 2))
        axis.annotate(name, place, xycoords=("data", "axes fraction"), ha="center", fontsize=9, annotation_clip=False)
    axis.set(
        xlabel="total variation distance, weighted mean over clients", ylabel="accuracy on the test images", ylim=(0, 1)
    )
    handles = [Line2D([], [], label=name, **STYLES[name]) for name in ways]
    axis.legend(handles=handles, loc="lower left", framealpha=0.9)
    return figure


def by_rule(table: pd.DataFrame, *, xlabel: str) -> Figure:
    """Draw what the three ways of learning reach under several partitions: a row for each, a mark for each seed.

    Args:
        table: columns `partition`, `local only`, `fedavg` and `centralized` (shares in [0, 1]), one row per seed.
        xlabel: what the shares are.
    """
    names = list(dict.fromkeys(table["partition"]))
    figure, axis = new_figure(9.0, 1.6 + 0.42 * len(names))
    for column, name in (("local only", "local only"), ("fedavg", "federated"), ("centralized", "centralized")):
        rows = table["partition"].map(names.index)
        axis.plot(table[column], rows, label=name, fillstyle="none", **{**STYLES[name], "linestyle": "none"})
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, xlim=(0, 1))
    axis.xaxis.set_major_formatter(percent)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def cosines(maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw how alike the directions of clients' updates are, side by side, with the cosines written into the cells.

    Args:
        maps: (clients, clients) cosines by title.
    """
    clients = max(len(matrix) for matrix in maps.values())
    side = max(0.42 * clients, 2.4)
    figure, axes = new_figure(1.2 + (side + 0.5) * len(maps), side + 1.0, 1, len(maps), squeeze=False)
    for axis, (title, matrix) in zip(axes[0], maps.items(), strict=True):
        axis.grid(False)
        picture = axis.imshow(matrix, cmap="Greys", vmin=-0.2, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            cosine = matrix[row, column]
            text = f"{cosine:.1f}".replace("-0.0", "0.0")
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if cosine > 0.5 else "k")
        axis.set(title=title, xlabel="client", xticks=range(len(matrix)), yticks=range(len(matrix)))
    axes[0][0].set_ylabel("client")
    figure.colorbar(picture, ax=list(axes[0]), label="cosine of the angle", shrink=0.8)
    return figure


def between_models(shares: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw the accuracy of the models on the straight line between two models, one panel per pair.

    Args:
        shares: of the second model in the mixture, from 0 to 1.
        panels: by title, the accuracies at these shares by what they are measured on: at most four curves.
    """
    looks = (("v", ":", "#717581"), ("^", "--", "#717581"), ("o", "-", "#1b1b1b"), ("s", "-.", "#1b1b1b"))
    figure, axes = new_figure(1.0 + 3.4 * len(panels), 4.2, 1, len(panels), sharey=True, squeeze=False)
    for axis, (title, series) in zip(axes[0], panels.items(), strict=True):
        for (label, accuracies), (marker, linestyle, color) in zip(series.items(), looks, strict=False):
            axis.plot(shares, accuracies, label=label, marker=marker, linestyle=linestyle, color=color, linewidth=2)
        axis.axvline(0.5, color="#1b1b1b", linewidth=1)
        axis.set(title=title, xlabel="share of B's model", ylim=(-0.02, 1.02))
        axis.set_xticks([0, 0.5, 1], ["0\nA", "0.5\naverage", "1\nB"])
    axes[0][0].set_ylabel("accuracy on the test images")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)
    return figure


def browse_partitions(
    labels: np.ndarray, class_names: Sequence[str], num_clients: int, *, alpha: float, seed: int
) -> None:
    """Choose a rule of sharing out and its number; see who holds what, and how different the clients are.

    Args:
        labels: (n,) integers, the class of each example.
        class_names: one name per class.
        num_clients: number of clients.
        alpha: where the slider stands at first.
        seed: of the partitions.
    """
    alphas = sorted({0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, alpha})

    def draw(rule: str, alpha: float, classes: int) -> str:
        number = {"iid": "", "pathological": f" with {classes} class{'es' if classes > 1 else ''} a client"}.get(
            rule, f" with alpha {alpha:g}"
        )
        try:
            parts = partition.make_partition(
                rule, labels, num_clients, alpha=alpha, classes_per_client=classes, min_size=1, seed=seed
            )
        except InputError as error:
            return line(f"No such partition: {error}.")
        counts = class_counts(labels, parts, len(class_names))
        found = heterogeneity(counts)
        distances = line(
            f"Weighted mean over clients: total variation {found.mean_total_variation:.2f}, "
            f"Jensen-Shannon {found.mean_jensen_shannon:.2f}."
        )
        return distances + plots.image(
            partition_maps({rule + number: counts}, class_names),
            alt=f"Partition {rule}{number}: total variation distance {found.mean_total_variation:.2f}; clients hold "
            f"{found.sizes.min()} to {found.sizes.max()} examples, of {(counts > 0).sum(axis=1).min()} to "
            f"{(counts > 0).sum(axis=1).max()} classes.",
        )

    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(partition.PARTITIONS), value="dirichlet", description="rule"),
            "alpha": ipywidgets.SelectionSlider(
                options=[(f"{value:g}", value) for value in alphas],
                value=alpha,
                description="alpha",
                continuous_update=False,
                style=WIDE,
            ),
            "classes": slider("classes a client", min(2, len(class_names)), 1, len(class_names)),
        },
    )
