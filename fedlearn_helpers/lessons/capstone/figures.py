"""The figures of notebook 12, and its widget: ten questions and a verdict."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.ticker import MaxNLocator

from fedlearn_helpers import decision
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.widgets import WIDE, explore
from fedlearn_helpers.plots import Drawing, new_figure, percent

_INK = "#1b1b1b"
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#3f90da", "marker": "o"},
    {"color": "#e76300", "marker": "^"},
    {"color": "#832db6", "marker": "D"},
    {"color": "#00767a", "marker": "s"},
    {"color": "#a96b59", "marker": "P"},
)
_MOST_NAMED = 16  # clients whose names fit below a figure


def explore_decision(answers: Mapping[str, str]) -> None:
    """Choose answers to the ten questions, and read the verdict with its reasons.

    Args:
        answers: at first, by the names of the questions.
    """

    def draw(**chosen: str) -> str:
        try:
            verdict = decision.decide(chosen)
        except InputError as error:
            drawing, reasons = _answers(chosen, "no verdict"), [str(error)]
        else:
            drawing, reasons = _answers(chosen, verdict.verdict), str(verdict).splitlines()[1:]
        lines = "".join(f"<li>{html.escape(reason.removeprefix('- '))}</li>" for reason in reasons)
        return f"{drawing.html()}<ul>{lines}</ul>"

    controls = {
        question.name: ipywidgets.Dropdown(
            options=list(question.answers), value=answers[question.name], description=question.name, style=WIDE
        )
        for question in decision.QUESTIONS
    }
    explore(
        draw, controls, examples=[{}, {"right": "pooled", "trust": "all", "network": "data"}, {"wanted": "statistics"}]
    )


def _answers(chosen: Mapping[str, str], verdict: str) -> Drawing:
    """Draw the answers as a row of boxes below the verdict."""
    figure, axis = new_figure(8.0, 1.5)
    for place, (name, answer) in enumerate(chosen.items()):
        row, column = divmod(place, 5)
        axis.text(column + 0.5, 1 - row, f"{name}\n{answer}", ha="center", va="center", fontsize=9, color=_INK)
    axis.set(xlim=(0, 5), ylim=(-0.5, 1.5), xticks=[], yticks=[])
    axis.set_title(verdict, fontsize=13, fontweight="bold")
    listed = ", ".join(f"{name}: {answer}" for name, answer in chosen.items())
    return Drawing(figure, f"Verdict: {verdict}. Answers: {listed}.")


def by_client(values: Mapping[str, np.ndarray], clients: Sequence[str]) -> Drawing:
    """Draw each client's accuracy by way of learning, (seeds, clients): mean and range, sorted by the first way."""
    figure, axis = new_figure(8.0, 4.2)
    first = next(iter(values.values())).mean(axis=0)
    order = np.argsort(first)
    places = np.arange(len(clients), dtype=float)
    said = []
    for (way, of), look, offset in zip(values.items(), _LOOKS, np.linspace(-0.25, 0.25, len(values)), strict=False):
        mean = of.mean(axis=0)[order]
        low, high = of.min(axis=0)[order], of.max(axis=0)[order]
        axis.vlines(places + offset, low, high, color=look["color"], linewidth=1.5, alpha=0.5)
        axis.plot(places + offset, mean, label=way, linestyle="", markersize=6, **look)
        worst = clients[order[mean.argmin()]]
        said.append(f"{way}: mean {mean.mean():.0%}, worst client {worst} with {mean.min():.0%}")
    if len(clients) <= _MOST_NAMED:
        axis.set_xticks(places, [clients[k] for k in order], rotation=40, ha="right")
    else:
        axis.set(xticks=[], xlabel=f"{len(clients)} clients, sorted by how well they do alone")
    axis.set_ylabel("accuracy on own examples")
    axis.set_title("mean and range over seeds; clients sorted by the first way", loc="left", fontsize=10)
    axis.yaxis.set_major_formatter(percent)
    figure.legend(loc="outside upper center", ncols=4, fontsize=10)
    return Drawing(figure, f"Accuracy of each client by way of learning. {'; '.join(said)}.")


def bytes_against_loss(sent: Mapping[str, int], losses: Mapping[str, Sequence[float]], start: float) -> Drawing:
    """Draw what travels against the loss after tuning: by name, bytes each way, and one loss a seed."""
    figure, axis = new_figure(7.5, 3.8)
    said = []
    for name, size in sent.items():
        of = losses[name]
        look = _LOOKS[3] if name == "full" else _LOOKS[0]
        axis.vlines(size / 1000, min(of), max(of), color=look["color"], linewidth=2, alpha=0.5)
        axis.plot(size / 1000, np.mean(of), markersize=9, linestyle="", **look)
        axis.annotate(name, (size / 1000, float(np.mean(of))), xytext=(8, 6), textcoords="offset points", fontsize=10)
        said.append(f"{name}: {size / 1000:.0f} kB, loss {np.mean(of):.2f}")
    axis.axhline(start, color=_INK, linestyle=(0, (4, 2)), linewidth=1.2, label="before tuning")
    axis.set_xscale("log")
    axis.set(xlabel="kB each way, for a client and a round", ylabel="loss, nats a character")
    axis.margins(x=0.15, y=0.15)
    figure.legend(loc="outside upper right", fontsize=10)
    return Drawing(figure, f"Loss against bytes; before tuning {start:.2f}. {'; '.join(said)}.")


def moved(path: Sequence[tuple[float, float]], control: Sequence[tuple[float, float]], name: str) -> Drawing:
    """Draw losses by epochs at home: on the text of 1623 and on the five writers' text, (epochs + 1) pairs.

    Args:
        path: of a copy that was tuned on the text of 1623.
        control: of a copy that was tuned on as much modern text.
        name: of the role.
    """
    figure, axis = new_figure(7.5, 3.6)
    epochs = range(len(path))
    there, at_home = zip(*path, strict=True)
    control_there = [one for one, _ in control]
    axis.plot(epochs, there, label="text of 1623, tuned on it", linewidth=2, linestyle="-", **_LOOKS[1])
    label = "text of 1623, tuned on modern text"
    axis.plot(epochs, control_there, label=label, linewidth=2, linestyle=":", **_LOOKS[2])
    axis.plot(epochs, at_home, label="the five writers' text, tuned on 1623", linewidth=2, linestyle="--", **_LOOKS[0])
    axis.set(xlabel="epochs at home", ylabel="loss, nats a character")
    axis.set_title(name, loc="left", fontsize=11)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    return Drawing(
        figure,
        f"Loss by epochs at home. On the text of 1623 from {there[0]:.2f} to {there[-1]:.2f}, and to "
        f"{control_there[-1]:.2f} if tuned on modern text; on the five writers' text from {at_home[0]:.2f} to "
        f"{at_home[-1]:.2f}.",
    )


def exposures(bits: Mapping[str, Sequence[float]], most: float) -> Drawing:
    """Draw exposure in bits by what was tuned, a dot for each seed, and the most there can be."""
    figure, axis = new_figure(7.5, 3.4)
    for place, (_, of) in enumerate(bits.items()):
        look = _LOOKS[place % len(_LOOKS)]
        axis.bar(place, np.mean(of), color=look["color"], alpha=0.4, width=0.6)
        axis.plot(place + np.linspace(-0.15, 0.15, len(of)), of, look["marker"], color=_INK, markersize=5)
    axis.axhline(most, color=_INK, linestyle=(0, (4, 2)), linewidth=1.2, label="first of all")
    axis.axhline(np.log2(np.e), color=_INK, linestyle=":", linewidth=1.2, label="never planted, on average")
    axis.set_xticks(range(len(bits)), list(bits))
    axis.set_ylabel("exposure, bits")
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    listed = "; ".join(f"{name} {np.mean(of):.1f}" for name, of in bits.items())
    return Drawing(figure, f"Exposure of the planted number, mean over seeds: {listed}. At most {most:.1f} bits.")
