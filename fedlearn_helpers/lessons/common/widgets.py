"""Controls to play with, in notebooks that run: each redraws one figure, with its alt text.

Where nothing runs, as on a page, the figure is shown with some of its settings instead.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from IPython.display import display


def explore(
    draw: Callable[..., str], controls: Mapping[str, ipywidgets.Widget], *, examples: Sequence[Mapping[str, Any]]
) -> None:
    """Show controls, and below them what `draw` returns for their values.

    The picture is the value of an HTML widget. An Output widget, which catches what is displayed, would make
    papermill and nbconvert wait for ever now and then (https://github.com/jupyter/nbclient/issues/312).

    Args:
        draw: called with the controls' values by name, at first and after every change; returns HTML.
        controls: by the names of `draw`'s arguments.
        examples: two or three settings that a page shows: values by the names of controls; those that are not named
            stay as they are at first. An empty one shows all as they are at first.
    """
    picture = ipywidgets.HTML()
    at_first = {name: control.value for name, control in controls.items()}
    figures = [
        captioned(draw(**{**at_first, **example}), _caption(controls, example or at_first)) for example in examples
    ]

    def redraw(change: object = None) -> None:
        picture.value = draw(**{name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    show(ipywidgets.VBox([*controls.values(), picture]), figures)


_INSTEAD = '<p class="only-live">The figure with some settings of the controls:</p>'


_SIDE_BY_SIDE = "display:inline-block;vertical-align:top;max-width:100%;margin:0 1em 1em 0"  # where they fit


def _caption(controls: Mapping[str, ipywidgets.Widget], example: Mapping[str, Any]) -> str:
    values = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in example.items()}
    return ", ".join(f"{controls[name].description}: {value}" for name, value in values.items())


def captioned(picture: str, caption: str) -> str:
    """Return a picture, given as HTML, with a caption, given as text, as a figure."""
    return f'<figure style="{_SIDE_BY_SIDE}"><figcaption>{html.escape(caption)}</figcaption>{picture}</figure>'


def show(box: ipywidgets.VBox, figures: Sequence[str]) -> None:
    """Display a widget, and with it the figures shown in its place where no widget can be: one output in two forms.

    Args:
        box: holds no Output widget; `explore` says why.
        figures: two or three, each captioned with what was set: "control: value".
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    instead = _INSTEAD + "".join(figures)
    forms = {"application/vnd.jupyter.widget-view+json": view, "text/html": instead, "text/plain": "Controls"}
    display(forms, raw=True)


def line(text: str) -> str:
    """Return a line of text as HTML."""
    return f"<p>{html.escape(text)}</p>"


WIDE = {"description_width": "10em"}


def slider(description: str, value: int, lowest: int, highest: int) -> ipywidgets.IntSlider:
    """Return a slider of whole numbers, from the lowest to the highest, or to the value if that is higher."""
    return ipywidgets.IntSlider(
        value, min=lowest, max=max(highest, value), description=description, continuous_update=False, style=WIDE
    )
