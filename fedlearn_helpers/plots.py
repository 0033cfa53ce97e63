"""The notebooks' figures: same colours, same markers, text for those who cannot see them.

Every function returns a matplotlib Figure; `show` puts it into the notebook with its alt text.
"""

import base64
import html
import io
from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# One colour, marker and line style per way of learning, in every notebook. The colours are from
# petroff10, which stays distinct under colour-vision deficiencies; markers and line styles carry
# the same distinction in greyscale.
STYLES = {
    "local only": {"color": "#bd1f01", "marker": "v", "linestyle": ":"},
    "federated": {"color": "#3f90da", "marker": "o", "linestyle": "-"},
    "centralized": {"color": "#717581", "marker": "s", "linestyle": "--"},
}
_MORE_MARKERS = "^D<>Pp"
_OTHER_STYLE = {"color": "#1b1b1b", "marker": ".", "linestyle": "-"}
_STYLE_SHEETS = ["petroff10", {"axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True, "font.size": 11}]
_DOTS_PER_INCH = 110


def show(figure: Figure, alt: str) -> None:
    """Display a figure as an image with alt text.

    JupyterLab and nbconvert drop the alt text of matplotlib's own output, so the image is put into
    HTML here.

    Args:
        figure: what to show.
        alt: at least one sentence that says what the figure shows.
    """
    from IPython.display import HTML, display

    display(HTML(image(figure, alt)))


def image(figure: Figure, alt: str) -> str:
    """Return a figure as an HTML image with alt text; the arguments are those of `show`."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
        data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt, quote=True)}" style="max-width:100%" src="data:image/png;base64,{data}"/>'


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: object) -> tuple[Figure, Axes]:
    """Return a figure in the workbook's style, and its axes (an array of them where there are several).

    Args:
        width, height: size in inches.
        rows, columns: the grid of axes.
        options: passed on to `Figure.subplots`.
    """
    with matplotlib.style.context(_STYLE_SHEETS):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


def class_examples(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], per_class: int = 8) -> Figure:
    """Draw a few images of every class, one row per class.

    Args:
        images: (n, channels, height, width) uint8.
        labels: (n,) integers.
        class_names: one name per label.
        per_class: images in a row.
    """
    figure, axes = new_figure(per_class * 0.85, len(class_names) * 0.72, len(class_names), per_class, squeeze=False)
    for label, row in enumerate(axes):
        chosen = np.flatnonzero(labels == label)[:per_class]
        for column, axis in enumerate(row):
            axis.axis("off")
            if column < len(chosen):
                _draw_image(axis, images[chosen[column]])
        row[0].text(-0.15, 0.5, class_names[label], transform=row[0].transAxes, ha="right", va="center")
    return figure


def predictions(
    images: np.ndarray,
    labels: Sequence[int],
    predicted: Sequence[int],
    confidences: Sequence[float],
    class_names: Sequence[str],
) -> Figure:
    """Draw a row of images with the true class, the predicted class and how sure the model is.

    Args:
        images: (n, channels, height, width) uint8; a dozen fit well.
        labels, predicted: n integers each.
        confidences: n probabilities of the predicted classes.
        class_names: one name per label.
    """
    columns = min(len(images), 6)
    rows = -(-len(images) // columns)
    figure, axes = new_figure(columns * 1.6, rows * 2.1, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, guess, confidence in zip(axes.flat, images, labels, predicted, confidences, strict=False):
        _draw_image(axis, image)
        right = label == guess
        axis.set_title(
            f"true: {class_names[label]}\n{'✓' if right else '✗'} {class_names[guess]} ({confidence:.0%})",
            fontsize=9,
            color="#1b1b1b" if right else STYLES["local only"]["color"],
            fontweight="normal" if right else "bold",
        )
    return figure


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix as shares of each true class, with the share written into every cell of 1 % or more.

    Args:
        matrix: (classes, classes) counts, true class by row.
        class_names: one name per class.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.55 * len(class_names)
    figure, axis = new_figure(side + 0.6, side - 0.4)
    axis.grid(False)
    picture = axis.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.argwhere(shares >= 0.01):
        share = shares[row, column]
        axis.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=8, color="w" if share > 0.5 else "k")
    axis.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
    axis.set_yticks(range(len(class_names)), class_names)
    axis.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(picture, ax=axis, label="share of the true class", shrink=0.8)
    return figure


def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float] | Sequence[Sequence[float]]]],
    *,
    xlabel: str,
    ylabel: str,
    lines: Mapping[str, float] | None = None,
    log: bool = False,
    log_x: bool = False,
) -> Figure:
    """Draw curves, and reference lines across the figure.

    Several curves of one way of learning share its colour and differ in their markers.

    Args:
        series: x and y values by label; a label that starts with a key of `STYLES` takes its style. Where there is
            one row of y values per seed, the curve is their mean and the band around it their range.
        xlabel, ylabel: with units.
        lines: heights of horizontal lines by label, styled in the same way.
        log, log_x: whether the y axis or the x axis is logarithmic.
    """
    figure, axis = new_figure(7.5, 4.2)
    drawn: Counter[str] = Counter()
    for label, (x, y) in series.items():
        style = _style_of(label)
        repeats = drawn[style["color"]]
        drawn[style["color"]] += 1
        if repeats:
            style = {**style, "marker": _MORE_MARKERS[(repeats - 1) % len(_MORE_MARKERS)]}
        if np.ndim(y) == 2:
            axis.fill_between(x, np.min(y, axis=0), np.max(y, axis=0), color=style["color"], alpha=0.2, linewidth=0)
            y = np.mean(y, axis=0)
        axis.plot(x, y, label=label, markersize=6, linewidth=2, **style)
    for label, height in (lines or {}).items():
        style = _style_of(label)
        axis.axhline(height, label=label, linewidth=2, **{**style, "marker": ""})
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if log:
        axis.set_yscale("log")
    if log_x:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    if all(len(x) <= 20 for x, _ in series.values()):
        axis.set_xticks(sorted({value for x, _ in series.values() for value in x}))
    axis.legend(loc="best", framealpha=0.9)
    return figure


def client_strip(series: Mapping[str, Sequence[float]], *, ylabel: str) -> Figure:
    """Draw one value per client and way of learning, clients side by side.

    Args:
        series: one value per client by way of learning (a key of `STYLES`); all of equal length.
        ylabel: with units.
    """
    count = len(next(iter(series.values())))
    figure, axis = new_figure(max(6.0, min(0.45 * count + 2.5, 11.0)), 4.0)
    for label, values in series.items():
        axis.plot(range(count), values, label=label, markersize=7, **{**_style_of(label), "linestyle": "none"})
        axis.axhline(float(np.mean(values)), linewidth=1, **{**_style_of(label), "marker": ""})
    axis.set(xlabel="client (the lines are means over clients)", ylabel=ylabel)
    if count <= 20:
        axis.set_xticks(range(count))
    axis.legend(loc="best", framealpha=0.9)
    return figure


def class_counts(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw how many examples of each class every client holds, as a map with the numbers in it.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
    """
    clients, classes = counts.shape
    figure, axis = new_figure(1.5 + 0.75 * classes, 1.2 + 0.32 * min(clients, 30))
    axis.grid(False)
    ceiling = 1.6 * max(counts.max(), 1)  # equal counts come out light, so that the numbers stay readable
    picture = axis.imshow(counts, cmap="Greys", vmin=0, vmax=ceiling, aspect="auto")
    if clients <= 30:
        for client, label in np.argwhere(counts > 0):
            shade = "w" if counts[client, label] > ceiling / 2 else "k"
            axis.text(label, client, counts[client, label], ha="center", va="center", fontsize=9, color=shade)
        axis.set_yticks(range(clients))
    axis.set_xticks(range(classes), class_names, rotation=45, ha="right")
    axis.set(xlabel="class", ylabel="client")
    figure.colorbar(picture, ax=axis, label="training images")
    return figure


def tradeoff(settings: pd.DataFrame, chosen: int | None = None) -> Figure:
    """Draw what settings of a federation reached against what they sent.

    Args:
        settings: columns `accuracy` (share) and `megabytes`; the row numbers are written beside the points.
        chosen: a row to point out.
    """
    figure, axis = new_figure(7.0, 4.2)
    style = STYLES["federated"]
    axis.plot(
        settings["megabytes"],
        settings["accuracy"],
        style["marker"],
        color=style["color"],
        markersize=7,
        fillstyle="none",
    )
    for row, setting in settings.iterrows():
        place = (setting["megabytes"], setting["accuracy"])
        axis.annotate(str(row), place, xytext=(7, 4), textcoords="offset points", fontsize=9)
        if row == chosen:
            axis.plot(*place, style["marker"], color=style["color"], markersize=13)
    axis.set(xscale="log", xlabel="sent in all rounds, MB (logarithmic)", ylabel="accuracy on the test images")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(0.12)
    return figure


def strategies(table: pd.DataFrame, value: str = "test_accuracy") -> Figure:
    """Draw what strategies reach: one panel per partition, one row per strategy, one mark per seed.

    Args:
        table: from `strategies.compare`; "local only" and "centralized" are drawn as lines across the panel, with their
            range over seeds as a band.
        value: the column to draw, a share in [0, 1].
    """
    partitions = list(dict.fromkeys(table["partition"]))
    names = [name for name in dict.fromkeys(table["strategy"]) if name not in STYLES]
    size = (1.4 + 3.1 * len(partitions), 1.4 + 0.36 * len(names))
    figure, axes = new_figure(*size, 1, len(partitions), sharey=True, squeeze=False)
    for axis, partition in zip(axes[0], partitions, strict=True):
        here = table[table["partition"] == partition]
        for name in ("local only", "centralized"):
            values, style = here.loc[here["strategy"] == name, value], STYLES[name]
            if len(values):
                axis.axvspan(values.min(), values.max(), color=style["color"], alpha=0.15, linewidth=0)
                axis.axvline(values.mean(), label=name, linewidth=2, **{**style, "marker": ""})
        for row, name in enumerate(names):
            values = here.loc[here["strategy"] == name, value].to_numpy()
            style = STYLES["federated"]
            axis.plot([values.min(), values.max()], [row, row], "-", color=style["color"], linewidth=2)
            axis.plot(
                values, [row] * len(values), style["marker"], color=style["color"], fillstyle="none", markersize=5
            )
            label = "mean of the seeds" if row == 0 else None
            axis.plot(values.mean(), row, "D", color="#1b1b1b", markersize=6, linestyle="none", label=label)
        axis.set(title=partition, xlabel=value.replace("_", " "))
        axis.xaxis.set_major_formatter(_percent)
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def differences(table: pd.DataFrame, *, ylabel: str) -> Figure:
    """Draw paired differences: one panel per partition, a column of marks per strategy, a mark per seed.

    Args:
        table: one column per strategy; rows by partition and seed, as index.
        ylabel: with units.
    """
    partitions = list(dict.fromkeys(table.index.get_level_values("partition")))
    figure, axes = new_figure(1.4 + 3.1 * len(partitions), 3.8, 1, len(partitions), sharey=True, squeeze=False)
    for axis, partition in zip(axes[0], partitions, strict=True):
        here = table.loc[partition]
        axis.axhline(0, color=STYLES["centralized"]["color"], linewidth=1.5)
        for place, name in enumerate(here.columns):
            style = STYLES["federated"]
            axis.plot([place] * len(here), here[name], style["marker"], color=style["color"], fillstyle="none")
            axis.plot(place, here[name].mean(), "D", color="#1b1b1b", markersize=6)
        axis.set_xticks(range(len(here.columns)), here.columns, rotation=60, ha="right")
        axis.set(title=partition)
    axes[0][0].set_ylabel(ylabel)
    return figure


def sweep(table: pd.DataFrame, parameter: str, metrics: Sequence[str], panels: Sequence[str] = ()) -> Figure:
    """Draw metrics against a parameter: the mean over seeds as a line, their range as a band, a mark per seed.

    Args:
        table: one row per run.
        parameter: the column for the x axis, of numbers or of names.
        metrics: columns to draw.
        panels: other parameters; there is a panel for each combination of their values.
    """
    groups = list(table.groupby(list(panels), sort=False)) if panels else [((), table)]
    columns = min(len(groups), 3)
    rows = -(-len(groups) // columns)
    figure, axes = new_figure(2.4 + 4.2 * columns, 1.0 + 3.4 * rows, rows, columns, sharey=True, squeeze=False)
    values = table[parameter].drop_duplicates()
    numeric = values.dtype.kind in "if"
    wide = numeric and values.min() > 0 and values.max() / values.min() >= 20
    for axis, (chosen, here) in zip(axes.flat, groups, strict=False):
        markers = iter("o" + _MORE_MARKERS)
        for metric in metrics:
            style = dict(_style_of(_WAYS.get(metric.partition("_")[0], metric)))
            if style == _OTHER_STYLE:
                style["marker"] = next(markers)
            known = here[here[metric].notna()]
            x = known[parameter] if numeric else known[parameter].map(values.tolist().index)
            of_seeds = known[metric].astype(float).groupby(x)
            line = dict(color=style["color"], linestyle=style["linestyle"], linewidth=2)
            axis.plot(of_seeds.mean(), label=metric.replace("_", " "), marker=style["marker"], **line)
            axis.fill_between(
                of_seeds.mean().index, of_seeds.min(), of_seeds.max(), color=style["color"], alpha=0.2, lw=0
            )
            axis.plot(x, known[metric], style["marker"], color=style["color"], fillstyle="none", markersize=4)
        axis.set(xlabel=parameter, title=", ".join(f"{n} = {v}" for n, v in zip(panels, chosen, strict=True)))
        if wide:
            axis.set_xscale("log")
            axis.minorticks_off()
        if len(values) <= 12:
            ticks = sorted(values) if numeric else range(len(values))
            axis.set_xticks(ticks, [f"{value:g}" for value in ticks] if numeric else map(str, values))
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


# The first word of a metric's name tells whose it is.
_WAYS = {"local": "local only", "federated": "federated", "fedavg": "federated", "centralized": "centralized"}


def _percent(share: float, position: int) -> str:
    return f"{share:.0%}"


def one_client(
    counts: np.ndarray, class_names: Sequence[str], accuracies: Mapping[str, Sequence[float]], client: int
) -> Figure:
    """Draw one client: its examples by class, and its accuracy among all clients'.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
        accuracies: one value per client by way of learning (a key of `STYLES`).
        client: which one.
    """
    figure, (left, right) = new_figure(10.5, 4.0, 1, 2, width_ratios=(3, 2))
    places = np.arange(len(class_names))
    left.bar(places, counts[client], color=STYLES["centralized"]["color"], label=f"client {client}")
    left.plot(places, counts.mean(axis=0), "_", color="#1b1b1b", markersize=18, label="mean of all clients")
    left.set_xticks(places, class_names, rotation=45, ha="right")
    left.set(ylabel="training images", title=f"Client {client}: its images", ylim=(0, 1.25 * max(counts.max(), 1)))
    left.legend(fontsize=9)
    for place, (label, values) in enumerate(accuracies.items()):
        style = _style_of(label)
        right.plot([place] * len(values), values, style["marker"], color="#b0b0b0", markersize=5)
        right.plot(place, values[client], style["marker"], color=style["color"], markersize=12)
    right.set_xticks(range(len(accuracies)), list(accuracies))
    right.set(ylabel="accuracy on own validation images", title="among all clients", xlim=(-0.5, len(accuracies) - 0.5))
    return figure


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
    axis.xaxis.set_major_formatter(_percent)
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


def numbers(table: pd.DataFrame, *, limit: float, label: str, title: str = "") -> Figure:
    """Draw a table as a map: blue above zero, red below, and the number, rounded and with its sign, in every cell.

    Args:
        table: numbers; its index names the rows, its columns the columns.
        limit: numbers as large as this have the full colour, > 0.
        label: what the numbers are, with units.
        title: above the map.
    """
    values = table.to_numpy(dtype=float)
    figure, axis = new_figure(2.6 + 1.5 * len(table.columns), 1.4 + 0.4 * len(table))
    axis.grid(False)
    picture = axis.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        if np.isfinite(values[row, column]):
            text = f"{values[row, column]:+.0f}"
            shade = "w" if abs(values[row, column]) > 0.6 * limit else "k"
            axis.text(column, row, text, ha="center", va="center", fontsize=10, color=shade)
    axis.set_xticks(range(len(table.columns)), table.columns)
    axis.set_yticks(range(len(table)), table.index)
    axis.set(title=title)
    figure.colorbar(picture, ax=axis, label=label)
    return figure


def elsewhere(maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw how each client's model does on every client's images, side by side, with per cents in the cells.

    Args:
        maps: by title, (clients, clients) accuracies in [0, 1]: a row per model, a column per client's images.
    """
    clients = max(len(matrix) for matrix in maps.values())
    side = max(0.42 * clients, 2.4)
    figure, axes = new_figure(1.2 + (side + 0.5) * len(maps), side + 1.0, 1, len(maps), squeeze=False)
    for axis, (title, matrix) in zip(axes[0], maps.items(), strict=True):
        axis.grid(False)
        picture = axis.imshow(matrix, cmap="Greys", vmin=0, vmax=1)
        if clients <= 16:
            for row, column in np.ndindex(*matrix.shape):
                share = matrix[row, column]
                color = "w" if share > 0.55 else "k"
                axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=color)
        axis.set(title=title, xlabel="images of client", xticks=range(len(matrix)), yticks=range(len(matrix)))
    axes[0][0].set_ylabel("model of client")
    figure.colorbar(picture, ax=list(axes[0]), label="accuracy", shrink=0.8)
    return figure


def choices(chosen: np.ndarray, kinds: Sequence[str]) -> Figure:
    """Draw which of several models each client chose in every round: a marker for each model.

    Args:
        chosen: (rounds, clients) integers, the number of a model.
        kinds: one per client, what tells it from others; written at its row.
    """
    rounds, clients = chosen.shape
    figure, axis = new_figure(max(5.0, 2.5 + 0.5 * rounds), 1.4 + 0.32 * clients)
    looks = [("o", "#3f90da"), ("^", "#bd1f01"), ("s", "#832db6"), ("D", "#1b1b1b")]
    for number in sorted(set(chosen.flat)):
        marker, color = looks[number % len(looks)]
        when, who = np.nonzero(chosen == number)
        axis.plot(when + 1, who, marker, color=color, linestyle="none", markersize=8, label=f"model {number}")
    axis.set_yticks(range(clients), [f"{client}: {kind}" for client, kind in enumerate(kinds)])
    axis.set_xticks(range(1, rounds + 1))
    axis.invert_yaxis()
    axis.set(xlabel="round", ylabel="client")
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
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


def _draw_image(axis: Axes, image: np.ndarray) -> None:
    image = np.asarray(image)
    axis.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)


def _style_of(label: str) -> dict[str, str]:
    return next((style for name, style in STYLES.items() if label.startswith(name)), _OTHER_STYLE)
