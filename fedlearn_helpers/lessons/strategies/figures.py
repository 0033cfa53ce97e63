"""The figures and the widget of notebook 05.

The first are of a plane: a model of two numbers, and clients that each want another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
from fedlearn_helpers.plots import OTHER_STYLE, STYLES, Drawing, new_figure

RULES: dict[str, dict[str, Any]] = {
    "fedavg": STYLES["federated"],
    "fedprox": {"color": "#ffa90e", "marker": "^", "linestyle": "--"},
    "scaffold": {"color": "#832db6", "marker": "s", "linestyle": "-."},
    "feddyn": {"color": "#e76300", "marker": "D", "linestyle": ":"},
    "fedavgm": {"color": "#a96b59", "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "fednova": {"color": "#b9ac70", "marker": "P", "linestyle": "--"},
    "qfedavg": {"color": "#94a4a2", "marker": "X", "linestyle": "-."},
    "fedadagrad": {"color": "#b9ac70", "marker": "<", "linestyle": "--"},
    "fedadam": {"color": "#1b1b1b", "marker": ">", "linestyle": ":"},
    "fedyogi": {"color": "#92dadd", "marker": "p", "linestyle": "-."},
}
"""One look for each strategy; blue stays FedAvg's. Labels begin with a strategy's name, however it is spelt."""
_AGAIN = {"color": "#123c69", "marker": "X", "linestyle": (0, (1, 1))}  # a second path of the same rule in one figure
_CLIENTS = ("#5b7f5b", "#8a6f9e", "#9e7f4f")  # of contours, pale
_BANDED = ("fedavg", "scaffold")  # more bands than two hide each other


def style_of_rule(label: str) -> dict[str, Any]:
    """Return the look of the strategy with whose name a label begins, such as "FedDyn, α = 0.3"."""
    return RULES.get(_rule(label), OTHER_STYLE)


def _rule(label: str) -> str:
    return label.split(",")[0].replace("-", "").lower()


def mean_loss(centres: np.ndarray, curvatures: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the mean over clients of (1/2) sum_j a_kj (w_j - b_kj)^2.

    Args:
        centres: (clients, 2), b.
        curvatures: (clients, 2), a.
        w: (..., 2), one model or many.
    """
    return (curvatures * (w[..., None, :] - centres) ** 2).sum(axis=-1).mean(axis=-1) / 2


def paths_on_plane(centres: np.ndarray, curvatures: np.ndarray, paths: Mapping[str, np.ndarray]) -> Drawing:
    """Draw paths of global models: on the left the whole plane with the clients' losses, on the right the last steps.

    A path that goes four times as far from the optimum as the farthest client is drawn up to there.

    Args:
        centres, curvatures: (clients, 2), as in `mean_loss`.
        paths: by label, (rounds + 1, 2) the global model after every round.
    """
    figure, (whole, near) = new_figure(9.4, 5.0, 1, 2)
    optimum = (curvatures * centres).sum(axis=0) / curvatures.sum(axis=0)
    far = 4 * float(np.linalg.norm(centres - optimum, axis=1).max())
    left = {label: _first_beyond(far, path - optimum) for label, path in paths.items()}
    inside = {label: path[: left[label]] for label, path in paths.items()}
    staying = {label: path for label, path in paths.items() if left[label] is None}
    styles = _styles_of(paths)
    for axis in (whole, near):
        for place, (label, path) in enumerate(paths.items()):
            look = {"markersize": 5, "linewidth": 1.6, "zorder": 3 - place / 10, **styles[label]}
            leaves = "" if label in staying else f": leaves the plane in round {left[label]}"
            axis.plot(*path[: len(inside[label]) + 1].T, label=label + leaves, **look)
        star = {"color": "#1b1b1b", "fillstyle": "none", "markersize": 20, "linestyle": "none", "zorder": 7}
        axis.plot(*optimum, marker="*", label="optimum of all", **star)
        axis.grid(False)
    _draw_clients(whole, centres, curvatures, inside=np.concatenate([centres, *inside.values()]))
    reach = _reach(optimum, staying)
    for place, (label, path) in enumerate(staying.items()):  # smaller and smaller: two at one place are both seen
        end = {**styles[label], "linestyle": "none", "markersize": max(16 - 3 * place, 7), "markeredgecolor": "#1b1b1b"}
        near.plot(*path[-1], **end, zorder=6 + place / 10)
    near.set(xlim=(optimum[0] - reach, optimum[0] + reach), ylim=(optimum[1] - reach, optimum[1] + reach))
    _draw_loss(near, centres, curvatures)
    frame = Rectangle(tuple(optimum - reach), 2 * reach, 2 * reach, fill=False, linestyle="--", edgecolor="#1b1b1b")
    whole.add_patch(frame)
    whole.set(title="the plane, and each client's own contours", ylabel="second weight")
    near.set(title="the dashed square: large marks are the last round")
    for axis in (whole, near):
        axis.set(xlabel="first weight", aspect="equal")
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    columns = 3 if len(staying) == len(paths) else 2
    figure.legend(
        *whole.get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=9, borderaxespad=0.0
    )
    return Drawing(
        figure,
        alt=f"The plane of two weights with {len(centres)} clients, the optimum of all, and the global model after "
        "every round. "
        + " ".join(
            f"{label}: after {len(path) - 1} rounds the model is {np.linalg.norm(path[-1] - optimum):.3f} from the "
            "optimum of all clients."
            if label in staying
            else f"{label}: the model leaves the plane in round {left[label]}."
            for label, path in paths.items()
        ),
    )


def _styles_of(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the look of every label; the second of a rule has another mark and line."""
    found: dict[str, dict[str, Any]] = {}
    for label in labels:
        style = style_of_rule(label)
        used = any(_rule(other) == _rule(label) for other in found)
        found[label] = {**style, **_AGAIN} if used else style
    return found


def _first_beyond(far: float, way: np.ndarray) -> int | None:
    """Return the first round in which a path (rounds + 1, 2), seen from the optimum, is farther away; or None."""
    beyond = ~(np.linalg.norm(way, axis=1) <= far)  # what is not a number is, too
    return int(beyond.argmax()) if beyond.any() else None


def _reach(optimum: np.ndarray, paths: Mapping[str, np.ndarray]) -> float:
    """Return half the width of a square around the optimum that has the last round of every path in it."""
    ends = np.array([optimum, *(path[-1] for path in paths.values())])
    return float(np.clip(1.5 * np.abs(ends - optimum).max(), 0.25, 2.5))


def _draw_clients(axis: Axes, centres: np.ndarray, curvatures: np.ndarray, *, inside: np.ndarray) -> None:
    """Draw each client's optimum and two contours of its loss, in a frame that has all of these points (n, 2) in it."""
    low, high = inside.min(axis=0) - 1.1, inside.max(axis=0) + 1.1
    x, y = np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120))
    places = np.stack([x, y], axis=-1)
    for client, (centre, curvature) in enumerate(zip(centres, curvatures, strict=True)):
        color = _CLIENTS[client % len(_CLIENTS)]
        losses = (curvature * (places - centre) ** 2).sum(axis=-1) / 2
        axis.contour(x, y, losses, levels=[0.08, 0.3], colors=color, linewidths=1.1, alpha=0.8)
        axis.plot(*centre, "+", color=color, markersize=10, markeredgewidth=2, linestyle="none")
        axis.annotate(f"client {client}", centre, xytext=(8, 8), textcoords="offset points", fontsize=9, color=color)
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def _draw_loss(axis: Axes, centres: np.ndarray, curvatures: np.ndarray) -> None:
    """Draw the contours of the mean loss in the frame that the axis has."""
    x, y = np.meshgrid(np.linspace(*axis.get_xlim(), 80), np.linspace(*axis.get_ylim(), 80))
    losses = mean_loss(centres, curvatures, np.stack([x, y], axis=-1))
    axis.contour(x, y, losses, levels=8, colors="#b8b8b8", linewidths=0.8)


def explore_plane(
    rules: Mapping[str, Callable[[int, float], np.ndarray]], centres: np.ndarray, curvatures: np.ndarray
) -> None:
    """Choose a strategy, its clients' local steps and their learning rate, and see the path beside FedAvg's.

    Args:
        rules: by name, FedAvg among them; each maps local steps and learning rate to the path, (rounds + 1, 2).
        centres, curvatures: (clients, 2), as in `mean_loss`.
    """

    def draw(rule: str, steps: int, rate: float) -> str:
        names = dict.fromkeys(["FedAvg", rule])
        paths = {f"{name}, {steps} local steps, rate {rate:g}": rules[name](steps, rate) for name in names}
        return paths_on_plane(centres, curvatures, paths).html()

    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(rules), description="strategy", style=WIDE),
            "steps": slider("local steps", 10, 1, 60),
            "rate": ipywidgets.SelectionSlider(
                options=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
                value=0.2,
                description="learning rate",
                continuous_update=False,
                style=WIDE,
            ),
        },
        examples=[
            {"rule": "SCAFFOLD", "rate": 0.02},
            {"rule": "SCAFFOLD", "steps": 40},
            {"rule": "FedNova", "steps": 40},
        ],
    )


def distance_by_round(distances: Mapping[str, np.ndarray], first_near: Mapping[str, int | str], near: float) -> Drawing:
    """Draw how far global models are from the optimum, round by round.

    Args:
        distances: by strategy, (rounds + 1,).
        first_near: by strategy, the first round whose distance is below `near`, or "never".
        near: a distance.
    """
    figure, axis = new_figure(7.5, 4.4)
    for name, distance in distances.items():
        style = style_of_rule(name)
        axis.plot(distance, label=name, linewidth=1.8, markersize=6, markevery=5, **style)
    axis.axhline(near, color="#1b1b1b", linewidth=0.8, label=f"{near:g}: near")
    axis.set(xlabel="round", ylabel="distance to the optimum", yscale="log")
    axis.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return Drawing(
        figure,
        alt=f"Distance to the optimum by round for {len(distances)} server steps, with one local step. First round "
        f"within {near:g} of it: {', '.join(f'{name} {number}' for name, number in first_near.items())}.",
    )


def accuracy_by_round(rounds: pd.DataFrame, lines: pd.DataFrame) -> Drawing:
    """Draw test accuracy by round: a row per partition, a column per rate, a curve per strategy; two with bands.

    Args:
        rounds: with the columns `strategy`, `partition`, `rate`, `seed`, `round` and `test_accuracy`.
        lines: the reference lines, with the columns `strategy`, `partition`, `rate` and `test_accuracy`.
    """
    partitions, rates = (list(dict.fromkeys(rounds[name])) for name in ("partition", "rate"))
    size = (1.2 + 4.0 * len(rates), 0.9 + 3.6 * len(partitions))
    figure, axes = new_figure(*size, len(partitions), len(rates), sharex=True, sharey=True, squeeze=False)
    alts = []
    for (partition, rate), axis in zip(product(partitions, rates), axes.flat, strict=True):
        here = rounds[(rounds["partition"] == partition) & (rounds["rate"] == rate)]
        for name in dict.fromkeys(here["strategy"]):
            values = here[here["strategy"] == name].pivot(index="seed", columns="round", values="test_accuracy")
            style, x = style_of_rule(name), values.columns
            every = max(len(x) // 8, 1)
            if name in _BANDED:
                axis.fill_between(x, values.min(), values.max(), color=style["color"], alpha=0.2, linewidth=0)
            axis.plot(x, values.mean(), label=name, linewidth=1.8, markersize=5, markevery=every, **style)
            if len(x):
                alts.append(f"On {partition} with rate {rate:g} {name} ends at {values.mean().iloc[-1]:.1%}.")
        for name in ("local only", "centralized"):
            line = lines[(lines["strategy"] == name) & (lines["partition"] == partition)]
            if len(line):
                label = f"{name} (rate {line['rate'].max():g})"  # one for both panels
                height = line["test_accuracy"].mean()
                axis.axhline(height, label=label, linewidth=1.5, **{**STYLES[name], "marker": ""})
        axis.set(title=f"{partition}, client rate {rate:g}")
        axis.yaxis.set_major_formatter(plots.percent)
        axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    for axis in axes[-1]:
        axis.set_xlabel("round")
    for axis in axes[:, 0]:
        axis.set_ylabel("test accuracy")
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    banded = " and ".join(name for name in _BANDED if name in handles)
    handles[f"{banded}: all seeds"] = Rectangle((0, 0), 1, 1, color="#717581", alpha=0.3, linewidth=0)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)
    return Drawing(figure, alt="Test accuracy by round, mean over the seeds. " + " ".join(alts))


def accuracy_by_rate(late: pd.DataFrame, chosen: Mapping[tuple[str, str], float]) -> Drawing:
    """Draw what each strategy reaches by the clients' learning rate: a panel per partition, the tuned rates ringed.

    Args:
        late: with the columns `strategy`, `partition`, `rate`, `seed` and `late`, an accuracy.
        chosen: by partition and strategy, the rate that validation chose.
    """
    partitions = list(dict.fromkeys(late["partition"]))
    figure, axes = new_figure(2.2 + 4.8 * len(partitions), 4.8, 1, len(partitions), sharey=True, squeeze=False)
    alts = []
    rates = sorted(set(late["rate"]))
    for axis, partition in zip(axes[0], partitions, strict=True):
        here = late[late["partition"] == partition]
        for name in dict.fromkeys(here["strategy"]):
            values = here[here["strategy"] == name].pivot(index="seed", columns="rate", values="late")[rates]
            style, means = style_of_rule(name), values.mean()
            axis.fill_between(rates, values.min(), values.max(), color=style["color"], alpha=0.1, linewidth=0)
            axis.plot(rates, means, label=name, linewidth=1.8, markersize=6, **style)
            best = chosen[partition, name]
            axis.plot(best, means[best], "o", color=style["color"], fillstyle="none", markersize=14, markeredgewidth=2)
            alts.append(f"{name}: {', '.join(f'{means[rate]:.1%} at {rate:g}' for rate in rates)}, tuned to {best:g}.")
        axis.set(title=partition, xlabel="learning rate of the clients", xscale="log")
        axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter(plots.percent)
        axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes[0][0].set_ylabel("test accuracy, last rounds (band: all seeds)")
    axes[0][0].plot([], [], "o", color="#1b1b1b", fillstyle="none", markersize=14, label="chosen on validation images")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return Drawing(figure, alt="Test accuracy of the last rounds by the clients' learning rate. " + " ".join(alts))


def paired_differences(points: pd.DataFrame) -> Drawing:
    """Draw differences to FedAvg: a panel per comparison, a column of marks per strategy, a mark per seed.

    Args:
        points: of test accuracy above FedAvg's with the same seed. One column per strategy, and there may be none;
            rows by comparison (such as "rate 0.1") and seed, as index.
    """
    names = list(dict.fromkeys(points.index.get_level_values(0)))
    figure, axes = new_figure(1.4 + 2.7 * len(names), 3.9, 1, len(names), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        here, line = points.loc[name], STYLES["federated"]
        axis.axhline(0, color=line["color"], linewidth=1.5, label="FedAvg with the same seed")
        for place, rule in enumerate(here.columns):
            style = style_of_rule(rule)
            axis.plot([place] * len(here), here[rule], "o", color=style["color"], fillstyle="none", markersize=7)
            axis.plot(place, here[rule].mean(skipna=False), "D", color="#1b1b1b", markersize=6)
        axis.set_xticks(range(len(here.columns)), here.columns, rotation=60, ha="right")
        axis.set(title=name, xlim=(-0.6, len(here.columns) - 0.4))
        axis.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    first = axes[0][0]
    first.plot([], [], "o", color="#717581", fillstyle="none", markersize=7, label="one seed")
    first.plot([], [], "D", color="#1b1b1b", markersize=6, linestyle="none", label="mean of the seeds")
    first.set_ylabel("points above FedAvg")
    if points.columns.empty:
        return Drawing(figure, alt="No strategy besides FedAvg was run.")
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    of_seeds = points.groupby(level=0)
    means = of_seeds.mean().where(of_seeds.count().eq(of_seeds.size(), axis=0)).T  # nan where a seed has no accuracy
    return Drawing(
        figure,
        alt="Paired differences to FedAvg in points, one mark per seed. "
        + " ".join(
            f"{name}: from {means[name].min():+.1f} ({means[name].idxmin()}) to "
            f"{means[name].max():+.1f} ({means[name].idxmax()}) on average."
            for name in names
        ),
    )


def mean_and_worst_client(by_q: pd.DataFrame, partition: str) -> Drawing:
    """Draw the accuracy of the mean and of the worst client by q: a thin line per seed, a thick one for their mean.

    Args:
        by_q: with the columns `q`, `seed`, `mean` and `worst`, a row per q and seed.
        partition: the name of the partition.
    """
    q_values: Sequence[float] = sorted(set(by_q["q"]))
    of_seeds = {
        column: by_q.pivot(index="seed", columns="q", values=column)[q_values].to_numpy()
        for column in ("mean", "worst")
    }
    figure, axis = new_figure(6.4, 4.4)
    for label, column, style in (
        ("mean of the clients", "mean", STYLES["federated"]),
        ("worst client", "worst", {**OTHER_STYLE, "marker": "D"}),
    ):
        thin = {**style, "linewidth": 0.9, "markersize": 3, "alpha": 0.6}
        for number, values in enumerate(of_seeds[column]):
            axis.plot(q_values, values, label=f"{label}, one seed" if number == 0 else None, **thin)
        axis.plot(q_values, of_seeds[column].mean(axis=0), label=label, linewidth=2.5, markersize=8, **style)
    axis.set(xlabel="q", ylabel="accuracy on own validation images", title=partition)
    axis.set_xticks(q_values)
    axis.yaxis.set_major_formatter(plots.percent)
    axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return Drawing(
        figure,
        alt=f"Accuracy by q on {partition}, mean and a line for each of {len(of_seeds['mean'])} seeds. "
        + " ".join(
            f"q {q:g}: mean of the clients {mean:.1%}, worst client {worst:.1%}."
            for q, mean, worst in zip(
                q_values, of_seeds["mean"].mean(axis=0), of_seeds["worst"].mean(axis=0), strict=True
            )
        ),
    )
