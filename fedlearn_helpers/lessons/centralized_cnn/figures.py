"""The figures and the widget of notebook 01."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import explore, line
from fedlearn_helpers.plots import draw_image, new_figure


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
                draw_image(axis, images[chosen[column]])
        row[0].text(-0.15, 0.5, class_names[label], transform=row[0].transAxes, ha="right", va="center")
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


_SHOWN = 12


def browse_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidences: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Browse test images by true class, by right and wrong, and by the model's confidence.

    Args:
        images: (n, channels, height, width) uint8.
        labels, predicted: (n,) integers.
        confidences: (n,) probabilities of the predicted classes.
        class_names: one name per label.
    """
    everything = "all classes"

    def draw(true_class: str, answers: str, surer_than: float) -> str:
        chosen = confidences >= surer_than
        if true_class != everything:
            chosen &= labels == list(class_names).index(true_class)
        if answers != "all":
            chosen &= (labels == predicted) == (answers == "right")
        found = np.flatnonzero(chosen)
        found = found[np.argsort(-confidences[found], kind="stable")]
        kind = "right and wrong" if answers == "all" else answers
        what = f"{kind} answers, {true_class}, at least {surer_than:.0%} sure"
        if len(found) == 0:
            return line(f"No such image: {what}.")
        count = line(f"{len(found):,} of {len(labels):,} test images; the surest first.")
        found = found[:_SHOWN]
        return count + plots.image(
            plots.predictions(images[found], labels[found], predicted[found], confidences[found], class_names),
            alt=f"{len(found)} test images: {what}.",
        )

    explore(
        draw,
        {
            "true_class": ipywidgets.Dropdown(options=[everything, *class_names], description="true class"),
            "answers": ipywidgets.ToggleButtons(
                options=["all", "right", "wrong"], value="wrong", description="answers"
            ),
            "surer_than": ipywidgets.FloatSlider(
                0.0, min=0.0, max=1.0, step=0.05, description="surer than", continuous_update=False
            ),
        },
    )
