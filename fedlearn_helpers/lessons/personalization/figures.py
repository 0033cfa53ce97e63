"""The figures and the widget of notebook 06."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import explore, slider
from fedlearn_helpers.plots import new_figure


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


def between_alone_and_together(
    found: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]],
    lines: Mapping[str, Mapping[str, Sequence[float]]],
) -> None:
    """Choose how much a client's own model shares with the global one, and see every client, in notebook 06.

    Args:
        found: by method and situation, the clients' accuracies by the method's setting.
        lines: by situation, the clients' accuracies by way of learning (keys of `plots.STYLES`).
    """
    methods, situations = list(found), list(lines)
    most = max(len(found[method][situations[0]]) for method in methods)

    def draw(method: str, situation: str, place: int) -> str:
        values = sorted(found[method][situation])
        value = values[min(place, len(values)) - 1]
        own = found[method][situation][value]
        label = f"{method} {value:g}"
        return plots.image(
            plots.client_strip({**lines[situation], label: own}, ylabel="accuracy on own images"),
            alt=f"{label}, {situation}: the clients' own models reach {np.mean(own):.1%} on average and "
            f"{np.min(own):.1%} at the worst client; "
            + ", ".join(f"{name} {np.mean(values):.1%}" for name, values in lines[situation].items())
            + " on average.",
        )

    explore(
        draw,
        {
            "method": ipywidgets.ToggleButtons(options=methods, description="method"),
            "situation": ipywidgets.ToggleButtons(options=situations, description="situation"),
            "place": slider("setting, from low to high", 1, 1, most),
        },
    )
