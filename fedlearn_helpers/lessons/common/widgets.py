"""Controls to play with, in notebooks that run: each redraws one figure, with its alt text.

A saved notebook shows nothing of a widget, so every notebook has a static figure in the cell before it.
"""

import html
from collections.abc import Callable, Mapping

import ipywidgets
from IPython.display import display


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


def line(text: str) -> str:
    """Return a line of text as HTML."""
    return f"<p>{html.escape(text)}</p>"


WIDE = {"description_width": "10em"}


def slider(description: str, value: int, lowest: int, highest: int) -> ipywidgets.IntSlider:
    """Return a slider of whole numbers, from the lowest to the highest, or to the value if that is higher."""
    return ipywidgets.IntSlider(
        value, min=lowest, max=max(highest, value), description=description, continuous_update=False, style=WIDE
    )
