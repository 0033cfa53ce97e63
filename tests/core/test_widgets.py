"""Widgets redraw what was chosen; here without a browser, through the controls' values."""

import re

import ipywidgets
import pytest

from fedlearn_helpers.lessons.common import widgets


@pytest.fixture
def box(monkeypatch):
    """What a widget with one slider shows."""
    shown = []
    monkeypatch.setattr(widgets, "show", lambda box, figures: shown.append(box))
    controls = {"steps": widgets.slider("local steps", 3, 1, 50)}
    widgets.explore(lambda steps: f"<b>{steps}</b>", controls, examples=[])
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


def test_one_output_has_the_widget_and_figures_for_where_none_can_be(monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda forms, raw: shown.append((forms, raw)))
    controls = {
        "rule": ipywidgets.ToggleButtons(options=["a", "<b>"], description="rule"),
        "steps": widgets.slider("local steps", 3, 1, 50),
        "rate": ipywidgets.FloatSlider(0.25, description="rate"),
    }
    examples = [{"steps": 50}, {"rule": "<b>", "rate": 0.1}, {}]
    widgets.explore(lambda rule, steps, rate: f"[{rule} {steps} {rate}]", controls, examples=examples)
    ((forms, raw),) = shown
    assert raw
    assert forms["application/vnd.jupyter.widget-view+json"].keys() == {"version_major", "version_minor", "model_id"}
    figures = re.findall(r"<figcaption>(.*?)</figcaption>(.*?)</figure>", forms["text/html"])
    at_first = ("rule: a, local steps: 3, rate: 0.25", "[a 3 0.25]")
    assert figures == [("local steps: 50", "[a 50 0.25]"), ("rule: &lt;b&gt;, rate: 0.1", "[<b> 3 0.1]"), at_first]
    assert [control.value for control in controls.values()] == ["a", 3, 0.25]
