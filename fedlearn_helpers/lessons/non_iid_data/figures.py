"""The figures of notebook 04, and its widgets: partitions, what came of them, and averages of two models."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedlearn_helpers import partition, plots
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, line, slider
from fedlearn_helpers.plots import STYLES, Drawing, draw_image, new_figure, percent

_INK, _GREY = "#1b1b1b", "#717581"
_WRONG = "#e76300"
_IN_A_ROUND = (("#ffa90e", "o"), ("#e76300", "^"), ("#a96b59", "s"), ("#832db6", "D"))
"""For numbers of local epochs: colours of petroff10 that `STYLES` does not use, and markers."""
_NAMES = {"local only": "local only", "fedavg": "FedAvg", "centralized": "centralized"}
"""Of ways of learning in figures, by their names in tables."""
_STYLES = {"FedAvg" if way == "federated" else way: style for way, style in STYLES.items()}


def looks_of_clients(rows: Mapping[str, Sequence[np.ndarray]], names: Mapping[str, Sequence[str]]) -> Drawing:
    """Draw the same image at several clients: one row per skew, one column per client.

    Args:
        rows: by skew, the image (channels, height, width) uint8 at each client.
        names: by skew, what each client calls it; the columns are the same clients in all rows.
    """
    columns = len(next(iter(rows.values())))
    figure, axes = new_figure(1.5 * columns + 1.2, 1.75 * len(rows), len(rows), columns, squeeze=False)
    for row, (skew, images) in enumerate(rows.items()):
        for axis, image, name in zip(axes[row], images, names[skew], strict=True):
            draw_image(axis, image)
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"“{name}”", fontsize=10)
        axes[row][0].set_ylabel(skew, fontsize=10)
    for position, axis in enumerate(axes[-1]):
        axis.set_xlabel("first client" if position == 0 else "last client" if position == columns - 1 else "…")
    said = "; ".join(f"{skew}: called {', '.join(dict.fromkeys(names[skew]))}" for skew in rows)
    return Drawing(
        figure,
        f"One image as {columns} clients from first to last have it, a row for each of {len(rows)} skews. {said}.",
    )


def who_holds_what(maps: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Drawing:
    """Draw who holds which classes under several rules: a circle's area is a number of images.

    Args:
        maps: (clients, classes) numbers of images by title, one or more. A circle that fills its cell is the largest
            class, so that figures of the same images have the same scale, whoever holds them.
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
    most = max(_largest_class(counts) for counts in maps.values())
    for axis, (title, counts) in zip(axes[0], maps.items(), strict=True):
        _draw_map(axis, counts, class_names, most=most, inches=inches)
        axis.set_title(title)
    if clients <= 30:
        axes[0][0].set_yticks(range(clients))
    axes[0][0].set_ylabel("client")
    _explain_circles(figure, most, inches)
    return figure


def _largest_class(counts: np.ndarray) -> int:
    """Return the images of the largest class, whoever holds them."""
    return int(counts.sum(axis=0).max())


def _area(images: np.ndarray | int, most: int, inches: float) -> np.ndarray | float:
    """Return the area of a circle in square points; `most` images fill a cell, whose side is `inches`."""
    return (72 * 0.95 * inches) ** 2 * images / most


def _explain_circles(figure: Figure, most: int, inches: float) -> None:
    """Put a circle of known size below the maps."""
    images = 10 ** int(np.log10(most))
    size = float(np.sqrt(_area(images, most, inches)))
    circle = Line2D([], [], color=_INK, marker="o", markersize=size, markeredgewidth=0, linestyle="none")
    words = f"{images} image{'s' if images > 1 else ''}"
    figure.legend([circle], [words], loc="outside lower right", fontsize=9, frameon=False)


def _draw_map(axis: Axes, counts: np.ndarray, class_names: Sequence[str], *, most: int, inches: float = 0.25) -> None:
    """Draw a circle for each client and class; `most` images fill a cell, whose side is `inches`."""
    clients, classes = counts.shape
    owner, label = np.nonzero(counts)
    axis.scatter(label, owner, s=_area(counts[owner, label], most, inches), color=_INK, linewidths=0)
    axis.set_xticks(range(classes), class_names, rotation=90, fontsize=8)
    axis.set(xlim=(-0.6, classes - 0.4), ylim=(clients - 0.4, -0.6))


def images_of_each_class(counts: np.ndarray, class_names: Sequence[str], rule: str) -> Drawing:
    """Draw how many images of each class every client holds, as a map with the numbers in it.

    Args:
        counts: (clients, classes) numbers of images.
        class_names: one name per class.
        rule: by which the images were dealt out.
    """
    has, sizes = (counts > 0).sum(axis=1), counts.sum(axis=1)
    return Drawing(
        plots.class_counts(counts, class_names, what="images, to train and to validate on"),
        f"Images of each class at the {len(counts)} clients of this notebook's partition, {rule}: a client has "
        f"{has.min()} to {has.max()} classes and {sizes.min()} to {sizes.max()} images.",
    )


def distance_by_alpha(alphas: Sequence[float], distances: np.ndarray, by_chance: float) -> Drawing:
    """Draw how the distance between clients follows the alpha of a Dirichlet partition.

    Args:
        alphas: rising.
        distances: (seeds, alphas) weighted mean total variation distances.
        by_chance: the same of images dealt at random.
    """
    rows = np.asarray(distances)
    means = rows.mean(axis=0)
    figure, axis = new_figure(7.5, 4.0)
    axis.fill_between(alphas, rows.min(axis=0), rows.max(axis=0), color=_GREY, alpha=0.3, linewidth=0, label="range")
    axis.plot(alphas, means, color=_INK, marker="o", linewidth=2, label=f"mean of {len(rows)} partitions")
    axis.axhline(by_chance, color=_GREY, linestyle="--", linewidth=2, label="images dealt at random")
    axis.set(xlabel="alpha (logarithmic)", ylabel="total variation distance", xscale="log", ylim=(0, 1))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xticks([0.1, 1, 10, 100])
    axis.minorticks_off()
    axis.legend(loc="upper right")
    return Drawing(
        figure,
        f"Total variation distance against alpha, {len(rows)} partitions each. The mean falls from {means[0]:.2f} at "
        f"alpha {alphas[0]:g} to {means[-1]:.2f} at alpha {alphas[-1]:g}. Images dealt at random have {by_chance:.2f}.",
    )


def accuracy_by_round(
    test_accuracy: Sequence[float],
    *,
    local_epochs: int,
    local_only: tuple[float, float],
    local_only_longer: tuple[float, float],
    centralized: float,
) -> Drawing:
    """Draw the test accuracy of the federated model between the reference lines.

    Args:
        test_accuracy: before the first round, and after every round.
        local_epochs: of a round.
        centralized: test accuracy after as many epochs as the federation has.
        local_only: the same of clients that train alone, and their epochs.
        local_only_longer: the same of clients that train alone until they stop improving, and their mean epochs.
    """
    num_rounds = len(test_accuracy) - 1
    figure, axis = new_figure(7.5, 4.2)
    axis.plot(range(num_rounds + 1), test_accuracy, label="FedAvg", markersize=4, linewidth=2, **_STYLES["FedAvg"])
    alone, pooled = ({**STYLES[name], "marker": ""} for name in ("local only", "centralized"))
    axis.axhline(centralized, label=f"centralized: {centralized:.1%}", linewidth=2, **pooled)
    (same, same_epochs), (stopped, stopped_epochs) = local_only, local_only_longer
    axis.axhline(same, label=f"local only, {same_epochs:g} epochs: {same:.1%}", linewidth=2, **alone)
    longer = f"local only, until it stops improving ({stopped_epochs:.1f} epochs): {stopped:.1%}"
    axis.axhline(stopped, label=longer, linewidth=1, **{**alone, "linestyle": "-."})
    epochs = f"{local_epochs} local epoch{'s' if local_epochs > 1 else ''} a round"
    axis.set(xlabel=f"round ({epochs})", ylabel="accuracy on the test images", ylim=(0, 1))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return Drawing(
        figure,
        f"Test accuracy by round: {test_accuracy[0]:.1%} before training, {test_accuracy[-1]:.1%} after round "
        f"{num_rounds}. Reference lines: local only {same:.1%} after {same_epochs:g} epochs, {stopped:.1%} if "
        f"clients train until they stop improving, after {stopped_epochs:.1f} on average; centralized "
        f"{centralized:.1%}.",
    )


def accuracy_of_clients(on_own: Mapping[str, np.ndarray]) -> Drawing:
    """Draw the accuracy of every client on its own validation images, with each way of learning.

    Args:
        on_own: (clients,) for "local only", "FedAvg" and "centralized".
    """
    federated = on_own["FedAvg"]
    better_alone, worst = int((on_own["local only"] > federated).sum()), int(np.argmin(federated))
    means = ", ".join(f"{way} {values.mean():.1%}" for way, values in on_own.items())
    count = len(federated)
    figure, axis = new_figure(max(6.0, min(0.45 * count + 2.5, 11.0)), 4.0)
    for offset, (way, values) in zip((-0.2, 0.0, 0.2), on_own.items(), strict=True):  # so that none covers another
        axis.plot(np.arange(count) + offset, values, label=way, markersize=7, **{**_STYLES[way], "linestyle": "none"})
        axis.axhline(float(values.mean()), linewidth=1, **{**_STYLES[way], "marker": ""})
    axis.set(xlabel="client (the lines are means over clients)", ylabel="accuracy on own validation images")
    axis.set(ylim=(-0.03, 1.03), xticks=range(0, count, -(-count // 20)))
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=3)
    return Drawing(
        figure,
        f"Accuracy of every client on its own validation images: {better_alone} of {len(federated)} clients do better "
        f"with their own model than with the federated one. Means: {means}. The federated model is worst at client "
        f"{worst}, with {federated[worst]:.1%}.",
    )


def accuracy_by_distance(runs: pd.DataFrame) -> Drawing:
    """Draw test accuracy against the clients' distance to the class mixture of all clients, one mark per seed.

    Args:
        runs: of `compare` with FedAvg and the reference lines.
    """
    figure, axis = new_figure(9.0, 5.6)
    ways = {_NAMES[name]: rows for name, rows in runs.groupby("algorithm", sort=False)}
    for name, rows in ways.items():
        style = _STYLES[name]
        means = rows.groupby("scenario", sort=False)[["heterogeneity", "test_accuracy"]].mean()
        if name == "centralized":  # the same images under every partition: one line
            means["test_accuracy"] = rows["test_accuracy"].mean()
        axis.plot(*means.sort_values("heterogeneity").to_numpy().T, linewidth=2, **{**style, "marker": ""})
        marks = {"label": name, "fillstyle": "none", **style, "linestyle": "none"}
        aside = 0.012 if name == "centralized" else 0.0  # or the marks of two ways would cover each other
        axis.plot(rows["heterogeneity"] + aside, rows["test_accuracy"], **marks)
    for position, (scenario, rows) in enumerate(runs.groupby("scenario", sort=False)):
        place = (rows["heterogeneity"].mean(), 1.02 + 0.06 * (position % 2))
        above = {"xycoords": ("data", "axes fraction"), "ha": "center", "fontsize": 9, "annotation_clip": False}
        axis.annotate(scenario, place, **above)
    axis.set(
        xlabel="total variation distance, weighted mean over clients", ylabel="accuracy on the test images", ylim=(0, 1)
    )
    axis.yaxis.set_major_formatter(percent)
    said = {"centralized": "centralized, mean of all its runs"}
    handles = [Line2D([], [], label=said.get(name, name), **_STYLES[name]) for name in ways]
    handles.append(Line2D([], [], label="one seed", color=_GREY, marker="o", fillstyle="none", linestyle="none"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=10)

    means = ways["FedAvg"].groupby("scenario", sort=False)["test_accuracy"].mean()
    pooled = ways["centralized"]["test_accuracy"]
    seeds = runs["seed"].nunique()
    return Drawing(
        figure,
        f"Test accuracy against the clients' total variation distance, {seeds} seed{'s' if seeds > 1 else ''} a "
        "partition. FedAvg's mean: "
        + ", ".join(f"{name} {value:.1%}" for name, value in means.items())
        + f". Centralized: {pooled.min():.1%} to {pooled.max():.1%}, mean {pooled.mean():.1%}.",
    )


def accuracy_over_many_rounds(curves: Mapping[str, np.ndarray], usual: int) -> Drawing:
    """Draw test accuracy over more rounds than usual, one curve for each of two partitions.

    Args:
        curves: by partition, the test accuracies before the first round and after every round; the first is that to
            which the second is compared.
        usual: rounds of other federations: marked, with the accuracy of the first curve there.
    """
    figure, axis = new_figure(7.5, 4.2)
    looks: tuple[dict[str, Any], ...] = ({}, {"linestyle": "--", "alpha": 0.8})
    for (rule, accuracies), look in zip(curves.items(), looks, strict=True):
        axis.plot(accuracies, linewidth=2, label=f"FedAvg, {rule}", **{**_STYLES["FedAvg"], "marker": "", **look})
    goal = next(iter(curves.values()))[usual]
    axis.axvline(usual, color=_INK, linewidth=1)
    axis.text(usual, 0.02, f" round {usual}: section 5", fontsize=9)
    axis.axhline(goal, color=_INK, linewidth=1, linestyle=":", label=f"{next(iter(curves))} there: {goal:.0%}")
    axis.set(xlabel="round", ylabel="accuracy on the test images", ylim=(0, 1))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside lower center", ncols=3, fontsize=10)
    said = "; ".join(f"{rule} {values[usual]:.0%}, then {values[-1]:.0%}" for rule, values in curves.items())
    rounds = len(next(iter(curves.values()))) - 1
    return Drawing(figure, f"Test accuracy over {rounds} rounds. After round {usual} and at the end: {said}.")


def directions_of_updates(cosines: Mapping[str, Mapping[str, np.ndarray]]) -> Drawing:
    """Draw how alike the directions of clients' updates are: red where they agree, blue where one undoes the other.

    Args:
        cosines: by start (a row of panels) and by partition (a column), (clients, clients) cosines.
    """
    columns = len(next(iter(cosines.values())))
    figure, axes = new_figure(3.1 * columns + 1.0, 3.0 * len(cosines), len(cosines), columns, squeeze=False)
    said = []
    for row, (start, panels) in zip(axes, cosines.items(), strict=True):
        for axis, (title, matrix) in zip(row, panels.items(), strict=True):
            pairs = matrix[~np.eye(len(matrix), dtype=bool)]
            axis.grid(False)
            picture = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
            ticks = range(0, len(matrix), max(1, len(matrix) // 5))
            axis.set(title=f"{title}: mean {pairs.mean():.2f}", xticks=ticks, yticks=ticks)
            said.append(f"{start}, {title}: {pairs.mean():.2f}, lowest {pairs.min():.2f}")
        row[0].set_ylabel(f"{start}\nclient")
    for axis in axes[-1]:
        axis.set_xlabel("client")
    figure.colorbar(picture, ax=axes.ravel().tolist(), label="cosine of the angle", shrink=0.7)
    return Drawing(figure, f"Cosines between the updates of every two clients, mean over pairs. {'; '.join(said)}.")


def accuracy_by_local_epochs(table: pd.DataFrame) -> Drawing:
    """Draw test accuracy against the epochs of local training, for several numbers of them in a round.

    Below, against rounds, are those in which the numbers can be compared: the first ones.

    Args:
        table: one row per federation: `partition` (a panel each), `epochs` of a round (a curve each), `seed`, and in
            `accuracy` the test accuracies before the first round and after every round.
    """
    kinds = list(dict.fromkeys(table["partition"]))
    fewest = min(len(accuracies) for accuracies in table["accuracy"]) - 1
    figure, axes = new_figure(1.0 + 4.2 * len(kinds), 7.4, 2, len(kinds), sharey=True, squeeze=False)
    said = []
    for (work, rounds), kind in zip(axes.T, kinds, strict=True):
        for position, (epochs, rows) in enumerate(table[table["partition"] == kind].groupby("epochs")):
            curves = np.array(list(rows["accuracy"]))
            color, marker = _IN_A_ROUND[position % len(_IN_A_ROUND)]
            label = f"{epochs} local epoch{'s' if epochs > 1 else ''} a round"
            for axis, each in ((work, epochs), (rounds, 1)):
                done = each * np.arange(curves.shape[1])
                axis.fill_between(done, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.15, linewidth=0)
                axis.plot(done, curves.mean(axis=0), color=color, marker=marker, markersize=5, linewidth=2, label=label)
            said.append(f"{kind}, {epochs}: {curves[:, -1].mean():.0%}")
        work.set(title=kind, xlabel="epochs of every client, in all: work")
        rounds.axvline(fewest, color=_INK, linewidth=1)
        rounds.set(xlabel="rounds: messages", xlim=(-0.2, 2 * fewest + 1.2))
    for axis in axes.ravel():
        axis.set_ylim(0, 1)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.set_major_formatter(percent)
    for row in axes:
        row[0].set_ylabel("accuracy on the test images")
    axes[0][0].fill_between([], [], [], color=_GREY, alpha=0.3, linewidth=0, label="range of the seeds")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
    return Drawing(
        figure,
        "Test accuracy, one curve for each number of local epochs in a round: against epochs of local training above, "
        f"against rounds below, where all reach round {fewest}. In the end: {'; '.join(said)}.",
    )


def accuracy_between_models(shares: Sequence[float], walks: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw the accuracy of the models on the straight line between two models, one panel per pair.

    Args:
        shares: of the second model in the mixture, from 0 to 1; the one in the middle is 0.5.
        walks: by title, the accuracies at these shares by what they are measured on: "all classes", and at most two
            more.
    """
    figure, axes = new_figure(1.0 + 3.4 * len(walks), 4.2, 1, len(walks), sharey=True, squeeze=False)
    for axis, (title, series) in zip(axes[0], walks.items(), strict=True):
        looks = iter((("v", ":", _GREY), ("^", "--", _GREY)))
        for label, accuracies in series.items():
            marker, linestyle, color = ("o", "-", _INK) if label == "all classes" else next(looks)
            axis.plot(shares, accuracies, label=label, marker=marker, linestyle=linestyle, color=color, linewidth=2)
        axis.axvline(0.5, color=_INK, linewidth=1)
        axis.set(title=title, xlabel="share of B's model", ylim=(-0.02, 1.02))
        axis.set_xticks([0, 0.5, 1], ["0\nA", "0.5\naverage", "1\nB"])
        axis.yaxis.set_major_formatter(percent)
    axes[0][0].set_ylabel("accuracy on the test images")
    most = max(axes[0], key=lambda axis: len(axis.lines))
    figure.legend(*most.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)

    middle, on_all = len(shares) // 2, {title: series["all classes"] for title, series in walks.items()}
    return Drawing(
        figure,
        f"Accuracy on the straight line from A's model to B's, in {len(walks)} panels. On all classes: "
        + "; ".join(
            f"{' '.join(title.split())}: A's model {way[0]:.0%}, average {way[middle]:.0%}, B's model {way[-1]:.0%}"
            for title, way in on_all.items()
        )
        + ".",
    )


def accuracy_by_skew(table: pd.DataFrame) -> Drawing:
    """Draw what the three ways of learning reach under several skews: on own images, and on the test images.

    Args:
        table: columns `skew`, `distance` (of the label mixtures), and `own: WAY` and `test: WAY` for "local only",
            "fedavg" and "centralized"; one row per skew and seed.
    """
    names = list(dict.fromkeys(table["skew"]))
    far = table.groupby("skew")["distance"].mean()
    figure, axes = new_figure(9.0, 1.6 + 0.6 * len(names), 1, 2, sharey=True)
    for axis, (whose, title) in zip(axes, {"own": "own validation images", "test": "test images"}.items(), strict=True):
        for offset, (column, name) in zip((-0.22, 0.0, 0.22), _NAMES.items(), strict=True):
            style = {**_STYLES[name], "linestyle": "none"}
            values, rows = table[f"{whose}: {column}"], table["skew"].map(names.index) + offset
            axis.plot(values, rows, fillstyle="none", markersize=5, alpha=0.7, **style)
            means = values.groupby(table["skew"], sort=False).mean()
            axis.plot(means, np.arange(len(names)) + offset, label=f"{name}, mean", markersize=8, **style)
        for position in range(1, len(names)):
            axis.axhline(position - 0.5, color=_GREY, linewidth=0.5)
        axis.set(xlabel=f"accuracy on {title}", xlim=(0, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
        axis.grid(visible=False, axis="y")
        axis.xaxis.set_major_formatter(percent)
    axes[0].set_yticks(range(len(names)), [f"{name}\ndistance {far[name]:.2f}" for name in names])
    axes[0].invert_yaxis()
    axes[0].plot([], [], "o", color=_GREY, fillstyle="none", markersize=5, label="one seed")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)

    means, seeds = table.groupby("skew", sort=False).mean(numeric_only=True), table.groupby("skew").size().max()
    return Drawing(
        figure,
        f"Accuracy under {len(names)} skews, {seeds} seed{'s' if seeds > 1 else ''} each. Mean on own images, local "
        "only, FedAvg and centralized: "
        + "; ".join(
            f"{name} (distance {far[name]:.2f}) {row['own: local only']:.0%}, {row['own: fedavg']:.0%}, "
            f"{row['own: centralized']:.0%}"
            for name, row in means.iterrows()
        )
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
        sizes = f"Clients hold {found.sizes.min()} to {found.sizes.max()} images of {has.min()} to {has.max()} classes."
        return line(sizes) + drawing.html()

    alphas = sorted({0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, alpha})
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
        examples=[{"alpha": 20.0}, {"alpha": 10.0}, {"rule": "quantity"}],
    )


def explore_accuracy(
    maps: Mapping[str, np.ndarray], class_names: Sequence[str], runs: pd.DataFrame, whose: Mapping[str, str]
) -> None:
    """Choose a partition; see who holds what, and what FedAvg and the reference lines reached with it.

    Args:
        maps: (clients, classes) numbers of images by scenario, in the slider's order.
        class_names: one name per class.
        runs: of `compare` with FedAvg and the reference lines, for these scenarios.
        whose: the columns of `runs` that can be shown, by what they are called.
    """
    means = runs.groupby(["scenario", "algorithm"])[["heterogeneity", *whose.values()]].mean()

    def draw(scenario: str, measure: str) -> str:
        figure, (axis, bars) = new_figure(9.5, 3.9, 1, 2, width_ratios=[3, 2])
        most = _largest_class(maps[scenario])
        _draw_map(axis, maps[scenario], class_names, most=most)
        _explain_circles(figure, most, 0.25)
        axis.set_ylabel("client")
        here = runs[runs["scenario"] == scenario]
        said = []
        for position, (algorithm, name) in enumerate(_NAMES.items()):
            mean = means.loc[(scenario, algorithm), whose[measure]]
            of_seeds = here.loc[here["algorithm"] == algorithm, whose[measure]]
            bars.bar(position, mean, color=_STYLES[name]["color"], alpha=0.6, width=0.7)
            bars.plot([position] * len(of_seeds), of_seeds, color=_INK, marker="_", linestyle="none", markersize=14)
            bars.text(position, 1.02, f"{mean:.0%}", ha="center", fontsize=11)
            said.append(f"{name} {mean:.1%}")
        bars.set_xticks(range(len(_NAMES)), list(_NAMES.values()), fontsize=10)
        bars.set(ylim=(0, 1.1), ylabel=f"accuracy on {measure}", yticks=[0, 0.25, 0.5, 0.75, 1])
        bars.yaxis.set_major_formatter(percent)
        distance = means.loc[(scenario, "fedavg"), "heterogeneity"]
        axis.set_title(f"{scenario}: distance {distance:.2f}")
        found = f"Accuracy on {measure}: {', '.join(said)}."
        alt = f"Partition {scenario}, total variation distance {distance:.2f}. {found}"
        return Drawing(figure, alt).html()

    options, measures = list(maps), list(whose)
    explore(
        draw,
        {
            "scenario": ipywidgets.SelectionSlider(
                options=options, value=options[0], description="partition", continuous_update=False, style=WIDE
            ),
            "measure": ipywidgets.ToggleButtons(options=list(whose), description="measured on"),
        },
        examples=[
            {"scenario": options[-1], "measure": measures[0]},
            *({"scenario": scenario, "measure": measures[-1]} for scenario in options[1:3]),
        ],
    )


def explore_average(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    shares: Sequence[float],
    said: Mapping[str, np.ndarray],
) -> None:
    """Choose two models and a mixture of them; see what the mixture calls some test images.

    Args:
        images: (n, channels, height, width) uint8.
        labels: (n,) integers, their classes.
        class_names: one name per class.
        shares: of the second model in the mixture, from 0 to 1.
        said: by pair of models, (shares, n) the classes that the mixtures give.
    """
    chosen = np.unique(np.linspace(0, len(class_names) - 1, min(len(class_names), 10)).round().astype(int))
    picked = [np.flatnonzero(labels == label)[:2] for label in chosen]  # a column for each class

    def draw(pair: str, share: float) -> str:
        answers = said[pair][list(shares).index(share)]
        figure, axes = new_figure(9.5, 3.0, 2, len(picked), squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        for column, places in zip(axes.T, picked, strict=True):
            for axis, place in zip(column, places, strict=False):
                right = answers[place] == labels[place]
                draw_image(axis, images[place] if right else 255 - (255 - images[place]) // 3)  # wrong: pale
                look = {"color": _INK} if right else {"color": _WRONG, "fontweight": "bold"}
                name = class_names[answers[place]]
                axis.set_title(name if right else f"{class_names[labels[place]]} →\n{name}", fontsize=9, **look)
        found = np.mean(answers == labels)
        words = f"{pair}, share {share:g} of B's model: right on {found:.0%} of all {len(labels)} test images"
        count = sum(len(places) for places in picked)
        drawing = Drawing(figure, f"{count} test images, and what the mixture calls them: {words}.")
        return (
            line(
                f"{words}. Here are {count}: pale where it is wrong, with the class and, in bold, → what it is called."
            )
            + drawing.html()
        )

    pairs = list(said)
    explore(
        draw,
        {
            "pair": ipywidgets.ToggleButtons(options=pairs, value=pairs[0], description="models", style=WIDE),
            "share": ipywidgets.SelectionSlider(
                options=[(f"{share:.1f}", share) for share in shares],
                value=shares[len(shares) // 2],
                description="share of B",
                continuous_update=False,
                style=WIDE,
            ),
        },
        examples=[{"share": shares[len(shares) // 2 + step]} for step in (-1, 0, 1)],
    )


def _number_of(rule: str, alpha: float, classes: int) -> str:
    """Say the number that a rule takes, with a space before it; nothing for one that takes none."""
    said = {
        None: "",
        "alpha": f" with alpha {alpha:g}",
        "classes_per_client": f" with {classes} class{'es' if classes > 1 else ''} a client",
    }
    return said[partition.PARTITIONS[rule].argument]
