"""Controls to play with, in notebooks that run: each redraws one figure, with its alt text.

A saved notebook shows nothing of a widget, so every notebook has a static figure in the cell before it.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from IPython.display import display

from fedlearn_helpers import partition, plots
from fedlearn_helpers.availability.devices import Devices, Late
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import diagrams
from fedlearn_helpers.lessons.strategies import figures as landscapes
from fedlearn_helpers.partition.heterogeneity import class_counts, heterogeneity

_STEPS = ("1. send", "2. train", "3. average")
_SHOWN = 12


def explore(draw: Callable[..., str], controls: Mapping[str, ipywidgets.Widget]) -> None:
    """Show controls, and below them what `draw` returns for their values.

    The picture is the value of an HTML widget. An Output widget, which catches what is displayed, would make
    papermill and nbconvert wait for ever now and then (https://github.com/jupyter/nbclient/issues/312).

    Args:
        draw: called with the controls' values by name, at first and after every change; returns HTML.
        controls: by the names of `draw`'s arguments.
    """
    picture = ipywidgets.HTML()

    def redraw(change: object = None) -> None:
        picture.value = draw(**{name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    display(ipywidgets.VBox([*controls.values(), picture]))


def _line(text: str) -> str:
    """Return a line of text as HTML."""
    return f"<p>{html.escape(text)}</p>"


def one_round(
    clients_x: Sequence[np.ndarray],
    clients_y: Sequence[np.ndarray],
    train_locally: Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray],
    start: np.ndarray,
    *,
    local_steps: int,
) -> None:
    """Step through one round of the toy federation of notebook 00: the server sends, clients move, the server averages.

    Args:
        clients_x, clients_y: the points of each client.
        train_locally: maps weights, x, y and a number of steps to new weights.
        start: (slope, intercept) at the start of the round.
        local_steps: where the slider stands at first.
    """

    def draw(step: str, steps: int, **counts: int) -> str:
        picture = diagrams.WeightSpace(clients_x, clients_y, train_locally, start, steps, tuple(counts.values()))
        shown = _STEPS.index(step) + 1
        return plots.image(picture.draw(shown), alt=picture.describe(shown))

    controls: dict[str, ipywidgets.Widget] = {
        "step": ipywidgets.ToggleButtons(options=_STEPS, value=_STEPS[-1], description="stage"),
        "steps": _slider("local steps", local_steps, 1, 50),
    }
    for client, x in enumerate(clients_x):
        controls[f"client_{client}"] = _slider(f"client {client} counts", len(x), 0 if client else 1, 20)
    explore(draw, controls)


def browse_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidences: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Browse test images by true class, by right and wrong, and by the model's confidence.

    Args:
        images: (n, channels, height, width) uint8.
        labels, predicted: (n,) integers.
        confidences: (n,) probabilities of the predicted classes.
        class_names: one name per label.
    """
    everything = "all classes"

    def draw(true_class: str, answers: str, surer_than: float) -> str:
        chosen = confidences >= surer_than
        if true_class != everything:
            chosen &= labels == list(class_names).index(true_class)
        if answers != "all":
            chosen &= (labels == predicted) == (answers == "right")
        found = np.flatnonzero(chosen)
        found = found[np.argsort(-confidences[found], kind="stable")]
        kind = "right and wrong" if answers == "all" else answers
        what = f"{kind} answers, {true_class}, at least {surer_than:.0%} sure"
        if len(found) == 0:
            return _line(f"No such image: {what}.")
        count = _line(f"{len(found):,} of {len(labels):,} test images; the surest first.")
        found = found[:_SHOWN]
        return count + plots.image(
            plots.predictions(images[found], labels[found], predicted[found], confidences[found], class_names),
            alt=f"{len(found)} test images: {what}.",
        )

    explore(
        draw,
        {
            "true_class": ipywidgets.Dropdown(options=[everything, *class_names], description="true class"),
            "answers": ipywidgets.ToggleButtons(
                options=["all", "right", "wrong"], value="wrong", description="answers"
            ),
            "surer_than": ipywidgets.FloatSlider(
                0.0, min=0.0, max=1.0, step=0.05, description="surer than", continuous_update=False
            ),
        },
    )


def compare_settings(settings: pd.DataFrame) -> None:
    """Choose a setting of a federation and see what it reached, and what it sent, among all others.

    Args:
        settings: one row per setting: a column for each thing to choose, then `accuracy`, `megabytes` and others.
    """
    chosen_by = settings.columns[: settings.columns.get_loc("accuracy")]

    def draw(**choice: Any) -> str:
        same = np.logical_and.reduce([settings[name] == value for name, value in choice.items()])
        row = settings.index[same][0]
        found = settings.loc[row]
        names = ", ".join(f"{name} {value:g}" for name, value in choice.items())
        return plots.image(
            plots.tradeoff(settings, row),
            alt=f"Row {row}: {names}: accuracy {found['accuracy']:.1%} with {found['megabytes']:.2f} MB sent, among "
            f"{len(settings)} settings with {settings['accuracy'].min():.1%} to {settings['accuracy'].max():.1%}.",
        )

    explore(
        draw,
        {
            name: ipywidgets.SelectionSlider(
                options=sorted(settings[name].unique().tolist()), description=name, continuous_update=False, style=_WIDE
            )
            for name in chosen_by
        },
    )


def browse_clients(counts: np.ndarray, class_names: Sequence[str], accuracies: Mapping[str, Sequence[float]]) -> None:
    """Pick a client; see its training images by class, and its accuracy.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
        accuracies: one value per client by way of learning (a key of `plots.STYLES`).
    """

    def draw(client: int) -> str:
        reached = ", ".join(f"{name} {values[client]:.1%}" for name, values in accuracies.items())
        return plots.image(
            plots.one_client(counts, class_names, accuracies, client),
            alt=f"Client {client}: {counts[client].sum()} training images, from {counts[client].min()} to "
            f"{counts[client].max()} of a class. On its own validation images: {reached}.",
        )

    explore(draw, {"client": _slider("client", 0, 0, len(counts) - 1)})


def browse_partitions(
    labels: np.ndarray, class_names: Sequence[str], num_clients: int, *, alpha: float, seed: int
) -> None:
    """Choose a rule of sharing out and its number; see who holds what, and how different the clients are.

    Args:
        labels: (n,) integers, the class of each example.
        class_names: one name per class.
        num_clients: number of clients.
        alpha: where the slider stands at first.
        seed: of the partitions.
    """
    alphas = sorted({0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, alpha})

    def draw(rule: str, alpha: float, classes: int) -> str:
        number = {"iid": "", "pathological": f" with {classes} class{'es' if classes > 1 else ''} a client"}.get(
            rule, f" with alpha {alpha:g}"
        )
        try:
            parts = partition.make_partition(
                rule, labels, num_clients, alpha=alpha, classes_per_client=classes, min_size=1, seed=seed
            )
        except InputError as error:
            return _line(f"No such partition: {error}.")
        counts = class_counts(labels, parts, len(class_names))
        found = heterogeneity(counts)
        distances = _line(
            f"Weighted mean over clients: total variation {found.mean_total_variation:.2f}, "
            f"Jensen-Shannon {found.mean_jensen_shannon:.2f}."
        )
        return distances + plots.image(
            plots.partition_maps({rule + number: counts}, class_names),
            alt=f"Partition {rule}{number}: total variation distance {found.mean_total_variation:.2f}; clients hold "
            f"{found.sizes.min()} to {found.sizes.max()} examples, of {(counts > 0).sum(axis=1).min()} to "
            f"{(counts > 0).sum(axis=1).max()} classes.",
        )

    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(partition.PARTITIONS), value="dirichlet", description="rule"),
            "alpha": ipywidgets.SelectionSlider(
                options=[(f"{value:g}", value) for value in alphas],
                value=alpha,
                description="alpha",
                continuous_update=False,
                style=_WIDE,
            ),
            "classes": _slider("classes a client", min(2, len(class_names)), 1, len(class_names)),
        },
    )


_RULES: dict[str, Late | None] = {"wait for all": None, "drop the late": "drop", "partial work": "partial"}


def round_in_time(devices: Devices, clients: Sequence[int], server_round: int, steps: int, *, deadline: float) -> None:
    """Move the deadline of one round, choose what becomes of late devices, and see who is in time.

    Args:
        devices: one per client.
        clients: who is asked, by number.
        server_round: decides who is there.
        steps: training steps that every client is asked for.
        deadline: where the slider stands at first, in simulated seconds.
    """

    def draw(rule: str, deadline: float) -> str:
        late = _RULES[rule]
        limits = {} if late is None else {"deadline": deadline, "late": late}
        picture = diagrams.RoundInTime(devices, clients, server_round, steps, **limits)
        return plots.image(picture.draw(), alt=picture.describe())

    slowest = max(devices.seconds_per_transfer + steps * devices.seconds_per_step)
    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(_RULES), value="drop the late", description="rule"),
            "deadline": ipywidgets.FloatSlider(
                round(deadline, 1),
                min=0.5,
                max=max(float(np.ceil(slowest)), deadline),
                step=0.5,
                description="deadline, s",
                continuous_update=False,
                style=_WIDE,
            ),
        },
    )


def walk_on_plane(
    rules: Mapping[str, Callable[[int, float], np.ndarray]], centres: np.ndarray, curvatures: np.ndarray
) -> None:
    """Choose a strategy, its clients' local steps and its pull, and see the path of the global model in notebook 05.

    Args:
        rules: by name; each maps local steps and mu to the path, (rounds + 1, 2).
        centres, curvatures: (clients, 2), as in `landscapes.mean_loss`.
    """
    optimum = (curvatures * centres).sum(axis=0) / curvatures.sum(axis=0)

    def draw(rule: str, steps: int, mu: float) -> str:
        path = rules[rule](steps, mu)
        label = f"{rule}, {steps} local steps" + (f", μ = {mu:g}" if rule == "FedProx" else "")
        return plots.image(
            landscapes.paths(centres, curvatures, {label: path}),
            alt=f"{label}: after {len(path) - 1} rounds the model is {np.linalg.norm(path[-1] - optimum):.3f} from the "
            "optimum of all clients.",
        )

    explore(
        draw,
        {
            "rule": ipywidgets.ToggleButtons(options=list(rules), description="strategy"),
            "steps": _slider("local steps", 10, 1, 60),
            "mu": ipywidgets.SelectionSlider(
                options=[0.0, 0.1, 0.3, 1.0, 3.0],
                value=1.0,
                description="μ (FedProx only)",
                continuous_update=False,
                style=_WIDE,
            ),
        },
    )


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
            "place": _slider("setting, from low to high", 1, 1, most),
        },
    )


_WIDE = {"description_width": "10em"}


def _slider(description: str, value: int, lowest: int, highest: int) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(
        value, min=lowest, max=max(highest, value), description=description, continuous_update=False, style=_WIDE
    )
