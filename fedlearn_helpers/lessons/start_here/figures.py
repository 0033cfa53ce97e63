"""The figures and the widget of notebook 00."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from fedlearn_helpers.lessons.common.widgets import explore, slider
from fedlearn_helpers.plots import STYLES, Drawing, curves, new_figure

TrainLocally = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""Maps weights, x, y and a number of steps to new weights."""

_DATA = "#ffa90e"
_MODEL = STYLES["federated"]["color"]
_INK = "#1b1b1b"
_CLIENT_X = (0.18, 0.5, 0.82)
_SERVER_Y, _CLIENT_Y = 0.80, 0.22


def three_ways() -> Drawing:
    """Draw the three places to train: all data in one centre, gradients sent, weights sent."""
    figure, axes = new_figure(11, 4.0, 1, 3)
    titles = ("1. One data centre", "2. Distributed training", "3. Federated learning")
    captions = ("the data move", "gradients move, at every step", "weights move, once per round")
    for axis, title, caption in zip(axes, titles, captions, strict=True):
        _blank(axis, title)
        axis.text(0.5, -0.04, caption, ha="center", va="top", style="italic")
    _node(axes[0], 0.5, _SERVER_Y, "data centre", data=True, model=True)
    for x in _CLIENT_X:
        _node(axes[0], x, _CLIENT_Y, "source", data=True, model=False)
        _arrow(axes[0], (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _DATA, "data" if x == 0.5 else "")
    for axis, what in ((axes[1], "gradients"), (axes[2], "weights")):
        _node(axis, 0.5, _SERVER_Y, "server", data=False, model=True)
        for x in _CLIENT_X:
            _node(axis, x, _CLIENT_Y, "worker" if what == "gradients" else "client", data=True, model=True)
            _arrow(axis, (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _MODEL, what if x == 0.5 else "", both=True)
    return Drawing(
        figure,
        "Three diagrams. In one data centre, three sources send their data to the centre, which holds the model. In "
        "distributed training and in federated learning every worker or client keeps its data and a copy of the model; "
        "gradients travel at every step in the first, weights once per round in the second.",
    )


def one_round() -> Drawing:
    """Draw the four steps of a round of federated averaging."""
    figure, axes = new_figure(12, 3.9, 1, 4)
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
        axis.text(0.5, -0.04, captions[step], ha="center", va="top", style="italic")
        _node(axis, 0.5, _SERVER_Y, servers[step], data=False, model=True, highlight=step == 3)
        names = clients[step].split() * (3 if step == 0 else 1)
        for x, name in zip(_CLIENT_X, names, strict=True):
            _node(axis, x, _CLIENT_Y, name, data=True, model=True, highlight=step == 1)
            if step == 0:
                _arrow(axis, (0.5, _SERVER_Y - 0.13), (x, _CLIENT_Y + 0.13), _MODEL)
            elif step == 2:
                _arrow(axis, (x, _CLIENT_Y + 0.13), (0.5, _SERVER_Y - 0.13), _MODEL)
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
    figure, (left, right) = new_figure(11, 4.2, 1, 2)
    span = np.array([min(map(np.min, clients_x)) - 0.2, max(map(np.max, clients_x)) + 0.2])
    for client, (x, y) in enumerate(zip(clients_x, clients_y, strict=True)):
        marks = {"marker": _client_marker(client), "markersize": 7, "fillstyle": "none"}
        left.plot(x, y, color=_INK, linestyle="none", label=f"points of client {client}", **marks)
        slope, intercept = local_only[client]  # the line of this client, with its marks at both ends
        style = {**STYLES["local only"], **marks, "label": "local only" if client == len(clients_x) - 1 else None}
        left.plot(span, slope * span + intercept, lw=2, **style)
    for name, (slope, intercept) in (("federated", federated), ("centralized", centralized)):
        left.plot(span, slope * span + intercept, lw=2, label=name, **{**STYLES[name], "marker": ""})
    left.set(xlabel="x", ylabel="y", title=f"Lines after {len(errors) - 1} rounds")
    left.legend(fontsize=9)
    right.plot(errors, label="federated", **STYLES["federated"])
    alone, pooled = float(np.mean([error_of(line) for line in local_only])), error_of(centralized)
    for name, height in (("local only", alone), ("centralized", pooled)):
        label = f"{name}, mean of {len(local_only)}" if name == "local only" else name
        right.axhline(height, lw=2, label=label, **{**STYLES[name], "marker": ""})
    right.set(xlabel="round", ylabel="mean squared error on all points", title="Error of the global line")
    right.set(yscale="log")
    right.legend(fontsize=9)
    return Drawing(
        figure,
        f"Left: the points of {len(clients_x)} clients, the line that each finds alone, the federated and the "
        f"centralized line. Right: the error of the federated line on all points goes from {errors[0]:.2f} to "
        f"{errors[-1]:.2f} in {len(errors) - 1} rounds; the centralized line has {pooled:.2f}, the clients alone "
        f"{alone:.2f} on average.",
    )


def errors_by_steps(errors: Mapping[int, Sequence[float]], centralized_error: float) -> Drawing:
    """Draw the error of the toy's global line by round, a curve for each number of local steps.

    Args:
        errors: by number of local steps, the error before the first and after every round.
        centralized_error: the error of the best line for all points together.
    """
    *others, most = map(str, errors)
    first, last = (
        ", ".join(f"{path[when]:.{digits}f} with {_in_words(steps)}" for steps, path in errors.items())
        for when, digits in ((1, 2), (-1, 3))
    )
    return Drawing(
        curves(
            {f"federated, {_in_words(steps)}": (range(len(path)), path) for steps, path in errors.items()},
            xlabel="round",
            ylabel="mean squared error on all points",
            lines={"centralized": centralized_error},
            log=True,
        ),
        f"Error by round for {', '.join(others)} and {most} local steps. After the first round: {first}; after "
        f"{len(next(iter(errors.values()))) - 1} rounds: {last}; centralized: {centralized_error:.3f}.",
    )


class RoundMap:
    """One round of the toy federation, as a map of all lines: slope to the right, intercept upwards.

    Args:
        clients_x, clients_y: the points of each client.
        train_locally: maps weights, x, y and a number of steps to new weights.
        start: (slope, intercept) of the global model when the round begins.
        local_steps: steps of each client.
        weights: how much each client counts in the average, >= 0, not all zero.

    Attributes:
        average: (slope, intercept) of the new global model.
    """

    def __init__(
        self,
        clients_x: Sequence[np.ndarray],
        clients_y: Sequence[np.ndarray],
        train_locally: TrainLocally,
        start: np.ndarray,
        local_steps: int,
        weights: Sequence[float],
    ) -> None:
        self._start, self._local_steps, self._weights = start, local_steps, weights
        self._paths = []
        for x, y in zip(clients_x, clients_y, strict=True):
            path = [np.asarray(start, dtype=float)]
            for _ in range(local_steps):
                path.append(train_locally(path[-1], x, y, 1))
            self._paths.append(np.array(path))
        self.average = np.average([path[-1] for path in self._paths], axis=0, weights=weights)
        self._x, self._y = np.concatenate(clients_x), np.concatenate(clients_y)
        self._best = np.polyfit(self._x, self._y, deg=1)

    def drawing(self, step: int) -> Drawing:
        """Draw the round up to step 1 (send), 2 (train) or 3 (average)."""
        return Drawing(self._draw(step), self._describe(step))

    def _draw(self, step: int) -> Figure:
        figure, axis = new_figure(7.5, 4.8)
        ends = np.concatenate([*self._paths, [self._best]])
        low, high = ends.min(axis=0) - 0.4, ends.max(axis=0) + 0.4
        slopes, intercepts = (np.linspace(a, b, 60) for a, b in zip(low, high, strict=True))
        errors = np.array([[self._error((slope, intercept)) for slope in slopes] for intercept in intercepts])
        levels = np.geomspace(1.3 * errors.min() + 1e-6, errors.max() + 1e-5, 8)  # close together near the lowest
        lines = axis.contour(slopes, intercepts, errors, levels=levels, colors="#a0a0a0", linewidths=1)
        axis.clabel(lines, fontsize=8, fmt="%.2g", colors="#606060")
        axis.plot(*self._best, label="centralized", markersize=10, **{**STYLES["centralized"], "linestyle": "none"})
        if step >= 2:
            for client, path in enumerate(self._paths):
                axis.plot(*path.T, color=STYLES["local only"]["color"], marker=".", lw=1.5)
                axis.plot(
                    *path[-1],
                    _client_marker(client),
                    color=_INK,
                    markersize=9,
                    fillstyle="none",
                    label=f"client {client}",
                )
        if step == 3:
            for path in self._paths:
                axis.plot(*np.array([path[-1], self.average]).T, ":", color=STYLES["federated"]["color"], lw=2)
            axis.plot(*self.average, label="new global model", markersize=11, **STYLES["federated"])
        axis.plot(*self._start, "*", color=_INK, markersize=13, label="global model, sent to all")
        axis.set(xlabel="slope", ylabel="intercept", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axis.set_title(f"Error on all points, and one round with {_in_words(self._local_steps)}", fontsize=11)
        axis.legend(loc="best", fontsize=9, framealpha=0.9)
        return figure

    def _describe(self, step: int) -> str:
        sent = f"The server sends slope {self._start[0]:.2f}, intercept {self._start[1]:.2f} to every client."
        if step == 1:
            return sent
        ends = "; ".join(f"client {k} to {path[-1][0]:.2f}, {path[-1][1]:.2f}" for k, path in enumerate(self._paths))
        moved = f"{sent} In {_in_words(self._local_steps)} the clients move: {ends}."
        if step == 2:
            return moved
        weights = ", ".join(f"{weight:g}" for weight in self._weights)
        return (
            f"{moved} The server averages them, counting {weights}: slope {self.average[0]:.2f}, intercept "
            f"{self.average[1]:.2f}, with error {self._error(self.average):.2f} on all points; the centralized line "
            f"has {self._error(self._best):.2f}."
        )

    def _error(self, line: np.ndarray | tuple[float, float]) -> float:
        return float(np.mean((line[0] * self._x + line[1] - self._y) ** 2))


def _in_words(steps: int) -> str:
    return f"{steps} local step{'' if steps == 1 else 's'}"


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


def explore_one_round(
    clients_x: Sequence[np.ndarray],
    clients_y: Sequence[np.ndarray],
    train_locally: TrainLocally,
    start: np.ndarray,
    *,
    local_steps: int,
) -> None:
    """Step through one round of the toy federation: the server sends, clients move, the server averages.

    Args:
        clients_x, clients_y: the points of each client.
        train_locally: maps weights, x, y and a number of steps to new weights.
        start: (slope, intercept) at the start of the round.
        local_steps: where the slider stands at first.
    """

    def draw(step: str, steps: int, **counts: int) -> str:
        picture = RoundMap(clients_x, clients_y, train_locally, start, steps, tuple(counts.values()))
        return picture.drawing(_STEPS.index(step) + 1).html()

    controls: dict[str, ipywidgets.Widget] = {
        "step": ipywidgets.ToggleButtons(options=_STEPS, value=_STEPS[-1], description="stage"),
        "steps": slider("local steps", local_steps, 1, 50),
    }
    for client, x in enumerate(clients_x):
        controls[f"client_{client}"] = slider(f"client {client} counts", len(x), 0 if client else 1, 20)
    only_one = {f"client_{client}": 0 for client in range(1, len(clients_x))}
    explore(draw, controls, examples=[{"step": _STEPS[0]}, {"steps": 50}, only_one])
