"""The figures and the widgets of notebook 02."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd

from fedlearn_helpers import plots
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments import ReferenceLines
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.plots import STYLES, Drawing, new_figure, style_of
from fedlearn_helpers.training import Evaluation


def class_counts(counts: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw how many training images of each class every client holds.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
    """
    return Drawing(
        plots.class_counts(counts, class_names),
        f"Training images of each class at {len(counts)} clients: between {counts.min()} and {counts.max()} images of "
        "a class at a client.",
    )


def accuracy_by_round(per_round: pd.Series, lines: ReferenceLines, local_epochs: int) -> Drawing:
    """Draw the accuracy of the global model by round, between the two reference lines.

    Args:
        per_round: accuracy on the test images by round, from round 0 (before training) on.
        lines: local only and centralized.
        local_epochs: of a client in a round.
    """
    return Drawing(
        plots.curves(
            {"federated": (per_round.index, per_round)},
            xlabel=f"round ({local_epochs} local epoch{'s' if local_epochs > 1 else ''} per round)",
            ylabel="accuracy on the test images",
            lines={
                f"local only: {lines.local_test_mean:.1%}": lines.local_test_mean,
                f"centralized: {lines.centralized_test:.1%}": lines.centralized_test,
            },
        ),
        f"Test accuracy of the federated model by round: {per_round.iloc[0]:.1%} before training, "
        f"{per_round.iloc[-1]:.1%} after {per_round.index[-1]} rounds. Reference lines: local only "
        f"{lines.local_test_mean:.1%}, centralized {lines.centralized_test:.1%}.",
    )


def accuracy_of_clients(accuracies: Mapping[str, np.ndarray]) -> Drawing:
    """Draw the accuracy of every client on its own validation images.

    Args:
        accuracies: one value per client by way of learning, "federated" and "local only" among them.
    """
    federated, alone = accuracies["federated"], accuracies["local only"]
    return Drawing(
        plots.client_strip(accuracies, ylabel="accuracy on own validation images"),
        f"Accuracy of every client on its own validation images. With the federated model {(federated > alone).sum()} "
        f"of {len(federated)} clients do better than with their own. Federated: from {federated.min():.1%} to "
        f"{federated.max():.1%}; local only: from {alone.min():.1%} to {alone.max():.1%}.",
    )


def predictions(data: ImageDataset, test: Evaluation, chosen: np.ndarray) -> Drawing:
    """Draw the first test images with their class, the federated model's prediction and how sure it is.

    Args:
        data: whose test images they are.
        test: what the model said about all of them.
        chosen: (n,) indices of the first ones; a dozen fit well.
    """
    labels, predicted = data.test_labels.cpu().numpy()[chosen], test.predictions.numpy()[chosen]
    images = data.test_images[chosen].cpu().numpy()
    return Drawing(
        plots.predictions(images, labels, predicted, test.confidences.numpy()[chosen], data.class_names),
        f"The first {len(chosen)} test images with their true class and the class that the federated model predicts; "
        f"{(labels == predicted).sum()} of {len(chosen)} are right.",
    )


def tradeoff(settings: pd.DataFrame, chosen: int | None = None) -> Drawing:
    """Draw what settings of a federation reached against what they sent.

    Args:
        settings: one row per setting: a column for each thing to choose, then `accuracy` (share), `megabytes` and
            others; the row numbers are written beside the points.
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
    return Drawing(figure, _in_words(settings) if chosen is None else _row_in_words(settings, chosen))


def _in_words(settings: pd.DataFrame) -> str:
    best, cheapest = (settings.loc[row] for row in (settings["accuracy"].idxmax(), settings["megabytes"].idxmin()))
    return (
        f"Accuracy against megabytes sent for {len(settings)} settings, numbered as in the table. The best, row "
        f"{best.name}, reaches {best['accuracy']:.1%} with {best['megabytes']:.2f} MB; the first of the cheapest, row "
        f"{cheapest.name}, reaches {cheapest['accuracy']:.1%} with {cheapest['megabytes']:.2f} MB."
    )


def _row_in_words(settings: pd.DataFrame, row: int) -> str:
    found = settings.loc[row]
    choice = ", ".join(f"{name} {found[name]:g}" for name in _chosen_by(settings))
    return (
        f"Row {row}: {choice}: accuracy {found['accuracy']:.1%} with {found['megabytes']:.2f} MB sent, among "
        f"{len(settings)} settings with {settings['accuracy'].min():.1%} to {settings['accuracy'].max():.1%}."
    )


def _chosen_by(settings: pd.DataFrame) -> list[str]:
    """Return the columns by which a setting is chosen: those before its accuracy."""
    return list(settings.columns[: list(settings.columns).index("accuracy")])


def one_client(
    counts: np.ndarray, class_names: Sequence[str], accuracies: Mapping[str, Sequence[float]], client: int
) -> Drawing:
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
        style = style_of(label)
        right.plot([place] * len(values), values, style["marker"], color="#b0b0b0", markersize=5)
        right.plot(place, values[client], style["marker"], color=style["color"], markersize=12)
    right.set_xticks(range(len(accuracies)), list(accuracies))
    right.set(ylabel="accuracy on own validation images", title="among all clients", xlim=(-0.5, len(accuracies) - 0.5))
    reached = ", ".join(f"{name} {values[client]:.1%}" for name, values in accuracies.items())
    return Drawing(
        figure,
        f"Client {client}: {counts[client].sum()} training images, from {counts[client].min()} to "
        f"{counts[client].max()} of a class. On its own validation images: {reached}.",
    )


def compare_settings(settings: pd.DataFrame) -> None:
    """Choose a setting of a federation and see what it reached, and what it sent, among all others.

    Args:
        settings: as in `tradeoff`.
    """

    def draw(**choice: Any) -> str:
        same = np.logical_and.reduce([settings[name] == value for name, value in choice.items()])
        return tradeoff(settings, chosen=settings.index[same][0]).html()

    values = {name: sorted(settings[name].unique().tolist()) for name in _chosen_by(settings)}
    explore(
        draw,
        {
            name: ipywidgets.SelectionSlider(options=options, description=name, continuous_update=False, style=WIDE)
            for name, options in values.items()
        },
        examples=[{name: options[-1]} for name, options in values.items()],
    )


def browse_clients(counts: np.ndarray, class_names: Sequence[str], accuracies: Mapping[str, Sequence[float]]) -> None:
    """Pick a client; see its training images by class, and its accuracy.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
        accuracies: one value per client by way of learning (a key of `plots.STYLES`).
    """

    def draw(client: int) -> str:
        return one_client(counts, class_names, accuracies, client).html()

    last = len(counts) - 1
    explore(draw, {"client": slider("client", 0, 0, last)}, examples=[{"client": 0}, {"client": last}])
