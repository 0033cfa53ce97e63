"""The figures and the widgets of notebook 02."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.experiments import ReferenceLines
from fedlearn_helpers.lessons.common.widgets import explore, slider
from fedlearn_helpers.plots import OTHER_STYLE, STYLES, Drawing, Values, new_figure, percent

_ALONE, _FEDERATED, _CENTRALIZED = (STYLES[name] for name in ("local only", "federated", "centralized"))
_DARK = OTHER_STYLE["color"]


def attempts(names: Sequence[str], returned: Sequence[Sequence[float]], averages: Sequence[float]) -> Drawing:
    """Draw for several ways to federate the models that clients returned last, and the average of these.

    Args:
        names: one per way.
        returned: the accuracies of the clients' models, by way.
        averages: the accuracy of their average, by way.
    """
    parts = _parts([*averages, *np.concatenate([np.asarray(models) for models in returned])])
    ratios = [1, 3][-len(parts) :]
    figure, axes = new_figure(
        8.5, 1.3 + 0.62 * len(names), 1, len(parts), squeeze=False, sharey=True, width_ratios=ratios
    )
    for axis, (low, high) in zip(axes[0], parts, strict=True):
        for row, (models, average) in enumerate(zip(returned, averages, strict=True)):
            axis.plot(
                models, [row] * len(models), "|", color=_DARK, markersize=12, label=_once("a client's model", row)
            )
            style = {"color": _FEDERATED["color"], "marker": _FEDERATED["marker"], "markersize": 11}
            style |= {"linestyle": "none", "fillstyle": "none", "markeredgewidth": 2}  # a model below stays visible
            axis.plot(average, row, label=_once("their average", row), **style)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5))
        axis.xaxis.set_major_locator(MaxNLocator(7 if axis is axes[0, -1] else 1, min_n_ticks=1, steps=[1, 2, 5, 10]))
        axis.xaxis.set_major_formatter(percent)
    if len(parts) > 1:
        _break(*axes[0])
    axes[0, -1].set_xlabel("accuracy on the test images")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    reached = "; ".join(
        f"{name}: {np.mean(models):.1%} on average before, {average:.1%} after"
        for name, models, average in zip(names, returned, averages, strict=True)
    )
    return Drawing(figure, f"Test accuracy of the clients' models before averaging, and of their average. {reached}.")


def _parts(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the limits of an axis; two parts of it, if more than half of it would be empty."""
    ordered = np.sort(values)
    room = 0.015
    gaps = np.diff(ordered)
    widest = int(gaps.argmax())
    if gaps[widest] <= (ordered[-1] - ordered[0]) / 2:
        return [(ordered[0] - room, ordered[-1] + room)]
    return [(ordered[0] - room, ordered[widest] + room), (ordered[widest + 1] - room, ordered[-1] + room)]


def _break(left: Axes, right: Axes) -> None:
    """Mark two axes side by side as one whose middle is left out."""
    left.spines["right"].set_visible(False)
    right.spines["left"].set_visible(False)
    right.tick_params(axis="y", left=False, labelleft=False)
    mark: dict[str, Any] = {"marker": [(-1, -2), (1, 2)], "markersize": 9, "linestyle": "none", "color": _DARK}
    for axis, side in ((left, 1), (right, 0)):
        axis.plot([side, side], [0, 1], transform=axis.transAxes, clip_on=False, **mark)


def accuracy_by_round(per_round: pd.Series, lines: ReferenceLines, local_epochs: int) -> Drawing:
    """Draw the accuracy of the global model by round, and the reference lines, those of early stopping too.

    Args:
        per_round: accuracy on the test images by round, from round 0 (before training) on, which is not drawn.
        lines: local only and centralized, with early stopping.
        local_epochs: of a client in a round.
    """
    figure, axis = new_figure(9.0, 4.4)
    trained = per_round.iloc[1:]
    few = len(trained) <= 30
    axis.plot(trained.index, trained, label="federated", linewidth=2, markersize=5, **_marked(_FEDERATED, few))
    heights = {"as many epochs": lines}
    if lines.early_stopping is not None:
        heights["early stopping"] = lines.early_stopping
        alone = lines.early_stopping.local_test
        label = "local only, early stopping: range of the clients"
        axis.axhspan(min(alone), max(alone), color=_ALONE["color"], alpha=0.12, linewidth=0, label=label)
    dashes = dict(zip(heights, ((0, (1, 1.5)), (0, (5, 2))), strict=False))
    drawn = [
        (f"{way}, {name}: {height:.1%}", height, style["color"], dashes[name])
        for name, reached in heights.items()
        for way, height, style in (
            ("centralized", reached.centralized_test, _CENTRALIZED),
            ("local only", reached.local_test_mean, _ALONE),
        )
    ]
    for _, height, color, dash in sorted(drawn, key=lambda line: -line[1]):
        axis.axhline(height, color=color, linestyle=dash, linewidth=2)
    every = "s" if local_epochs > 1 else ""
    axis.set(xlabel=f"round ({local_epochs} local epoch{every} per round)", ylabel="accuracy on the test images")
    _rounds_and_percent(axis)
    _name_at_the_right(axis, [(label, height, color) for label, height, color, _ in drawn])
    figure.legend(loc="outside upper center", ncols=2, fontsize=9)
    return Drawing(
        figure,
        f"Test accuracy of the federated model by round: {trained.iloc[0]:.1%} after the first, {trained.iloc[-1]:.1%} "
        f"after {trained.index[-1]} rounds. Reference lines: {'; '.join(label for label, *_ in drawn)}.",
    )


def gain_of_clients(
    alone: Sequence[float],
    federated: Sequence[float],
    *,
    when: str = "",
    limits: tuple[float, float] | None = None,
    chance: float = 0.0,
) -> Drawing:
    """Draw every client's accuracy alone and with the federated model, and the gain as a segment between them.

    Args:
        alone: one accuracy per client, of its own model.
        federated: one per client, of the federated model on the same images.
        when: a title, such as "round 3".
        limits: of the accuracies, where several such figures are compared; an accuracy of the federated model below
            them is written at the edge.
        chance: two standard errors of a difference, in points; drawn as a bar for comparison if it is above 0.
    """
    before, after = np.asarray(alone), np.asarray(federated)
    clients = np.arange(len(before))
    figure, axis = new_figure(max(6.5, min(0.45 * len(before) + 4.0, 11.0)), 4.0)
    for won, style, label in (
        (after > before, _FEDERATED, "gain: better with\nthe federated model"),
        (after < before, _ALONE, "loss: better alone"),
    ):
        if won.any():
            axis.vlines(
                clients[won], before[won], after[won], color=style["color"], linewidth=4, alpha=0.5, label=label
            )
    for label, values, style in (("federated", after, _FEDERATED), ("local only,\nearly stopping", before, _ALONE)):
        axis.plot(
            clients, values, style["marker"], color=style["color"], markersize=8, markeredgecolor="white", label=label
        )
    if chance > 0:
        foot, label = float(min(before.min(), after.min())), "two standard errors\nof a difference"
        bar: dict[str, Any] = {"color": _DARK, "capsize": 4, "linewidth": 1.5, "linestyle": "none", "label": label}
        axis.errorbar([len(before)], [foot + chance / 200], [chance / 200], **bar)
    axis.set(xlabel="client", ylabel="accuracy on own validation images", title=when, ylim=limits)
    floor = limits[0] if limits else -np.inf
    for client in np.flatnonzero(after < floor):
        written: dict[str, Any] = {"color": _FEDERATED["color"], "ha": "center", "fontsize": 9}
        written["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.annotate(f"↓{after[client]:.0%}", (clients[client], floor), (0, 4), textcoords="offset points", **written)
    _percent(axis)
    step = -(-len(before) // 15)
    axis.set_xticks(clients[::step])
    figure.legend(loc="outside right upper", fontsize=10)
    better, worse, equal = compare_clients(before, after)
    return Drawing(
        figure,
        f"Accuracy of every client on its own validation images{', ' + when if when else ''}. With the federated model "
        f"{better} of {len(before)} clients do better than alone, {worse} worse, {equal} equally well. Federated: from "
        f"{after.min():.1%} to {after.max():.1%}; local only: from {before.min():.1%} to {before.max():.1%}."
        + (f" A bar shows two standard errors of a difference, {chance:.1f} points." if chance > 0 else ""),
    )


def compare_clients(alone: Values, federated: Values) -> tuple[int, int, int]:
    """Return how many clients do better with the federated model than alone, how many worse, how many the same."""
    before, after = np.asarray(alone), np.asarray(federated)
    return int((after > before).sum()), int((after < before).sum()), int((after == before).sum())


def choosing_a_round(validation: np.ndarray, average: Sequence[float], test: Sequence[float], kept: int) -> Drawing:
    """Draw by round what clients report of the global model, their average, and the accuracy on the test images.

    Args:
        validation: (rounds, clients) accuracies on validation images, from round 1 on.
        average: (rounds,) what the server makes of them.
        test: (rounds,) accuracies on the test images.
        kept: the round with the best average.
    """
    rounds = np.arange(1, len(validation) + 1)
    figure, axis = new_figure(9.0, 4.4)
    few = len(rounds) <= 30
    best = validation.argmax(axis=0)
    ways = {style["color"] for style in STYLES.values()}  # of learning: their colours mean something
    colors = [color for color in map(to_hex, matplotlib.color_sequences["petroff10"]) if color not in ways]
    for client, reports in enumerate(validation.T):
        color = colors[client % len(colors)]
        axis.plot(rounds, reports, color=color, linewidth=1.2, alpha=0.8, label=_once("one client's report", client))
        look: dict[str, Any] = {
            "color": color,
            "fillstyle": "none",
            "markersize": 7,
            "markeredgewidth": 1.5,
            "zorder": 4,
        }
        label = _once("its own best round", client)
        axis.plot(best[client] + 1, reports[best[client]], "D", linestyle="none", label=label, **look)
    axis.plot(rounds, average, linewidth=2.5, markersize=4, label="average of the reports", **_marked(_FEDERATED, few))
    axis.plot(rounds, test, color=_DARK, linewidth=1.5, linestyle="--", label="test images")
    axis.axvline(kept, color=_DARK, linewidth=1, linestyle=":", label=f"best average: round {kept}")
    axis.set(xlabel="round", ylabel="accuracy")
    _rounds_and_percent(axis)
    figure.legend(loc="outside right upper", fontsize=9)
    return Drawing(
        figure,
        f"Validation accuracy of the global model by round: each client's, and their average, which is best in round "
        f"{kept} with {average[kept - 1]:.1%}. The clients' own best rounds are {best.min() + 1} to {best.max() + 1}. "
        f"On the test images the model of round {kept} reaches {test[kept - 1]:.1%}, that of the last {test[-1]:.1%}.",
    )


PRICES = ("megabytes", "steps of all clients", "steps in a row", "rounds")


def best_for_the_price(settings: pd.DataFrame, price: str) -> list[int]:
    """Return the rows than which no cheaper and no equally cheap row is better, the cheapest first.

    Args:
        settings: one row per setting, with `accuracy` and the price.
        price: a column.
    """
    best: list[int] = []
    for row in settings.sort_values([price, "accuracy"], ascending=[True, False]).index:
        if not best or settings["accuracy"][row] > settings["accuracy"][best[-1]]:
            best.append(int(row))
    return best


def tradeoff(settings: pd.DataFrame, price: str = "megabytes") -> Drawing:
    """Draw what settings of a federation reached against what they cost, and the best that a price can buy.

    Args:
        settings: one row per setting: `local epochs` decides the marker and `share` how it is filled, if they are
            there; `accuracy` (share) and the price are drawn, and beside the point the row's number.
        price: one of `PRICES`.
    """
    figure, axis = new_figure(8.5, 5.0)
    best = best_for_the_price(settings, price)
    paid, reached = (settings.loc[best, column].tolist() for column in (price, "accuracy"))
    ring: dict[str, Any] = {"markersize": 17, "fillstyle": "none", "markeredgewidth": 1.2, "color": _DARK}
    axis.plot(paid, reached, "o", label="ringed: best for at most\nthis price", **ring)
    until = "it stays so up to\nthe next one's price"
    axis.hlines(reached[:-1], paid[:-1], paid[1:], _DARK, linewidth=1.2, linestyle="--", zorder=1, label=until)
    places: dict[str, str] = {}
    for _, setting in settings.iterrows():
        epochs, share = setting.get("local epochs", 1), setting.get("share", 1.0)
        label = f"{share:.0%} of the clients,\n{epochs:g} local epoch{'s' if epochs > 1 else ''}"
        marker = "o" if epochs == settings.get("local epochs", pd.Series([1])).min() else "s"
        fill = "full" if share == settings.get("share", pd.Series([1.0])).max() else "none"
        place = (setting[price], setting["accuracy"])
        style: dict[str, Any] = {"color": _FEDERATED["color"], "fillstyle": fill, "linestyle": "none"}
        axis.plot(*place, marker, markersize=8, label=None if label in places else label, **style)
        places[label] = marker
    axis.set(xscale="log", xlabel=f"{price} (logarithmic)", ylabel="accuracy on the clients' validation images")
    _round_numbers(axis, settings[price])
    axis.margins(y=0.08)
    _percent(axis)
    low, high = axis.get_ylim()
    for _, group in settings.groupby(price):
        ordered = group["accuracy"].sort_values()
        above = [0.025 * (high - low) if row in best else 0.0 for row in ordered.index]  # of the dashed lines
        heights = _apart((ordered + above).tolist(), 0.045 * (high - low))
        for row, height in zip(ordered.index, heights, strict=True):
            place = (settings[price][row], height)
            axis.annotate(str(row), place, (11, 0), textcoords="offset points", va="center", fontsize=10)
    figure.legend(loc="outside right upper", fontsize=9)
    bought = ", ".join(f"row {row} {settings['accuracy'][row]:.1%} for {settings[price][row]:,.4g}" for row in best)
    return Drawing(
        figure,
        f"Accuracy of {len(settings)} settings, numbered as in the table, against their price: {price}. The "
        f"best that a price can buy: {bought}.",
    )


def _round_numbers(axis: Axes, values: pd.Series) -> None:
    """Set round ticks on a logarithmic axis: 1, 2, 5, 10, 20, … as far as there are points and their names."""
    lowest, highest = float(values.min()), float(values.max())
    exponents = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
    ticks = [first * 10.0**exponent for exponent in exponents for first in (1, 2, 5)]
    span = max(highest / lowest, 2.0)
    left, right = lowest / span**0.08, highest * span**0.22
    shown = [tick for tick in ticks if left <= tick <= min(1.5 * highest, right)]
    axis.set_xticks(shown, [f"{tick:,g}" for tick in shown])
    axis.set_xlim(left, right)
    axis.minorticks_off()


def compare_settings(settings: pd.DataFrame) -> None:
    """Choose what is scarce, and see which settings of a federation are the best that this price can buy.

    Args:
        settings: as in `tradeoff`, with all of `PRICES`.
    """

    def draw(price: str) -> str:
        return tradeoff(settings, price).html()

    buttons = ipywidgets.ToggleButtons(options=list(PRICES), description="price")
    examples = [{"price": name} for name in PRICES if name != buttons.value]
    explore(draw, {"price": buttons}, examples=examples)


def browse_rounds(alone: Sequence[float], by_round: np.ndarray) -> None:
    """Pick a round; see which clients its global model serves better than their own.

    Args:
        alone: one accuracy per client, of its own model.
        by_round: (rounds, clients) accuracies of the global model, from round 1 on.
    """
    everything = np.concatenate([np.ravel(alone), by_round.ravel()])
    lowest = max(float(everything.min()), float(np.min(alone)) - 0.12)  # below it gains and losses would be specks
    limits = (lowest - 0.02, float(everything.max()) + 0.02)

    def draw(server_round: int) -> str:
        return gain_of_clients(alone, by_round[server_round - 1], when=f"round {server_round}", limits=limits).html()

    last = len(by_round)
    examples = sorted({min(3, last), max(last // 3, 1), last})
    explore(
        draw,
        {"server_round": slider("round", min(3, last), 1, last)},
        examples=[{"server_round": number} for number in examples],
    )


def _marked(style: Mapping[str, Any], few: bool) -> dict[str, Any]:
    """Return a style, without its marker where there are many points."""
    return {**style, "marker": style["marker"] if few else ""}


def _rounds_and_percent(axis: Any) -> None:
    axis.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    _percent(axis)


def _percent(axis: Axes) -> None:
    """Set ticks of whole percents, as few as are round."""
    axis.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(percent)


def _name_at_the_right(axis: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Write the names of horizontal lines beside the axes, each near its line and none on another.

    Args:
        axis: with its final limits.
        lines: of each the name, the height and the colour.
    """
    low, high = axis.get_ylim()
    lines, gap = sorted(lines, key=lambda line: line[1]), 0.06 * (high - low)
    places = _apart([height for _, height, _ in lines], gap)
    for (name, height, color), place in zip(lines, places, strict=True):
        axis.annotate(
            name,
            (1.0, height),
            (1.04, place),
            xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"),
            color=color,
            fontsize=9,
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8},
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights in ascending order, pushed apart where they are nearer than the gap."""
    places = list(heights)
    for _ in range(50):
        for lower, upper in zip(range(len(places)), range(1, len(places)), strict=False):
            push = max(gap - (places[upper] - places[lower]), 0.0) / 2
            places[lower], places[upper] = places[lower] - push, places[upper] + push
    return places


def _once(label: str, row: int) -> str | None:
    return label if row == 0 else None
