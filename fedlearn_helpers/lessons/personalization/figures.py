"""The figures and the widget of notebook 06, and source code as it is shown there."""

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, MultipleLocator

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common.widgets import explore
from fedlearn_helpers.plots import STYLES, Drawing, new_figure

# Colours of petroff10 that stand for no way of learning; FedAvg keeps the blue of "federated".
_LOOKS: dict[str, dict[str, Any]] = {
    "FedAvg": STYLES["federated"],
    "local only": STYLES["local only"],
    "Per-FedAvg": {"color": "#832db6", "marker": "^", "linestyle": "-"},
    "Ditto": {"color": "#e76300", "marker": "D", "linestyle": "-"},
    "APFL": {"color": "#a96b59", "marker": "P", "linestyle": "-"},
    "Fine-tuning": {"color": "#ffa90e", "marker": "s", "linestyle": "-"},
}
_LINES = {**STYLES, "FedAvg": STYLES["federated"]}
_MORE = ("#92dadd", "#b9ac70", "#94a4a2", "#1b1b1b")


def source(*functions: Callable[..., Any]) -> str:
    """Return the source of functions, one below the other with their modules, of each docstring its first line."""
    return "\n\n\n".join(f"# {f.__module__}\n{_shortened(inspect.getsource(f).strip())}" for f in functions)


def _bare(name: str) -> dict[str, Any]:
    """Return an algorithm's look without its marker."""
    return {**_LOOKS[name], "marker": ""}


def _shortened(code: str) -> str:
    (function,) = ast.parse(code).body
    assert isinstance(function, ast.FunctionDef)
    if not ast.get_docstring(function):
        return code
    lines, text = code.split("\n"), function.body[0]
    first, last = text.lineno - 1, text.end_lineno or text.lineno
    if last - first > 1:
        lines[first:last] = [lines[first] + '"""']
    return "\n".join(lines)


# 1. One model that serves nobody, and 2. Fine-tuning ---------------------------------------


def classes_of_clients(counts: np.ndarray, class_names: Sequence[str], *, scenario: str, num_unseen: int) -> Drawing:
    """Draw how many images of each class clients have.

    Args:
        counts: (clients, classes) integers; unseen clients last.
        class_names: one name per class.
        scenario: what decides who has what.
        num_unseen: how many clients are unseen.
    """
    classes_each = (counts > 0).sum(axis=1)
    figure = plots.class_counts(counts, class_names)
    axis, members = figure.axes[0], len(counts) - num_unseen
    axis.axhline(members - 0.5, color="#1b1b1b", linewidth=1.5)
    if len(axis.get_yticks()) == len(counts):
        axis.set_yticks(
            range(len(counts)),
            [f"{'unseen ' if client >= members else ''}{client}" for client in range(len(counts))],
        )
    return Drawing(
        figure,
        alt=f"Training images of each class for {len(counts)} clients under {scenario}; the last {num_unseen} "
        f"are unseen. A client has between {classes_each.min()} and {classes_each.max()} of the "
        f"{len(class_names)} classes.",
    )


def alone_or_with_the_global_model(
    strips: Mapping[str, Mapping[str, np.ndarray]], *, longer: Mapping[str, np.ndarray], rounds: int
) -> Drawing:
    """Draw each client's accuracy on its own images with three models, a panel per scenario.

    Clients are sorted by what FedAvg gives them over local only, the most at the left.

    Args:
        strips: by scenario, (clients,) each: "local only" with a model that the client has trained alone, "FedAvg" with
            the global model, "centralized" with a model trained on the images of all.
        longer: by scenario, (clients,) with the global model after more rounds; a line for the mean.
        rounds: how many.
    """
    figure, axes = new_figure(8.0, 0.9 + 2.9 * len(strips), len(strips), 1, sharey=True, squeeze=False)
    sentences = []
    for axis, (scenario, strip) in zip(axes[:, 0], strips.items(), strict=True):
        gain = strip["FedAvg"] - strip["local only"]
        order = np.argsort(-gain, kind="stable")
        count, better_alone = len(gain), int((gain < 0).sum())
        axis.axvspan(
            count - better_alone - 0.5, count - 0.5, color=STYLES["local only"]["color"], alpha=0.1, linewidth=0,
            label="local only is ahead",
        )  # fmt: skip
        for shift, (name, values) in zip((-0.15, 0.0, 0.15), strip.items(), strict=True):
            axis.axhline(values.mean(), linewidth=1.5, **{**_LINES[name], "marker": ""})
            look = {**_LINES[name], "linestyle": "none"}
            axis.plot(np.arange(count) + shift, values[order], label=name, markersize=7, **look)
        after_more = longer[scenario].mean()
        label, color = f"FedAvg, {rounds} rounds", _LINES["FedAvg"]["color"]
        axis.axhline(after_more, linewidth=1.5, label=label, color=color, linestyle="-.")
        axis.set_xticks(range(count), [str(client) for client in order])
        axis.set(title=scenario, xlim=(-0.5, count - 0.5), ylabel="accuracy on\nown images")
        axis.yaxis.set_major_formatter(plots.percent)
        means = {name: values.mean() for name, values in strip.items()}
        sentences.append(
            f"On {scenario} {count} clients reach {means['local only']:.1%} local only on average, with FedAvg's model "
            f"{means['FedAvg']:.1%} (the worst client {strip['FedAvg'].min():.1%}), with the centralized one "
            f"{means['centralized']:.1%}, with FedAvg's after {rounds} rounds {after_more:.1%}; at {better_alone} "
            "local only is ahead."
        )
    axis.set_xlabel("client, sorted by what FedAvg gives it over local only (the lines are means over clients)")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=9)
    return Drawing(figure, alt=f"Accuracy of clients on their own images. {' '.join(sentences)}")


def fine_tuning_steps(
    step_counts: Sequence[int], own: np.ndarray, frequent: np.ndarray, rare: np.ndarray, *, alone: float
) -> Drawing:
    """Draw the mean accuracy of fine-tuned models by the number of steps.

    Args:
        step_counts: numbers of steps.
        own: (clients, step counts) on the client's own images.
        frequent: (clients, step counts) on test images of the classes that are frequent at the client.
        rare: (clients, step counts) on test images of all other classes; nan for a client that has none.
        alone: mean accuracy of models that clients have trained alone, on their own images.
    """
    figure, axis = new_figure(7.5, 4.3)
    curves = {
        "on the client's own images": (own, {"color": "#ffa90e", "marker": "s", "linestyle": "-"}),
        "on test images of its frequent classes": (frequent, {"color": "#a96b59", "marker": "^", "linestyle": "--"}),
        "on test images of all other classes": (rare, {"color": "#1b1b1b", "marker": "o", "linestyle": ":"}),
    }
    for label, (accuracy, look) in curves.items():
        axis.plot(range(len(step_counts)), np.nanmean(accuracy, axis=0), label=label, linewidth=2, **look)
    axis.axhline(alone, label="local only, on the client's own images", **_bare("local only"))
    _label_steps(axis, step_counts, "fine-tuning steps (0 is FedAvg's model)")
    axis.set_ylabel("accuracy, mean of the clients")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return Drawing(
        figure,
        alt="Accuracy by fine-tuning steps, mean of the clients. On their own images: "
        f"{_by_steps(step_counts, own)}; local only {alone:.1%}. On test images of the client's frequent classes it "
        f"changes from {np.nanmean(frequent[:, 0]):.1%} to {np.nanmean(frequent[:, -1]):.1%}, on those of all other "
        f"classes from {np.nanmean(rare[:, 0]):.1%} to {np.nanmean(rare[:, -1]):.1%}.",
    )


def _label_steps(axis: Any, step_counts: Sequence[int], label: str) -> None:
    """Put numbers of steps at equal distances, so that the first few are to be seen."""
    axis.set_xticks(range(len(step_counts)), [str(steps) for steps in step_counts])
    axis.set_xlabel(label)
    axis.yaxis.set_major_formatter(plots.percent)
    axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _by_steps(step_counts: Sequence[int], accuracy: np.ndarray) -> str:
    """Say the mean accuracy of clients after numbers of steps; `accuracy` is (clients, step counts)."""
    means = accuracy.mean(axis=0)
    return ", ".join(f"{steps} steps {mean:.1%}" for steps, mean in zip(step_counts, means, strict=True))


# 3. A model that is made to be adapted -----------------------------------------------------


def before_and_after_one_step(
    weights: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    lowest: Mapping[str, float],
    clients: Sequence[tuple[float, float]],
) -> Drawing:
    """Draw the mean loss of some clients by the one weight of the global model.

    Args:
        weights: (n,) where the losses are taken.
        before: (n,) the mean loss of the global model.
        after: (n,) the same when every client has taken one step.
        lowest: the weights of the least losses, under "before" and "after".
        clients: of each, the weight that it wants, and how much it cares.
    """
    figure, axis = new_figure(7.5, 4.2)
    axis.plot(weights, before, linewidth=2, label="FedAvg's goal: the loss as it is", **_bare("FedAvg"))
    axis.plot(weights, after, linewidth=2, label="Per-FedAvg's goal: the loss after one step", **_bare("Per-FedAvg"))
    for key, name, losses in (("before", "FedAvg", before), ("after", "Per-FedAvg", after)):
        axis.plot(lowest[key], losses.min(), **{**_LOOKS[name], "linestyle": "none"}, markersize=9)
    for number, (wish, care) in enumerate(clients):
        label = "what a client wants, and how much it cares" if number == 0 else None
        axis.axvline(wish, color="#717581", linestyle="--", linewidth=1, label=label)
        axis.text(
            wish, 0.97, f" cares {care:g}", transform=axis.get_xaxis_transform(), fontsize=11, va="top", color="#717581"
        )
    axis.set(xlabel="the one weight of the global model", ylabel="mean loss of the clients")
    axis.set_ylim(0, min(before.max(), 4 * before.min()))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return Drawing(
        figure,
        alt=f"Mean loss of {len(clients)} clients by the one weight of the global model. Before adapting it is lowest "
        f"at {lowest['before']:.2f}, after one step of every client at {lowest['after']:.2f}. The clients want "
        f"{', '.join(f'{wish:g} (and care {care:g})' for wish, care in clients)}.",
    )


def adaptation_steps(
    step_counts: Sequence[int], adapted: Mapping[tuple[str, str], np.ndarray], *, alone: Mapping[str, float]
) -> Drawing:
    """Draw the mean accuracy on clients' own images by the number of steps from a global model, a panel per kind.

    Args:
        step_counts: numbers of steps.
        adapted: by algorithm and kind of clients, (clients, step counts).
        alone: by kind of clients, the mean accuracy of models that they have trained alone.
    """
    kinds = list(dict.fromkeys(who for _, who in adapted))
    figure, axes = new_figure(4.6 * len(kinds), 3.9, 1, len(kinds), sharey=True, squeeze=False)
    for axis, who in zip(axes[0], kinds, strict=True):
        for (name, of), accuracy in adapted.items():
            if of == who:
                axis.plot(range(len(step_counts)), accuracy.mean(axis=0), label=f"from {name}'s model", **_LOOKS[name])
        axis.axhline(alone[who], label="local only", **_bare("local only"))
        axis.set_title(who)
        _label_steps(axis, step_counts, "steps on the client's own images")
    axes[0][0].set_ylabel("accuracy on own images")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return Drawing(
        figure,
        alt="Accuracy on own images by adaptation steps. "
        + " ".join(f"{name}, {who}: {_by_steps(step_counts, found)}." for (name, who), found in adapted.items())
        + " "
        + " ".join(f"Local only, {who}: {accuracy:.1%}." for who, accuracy in alone.items()),
    )


# 5. Between alone and together -------------------------------------------------------------

ByValue = Mapping[float, Sequence[float]]
"""The clients' accuracies by the value of a setting."""


def accuracy_by_setting(
    found: Mapping[str, Mapping[str, ByValue]],
    lines: Mapping[str, Sequence[float]],
    scenario: str,
    *,
    turned_round: Sequence[str] = (),
) -> Drawing:
    """Draw the mean accuracy of the clients by settings of algorithms: a panel for each, local only left, FedAvg right.

    Args:
        found: by algorithm with its setting, such as "Ditto, λ =", and scenario. Settings from 0 up; where the largest
            is more than ten times the smallest above 0, the axis is logarithmic from there on.
        lines: the clients' accuracies "local only" and "FedAvg": what the ends lead to.
        scenario: which one to draw.
        turned_round: the algorithms whose largest setting is local only.
    """
    means = {
        label: {value: float(np.mean(own)) for value, own in sorted(by_scenario[scenario].items())}
        for label, by_scenario in found.items()
    }
    ends = {name: float(np.mean(accuracy)) for name, accuracy in lines.items()}
    figure, axes = new_figure(4.6 * len(means), 4.0, 1, len(means), sharey=True, squeeze=False)
    for axis, (label, by_value) in zip(axes[0], means.items(), strict=True):
        name, values = label.partition(",")[0], list(by_value)
        for line in ("local only", "FedAvg"):
            axis.axhline(ends[line], label=f"{line} (a limit)", linewidth=2, **{**_LINES[line], "marker": ""})
        axis.plot(values, list(by_value.values()), label=name, linewidth=2, markersize=7, **_LOOKS[name])
        positive = [value for value in values if value > 0]
        if max(positive) > 10 * min(positive):
            axis.set_xscale("symlog", linthresh=min(positive), linscale=0.6)
            axis.minorticks_off()
        axis.set_xticks(values, [f"{value:g}" for value in values])
        if label in turned_round:
            axis.invert_xaxis()
        symbol = label.partition(", ")[2].removesuffix(" =")
        axis.set(title=name, xlabel=f"← local only      {symbol}      FedAvg →")
        axis.yaxis.set_major_formatter(plots.percent)
    axes[0][0].set_ylabel("accuracy on own images")
    figure.suptitle(scenario, fontsize=11)
    handles = dict(pair for axis in axes[0] for pair in zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)
    return Drawing(
        figure,
        alt=f"Mean accuracy on own images, {scenario}. "
        + " ".join(
            f"{label} {', '.join(f'{value:g}: {mean:.1%}' for value, mean in by_value.items())}."
            for label, by_value in means.items()
        )
        + f" The limits: local only {ends['local only']:.1%} and FedAvg {ends['FedAvg']:.1%}.",
    )


def explore_settings(
    found: Mapping[str, Mapping[str, ByValue]], lines: Mapping[str, Mapping[str, Sequence[float]]]
) -> None:
    """Choose how much a client's own model shares with the global one, and see every client.

    Args:
        found: by algorithm with its setting, and scenario.
        lines: by scenario, the clients' accuracies "local only" and "FedAvg".
    """
    settings = {
        f"{label} {value:g}": (label, value)
        for label, by_scenario in found.items()
        for value in sorted(next(iter(by_scenario.values())))
    }

    def draw(setting: str, scenario: str) -> str:
        label, value = settings[setting]
        return _clients_with_setting(setting, found[label][scenario][value], lines[scenario], scenario).html()

    of_first = [name for name, (label, _) in settings.items() if label == next(iter(found))]
    explore(
        draw,
        {
            "setting": ipywidgets.SelectionSlider(
                options=list(settings), description="setting", continuous_update=False, layout={"width": "30em"}
            ),
            "scenario": ipywidgets.ToggleButtons(options=list(lines), description="scenario"),
        },
        examples=[{"setting": name} for name in (of_first[0], of_first[len(of_first) // 2], of_first[-1])],
    )


def _clients_with_setting(
    label: str, own: Sequence[float], lines: Mapping[str, Sequence[float]], scenario: str
) -> Drawing:
    curves = {"federated" if name == "FedAvg" else name: values for name, values in lines.items()}
    figure = plots.client_strip({**curves, label: own}, ylabel="accuracy on own images")
    for text, name in zip(figure.legends[0].get_texts(), (*lines, label), strict=True):
        text.set_text(name)
    figure.axes[0].yaxis.set_major_formatter(plots.percent)
    return Drawing(
        figure,
        alt=f"{label}, {scenario}: the clients' own models reach {np.mean(own):.1%} on average and {np.min(own):.1%} "
        f"at the worst client; {', '.join(f'{name} {np.mean(values):.1%}' for name, values in lines.items())} "
        "on average.",
    )


# 6. Normalization that stays at home, and 7. Several global models -------------------------


def pictures_of_clients(images: Mapping[str, np.ndarray], what: str) -> Drawing:
    """Draw a few images of some clients, a row for each.

    Args:
        images: by what is written at the row, (n, channels, height, width) uint8.
        what: what is to be seen, for the alt text.
    """
    columns = max(len(row) for row in images.values())
    figure, axes = new_figure(1.6 + 0.85 * columns, 0.3 + 0.85 * len(images), len(images), columns, squeeze=False)
    for row, (title, pictures) in zip(axes, images.items(), strict=True):
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.axis("off")
        for axis, picture in zip(row, pictures, strict=False):
            plots.draw_image(axis, picture)
        row[0].set_title(title, loc="left", fontsize=9)
    return Drawing(figure, alt=f"Images of {len(images)} clients, a row for each: {'; '.join(images)}. {what}")


def chosen_models(chosen: np.ndarray, kinds: Sequence[str], agree: float) -> Drawing:
    """Draw which of several models each client chose in every round: a marker for each model.

    Args:
        chosen: (rounds, clients) integers, the number of a model.
        kinds: one per client, what tells it from others; written at its row.
        agree: share of the clients that are with those of their own kind in the last round.
    """
    rounds, clients = chosen.shape
    figure, axis = new_figure(max(5.0, 2.5 + 0.5 * rounds), 1.4 + 0.32 * clients)
    looks = [("o", "#e76300"), ("^", "#832db6"), ("s", "#92dadd"), ("D", "#1b1b1b")]
    for number in sorted(set(chosen.flat)):
        marker, color = looks[number % len(looks)]
        when, who = np.nonzero(chosen == number)
        axis.plot(when + 1, who, marker, color=color, linestyle="none", markersize=8, label=f"model {number}")
    axis.set_yticks(range(clients), [f"{client}: {kind}" for client, kind in enumerate(kinds)])
    axis.set_xticks(range(1, rounds + 1))
    axis.invert_yaxis()
    axis.set(xlabel="round", ylabel="client")
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    return Drawing(
        figure,
        alt=f"The model that each of {clients} clients chose in {rounds} rounds. In the last round {agree:.0%} of the "
        "clients are with those of their own kind.",
    )


# 8. All of them ----------------------------------------------------------------------------


def accuracy_of_algorithms(clients: pd.DataFrame, titles: Mapping[str, str]) -> Drawing:
    """Draw the mean accuracy of members on their own images: a panel per scenario, a mark per seed.

    Args:
        clients: of `ComparisonTables`; "global" and the reference lines among the algorithms.
        titles: by algorithm, as it is to be called.
    """
    value = "accuracy on own images"
    members = clients[~clients["unseen"]].groupby(["algorithm", "scenario", "seed"], sort=False)
    by_seed = members["accuracy"].mean().rename(value).reset_index()
    mean = by_seed.groupby(["scenario", "algorithm"], sort=False)[value].mean()

    def sentence(scenario: str) -> str:
        here = mean[scenario]
        federated = here.drop(["local only", "centralized"])
        return (
            f"On {scenario} the best is {titles[federated.idxmax()]} with {federated.max():.1%}; FedAvg has "
            f"{here['global']:.1%}, local only {here['local only']:.1%}."
        )

    figure = plots.comparison(by_seed.replace({"algorithm": dict(titles)}), value)
    _same_width_per_point(figure)
    return Drawing(
        figure,
        alt="Mean accuracy of the clients on their own images: a panel per scenario, a row per algorithm, a mark per "
        f"seed. {' '.join(sentence(scenario) for scenario in dict.fromkeys(by_seed['scenario']))}",
    )


def _same_width_per_point(figure: Figure) -> None:
    """Give a point the same width in all panels of `plots.comparison`, its rows room, and its marks a legend."""
    axes = figure.axes
    limits = [axis.get_xlim() for axis in axes]
    widths = [max(high - low + 0.01, 0.04) for low, high in limits]  # no line at a panel's edge
    grid = axes[0].get_gridspec()
    assert grid is not None, "panels of one figure"
    grid.set_width_ratios(widths)
    figure.set_size_inches(2.2 + 9.5, 1.9 + 0.36 * len(axes[0].get_yticks()))
    for axis, (low, high), width in zip(axes, limits, widths, strict=True):
        axis.set_xlim((low + high - width) / 2, (low + high + width) / 2)
        axis.xaxis.set_major_locator(MultipleLocator(0.05))
        axis.set_xlabel("")
        axis.set_ylim(len(axes[0].get_yticks()) - 0.4, -0.6)
    figure.supxlabel("accuracy on own images, mean of the clients", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    blue = STYLES["federated"]["color"]
    handles.append(Line2D([], [], marker="o", fillstyle="none", color=blue, linewidth=2, label="one seed"))
    bands: Any = tuple(Patch(color=STYLES[name]["color"], alpha=0.3) for name in ("local only", "centralized"))
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(
        [*handles, bands], [*labels, "one seed", "bands: range over seeds"], loc="outside upper center", ncols=5,
        fontsize=9, handler_map={tuple: HandlerTuple(ndivide=None)},
    )  # fmt: skip


def who_gains(
    gains: Mapping[str, pd.DataFrame], images: Sequence[float], *, errors: Mapping[str, pd.DataFrame]
) -> Drawing:
    """Draw what clients with few, some and many images gain over each of two alternatives.

    Args:
        gains: by alternative, points: a row for each third of the clients by their images, a column per algorithm.
        images: the mean number of training images in each third.
        errors: of the gains, their standard errors over clients.
    """
    figure, axes = new_figure(4.6 * len(gains), 3.8, 1, len(gains), sharey=True, squeeze=False)
    for axis, (alternative, points) in zip(axes[0], gains.items(), strict=True):
        axis.axhline(0, color="#717581", linewidth=1)
        for number, (name, column) in enumerate(points.items()):
            free = {"color": _MORE[number % len(_MORE)], "marker": plots.MORE_MARKERS[number % 6]}
            look = _LOOKS.get(name, free)
            places = np.arange(len(column)) + 0.08 * (number - (len(points.columns) - 1) / 2)
            spread = errors[alternative][name]
            axis.errorbar(places, column, yerr=spread, label=name, linewidth=2, markersize=7, capsize=3, **look)
        shares = zip(("few", "some", "many"), images, strict=True)
        axis.set_xticks(range(len(images)), [f"{word}\n({count:.0f})" for word, count in shares])
        axis.set(
            title=f"against {alternative}",
            xlabel="a third of the clients each, by training images\n(in brackets: their mean)",
        )
    axes[0][0].set_ylabel("gain in points\n(bars: one standard error)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return Drawing(
        figure,
        alt="Gain in accuracy on own images by the number of the client's training images. "
        + " ".join(
            f"Against {alternative}: "
            + "; ".join(
                f"{name} {signed(column.iloc[0])} with few, {signed(column.iloc[-1])} with many"
                for name, column in p.items()
            )
            + "."
            for alternative, p in gains.items()
        ),
    )


# 9. Unseen clients, and other clients' images ----------------------------------------------


def elsewhere(maps: Mapping[str, np.ndarray]) -> Drawing:
    """Draw how each client's model does on every client's images, with per cents in the cells.

    Args:
        maps: by title, (clients, clients) accuracies in [0, 1]: a row per model, a column per client's images.
    """
    return Drawing(
        _maps_of_shares(maps),
        alt="Accuracy of every client's model on every client's images. "
        + " ".join(
            f"{title}: at home {np.diag(shares).mean():.1%}, "
            f"elsewhere {shares[~np.eye(len(shares), dtype=bool)].mean():.1%}."
            for title, shares in maps.items()
        ),
    )


def _maps_of_shares(maps: Mapping[str, np.ndarray]) -> Figure:
    clients = max(len(matrix) for matrix in maps.values())
    with_numbers = clients <= 10  # more would not be readable
    side = min(max(0.42 * clients, 2.4), 4.0)
    figure, axes = new_figure(1.2 + (side + 0.5) * len(maps), side + 1.0, 1, len(maps), squeeze=False)
    for axis, (title, matrix) in zip(axes[0], maps.items(), strict=True):
        axis.grid(False)
        picture = axis.imshow(matrix, cmap="Greys", vmin=0, vmax=1)
        if with_numbers:
            for row, column in np.ndindex(*matrix.shape):
                share = matrix[row, column]
                color = "w" if share > 0.55 else "k"
                axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=color)
        ticks = range(0, len(matrix), 1 if with_numbers else 5)
        for client in range(len(matrix)):  # at home
            axis.add_patch(
                Rectangle((client - 0.5, client - 0.5), 1, 1, fill=False, edgecolor="#ffa90e", linewidth=1.2)
            )
        axis.set(title=title, xlabel="images of client (outlined: its own)", xticks=ticks, yticks=ticks)
    axes[0][0].set_ylabel("model of client")
    figure.colorbar(picture, ax=list(axes[0]), label="accuracy", shrink=0.8)
    return figure


def gain_of_unseen_clients(points: pd.DataFrame) -> Drawing:
    """Draw how far unseen clients are from the better of local only and FedAvg.

    Args:
        points: rows by what they do, algorithms and local only for less time, columns by scenario.
    """
    return Drawing(
        _map_of_points(points, title="unseen clients: points against the better of FedAvg and local only"),
        alt="Accuracy of unseen clients on their own images, in points against the better of local only and FedAvg. "
        + " ".join(
            f"On {name}: from {column.min():+.1f} ({column.idxmin()}) to {column.max():+.1f} ({column.idxmax()})."
            for name, column in points.items()
        ),
    )


def where_it_pays(points: pd.DataFrame, *, agree: pd.DataFrame) -> Drawing:
    """Draw what algorithms give their clients over the better of local only and FedAvg.

    Args:
        points: rows by the algorithms' titles, columns by scenario.
        agree: the same rows and columns: whether the sign is the same with every seed; hatched where it is not.
    """
    figure = _map_of_points(points, title="where does it pay?")
    axis = figure.axes[0]
    for row, column in np.argwhere(~agree.to_numpy(dtype=bool)):
        axis.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="///", edgecolor="#717581", linewidth=0)
        )
    axis.set_xlabel("hatched: the sign is not the same with every seed")
    return Drawing(
        figure,
        alt="Gain of each algorithm over the better of local only and FedAvg, in points. "
        + " ".join(
            f"On {name} the best is {column.idxmax()} with {column.max():+.1f}; "
            f"{int(((column > 0) & agree[name]).sum())} of {len(column)} algorithms are ahead with every seed."
            for name, column in points.items()
        ),
    )


def _map_of_points(points: pd.DataFrame, *, title: str) -> Figure:
    """Draw a table as a map: blue above zero, red below, and the number, rounded and with its sign, in every cell.

    Colours end at ten points, so that one very bad cell leaves differences between the others to be seen.
    """
    values, limit = points.to_numpy(dtype=float), 10.0
    figure, axis = new_figure(3.4 + 1.5 * len(points.columns), 1.4 + 0.4 * len(points))
    axis.grid(False)
    picture = axis.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        if np.isfinite(values[row, column]):
            shade = "w" if abs(values[row, column]) > 0.6 * limit else "k"
            text = signed(values[row, column])
            axis.text(column, row, text, ha="center", va="center", fontsize=10, color=shade)
    axis.set_xticks(range(len(points.columns)), points.columns)
    axis.set_yticks(range(len(points)), points.index)
    axis.set(title=title)
    label = f"points against the better of\nlocal only and FedAvg\n(one colour beyond ±{limit:g})"
    figure.colorbar(picture, ax=axis, label=label, extend="both")
    return figure


def signed(points: float) -> str:
    """Return points with a sign and one digit; what rounds to nothing has no sign."""
    points = round(points, 6)  # a sum in another order must not round otherwise
    return "0" if abs(points) < 0.05 else f"{points:+.1f}"
