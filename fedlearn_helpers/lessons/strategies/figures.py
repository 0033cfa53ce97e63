"""The plane of notebook 05: a model of two numbers, clients that each want another one, and paths of strategies."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

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
