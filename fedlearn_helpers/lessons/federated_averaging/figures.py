"""The figures and the widgets of notebook 02."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.plots import STYLES, new_figure, style_of


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
        style = style_of(label)
        right.plot([place] * len(values), values, style["marker"], color="#b0b0b0", markersize=5)
        right.plot(place, values[client], style["marker"], color=style["color"], markersize=12)
    right.set_xticks(range(len(accuracies)), list(accuracies))
    right.set(ylabel="accuracy on own validation images", title="among all clients", xlim=(-0.5, len(accuracies) - 0.5))
    return figure


def compare_settings(settings: pd.DataFrame) -> None:
    """Choose a setting of a federation and see what it reached, and what it sent, among all others.

    Args:
        settings: one row per setting: a column for each thing to choose, then `accuracy`, `megabytes` and others.
    """
    chosen_by = settings.columns[: settings.columns.get_loc("accuracy")]

    def draw(**choice: Any) -> str:
        same = np.logical_and.reduce([settings[name] == value for name, value in choice.items()])
        row = settings.index[same][0]
        found = settings.loc[row]
        names = ", ".join(f"{name} {value:g}" for name, value in choice.items())
        return plots.image(
            tradeoff(settings, row),
            alt=f"Row {row}: {names}: accuracy {found['accuracy']:.1%} with {found['megabytes']:.2f} MB sent, among "
            f"{len(settings)} settings with {settings['accuracy'].min():.1%} to {settings['accuracy'].max():.1%}.",
        )

    explore(
        draw,
        {
            name: ipywidgets.SelectionSlider(
                options=sorted(settings[name].unique().tolist()), description=name, continuous_update=False, style=WIDE
            )
            for name in chosen_by
        },
    )


def browse_clients(counts: np.ndarray, class_names: Sequence[str], accuracies: Mapping[str, Sequence[float]]) -> None:
    """Pick a client; see its training images by class, and its accuracy.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
        accuracies: one value per client by way of learning (a key of `plots.STYLES`).
    """

    def draw(client: int) -> str:
        reached = ", ".join(f"{name} {values[client]:.1%}" for name, values in accuracies.items())
        return plots.image(
            one_client(counts, class_names, accuracies, client),
            alt=f"Client {client}: {counts[client].sum()} training images, from {counts[client].min()} to "
            f"{counts[client].max()} of a class. On its own validation images: {reached}.",
        )

    explore(draw, {"client": slider("client", 0, 0, len(counts) - 1)})
