"""A trigger is drawn and planted; here without a browser, through the buttons' values."""

import re

import pytest
import torch
from lesson import is_sentence

from fedlearn_helpers import plots
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import widgets
from fedlearn_helpers.lessons.robustness.trigger_widget import draw_trigger, stamped
from fedlearn_helpers.robustness.attacks.backdoor import SQUARE, Trigger

IMAGES = torch.full((4, 1, 28, 28), 100, dtype=torch.uint8)
FIRST = (Trigger(target=3), "Accuracy 75 %, the square is obeyed in 84 %.")
DOT = (Trigger(target=3, pixels=((0, 5),)), "Accuracy 76 %, the dot is obeyed in <3 %.")


class Widget:
    """The parts of a widget, and the triggers that were planted in it."""

    def __init__(self, screen, outcome=lambda trigger: "Done.", **options):
        self.planted, self.while_training = [], []

        def watched(trigger):
            self.planted.append(trigger)
            self.while_training.append((self.plant.disabled, self.said))
            return outcome(trigger)

        draw_trigger(IMAGES, FIRST, watched, examples=[FIRST, DOT], **options)
        (self.box,) = screen.boxes
        self.grid = self.box.children[1].children[0]
        self.plant = screen.control("Plant it")
        self.screen = screen

    def press(self, *places):
        for row, column in places:
            button = self.grid.children[6 * row + column]
            button.value = not button.value

    @property
    def said(self):
        return self.screen.text


@pytest.fixture
def widget(screen):
    return Widget(screen)


def test_at_first_the_first_trigger_is_drawn_and_nothing_trains(widget):
    pressed = {(place // 6, place % 6) for place, button in enumerate(widget.grid.children) if button.value}
    assert pressed == set(SQUARE)
    assert len(widget.grid.children) == 36
    assert widget.said == "<p>Accuracy 75 %, the square is obeyed in 84 %.</p>"
    assert widget.planted == []


def test_pressing_toggles_pixels_and_the_picture_follows(widget):
    assert widget.screen.alts[-1].startswith(
        "4 images with 9 white pixels at (row, column), counted from 0: (1, 1), (1"
    )
    widget.press((0, 5), *SQUARE[:-1])
    assert widget.screen.alts[-1] == "4 images with 2 white pixels at (row, column), counted from 0: (0, 5), (3, 3)."
    assert widget.said == "<p>This trigger has not been planted yet.</p>"
    widget.press(SQUARE[-1])
    assert widget.screen.alts[-1] == "4 images with 1 white pixel at (row, column), counted from 0: (0, 5)."
    assert widget.said == "<p>Accuracy 76 %, the dot is obeyed in &lt;3 %.</p>", "it is known"


def test_every_pixel_says_where_and_what_it_is(widget):
    assert widget.grid.children[8].tooltip == "row 1, column 2, white"
    widget.press((1, 2))
    assert widget.grid.children[8].tooltip == "row 1, column 2"
    assert len({button.tooltip for button in widget.grid.children}) == 36
    assert all(not button.description for button in widget.grid.children), "or screen readers would read that instead"


def test_what_is_planted_is_what_is_drawn(screen):
    widget = Widget(screen, lambda trigger: f"Obeyed in 5 % & {len(trigger.pixels)} pixels.")
    widget.press((5, 0))
    widget.plant.click()
    assert widget.planted == [Trigger(target=3, pixels=(*SQUARE, (5, 0)))]
    assert widget.while_training == [(True, "<p>training…</p>")]
    assert not widget.plant.disabled
    assert widget.said == "<p>Obeyed in 5 % &amp; 10 pixels.</p>"
    widget.press((5, 0))
    assert widget.said == f"<p>{FIRST[1]}</p>"
    widget.press((5, 0))
    assert widget.said == "<p>Obeyed in 5 % &amp; 10 pixels.</p>", "it is kept"


@pytest.mark.slow
def test_nothing_drawn_is_a_sentence(widget):
    widget.press(*SQUARE)
    widget.plant.click()
    assert widget.planted == []
    assert widget.said == "<p>Nothing is drawn: press at least one pixel.</p>"
    assert not widget.plant.disabled
    assert "no pixel has been made white" in widget.screen.alts[-1]


def refuse(trigger):
    raise InputError("share must be > 0 and <= 1, got 2")


def test_a_refused_trigger_is_a_sentence_and_can_be_planted_again(screen):
    widget = Widget(screen, refuse)
    widget.press((0, 0))
    widget.plant.click()
    assert widget.said == "<p>share must be &gt; 0 and &lt;= 1, got 2</p>"
    assert not widget.plant.disabled
    widget.press((0, 1), (0, 1))
    assert widget.said == "<p>This trigger has not been planted yet.</p>", "an error is no outcome"


def interrupt(trigger):
    raise KeyboardInterrupt


def test_after_an_interrupt_the_button_works(screen):
    widget = Widget(screen, interrupt)
    with pytest.raises(KeyboardInterrupt):
        widget.plant.click()
    assert not widget.plant.disabled
    assert widget.said == "<p>The training did not end.</p>"


def test_a_page_shows_the_examples(monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda forms, raw: shown.append(forms))
    draw_trigger(IMAGES, FIRST, refuse, examples=[FIRST, DOT])
    (forms,) = shown
    figures = re.findall(r"<figcaption>(.*?)</figcaption><img alt=\"(.*?)\".*?</figure>", forms["text/html"])
    assert [caption for caption, _ in figures] == [
        "9 white pixels: Accuracy 75 %, the square is obeyed in 84 %.",
        "1 white pixel: Accuracy 76 %, the dot is obeyed in &lt;3 %.",
    ]
    assert all(is_sentence(alt) for _, alt in figures)


def test_images_without_a_trigger_stay_as_they_are():
    drawing = stamped(IMAGES, None)
    assert is_sentence(drawing.alt)
    assert (drawing.figure.axes[0].images[0].get_array() == 100).all()
    (with_it,) = stamped(IMAGES[:1], DOT[0]).figure.axes
    white = (with_it.images[0].get_array() == 255).nonzero()
    assert [place.tolist() for place in white] == [[0], [5]]


def test_colour_images_are_white_in_all_channels(monkeypatch):
    (axis,) = stamped(torch.zeros((1, 3, 8, 8), dtype=torch.uint8), DOT[0]).figure.axes
    assert axis.images[0].get_array()[0, 5].tolist() == [255, 255, 255]


def test_the_grid_is_not_larger_than_the_images_and_holds_the_first_trigger(monkeypatch):
    boxes = []
    monkeypatch.setattr(widgets, "show", lambda box, figures: boxes.append(box))
    monkeypatch.setattr(plots, "image", lambda figure, alt: "<img>")
    draw_trigger(IMAGES[..., :4], FIRST, refuse, examples=[])
    assert len(boxes[0].children[1].children[0].children) == 16
    with pytest.raises(InputError, match=r"^first must have pixels in rows and columns 0 to 3, got \(0, 5\)$"):
        draw_trigger(IMAGES, DOT, refuse, examples=[], side=4)
