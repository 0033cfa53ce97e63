"""The most important numbers of the tables as one picture."""

import io

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from sections import FLOWER, LIMIT, OURS_AUTO
from tables import Table

_COLORS = {LIMIT: "C9", OURS_AUTO: "C0", FLOWER: "C1"}
_OTHER = "#b0b0b0"


def draw(tables: dict[str, Table]) -> bytes:
    """Return a PNG image."""
    matplotlib.use("agg")
    plt.style.use("petroff10")
    figure = plt.figure(figsize=(12, 8), layout="constrained")
    upper, lower = (part.subplots(1, 2) for part in figure.subfigures(2, 1))
    _bars(upper[0], tables["contest"], "seconds", "Wall time, seconds (shorter is better)", "{:.0f}")
    limit = tables["contest"].cell(LIMIT, "seconds")
    if limit:
        upper[0].axvline(limit, color="black", linestyle=":", linewidth=1)
    _bars(upper[1], tables["contest"], "peak memory MB", "Peak memory of all processes, MB", "{:,.0f}")
    upper[1].set_yticklabels([])
    _time(lower[0], tables["scale"])
    _memory(lower[1], tables["scale"])
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
    return file.getvalue()


def _bars(axes: Axes, table: Table, column: str, title: str, form: str) -> None:
    names = [str(row[0]) for row in table.rows][::-1]
    values = [table.cell(name, column) or 0.0 for name in names]
    colors = [_COLORS.get(name, _OTHER) for name in names]
    bars = axes.barh(names, values, color=colors)
    axes.bar_label(bars, [form.format(value) if value else "not run" for value in values], padding=3)
    axes.set_title(title, loc="left")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _time(axes: Axes, table: Table) -> None:
    rows = sorted(table.rows, key=lambda row: row[2])
    for marker, row in zip("osD^v<>", rows, strict=False):
        axes.plot(row[2], row[5], marker, markersize=8, label=f"{row[0]} clients")
    if rows:
        first, last = rows[0][2], rows[-1][2]
        each = rows[-1][5] / last
        axes.plot(
            [first, last], [each * first, each * last], ":", color="black", label=f"{1000 * each:.1f} ms a message"
        )
        axes.legend(loc="upper left", frameon=False)
    axes.set(xscale="log", yscale="log", xlabel="messages in ten rounds", ylabel="seconds")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("Time besides training and evaluation, by clients in a round", loc="left")
    axes.margins(0.15)


def _memory(axes: Axes, table: Table) -> None:
    rows = [row for row in table.rows if str(row[0]).startswith("100 of")]
    axes.plot([row[1] for row in rows], [row[7] for row in rows], "s-", color="C0", markersize=8)
    axes.set(xscale="log", xlabel="clients, of whom 100 take part in a round", ylabel="MB")
    axes.set_ylim(0, 1.3 * max([row[7] for row in rows], default=1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Peak memory of the process", loc="left")
