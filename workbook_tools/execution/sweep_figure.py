"""The figure of a sweep."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from fedlearn_helpers.plots import MORE_MARKERS, OTHER_STYLE, new_figure, style_of

# The first word of a metric's name tells whose it is.
_WAYS = {"local": "local only", "federated": "federated", "fedavg": "federated", "centralized": "centralized"}


def draw_sweep(table: pd.DataFrame, parameter: str, metrics: Sequence[str], panels: Sequence[str] = ()) -> Figure:
    """Draw metrics against a parameter: the mean over seeds as a line, their range as a band, a mark per seed.

    Args:
        table: one row per run.
        parameter: the column for the x axis, of numbers or of names.
        metrics: columns to draw.
        panels: other parameters; there is a panel for each combination of their values.
    """
    groups = list(table.groupby(list(panels), sort=False)) if panels else [((), table)]
    columns = min(len(groups), 3)
    rows = -(-len(groups) // columns)
    figure, axes = new_figure(2.4 + 4.2 * columns, 1.0 + 3.4 * rows, rows, columns, sharey=True, squeeze=False)
    values = table[parameter].drop_duplicates()
    numeric = values.dtype.kind in "if"
    wide = numeric and values.min() > 0 and values.max() / values.min() >= 20
    for axis, (chosen, here) in zip(axes.flat, groups, strict=False):
        markers = iter("o" + MORE_MARKERS)
        for metric in metrics:
            style = dict(style_of(_WAYS.get(metric.partition("_")[0], metric)))
            if style == OTHER_STYLE:
                style["marker"] = next(markers)
            known = here[here[metric].notna()]
            x = known[parameter] if numeric else known[parameter].map(values.tolist().index)
            of_seeds = known[metric].astype(float).groupby(x)
            line = dict(color=style["color"], linestyle=style["linestyle"], linewidth=2)
            axis.plot(of_seeds.mean(), label=metric.replace("_", " "), marker=style["marker"], **line)
            axis.fill_between(
                of_seeds.mean().index, of_seeds.min(), of_seeds.max(), color=style["color"], alpha=0.2, lw=0
            )
            axis.plot(x, known[metric], style["marker"], color=style["color"], fillstyle="none", markersize=4)
        axis.set(xlabel=parameter, title=", ".join(f"{n} = {v}" for n, v in zip(panels, chosen, strict=True)))
        if wide:
            axis.set_xscale("log")
            axis.minorticks_off()
        if len(values) <= 12:
            ticks = sorted(values) if numeric else range(len(values))
            axis.set_xticks(ticks, [f"{value:g}" for value in ticks] if numeric else map(str, values))
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure
