"""The figures and the widget of notebook 05.

The first are of a plane: a model of two numbers, and clients that each want another.
"""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.plots import OTHER_STYLE, STYLES, Drawing, new_figure

_PATHS = (
    {"color": STYLES["federated"]["color"], "marker": "o", "linestyle": "-"},
    {"color": "#bd1f01", "marker": "^", "linestyle": "--"},
    {"color": "#832db6", "marker": "s", "linestyle": "-."},
    {"color": OTHER_STYLE["color"], "marker": "D", "linestyle": ":"},
)


def mean_loss(centres: np.ndarray, curvatures: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the mean over clients of (1/2) sum_j a_kj (w_j - b_kj)^2.

    Args:
        centres: (clients, 2), b.
        curvatures: (clients, 2), a.
        w: (..., 2), one model or many.
    """
    return (curvatures * (w[..., None, :] - centres) ** 2).sum(axis=-1).mean(axis=-1) / 2


def paths_on_plane(centres: np.ndarray, curvatures: np.ndarray, paths: Mapping[str, np.ndarray]) -> Drawing:
    """Draw the contours of the mean loss, each client's own optimum, that of all, and paths of global models.

    Args:
        centres, curvatures: (clients, 2), as in `mean_loss`.
        paths: by label, (rounds + 1, 2) the global model after every round.
    """
    figure, axis = new_figure(8.6, 5.4)
    _draw_loss(axis, centres, curvatures, inside=np.concatenate([centres, *paths.values()]))
    for client, centre in enumerate(centres):
        axis.plot(*centre, "P", color="#717581", markersize=9, linestyle="none")
        axis.annotate(f"client {client}", centre, xytext=(9, 6), textcoords="offset points", fontsize=9)
    optimum = (curvatures * centres).sum(axis=0) / curvatures.sum(axis=0)
    star = {"color": "#1b1b1b", "fillstyle": "none", "markersize": 24, "linestyle": "none", "zorder": 7}
    axis.plot(*optimum, marker="*", label="optimum of all", **star)
    for (label, path), style in zip(paths.items(), _PATHS, strict=False):
        axis.plot(*path.T, label=label, markersize=4, linewidth=1.5, **style)
        axis.plot(*path[-1], style["marker"], color=style["color"], markersize=11, markeredgecolor="white", zorder=6)
    axis.set(xlabel="first weight", ylabel="second weight", aspect="equal")
    figure.legend(loc="outside right center", fontsize=9)
    return Drawing(
        figure,
        alt=f"The plane of two weights with {len(centres)} clients, the optimum of all, and the global model after "
        "every round. "
        + " ".join(
            f"{label}: after {len(path) - 1} rounds the model is {np.linalg.norm(path[-1] - optimum):.3f} from the "
            "optimum of all clients."
            for label, path in paths.items()
        ),
    )


def _draw_loss(axis: Axes, centres: np.ndarray, curvatures: np.ndarray, *, inside: np.ndarray) -> None:
    """Draw the contours of the mean loss around the points (n, 2) that must be inside."""
    low, high = inside.min(axis=0) - 0.6, inside.max(axis=0) + 0.6
    x, y = np.meshgrid(np.linspace(low[0], high[0], 80), np.linspace(low[1], high[1], 80))
    losses = mean_loss(centres, curvatures, np.stack([x, y], axis=-1))
    axis.grid(False)
    axis.contour(x, y, losses, levels=12, colors="#b8b8b8", linewidths=0.8)


def explore_plane(
    rules: Mapping[str, Callable[[int, float], np.ndarray]], centres: np.ndarray, curvatures: np.ndarray
) -> None:
    """Choose a strategy, its clients' local steps and its pull, and see the path of the global model.

    Args:
        rules: by name; each maps local steps and mu to the path, (rounds + 1, 2).
        centres, curvatures: (clients, 2), as in `mean_loss`.
    """

    def draw(rule: str, steps: int, mu: float) -> str:
        label = f"{rule}, {steps} local steps" + (f", μ = {mu:g}" if rule == "FedProx" else "")
        return paths_on_plane(centres, curvatures, {label: rules[rule](steps, mu)}).html()

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
        examples=[{"rule": rule, "steps": 40} for rule in rules],
    )


def distance_by_round(distances: Mapping[str, np.ndarray], first_near: Mapping[str, int | str], near: float) -> Drawing:
    """Draw how far global models are from the optimum, in every second of the first rounds.

    Args:
        distances: by strategy, (rounds + 1,).
        first_near: by strategy, the first round whose distance is below `near`, or "never".
        near: a distance.
    """
    shown = range(0, min(41, *(len(distance) for distance in distances.values())), 2)
    figure = plots.curves(
        {name: (shown, np.maximum(distance[list(shown)], 1e-3)) for name, distance in distances.items()},
        xlabel="round",
        ylabel="distance to the optimum",
        log=True,
    )
    return Drawing(
        figure,
        alt=f"Distance to the optimum by round for {len(distances)} server steps, with one local step. First round "
        f"within {near:g} of it: {', '.join(f'{name} {number}' for name, number in first_near.items())}.",
    )


def accuracy_of_strategies(table: pd.DataFrame) -> Drawing:
    """Draw the test accuracy of every strategy: a panel per partition, a row per strategy, a mark per seed.

    Args:
        table: with the columns `strategy`, `partition`, `seed` and `test_accuracy`; FedAvg among the strategies, and
            the reference lines.
    """
    of_seeds = table[~table["strategy"].isin(STYLES)].groupby(["partition", "strategy"])["test_accuracy"]
    mean = of_seeds.mean().where(of_seeds.count() == of_seeds.size())  # nan where a seed has no accuracy
    return Drawing(
        plots.comparison(table.rename(columns={"strategy": "algorithm", "partition": "scenario"}), "test_accuracy"),
        alt="Accuracy on the test images of every strategy: a panel per partition, a mark per seed. "
        + " ".join(
            f"On {name} the best mean is {mean[name].max():.1%} ({mean[name].idxmax()}), "
            f"FedAvg's {mean[name, 'fedavg']:.1%}."
            for name in dict.fromkeys(table["partition"])
        ),
    )


def paired_differences(points: pd.DataFrame) -> Drawing:
    """Draw differences to FedAvg: a panel per partition, a column of marks per strategy, a mark per seed.

    Args:
        points: of test accuracy above FedAvg's with the same seed. One column per strategy, and there may be none;
            rows by partition and seed, as index.
    """
    partitions = list(dict.fromkeys(points.index.get_level_values("partition")))
    figure, axes = new_figure(1.4 + 3.1 * len(partitions), 3.8, 1, len(partitions), sharey=True, squeeze=False)
    for axis, partition in zip(axes[0], partitions, strict=True):
        here, style = points.loc[partition], STYLES["federated"]
        axis.axhline(0, color=STYLES["centralized"]["color"], linewidth=1.5)
        for place, name in enumerate(here.columns):
            axis.plot([place] * len(here), here[name], style["marker"], color=style["color"], fillstyle="none")
            axis.plot(place, here[name].mean(skipna=False), "D", color="#1b1b1b", markersize=6)
        axis.set_xticks(range(len(here.columns)), here.columns, rotation=60, ha="right")
        axis.set(title=partition)
    axes[0][0].set_ylabel("points of test accuracy above FedAvg")
    if points.columns.empty:
        return Drawing(figure, alt="No strategy besides FedAvg was run.")
    of_seeds = points.groupby("partition")
    means = of_seeds.mean().where(of_seeds.count().eq(of_seeds.size(), axis=0)).T  # nan where a seed has no accuracy
    return Drawing(
        figure,
        alt="Paired differences to FedAvg in points, one mark per seed. "
        + " ".join(
            f"On {name}: from {means[name].min():+.1f} ({means[name].idxmin()}) to "
            f"{means[name].max():+.1f} ({means[name].idxmax()}) on average."
            for name in partitions
        ),
    )


def mean_and_worst_client(by_q: pd.DataFrame, partition: str) -> Drawing:
    """Draw the accuracy of the mean and of the worst client by q, as a mean and a range over seeds.

    Args:
        by_q: with the columns `q`, `seed`, `mean` and `worst`, a row per q and seed.
        partition: the name of the partition.
    """
    q_values: Sequence[float] = sorted(set(by_q["q"]))
    of_seeds = {
        column: by_q.pivot(index="seed", columns="q", values=column)[q_values].to_numpy()
        for column in ("mean", "worst")
    }
    figure = plots.curves(
        {
            "federated, mean of the clients": (q_values, of_seeds["mean"]),
            "worst client": (q_values, of_seeds["worst"]),
        },
        xlabel="q",
        ylabel="accuracy on own validation images",
    )
    return Drawing(
        figure,
        alt=f"Accuracy by q on {partition}, mean and range over {len(of_seeds['mean'])} seeds. "
        + " ".join(
            f"q {q:g}: mean of the clients {mean:.1%}, worst client {worst:.1%}."
            for q, mean, worst in zip(
                q_values, of_seeds["mean"].mean(axis=0), of_seeds["worst"].mean(axis=0), strict=True
            )
        ),
    )
