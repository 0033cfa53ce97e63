"""The widget of notebook 09 in which a backdoor's trigger is drawn and planted."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import ipywidgets
from torch import Tensor

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import widgets
from fedlearn_helpers.plots import Drawing, draw_image, new_figure
from fedlearn_helpers.robustness.attacks.backdoor import Trigger

_DO = "The upper left corner of all images: press pixels to make them white, then plant the trigger."
_NOTHING = "Nothing is drawn: press at least one pixel."
_NOT_PLANTED = "This trigger has not been planted yet."
_TRAINING = "training…"
_FAILED = "The training did not end."


def draw_trigger(
    images: Tensor,
    first: tuple[Trigger, str],
    outcome: Callable[[Trigger], str],
    *,
    examples: Sequence[tuple[Trigger, str]],
    side: int = 6,
) -> None:
    """Show a grid of pixels to draw a trigger with, images with the trigger, and a button that plants it.

    Args:
        images: (n, channels, height, width) uint8, on any device; five fit well.
        first: the trigger drawn at first, all in the grid, and the sentence that says what came of it; its target is
            that of all triggers drawn.
        outcome: plants a trigger and returns such a sentence. Its InputError is shown as a sentence, too.
        examples: two or three triggers that a page shows, and the sentences that say what came of them.
        side: pixels of the grid's side; at most as many as the images have.

    Raises:
        InputError: the first trigger has a pixel outside the grid.
    """
    trigger = first[0]
    known: dict[Trigger | None, str] = {None: _NOTHING, **dict(examples), **dict([first])}
    side = min(side, *images.shape[2:])
    buttons = {(row, column): _pixel(row, column) for row in range(side) for column in range(side)}
    for place in trigger.pixels:
        if place not in buttons:
            raise InputError(f"first must have pixels in rows and columns 0 to {side - 1}, got {place}")
        buttons[place].value = True
    figures = [widgets.captioned(stamped(images, one).html(), f"{_count(one)}: {text}") for one, text in examples]
    plant = ipywidgets.Button(description="Plant it")
    picture, said = ipywidgets.HTML(), ipywidgets.HTML()

    def drawn() -> Trigger | None:
        pixels = tuple(place for place, button in buttons.items() if button.value)
        return replace(trigger, pixels=pixels) if pixels else None

    def redraw(change: object = None) -> None:
        picture.value = stamped(images, drawn()).html()
        said.value = widgets.line(known.get(drawn(), _NOT_PLANTED))

    def train(button: object) -> None:
        chosen = drawn()
        if chosen is None:
            return  # the sentence is there
        plant.disabled, said.value = True, widgets.line(_TRAINING)
        sentence = _FAILED
        try:
            sentence = known[chosen] = outcome(chosen)
        except InputError as error:
            sentence = str(error)
        finally:  # also where it was interrupted
            plant.disabled, said.value = False, widgets.line(sentence)

    for button in buttons.values():
        button.observe(redraw, names="value")
    plant.on_click(train)
    redraw()
    grid = ipywidgets.GridBox(
        list(buttons.values()), layout={"grid_template_columns": f"repeat({side}, max-content)", "margin": "4px"}
    )
    beside = ipywidgets.HBox([grid, picture], layout={"flex_flow": "row wrap", "align_items": "center"})
    widgets.show(ipywidgets.VBox([ipywidgets.HTML(widgets.line(_DO)), beside, plant, said]), figures)


def _pixel(row: int, column: int) -> ipywidgets.ToggleButton:
    """Return a button whose tooltip says which pixel it is, and whether it is white: screen readers read it."""
    button = ipywidgets.ToggleButton(layout={"width": "28px", "height": "28px", "margin": "1px", "padding": "0"})

    def describe(change: object = None) -> None:
        button.tooltip = f"row {row}, column {column}" + (", white" if button.value else "")
        button.button_style = "primary" if button.value else ""

    button.observe(describe, names="value")
    describe()
    return button


def stamped(images: Tensor, trigger: Trigger | None) -> Drawing:
    """Draw images (n, channels, height, width) uint8 in a row, with a trigger or as they are."""
    shown = (trigger.stamp(images) if trigger else images).cpu().numpy()
    figure, axes = new_figure(1.1 * len(shown), 1.1, 1, len(shown), squeeze=False)
    for axis, image in zip(axes[0], shown, strict=True):
        draw_image(axis, image)
        axis.set(xticks=[], yticks=[])  # the frame stays, or a white corner would be lost on a white page
    if trigger is None:
        return Drawing(figure, f"{len(shown)} images as they are: no pixel has been made white.")
    places = ", ".join(map(str, trigger.pixels))
    return Drawing(figure, f"{len(shown)} images with {_count(trigger)} at (row, column), counted from 0: {places}.")


def _count(trigger: Trigger) -> str:
    return "1 white pixel" if len(trigger.pixels) == 1 else f"{len(trigger.pixels)} white pixels"
