"""The notebooks' figures: same colours, same markers, text for those who cannot see them.

Every function returns a matplotlib Figure; `show` puts it into the notebook with its alt text.
"""

import base64
import html
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

# One colour, marker and line style per way of learning, in every notebook. The colours are from
# petroff10, which stays distinct under colour-vision deficiencies; markers and line styles carry
# the same distinction in greyscale.
STYLES: dict[str, dict[str, Any]] = {
    "local only": {"color": "#bd1f01", "marker": "v", "linestyle": ":"},
    "federated": {"color": "#3f90da", "marker": "o", "linestyle": "-"},
    "centralized": {"color": "#717581", "marker": "s", "linestyle": "--"},
}
Values = Sequence[float] | np.ndarray
MORE_MARKERS = "^D<>Pp"
OTHER_STYLE: dict[str, Any] = {"color": "#1b1b1b", "marker": ".", "linestyle": "-"}
_STYLE: dict[str, Any] = {"axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True, "font.size": 11}
_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Drawing:
    """A figure, and what it shows in words. At the end of a cell it shows itself; `show` shows it anywhere.

    Attributes:
        figure: what is drawn.
        alt: at least one sentence that says what the figure shows, for those who cannot see it.
    """

    figure: Figure
    alt: str

    def html(self) -> str:
        """Return the figure as an HTML image with its alt text."""
        return image(self.figure, self.alt)

    def show(self) -> None:
        """Display the figure."""
        show(self.figure, self.alt)

    def _repr_html_(self) -> str:
        return self.html()


def show(figure: Figure, alt: str) -> None:
    """Display a figure as an image with alt text.

    JupyterLab and nbconvert drop the alt text of matplotlib's own output, so the image is put into
    HTML here.

    Args:
        figure: what to show.
        alt: at least one sentence that says what the figure shows.
    """
    from IPython.display import HTML, display

    display(HTML(image(figure, alt)))


def image(figure: Figure, alt: str) -> str:
    """Return a figure as an HTML image with alt text; the arguments are those of `show`."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
        data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt, quote=True)}" style="max-width:100%" src="data:image/png;base64,{data}"/>'


class _Figure(Figure):
    """A figure in which a name such as "$5 to $10" is a name; only the ticks of logarithmic axes are formulas."""

    def savefig(self, *arguments: Any, **options: Any) -> None:
        """Write the figure, as matplotlib does."""
        for text in self.findobj(Text):
            if "$" in text.get_text() and not text.get_text().startswith(r"$\mathdefault"):
                text.set_parse_math(False)
        super().savefig(*arguments, **options)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure in the workbook's style, and its axes (an array of them where there are several).

    Args:
        width, height: size in inches.
        rows, columns: the grid of axes.
        options: passed on to `Figure.subplots`.
    """
    with matplotlib.style.context(["petroff10", _STYLE]):
        figure = _Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


def predictions(
    images: np.ndarray,
    labels: Sequence[int],
    predicted: Sequence[int],
    confidences: Sequence[float],
    class_names: Sequence[str],
) -> Figure:
    """Draw a row of images with the true class, the predicted class and how sure the model is.

    Args:
        images: (n, channels, height, width) uint8; a dozen fit well.
        labels, predicted: n integers each; -1 for no prediction.
        confidences: n probabilities of the predicted classes.
        class_names: one name per label.
    """
    columns = min(len(images), 6)
    rows = -(-len(images) // columns)
    figure, axes = new_figure(columns * 1.6, rows * 2.1, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, guess, confidence in zip(axes.flat, images, labels, predicted, confidences, strict=False):
        draw_image(axis, image)
        right = label == guess
        said = f"{class_names[guess]} ({_how_sure(confidence)})" if guess >= 0 else "no prediction"
        axis.set_title(
            f"true: {class_names[label]}\n{'✓' if right else '✗'} {said}",
            fontsize=9,
            color="#1b1b1b" if right else STYLES["local only"]["color"],
            fontweight="normal" if right else "bold",
        )
    return figure


def _how_sure(confidence: float) -> str:
    """Return a probability in percent that is never rounded up to 100."""
    return ">99%" if confidence >= 0.995 else f"{confidence:.0%}"


def curves(
    series: Mapping[str, tuple[Values, Values | Sequence[Values]]],
    *,
    xlabel: str,
    ylabel: str,
    lines: Mapping[str, float] | None = None,
    log: bool = False,
    log_x: bool = False,
) -> Figure:
    """Draw curves, and reference lines across the figure.

    Several curves of one way of learning share its colour and differ in their markers.

    Args:
        series: x and y values by label; a label that starts with a key of `STYLES` takes its style. Where there is
            one row of y values per seed, the curve is their mean and the band around it their range.
        xlabel, ylabel: with units.
        lines: heights of horizontal lines by label, styled in the same way.
        log, log_x: whether the y axis or the x axis is logarithmic.
    """
    figure, axis = new_figure(7.5, 4.2)
    drawn: Counter[str] = Counter()
    for label, (x, y) in series.items():
        style = style_of(label)
        repeats = drawn[style["color"]]
        drawn[style["color"]] += 1
        if repeats:
            style = {**style, "marker": MORE_MARKERS[(repeats - 1) % len(MORE_MARKERS)]}
        heights = np.array(y)
        if heights.ndim == 2:
            axis.fill_between(x, heights.min(axis=0), heights.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
            heights = heights.mean(axis=0)
        axis.plot(x, heights, label=label, markersize=6, linewidth=2, **style)
    for label, height in (lines or {}).items():
        style = style_of(label)
        axis.axhline(height, label=label, linewidth=2, **{**style, "marker": ""})
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if log:
        axis.set_yscale("log")
    if log_x:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    if all(len(x) <= 20 for x, _ in series.values()):
        axis.set_xticks(sorted({value for x, _ in series.values() for value in x}))
    axis.legend(loc="best", framealpha=0.9)
    return figure


def client_strip(series: Mapping[str, Values], *, ylabel: str) -> Figure:
    """Draw one value per client and way of learning, clients side by side.

    Args:
        series: one value per client by way of learning (a key of `STYLES`); all of equal length.
        ylabel: with units.
    """
    count = len(next(iter(series.values())))
    figure, axis = new_figure(max(6.0, min(0.45 * count + 2.5, 11.0)), 4.0)
    for label, values in series.items():
        axis.plot(range(count), values, label=label, markersize=7, **{**style_of(label), "linestyle": "none"})
        axis.axhline(float(np.mean(values)), linewidth=1, **{**style_of(label), "marker": ""})
    axis.set(xlabel="client (the lines are means over clients)", ylabel=ylabel)
    if count <= 20:
        axis.set_xticks(range(count))
    figure.legend(loc="outside upper center", ncols=min(len(series), 4))  # inside it would cover clients
    return figure


def class_counts(counts: np.ndarray, class_names: Sequence[str], *, what: str = "training images") -> Figure:
    """Draw how many examples of each class every client holds, as a map with the numbers in it.

    Args:
        counts: (clients, classes) integers.
        class_names: one name per class.
        what: is counted.
    """
    clients, classes = counts.shape
    figure, axis = new_figure(1.5 + 0.75 * classes, 1.2 + 0.32 * min(clients, 30))
    axis.grid(False)
    ceiling = 1.6 * max(counts.max(), 1)  # equal counts come out light, so that the numbers stay readable
    picture = axis.imshow(counts, cmap="Greys", vmin=0, vmax=ceiling, aspect="auto")
    if clients <= 30:
        for client, label in np.argwhere(counts > 0):
            shade = "w" if counts[client, label] > ceiling / 2 else "k"
            axis.text(label, client, counts[client, label], ha="center", va="center", fontsize=9, color=shade)
        axis.set_yticks(range(clients))
    axis.set_xticks(range(classes), class_names, rotation=45, ha="right")
    axis.set(xlabel="class", ylabel="client")
    figure.colorbar(picture, ax=axis, label=what)
    return figure


def comparison(table: pd.DataFrame, value: str = "test_accuracy") -> Figure:
    """Draw what algorithms reach: one panel per scenario, one row per algorithm, one mark per seed.

    Args:
        table: with the columns `algorithm`, `scenario` and `seed`; "local only" and "centralized" are drawn as lines
            across the panel, with their range over seeds as a band.
        value: the column to draw, a share in [0, 1]; where a run has none, the row says so and has no mean.
    """
    scenarios = list(dict.fromkeys(table["scenario"]))
    names = [name for name in dict.fromkeys(table["algorithm"]) if name not in STYLES]
    size = (1.4 + 3.1 * len(scenarios), 1.4 + 0.36 * len(names))
    figure, axes = new_figure(*size, 1, len(scenarios), sharey=True, squeeze=False)
    for axis, scenario in zip(axes[0], scenarios, strict=True):
        here = table[table["scenario"] == scenario]
        for name in ("local only", "centralized"):
            values, style = here.loc[here["algorithm"] == name, value], STYLES[name]
            if len(values) and not values.isna().any():
                axis.axvspan(values.min(), values.max(), color=style["color"], alpha=0.15, linewidth=0)
                axis.axvline(values.mean(), label=name, linewidth=2, **{**style, "marker": ""})
        for row, name in enumerate(names):
            values = here.loc[here["algorithm"] == name, value].to_numpy()
            style = STYLES["federated"]
            axis.plot([values.min(), values.max()], [row, row], "-", color=style["color"], linewidth=2)
            axis.plot(
                values, [row] * len(values), style["marker"], color=style["color"], fillstyle="none", markersize=5
            )
            if missing := int(np.isnan(values).sum()):  # of which no mark can be drawn
                said = f"no accuracy in {missing} of {len(values)}"
                axis.text(0.02, row, said, transform=axis.get_yaxis_transform(), fontsize=8, va="center")
            label = "mean of the seeds" if row == 0 else None
            axis.plot(values.mean(), row, "D", color="#1b1b1b", markersize=6, linestyle="none", label=label)
        axis.set(title=scenario, xlabel=value.replace("_", " "))
        axis.xaxis.set_major_formatter(percent)
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def percent(share: float, position: float) -> str:
    """Format a tick of an axis of shares."""
    return f"{share:.0%}"


def draw_image(axis: Axes, image: np.ndarray) -> None:
    """Draw an image (channels, height, width) uint8."""
    image = np.asarray(image)
    axis.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)


def style_of(label: str) -> dict[str, Any]:
    """Return the style of the way of learning that a label starts with."""
    return next((style for name, style in STYLES.items() if label.startswith(name)), OTHER_STYLE)
