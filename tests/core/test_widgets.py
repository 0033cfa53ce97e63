"""Widgets redraw what was chosen; here without a browser, through the controls' values."""

import ipywidgets
import pytest

from fedlearn_helpers.lessons.common import widgets


@pytest.fixture
def box(monkeypatch):
    """What a widget with one slider shows."""
    shown = []
    monkeypatch.setattr(widgets, "display", shown.append)
    widgets.explore(lambda steps: f"<b>{steps}</b>", {"steps": widgets.slider("local steps", 3, 1, 50)})
    return shown[0]


def test_the_picture_follows_the_controls(box):
    slider, picture = box.children
    assert picture.value == "<b>3</b>"
    slider.value = 7
    assert picture.value == "<b>7</b>"


def test_controls_wait_until_they_are_released(box):
    assert not box.children[0].continuous_update


def test_no_output_is_caught_by_a_widget(box):
    """Output widgets make papermill wait for ever now and then: https://github.com/jupyter/nbclient/issues/312."""
    assert isinstance(box.children[-1], ipywidgets.HTML)


def test_a_slider_has_room_for_its_value():
    assert widgets.slider("local steps", 80, 1, 50).max == 80


def test_text_is_no_markup():
    assert widgets.line("a < b") == "<p>a &lt; b</p>"
