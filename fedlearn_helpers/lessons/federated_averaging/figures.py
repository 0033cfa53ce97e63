"""The figures and the widgets of notebook 02."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers.experiments import ReferenceLines
from fedlearn_helpers.lessons.common.widgets import WIDE, explore, slider
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
    figure, axis = new_figure(8.5, 1.3 + 0.62 * len(names))
    for row, (models, average) in enumerate(zip(returned, averages, strict=True)):
        axis.plot(models, [row] * len(models), "|", color=_DARK, markersize=12, label=_once("a client's model", row))
        style = {"color": _FEDERATED["color"], "marker": _FEDERATED["marker"], "markersize": 11, "linestyle": "none"}
        axis.plot(average, row, label=_once("their average", row), **style)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="accuracy on the test images", ylim=(len(names) - 0.5, -0.5))
    axis.xaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=2)
    reached = "; ".join(
        f"{name}: {np.mean(models):.1%} on average before, {average:.1%} after"
        for name, models, average in zip(names, returned, averages, strict=True)
    )
    return Drawing(figure, f"Test accuracy of the clients' models before averaging, and of their average. {reached}.")


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
        label = "local only, early stopping:\nrange of the clients"
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
    for label, height, color, dash in sorted(drawn, key=lambda line: -line[1]):  # the legend in the figure's order
        axis.axhline(height, color=color, linestyle=dash, linewidth=2, label=label)
    every = "s" if local_epochs > 1 else ""
    axis.set(xlabel=f"round ({local_epochs} local epoch{every} per round)", ylabel="accuracy on the test images")
    _rounds_and_percent(axis)
    figure.legend(loc="outside right upper", fontsize=9)
    return Drawing(
        figure,
        f"Test accuracy of the federated model by round: {trained.iloc[0]:.1%} after the first, {trained.iloc[-1]:.1%} "
        f"after {trained.index[-1]} rounds. Reference lines: {'; '.join(label for label, *_ in drawn)}.",
    )


def gain_of_clients(
    alone: Sequence[float], federated: Sequence[float], *, when: str = "", limits: tuple[float, float] | None = None
) -> Drawing:
    """Draw every client's accuracy alone and with the federated model, and the gain as a segment between them.

    Args:
        alone: one accuracy per client, of its own model.
        federated: one per client, of the federated model on the same images.
        when: a title, such as "round 3".
        limits: of the accuracies, where several such figures are compared.
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
    axis.set(xlabel="client", ylabel="accuracy on own validation images", title=when, ylim=limits)
    axis.yaxis.set_major_formatter(percent)
    axis.xaxis.set_major_locator(MaxNLocator(min(len(before), 15), integer=True))
    figure.legend(loc="outside right upper", fontsize=10)
    better, worse, equal = compare_clients(before, after)
    return Drawing(
        figure,
        f"Accuracy of every client on its own validation images{', ' + when if when else ''}. With the federated model "
        f"{better} of {len(before)} clients do better than alone, {worse} worse, {equal} equally well. Federated: from "
        f"{after.min():.1%} to {after.max():.1%}; local only: from {before.min():.1%} to {before.max():.1%}.",
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
    axis.plot(rounds, validation, color=_FEDERATED["color"], linewidth=0.8, alpha=0.35)
    axis.plot([], [], color=_FEDERATED["color"], linewidth=0.8, alpha=0.6, label="one client's report")
    best = validation.argmax(axis=0)
    places = validation[best, np.arange(validation.shape[1])]
    axis.plot(
        best + 1, places, "D", color=_FEDERATED["color"], fillstyle="none", markersize=6, label="its own best round"
    )
    axis.plot(rounds, average, linewidth=2.5, markersize=4, label="average of the reports", **_marked(_FEDERATED, few))
    axis.plot(rounds, test, color=_DARK, linewidth=1.5, linestyle="--", label="test images")
    axis.axvline(kept, color=_DARK, linewidth=1, linestyle=":", label=f"best average: round {kept}")
    axis.set(xlabel="round", ylabel="accuracy", ylim=(float(np.median(validation[0])) - 0.02, None))
    _rounds_and_percent(axis)
    figure.legend(loc="outside right upper", fontsize=9)
    return Drawing(
        figure,
        f"Validation accuracy of the global model by round: each client's, and their average, which is best in round "
        f"{kept} with {average[kept - 1]:.1%}. The clients' own best rounds are {best.min() + 1} to {best.max() + 1}. "
        f"On the test images the model of round {kept} reaches {test[kept - 1]:.1%}, that of the last {test[-1]:.1%}.",
    )


def tradeoff(settings: pd.DataFrame, chosen: int | None = None) -> Drawing:
    """Draw what settings of a federation reached against what they sent.

    Args:
        settings: one row per setting: a column for each thing to choose, of which `local epochs` decides the marker and
            `share` how it is filled, if they are there; then `accuracy` (share), `megabytes` and others. The row
            numbers are written beside the points.
        chosen: a row to point out.
    """
    figure, axis = new_figure(8.5, 4.4)
    places: dict[str, str] = {}
    for row, setting in settings.iterrows():
        epochs, share = setting.get("local epochs", 1), setting.get("share", 1.0)
        label = f"{share:.0%} of the clients,\n{epochs:g} local epoch{'s' if epochs > 1 else ''}"
        marker = "o" if epochs == settings.get("local epochs", pd.Series([1])).min() else "s"
        fill = "full" if share == settings.get("share", pd.Series([1.0])).max() else "none"
        place = (setting["megabytes"], setting["accuracy"])
        style: dict[str, Any] = {"color": _FEDERATED["color"], "fillstyle": fill, "linestyle": "none"}
        axis.plot(*place, marker, markersize=9, label=None if label in places else label, **style)
        places[label] = marker
        axis.annotate(str(row), place, xytext=(10, 6), textcoords="offset points", fontsize=10)
        if row == chosen:
            axis.plot(*place, "o", color=_DARK, markersize=19, fillstyle="none", markeredgewidth=2)
    axis.set(xscale="log", xlabel="sent in all rounds, MB (logarithmic)", ylabel="accuracy on the test images")
    _round_megabytes(axis, settings["megabytes"])
    axis.yaxis.set_major_formatter(percent)
    axis.margins(0.12)
    figure.legend(loc="outside right upper", fontsize=9)
    return Drawing(figure, _in_words(settings) if chosen is None else _row_in_words(settings, chosen))


def _round_megabytes(axis: Axes, megabytes: pd.Series) -> None:
    """Set round ticks on a logarithmic axis: 1, 2, 5, 10, 20, … as far as there are points."""
    lowest, highest = float(megabytes.min()), float(megabytes.max())
    exponents = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
    ticks = [first * 10.0**exponent for exponent in exponents for first in (1, 2, 5)]
    shown = [tick for tick in ticks if lowest / 2 <= tick <= highest * 2]
    axis.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axis.minorticks_off()


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


def browse_rounds(alone: Sequence[float], by_round: np.ndarray) -> None:
    """Pick a round; see which clients its global model serves better than their own.

    Args:
        alone: one accuracy per client, of its own model.
        by_round: (rounds, clients) accuracies of the global model, from round 1 on.
    """
    everything = np.concatenate([np.ravel(alone), by_round.ravel()])
    limits = (float(everything.min()) - 0.02, float(everything.max()) + 0.02)

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
    axis.yaxis.set_major_formatter(percent)


def _once(label: str, row: int) -> str | None:
    return label if row == 0 else None
