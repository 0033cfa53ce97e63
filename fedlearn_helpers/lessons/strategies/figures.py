"""The figures and the widget of notebook 05, on a plane: a model of two numbers, and clients that each want another."""

from collections.abc import Callable, Mapping

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.plots import STYLES, new_figure

_PATHS = (
    {"color": STYLES["federated"]["color"], "marker": "o", "linestyle": "-"},
    {"color": "#bd1f01", "marker": "^", "linestyle": "--"},
    {"color": "#832db6", "marker": "s", "linestyle": "-."},
    {"color": "#1b1b1b", "marker": "D", "linestyle": ":"},
)


def mean_loss(centres: np.ndarray, curvatures: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the mean over clients of (1/2) sum_j a_kj (w_j - b_kj)^2.

    Args:
        centres: (clients, 2), b.
        curvatures: (clients, 2), a.
        w: (..., 2), one model or many.
    """
    return (curvatures * (w[..., None, :] - centres) ** 2).sum(axis=-1).mean(axis=-1) / 2


def paths(centres: np.ndarray, curvatures: np.ndarray, walked: Mapping[str, np.ndarray]) -> Figure:
    """Draw the contours of the mean loss, each client's own optimum, everybody's, and paths of global models.

    Args:
        centres, curvatures: (clients, 2), as in `mean_loss`.
        walked: by label, (rounds + 1, 2) the global model after every round.
    """
    figure, axis = new_figure(8.6, 5.4)
    everything = np.concatenate([centres, *walked.values()])
    low, high = everything.min(axis=0) - 0.6, everything.max(axis=0) + 0.6
    x, y = np.meshgrid(np.linspace(low[0], high[0], 80), np.linspace(low[1], high[1], 80))
    losses = mean_loss(centres, curvatures, np.stack([x, y], axis=-1))
    axis.grid(False)
    axis.contour(x, y, losses, levels=12, colors="#b8b8b8", linewidths=0.8)
    for client, centre in enumerate(centres):
        axis.plot(*centre, "P", color="#717581", markersize=9, linestyle="none")
        axis.annotate(f"client {client}", centre, xytext=(9, 6), textcoords="offset points", fontsize=9)
    optimum = (curvatures * centres).sum(axis=0) / curvatures.sum(axis=0)
    star = {"color": "#1b1b1b", "fillstyle": "none", "markersize": 24, "linestyle": "none", "zorder": 7}
    axis.plot(*optimum, marker="*", label="optimum of all", **star)
    for (label, path), style in zip(walked.items(), _PATHS, strict=False):
        axis.plot(*path.T, label=label, markersize=4, linewidth=1.5, **style)
        axis.plot(*path[-1], style["marker"], color=style["color"], markersize=11, markeredgecolor="white", zorder=6)
    axis.set(xlabel="first weight", ylabel="second weight", aspect="equal")
    figure.legend(loc="outside right center", fontsize=9)
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


def walk_on_plane(
    rules: Mapping[str, Callable[[int, float], np.ndarray]], centres: np.ndarray, curvatures: np.ndarray
) -> None:
    """Choose a strategy, its clients' local steps and its pull, and see the path of the global model in notebook 05.

    Args:
        rules: by name; each maps local steps and mu to the path, (rounds + 1, 2).
        centres, curvatures: (clients, 2), as in `mean_loss`.
    """
    optimum = (curvatures * centres).sum(axis=0) / curvatures.sum(axis=0)

    def draw(rule: str, steps: int, mu: float) -> str:
        path = rules[rule](steps, mu)
        label = f"{rule}, {steps} local steps" + (f", μ = {mu:g}" if rule == "FedProx" else "")
        return plots.image(
            paths(centres, curvatures, {label: path}),
            alt=f"{label}: after {len(path) - 1} rounds the model is {np.linalg.norm(path[-1] - optimum):.3f} from the "
            "optimum of all clients.",
        )

    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(rules), description="strategy"),
            "steps": slider("local steps", 10, 1, 60),
            "mu": ipywidgets.SelectionSlider(
                options=[0.0, 0.1, 0.3, 1.0, 3.0],
                value=1.0,
                description="μ (FedProx only)",
                continuous_update=False,
                style=WIDE,
            ),
        },
    )
