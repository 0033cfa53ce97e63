"""The figures and the widget of notebook 01."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers import plots
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.lessons.centralized_cnn.stopping import kept_and_ended
from fedlearn_helpers.lessons.common.widgets import explore, line, slider
from fedlearn_helpers.plots import Drawing, Values, draw_image, new_figure
from fedlearn_helpers.training import Evaluation


def class_examples(data: ImageDataset, per_class: int = 8) -> Drawing:
    """Draw a few training images of every class, one row per class.

    Args:
        data: the images.
        per_class: images in a row, where a class has so many.
    """
    labels = data.train_labels.cpu().numpy()
    figure, axes = new_figure(per_class * 0.85, data.num_classes * 0.72, data.num_classes, per_class, squeeze=False)
    for label, row in enumerate(axes):
        chosen = np.flatnonzero(labels == label)[:per_class]
        for axis in row:
            axis.axis("off")
        for axis, image in zip(row, data.train_images[chosen].cpu().numpy(), strict=False):
            draw_image(axis, image)
        row[0].text(-0.15, 0.5, data.class_names[label], transform=row[0].transAxes, ha="right", va="center")
    return Drawing(
        figure,
        f"{per_class} training images of each of the {data.num_classes} classes, one row per class: "
        f"{', '.join(data.class_names)}.",
    )


def losses(table: pd.DataFrame, name: str = "centralized") -> Drawing:
    """Draw the losses of a model over its epochs.

    Args:
        table: a row per epoch, columns `training loss` and `validation loss`.
        name: of the model, a key of `plots.STYLES`.
    """
    first, last = table.iloc[0], table.iloc[-1]
    return Drawing(
        plots.curves(
            {
                f"{name}, training loss": (table.index, table["training loss"]),
                "validation loss": (table.index, table["validation loss"]),
            },
            xlabel="epoch",
            ylabel="cross-entropy loss",
        ),
        f"Loss over {len(table)} epochs. The training loss goes from {first['training loss']:.2f} to "
        f"{last['training loss']:.2f}, the validation loss from {first['validation loss']:.2f} to "
        f"{last['validation loss']:.2f}; its minimum is at epoch {table['validation loss'].idxmin()}.",
    )


def confusion(matrix: np.ndarray, class_names: Sequence[str], finding: str) -> Drawing:
    """Draw a confusion matrix as shares of each true class, with the share written into every cell of 1 % or more.

    Args:
        matrix: (classes, classes) counts, true class by row.
        class_names: one name per class.
        finding: a sentence that says what stands out.
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
    figure.colorbar(picture, ax=axis, label="share of the true class (below 1% no number)", shrink=0.8)
    right = np.trace(matrix) / max(matrix.sum(), 1)
    return Drawing(figure, f"Confusion matrix on {matrix.sum():,} test images, {right:.1%} right. {finding}")


def predictions(data: ImageDataset, test: Evaluation, chosen: np.ndarray, what: str) -> Drawing:
    """Draw some test images with the true class, the predicted class and how sure the model is.

    Args:
        data: whose test images they are.
        test: what the model said about all of them.
        chosen: (n,) indices; a dozen fit well.
        what: which images these are, the beginning of a sentence.
    """
    labels, predicted = data.test_labels.cpu().numpy()[chosen], test.predictions.numpy()[chosen]
    images = data.test_images[chosen].cpu().numpy()
    right = int((labels == predicted).sum())
    return Drawing(
        plots.predictions(images, labels, predicted, test.confidences.numpy()[chosen], data.class_names),
        f"{what}: {len(chosen)} images with true and predicted class, {right} of them right.",
    )


def accuracy_by_epoch(centralized: pd.DataFrame, alone: Sequence[pd.DataFrame]) -> Drawing:
    """Draw the validation accuracy over the epochs: the centralized model's, and that of clients alone.

    Args:
        centralized: a row per epoch, with a column `validation accuracy`.
        alone: such a table for each of some clients.
    """
    figure, axis = new_figure(7.0, 3.9)
    _learner(axis, centralized.index, centralized["validation accuracy"], "centralized")
    for number, table in enumerate(alone):
        _learner(axis, table.index, table["validation accuracy"], "local only", number)
    axis.set(xlabel="epoch", ylabel="validation accuracy")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _percent(axis)
    figure.legend(loc="outside upper center", ncols=2)
    ends = [f"{table['validation accuracy'].iloc[-1]:.1%}" for table in (centralized, *alone)]
    return Drawing(
        figure,
        f"Validation accuracy over {len(centralized)} epochs. Centralized training ends at {ends[0]}, {len(alone)} "
        f"clients alone at {', '.join(ends[1:])}.",
    )


def early_stopping(accuracies: Sequence[float], epochs: int, patience: int) -> Drawing:
    """Draw when a training of client 0 stops: the epoch that is kept, and the wait after it.

    Args:
        accuracies: on the validation images, one per epoch; what comes after the end is drawn pale.
        epochs: before which nobody stops.
        patience: epochs without a better accuracy that end a training.
    """
    figure, axis = new_figure(7.0, 3.6)
    kept, ended = kept_and_ended(accuracies, epochs, patience)
    every, style = list(range(1, len(accuracies) + 1)), plots.STYLES["local only"]
    wait = ended - kept
    waited = f"{wait} epoch{'' if wait == 1 else 's'} without a better one"
    axis.axvspan(kept, ended, color="#dddddd", label=waited, linewidth=0)
    axis.plot(every[:ended], accuracies[:ended], color=style["color"], label="local only, client 0", linewidth=1.5)
    if ended < len(accuracies):
        pale = {"color": style["color"], "linewidth": 1.5, "alpha": 0.3}
        axis.plot(every[ended - 1 :], accuracies[ended - 1 :], label="with more patience", **pale)
    axis.plot(kept, accuracies[kept - 1], label="this model is kept", **_KEPT, **_filled(style))
    axis.set(xlabel="epoch", ylabel="validation accuracy")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _percent(axis)
    figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        figure,
        f"Validation accuracy of client 0. With a patience of {patience} training ends after epoch {ended}. The best, "
        f"{accuracies[kept - 1]:.1%}, is at epoch {kept}; after it come {waited}.",
    )


def explore_patience(accuracies: Sequence[float], epochs: int, patience: int) -> None:
    """Let the patience of early stopping be chosen, up to that of the training.

    Args:
        accuracies: of client 0 on its validation images, one per epoch.
        epochs: before which nobody stops.
        patience: with which the client trained.
    """
    explore(
        lambda chosen: early_stopping(accuracies, epochs, chosen).html(),
        {"chosen": slider("patience", patience, 1, patience)},
        examples=[{"chosen": min(2, patience)}, {"chosen": patience}],
    )


def accuracy_by_step(
    centralized: Sequence[float], alone: Sequence[Sequence[float]], kept: Sequence[int], steps: Sequence[int]
) -> Drawing:
    """Draw the validation accuracy over training steps, until each learner stopped improving, and the clients' mean.

    Args:
        centralized: the accuracies of the centralized model, one per epoch.
        alone: those of some clients' own models.
        kept: the epoch that is kept, of the centralized model and of each client's, counted from 1.
        steps: how many steps an epoch of each has.
    """
    figure, axis = new_figure(7.0, 4.4)
    ends = []
    for number, (accuracies, epoch, size) in enumerate(zip((centralized, *alone), kept, steps, strict=True)):
        name, x = ("local only", "centralized")[number == 0], size * np.arange(1, len(accuracies) + 1)
        place = (epoch * size, accuracies[epoch - 1])
        if number:
            one = "local only, one client" if number == 1 else None
            axis.plot(x, accuracies, color=plots.STYLES[name]["color"], linewidth=0.9, alpha=0.6, label=one)
            written: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": "white", "zorder": 5}
            axis.annotate(f"{number - 1}", place, (0, 1.5), textcoords="offset points", fontweight="bold", **written)
        else:
            _learner(axis, x, accuracies, name)
        label = {0: "centralized, kept", 1: "local only, kept (number: client)"}.get(number)
        size_of = {**_KEPT, "markersize": 15 if number else 10}
        axis.plot(*place, label=label, **size_of, **_filled(plots.STYLES[name]))
        ends.append(f"{epoch * size:,} steps with {accuracies[epoch - 1]:.1%}")
    common = min(map(len, alone))  # epochs that every client made
    mean = np.mean([accuracies[:common] for accuracies in alone], axis=0)
    made = np.mean(steps[1:]) * np.arange(1, common + 1)
    axis.plot(made, mean, color=plots.STYLES["local only"]["color"], linewidth=2.5, label="local only, mean of clients")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.set(xlabel="training steps (logarithmic)", ylabel="validation accuracy")
    _percent(axis)
    axis.margins(y=0.09)
    figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        figure,
        f"Validation accuracy over training steps until nothing improves. Kept are: centralized {ends[0]}; clients "
        f"alone {', '.join(ends[1:])}. The mean of the clients ends at {mean[-1]:.1%} after {made[-1]:,.0f} steps.",
    )


def gaps(rows: Mapping[str, tuple[float, float]]) -> Drawing:
    """Draw what lies between one client alone and all images together, one row for each way to train.

    Args:
        rows: test accuracies of local only and of centralized by how long they trained.
    """
    figure, axis = new_figure(7.0, 1.3 + 0.7 * len(rows))
    ends = list(rows.values())
    for row, (local, central) in enumerate(ends):
        axis.plot([local, central], [row, row], color="#1b1b1b", linewidth=1.5, zorder=1)
        said = f"{round(100 * central, 1) - round(100 * local, 1):.1f} points"  # of what is printed elsewhere
        axis.annotate(said, ((local + central) / 2, row), (0, 7), textcoords="offset points", ha="center")
    for column, name in enumerate(("local only", "centralized")):
        style = {**plots.STYLES[name], "linestyle": "none"}
        axis.plot([pair[column] for pair in ends], range(len(ends)), label=name, markersize=10, **style)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel="accuracy on the test images", ylim=(len(rows) - 0.5, -0.7))
    axis.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axis.xaxis.set_major_formatter(plots.percent)
    axis.margins(x=0.15)
    figure.legend(loc="outside upper center", ncols=2)
    told = [f"{name}: local only {local:.1%}, centralized {central:.1%}" for name, (local, central) in rows.items()]
    return Drawing(figure, f"Test accuracy of local only and centralized. {'; '.join(told)}.")


def rates(accuracies: Mapping[str, Mapping[float, float]]) -> Drawing:
    """Draw the validation accuracy of clients alone over the learning rate.

    Args:
        accuracies: by how long they trained, a validation accuracy for each learning rate.
    """
    figure, axis = new_figure(7.0, 3.9)
    style = {"color": plots.STYLES["local only"]["color"], "linestyle": plots.STYLES["local only"]["linestyle"]}
    for marker, (how, by_rate) in zip("v^D<>p", accuracies.items(), strict=False):
        tried, heights = list(by_rate), list(by_rate.values())
        axis.plot(tried, heights, marker=marker, markersize=7, linewidth=2, **style)
        place = (tried[-1], heights[-1])
        axis.annotate(how, place, (11, 0), textcoords="offset points", va="center", color=style["color"])
    axis.set_xscale("log")
    rates_tried = sorted({rate for by_rate in accuracies.values() for rate in by_rate})
    axis.set_xticks(rates_tried, [f"{rate:g}" for rate in rates_tried])
    axis.minorticks_off()
    axis.set_xlim(rates_tried[0] / 1.2, rates_tried[-1] * (rates_tried[-1] / rates_tried[0]) ** 0.25 * 1.2)
    axis.set(xlabel="learning rate of Adam (logarithmic)", ylabel="validation accuracy\n(local only, mean of clients)")
    _percent(axis)
    best = [f"{how} at {max(by_rate, key=by_rate.__getitem__):g}" for how, by_rate in accuracies.items()]
    return Drawing(figure, f"Validation accuracy of clients alone over the learning rate. Best: {', '.join(best)}.")


def worth_of_images(table: pd.DataFrame) -> Drawing:
    """Draw the test accuracy over the number of training images, each training until it stops improving.

    Args:
        table: a row per training, with the columns `clients` (whose images are together), `images` and
            `test accuracy`.
    """
    figure, axis = new_figure(7.0, 4.4)
    means = table.groupby("clients")[["images", "test accuracy"]].mean()
    axis.plot(means["images"], means["test accuracy"], color="#1b1b1b", linewidth=2, label="mean", zorder=1)
    for clients, rows in table.groupby("clients"):
        name = {means.index[0]: "local only", means.index[-1]: "centralized"}.get(
            clients, "images of some clients together"
        )
        style = {**(plots.STYLES.get(name) or {"color": "#1b1b1b", "marker": "o"}), "linestyle": "none"}
        label = None if name in axis.get_legend_handles_labels()[1] else name
        axis.plot(rows["images"], rows["test accuracy"], label=label, markersize=8, fillstyle="none", **style)
    axis.set_xscale("log")
    axis.minorticks_off()
    named = [f"{images:,.0f}\n{n} client{'s' * (n > 1)}" for n, images in means["images"].items()]
    axis.set_xticks(means["images"], named)
    axis.set(xlabel="training images (logarithmic)", ylabel="accuracy on the test images")
    _percent(axis)
    figure.legend(loc="outside upper center", ncols=2)
    told = [f"{accuracy:.1%} with {images:,.0f}" for images, accuracy in means.to_numpy()]
    return Drawing(figure, f"Mean test accuracy over the number of training images: {', '.join(told)}.")


_KEPT: dict[str, Any] = {"markersize": 10, "linestyle": "none", "markeredgecolor": "#1b1b1b", "zorder": 4}


def _filled(style: Mapping[str, Any]) -> dict[str, Any]:
    return {"color": style["color"], "marker": style["marker"]}


_CLIENT_LINES: tuple[Any, ...] = (":", "-.", (0, (3, 1, 1, 1, 1, 1)))
_CLIENT_MARKERS = "vD>"


def _learner(axis: Axes, x: Values, accuracies: Values, name: str, client: int | None = None) -> None:
    """Draw a learner's accuracies as a line; a client's line style, marker and label tell it from other clients."""
    style = {**plots.STYLES[name], "marker": ""}
    if client is not None:
        style["linestyle"] = _CLIENT_LINES[client % len(_CLIENT_LINES)]
        style["marker"] = _CLIENT_MARKERS[client % len(_CLIENT_MARKERS)]
    label = name if client is None else f"{name}, client {client}"
    axis.plot(x, accuracies, label=label, linewidth=1.8, markersize=6, **style)


def _percent(axis: Axes) -> None:
    """Set ticks of whole percents, as few as are round."""
    axis.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(plots.percent)


_SHOWN = 12


def browse_predictions(data: ImageDataset, test: Evaluation) -> None:
    """Browse test images by true class, by right and wrong, and by the model's confidence.

    Args:
        data: whose test images they are.
        test: what the model said about all of them.
    """
    everything = "all classes"
    labels, predicted, confidences = data.test_labels.cpu().numpy(), test.predictions.numpy(), test.confidences.numpy()

    def draw(true_class: str, answers: str, surer_than: float) -> str:
        chosen = confidences >= surer_than
        if true_class != everything:
            chosen &= labels == data.class_names.index(true_class)
        if answers != "all":
            chosen &= (labels == predicted) == (answers == "right")
        found = np.flatnonzero(chosen)
        found = found[np.argsort(-confidences[found], kind="stable")]
        kind = "right and wrong" if answers == "all" else answers
        what = f"{kind} answers, {true_class}, at least {surer_than:.0%} sure"
        if len(found) == 0:
            return line(f"No such image: {what}.")
        count = line(f"{len(found):,} of {len(labels):,} test images; the surest first.")
        shown = found[:_SHOWN]
        picture = predictions(data, test, shown, what).figure
        return count + Drawing(picture, f"{len(shown)} test images: {what}.").html()

    explore(
        draw,
        {
            "true_class": ipywidgets.Dropdown(options=[everything, *data.class_names], description="true class"),
            "answers": ipywidgets.ToggleButtons(
                options=["all", "right", "wrong"], value="wrong", description="answers"
            ),
            "surer_than": ipywidgets.FloatSlider(
                0.0, min=0.0, max=1.0, step=0.05, description="surer than", continuous_update=False
            ),
        },
        examples=[{"true_class": name, "surer_than": 0.9} for name in (data.class_names[0], data.class_names[-1])],
    )
