"""The figures and the widget of notebook 00."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from fedlearn_helpers import plots
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.lessons.common.widgets import explore, slider
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.plots import STYLES, Drawing, new_figure
from fedlearn_helpers.training import Evaluation

TrainLocally = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""Maps weights, x, y and a number of steps to new weights."""

_DATA = "#ffa90e"
_MODEL = STYLES["federated"]["color"]
_INK = "#1b1b1b"
_CLIENT_X = (0.18, 0.5, 0.82)
_SERVER_Y, _CLIENT_Y = 0.80, 0.22


def three_ways() -> Drawing:
    """Draw where data and models are: one machine, many machines of one data centre, the owners' own machines."""
    figure, axes = new_figure(11, 4.6, 1, 3)
    titles = ("1. One machine", "2. Distributed training", "3. Federated learning")
    captions = (
        "the data move, once",
        "the data move, once; then gradients\nmove inside, at every step",
        "no data move; weights move,\nonce per round",
    )
    for axis, title, caption in zip(axes, titles, captions, strict=True):
        _blank(axis, title)
        axis.text(0.5, -0.07, caption, ha="center", va="top", style="italic")
    _node(axes[0], 0.5, _SERVER_Y, "machine", data=True, model=True)
    for x in _CLIENT_X:
        _node(axes[0], x, _CLIENT_Y, "owner", data=True, model=False)
        _arrow(axes[0], (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _DATA, "data" if x == 0.5 else "")
    _data_centre(axes[1])
    _node(axes[2], 0.5, _SERVER_Y, "server", data=False, model=True)
    for x in _CLIENT_X:
        _node(axes[2], x, _CLIENT_Y, "owner", data=True, model=True)
        label = "weights" if x == 0.5 else ""
        _arrow(axes[2], (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _MODEL, label, both=True)
    _explain_marks(figure)
    return Drawing(
        figure,
        "Three diagrams. On one machine: three owners send their data to one machine, which has the model. In "
        "distributed training: three owners send their data to one data centre, in which the data are spread over "
        "workers that exchange gradients at every step. In federated learning: the owners keep their data; they and "
        "a server exchange weights, once per round.",
    )


def _explain_marks(figure: Figure) -> None:
    """Say what squares and circles in boxes are."""
    handles = [
        Line2D([], [], color=color, marker=marker, markeredgecolor=_INK, markersize=10, linestyle="none", label=label)
        for color, marker, label in ((_DATA, "s", "data"), (_MODEL, "o", "a copy of the model"))
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def _data_centre(axis: Axes) -> None:
    """Draw a data centre with three workers, and below it the owners whose data it was given."""
    axis.add_patch(
        FancyBboxPatch((0.02, 0.3), 0.96, 0.68, boxstyle="round,pad=0.01", fc="#f2f2f2", ec=_INK, ls="--", lw=1.2)
    )
    axis.text(0.05, 0.93, "one data centre", fontsize=9, va="center")
    _node(axis, 0.5, 0.84, "server", data=False, model=True)
    for x in _CLIENT_X:
        _node(axis, x, 0.43, "worker", data=True, model=True)
        _arrow(axis, (x, 0.55), (0.5, 0.72), _MODEL, "gradients" if x == 0.5 else "", both=True)
        axis.add_patch(
            FancyBboxPatch((x - 0.1, -0.02), 0.2, 0.16, boxstyle="round,pad=0.01", fill=False, ec=_INK, lw=1.2)
        )
        axis.text(x, 0.105, "owner", ha="center", va="center", fontsize=9)
        axis.add_patch(FancyBboxPatch((x - 0.025, 0.0), 0.05, 0.055, boxstyle="square,pad=0", fc=_DATA, ec=_INK))
        _arrow(axis, (x, 0.15), (x, 0.31), _DATA, "data" if x == 0.5 else "")


def one_round() -> Drawing:
    """Draw the four steps of a round of federated averaging."""
    figure, axes = new_figure(12, 4.3, 1, 4)
    titles = ("1. Send", "2. Train", "3. Return", "4. Average")
    captions = (
        "the server sends the\nglobal model to clients",
        "each client trains it\non its own data",
        "each client returns its\nmodel, not its data",
        "the server averages them:\nthe new global model",
    )
    clients = ("w", "w₁ w₂ w₃", "w₁ w₂ w₃", "w₁ w₂ w₃")
    servers = ("w", "w", "w₁ w₂ w₃", "new w")
    for step, axis in enumerate(axes):
        _blank(axis, titles[step])
        axis.text(0.5, -0.06, captions[step], ha="center", va="top", style="italic")
        for name, height in (("server", _SERVER_Y + 0.16), ("clients", _CLIENT_Y - 0.18)):
            axis.text(0.5, height, name, ha="center", va="center", fontsize=10, color="#606060")
        _node(axis, 0.5, _SERVER_Y, servers[step], data=False, model=True, highlight=step == 3)
        names = clients[step].split() * (3 if step == 0 else 1)
        for x, name in zip(_CLIENT_X, names, strict=True):
            _node(axis, x, _CLIENT_Y, name, data=True, model=True, highlight=step == 1)
            if step == 0:
                _arrow(axis, (0.5, _SERVER_Y - 0.13), (x, _CLIENT_Y + 0.13), _MODEL)
            elif step == 2:
                _arrow(axis, (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _MODEL)
    _explain_marks(figure)
    return Drawing(
        figure,
        "The four steps of a round. One: the server sends its model w to three clients. Two: each client trains its "
        "copy on its own data, which gives w1, w2 and w3. Three: the clients return these models; the data stay. "
        "Four: the server averages them into the new global model.",
    )


def line_fits(
    clients_x: Sequence[np.ndarray],
    clients_y: Sequence[np.ndarray],
    local_only: Sequence[np.ndarray],
    federated: np.ndarray,
    centralized: np.ndarray,
    errors: Sequence[float],
    error_of: Callable[[np.ndarray], float],
) -> Drawing:
    """Draw the toy federation: points and lines on the left, the federated error by round on the right.

    Args:
        clients_x, clients_y: the points of each client.
        local_only: (slope, intercept) that each client finds alone.
        federated, centralized: (slope, intercept).
        errors: the federated line's error before the first and after every round.
        error_of: the error of a line on the points of all clients.
    """
    figure, (left, right) = new_figure(11, 4.6, 1, 2)
    span = np.array([min(map(np.min, clients_x)) - 0.2, max(map(np.max, clients_x)) + 0.2])
    for client, (x, y) in enumerate(zip(clients_x, clients_y, strict=True)):
        marks = {"marker": _client_marker(client), "markersize": 7, "fillstyle": "none"}
        left.plot(x, y, color=_INK, linestyle="none", label=f"points of client {client}", **marks)
    for client, (slope, intercept) in enumerate(local_only):
        label = "local only" if client == 0 else None
        left.plot(span, slope * span + intercept, lw=2, label=label, **{**STYLES["local only"], "marker": ""})
    ends = [line[0] * span[0] + line[1] for line in local_only]  # on the left the lines are far apart
    for client, height in zip(np.argsort(ends), _apart(sorted(ends)), strict=True):
        style = {"color": STYLES["local only"]["color"], "fontsize": 9, "ha": "right", "va": "center"}
        left.text(span[0] - 0.05, height, f"client {client}\nalone", **style)
    for name, (slope, intercept) in (("federated", federated), ("centralized", centralized)):
        left.plot(span, slope * span + intercept, lw=2, label=name, **{**STYLES[name], "marker": ""})
    left.set(xlabel="x", ylabel="y", title=f"Lines after {_rounds(len(errors) - 1)}", xlim=(span[0] - 0.6, span[1]))
    right.plot(errors, label="federated", **STYLES["federated"])
    alone, pooled = float(np.mean([error_of(line) for line in local_only])), error_of(centralized)
    for name, height in (("local only", alone), ("centralized", pooled)):
        label = f"{name}, mean of {len(local_only)}" if name == "local only" else name
        right.axhline(height, lw=2, label=label, **{**STYLES[name], "marker": ""})
    right.set(xlabel="round", ylabel="mean squared error on all points", title="Error of the global line")
    right.set(yscale="log")
    right.xaxis.get_major_locator().set_params(integer=True)
    for axis in (left, right):
        axis.legend(fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return Drawing(
        figure,
        f"Left: the points of {len(clients_x)} clients, the line that each finds alone, the federated and the "
        f"centralized line. Right: the error of the federated line on all points goes from {errors[0]:.2f} to "
        f"{errors[-1]:.2f} in {_rounds(len(errors) - 1)}; the centralized line has {pooled:.2f}, the clients alone "
        f"{alone:.2f} on average.",
    )


def errors_by_steps(
    errors: Mapping[int, Sequence[float]], centralized_error: float, resting: Mapping[int, float]
) -> Drawing:
    """Draw how far the toy's global line is above the lowest error, a curve for each number of local steps.

    Args:
        errors: by number of local steps, the error before the first and after every round.
        centralized_error: the error of the best line for all points together.
        resting: by number of local steps, the error where rounds change nothing any more.
    """
    figure, axis = new_figure(7.5, 4.6)
    shades, markers = ("#9cc9f0", STYLES["federated"]["color"], "#1b4f7f"), "o^D"
    floor = max(1e-6, 0.5 * min(min(path) - centralized_error for path in errors.values()))
    for number, (steps, path) in enumerate(errors.items()):
        above = np.maximum(np.array(path) - centralized_error, floor)
        style = {"color": shades[number % 3], "marker": markers[number % 3], "markersize": 5}
        axis.plot(above, lw=2, label=f"federated, {_in_words(steps)}", **style)
        rest = resting[steps] - centralized_error
        if rest > floor:
            axis.axhline(rest, color=style["color"], lw=1, ls="--")
    hidden = [_in_words(steps) for steps, rest in resting.items() if rest - centralized_error <= floor]
    below = f" (with {', '.join(hidden)}: at 0,\nwhich this axis does not have)" if hidden else ""
    axis.plot([], [], color=STYLES["federated"]["color"], lw=1, ls="--", label=f"where it comes to rest{below}")
    axis.set(yscale="log", xlabel="round", ylabel="error above that of the centralized line")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9)
    rounds = len(next(iter(errors.values()))) - 1
    at_first, at_last, at_rest = (
        ", ".join(f"{value - centralized_error:.4f} with {_in_words(steps)}" for steps, value in values.items())
        for values in (
            {steps: path[1] for steps, path in errors.items()},
            {steps: path[-1] for steps, path in errors.items()},
            resting,
        )
    )
    return Drawing(
        figure,
        f"How far the error lies above the centralized line's, by round. After the first round: {at_first}; after "
        f"{_rounds(rounds)}: {at_last}; at rest: {at_rest}.",
    )


class RoundMap:
    """One round of the toy federation, as a map of all lines: slope to the right, intercept upwards.

    Args:
        clients_x, clients_y: the points of each client.
        train_locally: maps weights, x, y and a number of steps to new weights.
        start: (slope, intercept) of the global model before the first round.
        local_steps: steps that each client takes.
        weights: what each client counts for in the average, such as its number of examples.
        round_number: the round that is drawn, 1 for the first; the earlier ones are drawn as a path.

    Attributes:
        average: the new global model, after that round.
        path: (round_number + 1, 2) the global models from the first to the new one.
    """

    def __init__(
        self,
        clients_x: Sequence[np.ndarray],
        clients_y: Sequence[np.ndarray],
        train_locally: TrainLocally,
        start: np.ndarray,
        local_steps: int,
        weights: Sequence[float],
        round_number: int = 1,
    ) -> None:
        self._local_steps, self._weights, self._round = local_steps, weights, round_number
        models = [np.asarray(start, dtype=float)]
        for _ in range(round_number):
            self._paths = []
            for x, y in zip(clients_x, clients_y, strict=True):
                path = [models[-1]]
                for _ in range(local_steps):
                    path.append(train_locally(path[-1], x, y, 1))
                self._paths.append(np.array(path))
            models.append(np.average([path[-1] for path in self._paths], axis=0, weights=weights))
        self.path, self.average = np.array(models), models[-1]
        self._start = models[-2]
        self._x, self._y = np.concatenate(clients_x), np.concatenate(clients_y)
        self._best = _best_line(self._x, self._y)
        self._own_best = [_best_line(x, y) for x, y in zip(clients_x, clients_y, strict=True)]

    def drawing(self, step: int) -> Drawing:
        """Draw the round up to step 1 (send), 2 (train) or 3 (average)."""
        return Drawing(self._draw(step), self._describe(step))

    def _draw(self, step: int) -> Figure:
        figure, axis = new_figure(8.6, 4.8)
        ends = np.concatenate([*self._paths, self.path, [self._best], self._own_best])
        low, high = ends.min(axis=0) - 0.4, ends.max(axis=0) + 0.4
        slopes, intercepts = (np.linspace(a, b, 60) for a, b in zip(low, high, strict=True))
        errors = np.array([[self._error((slope, intercept)) for slope in slopes] for intercept in intercepts])
        levels = [level for level in _LEVELS if errors.min() < level < errors.max()] or [errors.max()]
        lines = axis.contour(slopes, intercepts, errors, levels=levels, colors="#a0a0a0", linewidths=1)
        axis.clabel(lines, fontsize=8, fmt="%g", colors="#606060")
        self._draw_marks(axis, step)
        if self._round > 1:
            self._draw_zoom(axis, step, high - low)
        axis.set(xlabel="slope", ylabel="intercept", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axis.set_title(
            f"Round {self._round} with {_in_words(self._local_steps)}; grey: error on all points", fontsize=11
        )
        figure.legend(loc="outside right upper", fontsize=9)
        return figure

    def _draw_marks(self, axis: Axes, step: int) -> None:
        cross = {"marker": "X", "linestyle": "none", "markersize": 10}  # squares are client 1's
        axis.plot(*self._best, label="centralized", **{**STYLES["centralized"], **cross})
        for client, line in enumerate(self._own_best):
            style = {"color": STYLES["local only"]["color"], "markersize": 9, "linestyle": "none"}
            axis.plot(*line, marker=_client_marker(client), label=f"best line of client {client} alone", **style)
        if self._round > 1:
            style = {**STYLES["federated"], "marker": ".", "lw": 1.5}
            axis.plot(*self.path[:-1].T, label="global models of earlier rounds", **style)
        if step >= 2:
            for client, path in enumerate(self._paths):
                label = "local steps" if client == 0 else None
                axis.plot(*path.T, color=STYLES["local only"]["color"], marker=".", lw=1.5, label=label)
            for client, path in enumerate(self._paths):
                style = {"color": _INK, "markersize": 9, "fillstyle": "none", "linestyle": "none"}
                axis.plot(*path[-1], marker=_client_marker(client), label=f"client {client} returns", **style)
        if step == 3:
            averaged = [path for path, weight in zip(self._paths, self._weights, strict=True) if weight > 0]
            for number, path in enumerate(averaged):
                label = "averaged" if number == 0 else None
                ends = np.array([path[-1], self.average]).T
                axis.plot(*ends, ":", color=STYLES["federated"]["color"], lw=2, label=label)
            behind = {"linestyle": "none", "markersize": 11, "zorder": 1.9}  # behind all other marks
            axis.plot(*self.average, label="new global model", **{**STYLES["federated"], **behind})
        style = {"color": _INK, "markersize": 14, "fillstyle": "none", "linestyle": "none"}
        axis.plot(*self._start, "*", label="global model, sent to all", **style)

    def _draw_zoom(self, axis: Axes, step: int, size: np.ndarray) -> None:
        """Draw the round larger in the upper right corner, where its steps are small on the map."""
        near = np.concatenate([*self._paths, [self._start, self.average, self._best]])
        low, high = near.min(axis=0), near.max(axis=0)
        margin = 0.15 * (high - low).max()
        if (high - low < size / 5).all():
            inset = axis.inset_axes((0.6, 0.61, 0.38, 0.36))
            self._draw_marks(inset, step)
            x, y = zip(low - margin, high + margin, strict=True)
            inset.set(xlim=x, ylim=y, xticks=[], yticks=[])
            axis.indicate_inset_zoom(inset, edgecolor=_INK)

    def _describe(self, step: int) -> str:
        sent = (
            f"Round {self._round}. The server sends slope {self._start[0]:.2f}, intercept {self._start[1]:.2f} to "
            "every client."
        )
        if step == 1:
            return sent
        ends = "; ".join(f"client {k} to {path[-1][0]:.2f}, {path[-1][1]:.2f}" for k, path in enumerate(self._paths))
        goals = "; ".join(f"client {k} {line[0]:.2f}, {line[1]:.2f}" for k, line in enumerate(self._own_best))
        moved = f"{sent} In {_in_words(self._local_steps)} the clients move: {ends}. Their own best lines: {goals}."
        if step == 2:
            return moved
        weights = ", ".join(f"{weight:g}" for weight in self._weights)
        return (
            f"{moved} The server averages them, counting {weights}: slope {self.average[0]:.2f}, intercept "
            f"{self.average[1]:.2f}, with error {self._error(self.average):.3f} on all points; the centralized line "
            f"has {self._error(self._best):.3f}."
        )

    def _error(self, line: np.ndarray | tuple[float, float]) -> float:
        return float(np.mean((line[0] * self._x + line[1] - self._y) ** 2))


def _best_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return slope and intercept of the line with the lowest mean squared error on some points."""
    return np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y)[0]


def _apart(heights: Sequence[float], gap: float = 0.9) -> list[float]:
    """Return rising heights, each moved up until it is a gap above the one before, so that labels can be read."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    return moved


_LEVELS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def _in_words(steps: int) -> str:
    return f"{steps} local step{'' if steps == 1 else 's'}"


def _rounds(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"


def _client_marker(client: int) -> str:
    """Return the marker of a client, the same in every drawing."""
    return "^sDPXv"[client % 6]


def _blank(axis: Axes, title: str) -> None:
    axis.set(xlim=(0, 1), ylim=(-0.16, 1), title=title)
    axis.axis("off")


def _node(axis: Axes, x: float, y: float, label: str, *, data: bool, model: bool, highlight: bool = False) -> None:
    """Draw a box with a label; a barrel of data (square) and a model (circle) stand in it where it has them."""
    edge = _MODEL if highlight else _INK
    axis.add_patch(
        FancyBboxPatch(
            (x - 0.12, y - 0.11), 0.24, 0.22, boxstyle="round,pad=0.01", fill=False, ec=edge, lw=3 if highlight else 1.2
        )
    )
    axis.text(x, y + 0.05, label, ha="center", va="center", fontsize=10)
    places = [x - 0.05, x + 0.05] if data and model else [x, x]
    if data:
        axis.add_patch(
            FancyBboxPatch((places[0] - 0.03, y - 0.085), 0.06, 0.07, boxstyle="square,pad=0", fc=_DATA, ec=_INK)
        )
    if model:
        axis.add_patch(Circle((places[1], y - 0.05), 0.036, fc=_MODEL, ec=_INK))


def _arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], color: str, label: str = "", both: bool = False
) -> None:
    style = "<|-|>" if both else "-|>"
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=14, color=color, lw=2))
    if label:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        axis.text(*middle, label, ha="center", va="center", fontsize=10, bbox={"fc": "white", "ec": "none", "pad": 1.5})


_STEPS = ("1. send", "2. train", "3. average")
_MOST_ROUNDS = 30


def explore_rounds(
    clients_x: Sequence[np.ndarray],
    clients_y: Sequence[np.ndarray],
    train_locally: TrainLocally,
    start: np.ndarray,
    *,
    local_steps: int,
) -> None:
    """Step through the rounds of the toy federation: the server sends, clients move, the server averages.

    Args:
        clients_x, clients_y: the points of each client.
        train_locally: maps weights, x, y and a number of steps to new weights.
        start: (slope, intercept) before the first round.
        local_steps: where the slider stands at first.
    """

    def draw(round_number: int, step: str, steps: int, **counts: int) -> str:
        weights = tuple(counts.values())
        picture = RoundMap(clients_x, clients_y, train_locally, start, steps, weights, round_number)
        return picture.drawing(_STEPS.index(step) + 1).html()

    controls: dict[str, ipywidgets.Widget] = {
        "round_number": slider("round", 1, 1, _MOST_ROUNDS),
        "step": ipywidgets.ToggleButtons(options=_STEPS, value=_STEPS[-1], description="stage"),
        "steps": slider("local steps", local_steps, 1, 50),
    }
    for client, x in enumerate(clients_x):
        controls[f"client_{client}"] = slider(f"client {client} counts", len(x), 0 if client else 1, 20)
    for control in controls.values():
        if isinstance(control, ipywidgets.IntSlider):
            control.layout.width = "30em"  # wide enough to hit a number
    only_one = {f"client_{client}": 0 for client in range(1, len(clients_x))}
    later = [{}, {"steps": 50}, only_one]
    explore(draw, controls, examples=[{"round_number": 8} | settings for settings in later])


# The federation of images

_SHOWN = 6  # test images whose predictions are followed
FOUND = 0.98  # correlation of pixels above which an image counts as found; two different ones rarely have as much
_SHADES = ("#a96b59", "#92dadf", "#832db6", "#e76300", "#94a4a2", "#b9ac70", "#1b1b1b", "#ffa90e")
"""Of a class that a model says instead of the true one, which is blue; the marker is the class's in both cases."""
_CLASS_MARKERS = "o" + plots.MORE_MARKERS + "X*h"


def images_of_clients(data: ImageDataset, shards: Sequence[Shard], each: int = 8) -> Drawing:
    """Draw the first training images of the first clients, a row for each."""
    clients = list(enumerate(shards))[:4]
    figure, axes = new_figure(0.8 * each + 1, 0.85 * len(clients), len(clients), each, squeeze=False)
    for row, (client, shard) in zip(axes, clients, strict=True):
        for axis in row:
            axis.axis("off")
        for axis, index in zip(row, shard.train, strict=False):
            plots.draw_image(axis, data.train_images[index].cpu().numpy())
        row[0].text(-0.2, 0.5, f"client {client}", transform=row[0].transAxes, ha="right", va="center", fontsize=10)
    names = ", ".join(data.class_names)
    return Drawing(figure, f"The first training images of {len(clients)} clients. The classes are {names}.")


class Watch:
    """What the server measures after every round: shown while the federation runs, and kept for later figures.

    Args:
        data: the images; test images of different classes are shown.
        num_rounds: of the federation.
    """

    def __init__(self, data: ImageDataset, num_rounds: int) -> None:
        self._data, self._num_rounds = data, num_rounds
        _, first = np.unique(data.test_labels.cpu().numpy(), return_index=True)
        self._shown = np.sort(first)[:_SHOWN].tolist()  # of different classes
        self.results: dict[int, Evaluation] = {}
        self._handle: Any = None

    @property
    def accuracies(self) -> list[float]:
        """Accuracy on the test images, before the first and after every round."""
        return [result.accuracy for result in self.results.values()]

    def add(self, round_number: int, result: Evaluation) -> None:
        """Keep what was measured after a round, and draw it in place of the picture before."""
        self.results[round_number] = result
        picture = self.drawing(round_number)
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)

    def drawing(self, round_number: int) -> Drawing:
        """Draw the accuracy up to a round, and what the model of that round says to the first test images."""
        figure, axes = new_figure(10, 3.6, 2, 2 + _SHOWN // 2, width_ratios=[2, 0.01, 1, 1, 1])
        grid = axes[0, 0].get_gridspec()
        for axis in axes.flat:
            axis.axis("off")
        curve: Any = figure.add_subplot(grid[:, 0])
        shown = [self.results[number].accuracy for number in range(round_number + 1)]
        curve.plot(shown, label="federated", **STYLES["federated"])
        curve.set(xlim=(-0.5, self._num_rounds + 0.5), ylim=(0, 1), xlabel="round", title="accuracy on test images")
        curve.yaxis.set_major_formatter(plots.percent)
        curve.xaxis.get_major_locator().set_params(integer=True)
        places = zip(axes[:, 2:].flat, self._shown, strict=False)
        right = sum(self._draw_guess(axis, number, round_number) for axis, number in places)
        figure.suptitle(f"After {_rounds(round_number)}: {shown[-1]:.1%}", fontsize=12)
        return Drawing(
            figure,
            f"After {_rounds(round_number)} the global model is right on {shown[-1]:.1%} of the test images; at first "
            f"on {shown[0]:.1%}. Of {len(self._shown)} test images it gets {right} right.",
        )

    def _draw_guess(self, axis: Axes, number: int, round_number: int) -> bool:
        data, result = self._data, self.results[round_number]
        guess, label = int(result.predictions[number]), int(data.test_labels[number])
        plots.draw_image(axis, data.test_images[number].cpu().numpy())
        said = data.class_names[guess] if guess >= 0 else "nothing"
        color = _INK if guess == label else STYLES["local only"]["color"]
        title = f"✓ {said}" if guess == label else f"✗ {said}, not {data.class_names[label]}"
        axis.set_title(title, fontsize=9, color=color)
        return guess == label

    def before_and_after(self) -> Drawing:
        """Draw test images with what the model says to them before the first, after one and after all rounds."""
        rounds = sorted({0, min(1, self._num_rounds), self._num_rounds})
        data = self._data
        count = len(self._shown)
        figure, axes = new_figure(1.75 * count, 1.5 + 0.3 * len(rounds), 1, count, squeeze=False)
        for number, axis in zip(self._shown, axes[0], strict=True):
            axis.axis("off")
            label = int(data.test_labels[number])
            plots.draw_image(axis, data.test_images[number].cpu().numpy())
            axis.set_title(f"true: {data.class_names[label]}", fontsize=9)
            for line, when in enumerate(rounds):
                result = self.results[when]
                guess = int(result.predictions[number])
                said = data.class_names[guess] if guess >= 0 else "nothing"
                text = f"{when}: {'✓' if guess == label else '✗'} {said} ({float(result.confidences[number]):.0%})"
                color = _INK if guess == label else STYLES["local only"]["color"]
                axis.text(0, -0.1 - 0.2 * line, text, transform=axis.transAxes, va="top", fontsize=8.5, color=color)
        figure.suptitle("round: what the global model says (how sure it is)", fontsize=10)
        labels = data.test_labels[self._shown].cpu()
        hits = [int((self.results[when].predictions[self._shown] == labels).sum()) for when in rounds]
        told = ", ".join(f"{hit} right after {_rounds(when)}" for when, hit in zip(rounds, hits, strict=True))
        return Drawing(
            figure, f"{count} test images of different classes and what the global model says to them: {told}."
        )

    def answers(self, label: int) -> Drawing:
        """Draw what the model calls the test images of a class, round by round: the class and its three rivals."""
        data, rounds = self._data, list(self.results)
        mine = (data.test_labels == label).cpu().numpy()
        said = np.array([self.results[number].predictions.cpu().numpy()[mine] for number in rounds])
        shares = np.array([(said == guess).mean(axis=1) for guess in range(data.num_classes)])
        others = [guess for guess in np.argsort(-shares[:, -1], kind="stable").tolist() if guess != label]
        figure, axis = new_figure(7, 3.6)
        for guess in [label, *others[:3]]:
            name = f"{'✓' if guess == label else '✗'} {data.class_names[guess]}"
            look = STYLES["federated"] if guess == label else {"color": _SHADES[guess % len(_SHADES)], "ls": "--"}
            look = {**look, "marker": _CLASS_MARKERS[guess % len(_CLASS_MARKERS)]}
            axis.plot(rounds, shares[guess], label=name, markersize=6, **look)
        axis.set(xlabel="round", ylabel="share of the images", ylim=(-0.03, 1.03))
        axis.set_title(f"What the global model calls a {data.class_names[label]}", fontsize=11)
        axis.yaxis.set_major_formatter(plots.percent)
        axis.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize=9)
        told = ", ".join(f"{shares[guess, -1]:.0%} {data.class_names[guess]}" for guess in [label, *others[:3]])
        return Drawing(
            figure,
            f"What the global model calls the test images of the class {data.class_names[label]}, round by round. "
            f"After {_rounds(rounds[-1])}: {told}.",
        )

    def most_confused(self) -> tuple[int, int, float]:
        """Return the class that is most often taken for another after the last round, that class, and how often."""
        labels = self._data.test_labels.cpu().numpy()
        said = list(self.results.values())[-1].predictions.cpu().numpy()
        classes = range(self._data.num_classes)
        shares = {
            (label, guess): float((said[labels == label] == guess).mean())
            for label in classes
            for guess in classes
            if guess != label and (labels == label).any()
        }
        label, guess = max(shares, key=shares.__getitem__)
        return label, guess, shares[label, guess]

    def explore(self) -> None:
        """Let a class be chosen; pages show the two that are most confused, and the one that is least often right."""
        names, labels = self._data.class_names, self._data.test_labels.cpu()
        label, guess, _ = self.most_confused()
        right = list(self.results.values())[-1].predictions.cpu() == labels
        present = labels.unique().tolist()
        hardest = min(present, key=lambda one: float(right[labels == one].float().mean()))
        control = ipywidgets.Dropdown(options=names, value=names[label], description="true class")
        pages = [{"name": names[one]} for one in dict.fromkeys((label, guess, hardest))]
        explore(lambda name: self.answers(names.index(name)).html(), {"name": control}, examples=pages)


def together_and_alone(
    epochs: Sequence[int], federated: Sequence[float], alone: np.ndarray, centralized: Sequence[float]
) -> Drawing:
    """Draw accuracy by passes over the own images: the federation, each client alone, and all images in one place.

    Args:
        epochs: passes over the own images.
        federated: accuracy then.
        alone: (clients, epochs) accuracy of each client's own model.
        centralized: of one model trained on the images of all.
    """
    figure, axis = new_figure(8, 4.6)
    red = STYLES["local only"]
    for client, row in enumerate(alone):
        label = f"local only, each of {len(alone)} clients" if client == 0 else None
        axis.plot(epochs, row, color=red["color"], lw=0.8, alpha=0.5, label=label)
    for name, label, values in (
        ("local only", "local only, their mean", alone.mean(axis=0)),
        ("federated", "federated", federated),
        ("centralized", "centralized: all images in one place", centralized),
    ):
        axis.plot(epochs, values, lw=2, label=label, markersize=6, **STYLES[name])
    axis.set(xlabel="passes over the own images", ylabel="accuracy on test images")
    if len(epochs) <= 20:
        axis.set_xticks(epochs)
    axis.yaxis.set_major_formatter(plots.percent)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9)
    ends = alone[:, -1]
    return Drawing(
        figure,
        f"Accuracy on test images by passes over the own images, from {epochs[0]} to {epochs[-1]}. At the end: "
        f"federated {federated[-1]:.1%}, each client alone from {ends.min():.1%} to {ends.max():.1%}, centralized "
        f"{centralized[-1]:.1%}.",
    )


def images_from_weights(true: np.ndarray, results: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Drawing:
    """Draw a client's images, and below them what a server computes from weights after some numbers of steps.

    Args:
        true: (n, channels, height, width) in [-1, 1].
        results: by number of steps, what `most_similar` returns. Images that are found get a frame.
    """
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = {"in the client": (true, np.zeros(len(true), dtype=bool))}
    for steps, (pictures, found) in results.items():
        name = f"after {steps} step{'' if steps == 1 else 's'}:\n{found.sum()} of {len(true)} found"
        rows[name] = pictures.reshape(true.shape), found
    figure, axes = new_figure(1.05 * len(true) + 1.3, 1.05 * len(rows), len(rows), len(true), squeeze=False)
    for row, (name, (pictures, found)) in zip(axes, rows.items(), strict=True):
        for axis, picture, is_found in zip(row, pictures, found, strict=True):
            plots.draw_image(axis, (127.5 * (np.clip(picture, -1, 1) + 1)).astype(np.uint8))
            axis.grid(False)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color=_DATA, linewidth=4, visible=bool(is_found))
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
    told = ", ".join(f"{found.sum()} after {steps}" for steps, (_, found) in results.items())
    return Drawing(
        figure,
        f"{len(true)} images of a client, and below each the most similar picture that a server computes from the "
        f"weights that the client returns. Those that are found have a frame. Found, by local steps: {told}.",
    )


def most_similar(pictures: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for every true image the most similar picture, and whether it is similar enough to count as found.

    Args:
        pictures: (m, pixels) what was computed; values that no pixel has are cut off.
        true: (n, pixels) in [-1, 1].
    """
    similar = _centred(np.clip(pictures, -1, 1)) @ _centred(true).T
    return pictures[similar.argmax(axis=0)], similar.max(axis=0) > FOUND


def _centred(images: np.ndarray) -> np.ndarray:
    """Return images without their means and of length 1, so that their products are correlations."""
    rows = images - images.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
