"""The figures and the widget of notebook 01."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
import pandas as pd

from fedlearn_helpers import plots
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.lessons.common.widgets import explore, line
from fedlearn_helpers.plots import Drawing, draw_image, new_figure
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
        table: a row per epoch, columns `training loss` and `test loss`.
        name: of the model, a key of `plots.STYLES`.
    """
    first, last = table.iloc[0], table.iloc[-1]
    return Drawing(
        plots.curves(
            {
                f"{name}, training loss": (table.index, table["training loss"]),
                "test loss": (table.index, table["test loss"]),
            },
            xlabel="epoch",
            ylabel="cross-entropy loss (nats: natural logarithm)",
        ),
        f"Loss over {len(table)} epochs. The training loss goes from {first['training loss']:.2f} to "
        f"{last['training loss']:.2f}, the test loss from {first['test loss']:.2f} to {last['test loss']:.2f}; its "
        f"minimum is at epoch {table['test loss'].idxmin()}.",
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
    figure.colorbar(picture, ax=axis, label="share of the true class", shrink=0.8)
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
    """Draw the accuracy on the test images over the epochs: the centralized model's, and that of clients alone.

    Args:
        centralized: a row per epoch, with a column `test accuracy`.
        alone: such a table for each of some clients.
    """
    series = {"centralized": centralized} | {f"local only, client {k}": table for k, table in enumerate(alone)}
    ends = [f"{table['test accuracy'].iloc[-1]:.1%}" for table in series.values()]
    return Drawing(
        plots.curves(
            {label: (table.index, table["test accuracy"]) for label, table in series.items()},
            xlabel="epoch",
            ylabel="accuracy on the test images",
        ),
        f"Test accuracy over {len(centralized)} epochs. Centralized training ends at {ends[0]}, {len(alone)} clients "
        f"alone at {', '.join(ends[1:])}.",
    )


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
