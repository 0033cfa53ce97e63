"""The figures of notebook 04, and the widget that tries partitions."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedlearn_helpers import partition, plots
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, line, slider
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, percent

_INK, _GREY = "#1b1b1b", "#717581"
_NAMES = {"local only": "local only", "fedavg": "federated", "centralized": "centralized"}
"""Of ways of learning in figures, by their names in tables."""


def who_holds_what(maps: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Drawing:
    """Draw who holds which classes under several rules: a circle's area is a number of images.

    Args:
        maps: (clients, classes) numbers of images by title, one or more; the circles' scale is common to all.
        class_names: one name per class, written below the maps.
    """
    clients, classes = next(iter(maps.values())).shape
    spread = {title: (counts > 0).sum(axis=1) for title, counts in maps.items()}
    return Drawing(
        _partition_maps(maps, class_names),
        f"Maps of {clients} clients by {classes} classes under {len(maps)} rule{'s' if len(maps) > 1 else ''}. "
        + "; ".join(f"{title}: {has.min()} to {has.max()} classes a client" for title, has in spread.items())
        + ".",
    )


def _partition_maps(maps: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Figure:
    clients, classes = next(iter(maps.values())).shape
    width, height = max(0.24 * classes, 1.6), min(max(0.26 * clients, 1.6), 7.0)
    figure, axes = new_figure(1.0 + (width + 0.3) * len(maps), 1.5 + height, 1, len(maps), sharey=True, squeeze=False)
    inches = min(width / classes, height / clients)  # of a cell
    most = max(counts.max() for counts in maps.values())
    for axis, (title, counts) in zip(axes[0], maps.items(), strict=True):
        area = (72 * 0.95 * inches) ** 2  # of a circle that fills a cell, in square points
        owner, label = np.nonzero(counts)
        axis.scatter(label, owner, s=area * counts[owner, label] / most, color=_INK, linewidths=0)
        axis.set_xticks(range(classes), class_names, rotation=90, fontsize=8)
        axis.set(title=title, xlim=(-0.6, classes - 0.4), ylim=(clients - 0.4, -0.6))
    if clients <= 30:
        axes[0][0].set_yticks(range(clients))
    axes[0][0].set_ylabel("client")
    return figure


def images_of_each_class(counts: np.ndarray, class_names: Sequence[str], rule: str) -> Drawing:
    """Draw how many images of each class every client holds, as a map with the numbers in it.

    Args:
        counts: (clients, classes) numbers of images.
        class_names: one name per class.
        rule: by which the images were dealt out.
    """
    has, sizes = (counts > 0).sum(axis=1), counts.sum(axis=1)
    return Drawing(
        plots.class_counts(counts, class_names),
        f"Images of each class at the {len(counts)} clients of this notebook's partition, {rule}: a client has "
        f"{has.min()} to {has.max()} classes and {sizes.min()} to {sizes.max()} images.",
    )


def distance_by_alpha(alphas: Sequence[float], total_variation: np.ndarray, jensen_shannon: np.ndarray) -> Drawing:
    """Draw how the distance between clients follows the alpha of a Dirichlet partition.

    Args:
        alphas: rising.
        total_variation, jensen_shannon: (seeds, alphas) weighted mean distances.
    """
    figure = plots.curves(
        {"total variation": (alphas, total_variation), "Jensen-Shannon": (alphas, jensen_shannon)},
        xlabel="alpha (logarithmic)",
        ylabel="weighted mean distance",
        log_x=True,
    )
    (tv_first, tv_last), (js_first, js_last) = (
        rows.mean(axis=0)[[0, -1]] for rows in (np.asarray(total_variation), np.asarray(jensen_shannon))
    )
    return Drawing(
        figure,
        f"Distance against alpha. Total variation falls from {tv_first:.2f} at alpha {alphas[0]:g} to {tv_last:.2f} at "
        f"alpha {alphas[-1]:g}; Jensen-Shannon from {js_first:.2f} to {js_last:.2f}.",
    )


def accuracy_by_round(
    test_accuracy: Sequence[float], *, local_epochs: int, local_only: float, centralized: float
) -> Drawing:
    """Draw the test accuracy of the federated model between the two reference lines.

    Args:
        test_accuracy: before the first round, and after every round.
        local_epochs: of a round.
        local_only, centralized: test accuracies of the reference lines.
    """
    num_rounds = len(test_accuracy) - 1
    figure = plots.curves(
        {"federated": (range(num_rounds + 1), test_accuracy)},
        xlabel=f"round ({local_epochs} local epoch{'s' if local_epochs > 1 else ''} per round)",
        ylabel="accuracy on the test images",
        lines={f"local only: {local_only:.1%}": local_only, f"centralized: {centralized:.1%}": centralized},
    )
    return Drawing(
        figure,
        f"Test accuracy by round: {test_accuracy[0]:.1%} before training, {test_accuracy[-1]:.1%} after round "
        f"{num_rounds}. Reference lines: local only {local_only:.1%}, centralized {centralized:.1%}.",
    )


def accuracy_of_clients(on_own: Mapping[str, np.ndarray]) -> Drawing:
    """Draw the accuracy of every client on its own validation images, with each way of learning.

    Args:
        on_own: (clients,) for "local only", "federated" and "centralized".
    """
    federated = on_own["federated"]
    better_alone, worst = int((on_own["local only"] > federated).sum()), int(np.argmin(federated))
    means = ", ".join(f"{way} {values.mean():.1%}" for way, values in on_own.items())
    return Drawing(
        plots.client_strip(on_own, ylabel="accuracy on own validation images"),
        f"Accuracy of every client on its own validation images: {better_alone} of {len(federated)} clients do better "
        f"with their own model than with the federated one. Means: {means}. The federated model is worst at client "
        f"{worst}, with {federated[worst]:.1%}.",
    )


def accuracy_by_distance(runs: pd.DataFrame) -> Drawing:
    """Draw test accuracy against the clients' distance to the class mixture of all clients, one mark per seed.

    Args:
        runs: of `compare` with FedAvg and the reference lines.
    """
    figure, axis = new_figure(9.0, 4.8)
    ways = {_NAMES[name]: rows for name, rows in runs.groupby("algorithm", sort=False)}
    for name, rows in ways.items():
        style = STYLES[name]
        means = rows.groupby("scenario", sort=False)[["heterogeneity", "test_accuracy"]].mean()
        axis.plot(*means.sort_values("heterogeneity").to_numpy().T, linewidth=2, **{**style, "marker": ""})
        marks = {"label": name, "fillstyle": "none", **style, "linestyle": "none"}
        axis.plot(rows["heterogeneity"], rows["test_accuracy"], **marks)
    for position, (scenario, rows) in enumerate(runs.groupby("scenario", sort=False)):
        place = (rows["heterogeneity"].mean(), 1.02 + 0.06 * (position % 2))
        above = {"xycoords": ("data", "axes fraction"), "ha": "center", "fontsize": 9, "annotation_clip": False}
        axis.annotate(scenario, place, **above)
    axis.set(
        xlabel="total variation distance, weighted mean over clients", ylabel="accuracy on the test images", ylim=(0, 1)
    )
    handles = [Line2D([], [], label=name, **STYLES[name]) for name in ways]
    axis.legend(handles=handles, loc="lower left", framealpha=0.9)

    means = ways["federated"].groupby("scenario", sort=False)["test_accuracy"].mean()
    seeds = runs["seed"].nunique()
    return Drawing(
        figure,
        f"Test accuracy against the clients' total variation distance, {seeds} seed{'s' if seeds > 1 else ''} a "
        "partition. FedAvg's mean: " + ", ".join(f"{name} {value:.1%}" for name, value in means.items()) + ".",
    )


def directions_of_updates(cosines: Mapping[str, np.ndarray]) -> Drawing:
    """Draw how alike the directions of clients' updates are, with the cosines written into the cells.

    Args:
        cosines: (clients, clients) by title.
    """
    clients = max(len(matrix) for matrix in cosines.values())
    side = max(0.42 * clients, 2.4)
    figure, axes = new_figure(1.2 + (side + 0.5) * len(cosines), side + 1.0, 1, len(cosines), squeeze=False)
    for axis, (title, matrix) in zip(axes[0], cosines.items(), strict=True):
        axis.grid(False)
        picture = axis.imshow(matrix, cmap="Greys", vmin=-0.2, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            cosine = matrix[row, column]
            text = f"{cosine:.1f}".replace("-0.0", "0.0")
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if cosine > 0.5 else "k")
        axis.set(title=title, xlabel="client", xticks=range(len(matrix)), yticks=range(len(matrix)))
    axes[0][0].set_ylabel("client")
    figure.colorbar(picture, ax=list(axes[0]), label="cosine of the angle", shrink=0.8)

    of_pairs = {title: matrix[~np.eye(len(matrix), dtype=bool)] for title, matrix in cosines.items()}
    return Drawing(
        figure,
        "Cosines between the updates of every two clients. Mean: "
        + "; ".join(f"{title} {values.mean():.2f}" for title, values in of_pairs.items())
        + f". Lowest: {'; '.join(f'{values.min():.2f}' for values in of_pairs.values())}.",
    )


def accuracy_between_models(shares: Sequence[float], walks: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw the accuracy of the models on the straight line between two models, one panel per pair.

    Args:
        shares: of the second model in the mixture, from 0 to 1; the one in the middle is 0.5.
        walks: by title, the accuracies at these shares by what they are measured on: at most four curves, "all
            classes" among them.
    """
    looks = (("v", ":", _GREY), ("^", "--", _GREY), ("o", "-", _INK), ("s", "-.", _INK))
    figure, axes = new_figure(1.0 + 3.4 * len(walks), 4.2, 1, len(walks), sharey=True, squeeze=False)
    for axis, (title, series) in zip(axes[0], walks.items(), strict=True):
        for (label, accuracies), (marker, linestyle, color) in zip(series.items(), looks, strict=False):
            axis.plot(shares, accuracies, label=label, marker=marker, linestyle=linestyle, color=color, linewidth=2)
        axis.axvline(0.5, color=_INK, linewidth=1)
        axis.set(title=title, xlabel="share of B's model", ylim=(-0.02, 1.02))
        axis.set_xticks([0, 0.5, 1], ["0\nA", "0.5\naverage", "1\nB"])
    axes[0][0].set_ylabel("accuracy on the test images")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)

    middle, on_all = len(shares) // 2, {title: series["all classes"] for title, series in walks.items()}
    return Drawing(
        figure,
        f"Accuracy on the straight line from A's model to B's, in {len(walks)} panels. On all classes: "
        + "; ".join(
            f"{title}: A's model {way[0]:.0%}, average {way[middle]:.0%}, B's model {way[-1]:.0%}"
            for title, way in on_all.items()
        )
        + ".",
    )


def accuracy_by_skew(table: pd.DataFrame) -> Drawing:
    """Draw what the three ways of learning reach under several skews: a row for each, a mark for each seed.

    Args:
        table: columns `skew`, `local only`, `fedavg` and `centralized` (accuracies on the test images), one row per
            skew and seed.
    """
    names = list(dict.fromkeys(table["skew"]))
    figure, axis = new_figure(9.0, 1.6 + 0.42 * len(names))
    for column, name in _NAMES.items():
        marks = {"label": name, "fillstyle": "none", **STYLES[name], "linestyle": "none"}
        axis.plot(table[column], table["skew"].map(names.index), **marks)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="accuracy on the test images", xlim=(0, 1))
    axis.xaxis.set_major_formatter(percent)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)

    means, seeds = table.groupby("skew", sort=False)[list(_NAMES)].mean(), table.groupby("skew").size().max()
    return Drawing(
        figure,
        f"Accuracy on the test images under {len(names)} rules, {seeds} seed{'s' if seeds > 1 else ''} each. Means of "
        "FedAvg and of centralized training: "
        + ", ".join(f"{name} {row['fedavg']:.1%} and {row['centralized']:.1%}" for name, row in means.iterrows())
        + ".",
    )


def explore_partitions(
    labels: np.ndarray, class_names: Sequence[str], num_clients: int, *, alpha: float, seed: int
) -> None:
    """Choose a partition rule and its number; see who holds what, and how different the clients are.

    Args:
        labels: (n,) integers, the class of each image.
        class_names: one name per class.
        num_clients: number of clients.
        alpha: where the slider stands at first.
        seed: of the partitions.
    """

    def draw(rule: str, alpha: float, classes: int) -> str:
        numbers = {"alpha": alpha, "classes_per_client": classes}
        try:
            parts = partition.make_partition(rule, labels, num_clients, min_size=1, seed=seed, **numbers)
        except InputError as error:
            return line(f"No such partition: {error}.")
        counts = partition.class_counts(labels, parts, len(class_names))
        found, has = partition.heterogeneity(counts), (counts > 0).sum(axis=1)
        title = f"{rule}{_number_of(rule, alpha, classes)}"
        drawing = Drawing(
            _partition_maps({title: counts}, class_names),
            f"Partition {title}: total variation distance {found.mean_total_variation:.2f}; clients hold "
            f"{found.sizes.min()} to {found.sizes.max()} examples, of {has.min()} to {has.max()} classes.",
        )
        distances = (
            f"Weighted mean over clients: total variation {found.mean_total_variation:.2f}, "
            f"Jensen-Shannon {found.mean_jensen_shannon:.2f}."
        )
        return line(distances) + drawing.html()

    alphas = sorted({0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, alpha})
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
        examples=[{"alpha": alphas[0]}, {"alpha": alphas[-1]}, {"rule": "pathological"}],
    )


def _number_of(rule: str, alpha: float, classes: int) -> str:
    """Say the number that a rule takes, with a space before it; nothing for one that takes none."""
    said = {
        None: "",
        "alpha": f" with alpha {alpha:g}",
        "classes_per_client": f" with {classes} class{'es' if classes > 1 else ''} a client",
    }
    return said[partition.PARTITIONS[rule].argument]
