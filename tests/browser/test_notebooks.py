"""The notebooks as a learner sees them: in JupyterLab, in a browser."""

import re

import pytest
from places import NOTEBOOKS

NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9w][0-9]_*.ipynb"))]
pytestmark = pytest.mark.browser
every_notebook = pytest.mark.parametrize("name", NAMES)
with_a_widget = pytest.mark.parametrize("name", [name for name in NAMES if name[0].isdigit()])  # a wrap-up has none
_NOISE = ("favicon", "ERR_NAME_NOT_RESOLVED", "ERR_INTERNET_DISCONNECTED")  # what a page without network says

_OVERFLOWING = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(output => output.scrollWidth > output.clientWidth + 1
        || output.getBoundingClientRect().right > window.innerWidth)
    .map(output => output.innerText.slice(0, 200))"""


@every_notebook
def test_runs_from_top_to_bottom(opened, name):
    page = opened(name)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert [error for error in page.errors if not any(noise in error for noise in _NOISE)] == []
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt").all_text_contents()
    assert all(re.fullmatch(r"\[\d+\]:", prompt) for prompt in prompts)


@every_notebook
def test_no_output_overflows_the_page(opened, name):
    assert opened(name).evaluate(_OVERFLOWING) == []


@every_notebook
def test_every_image_has_a_sentence_as_alt_text(opened, name):
    images = opened(name).locator(".jp-OutputArea-output img")
    alts = [image.get_attribute("alt") or "" for image in images.all()]
    assert alts
    for alt in alts:
        assert len(alt) > 40 and alt.rstrip().endswith((".", "!")), alt


@with_a_widget
def test_a_widget_shows_its_controls_and_nothing_else(opened, name):
    """Beside it in the output are figures for pages, which are not to be seen here."""
    page = opened(name)
    widgets = page.locator(".jp-OutputArea-output .widget-vbox")
    assert widgets.count() >= 1
    for widget in widgets.all():
        assert widget.is_visible()
    assert page.locator(".only-live").count() == 0


@every_notebook
def test_exercises_wait_for_an_answer(opened, name):
    verdicts = opened(name).locator(".fedlearn-check")
    assert verdicts.count() >= 3


def test_neither_jupyterlab_nor_a_kernel_asks_the_network_for_anything(opened, lab):
    for name in NAMES:
        opened(name)
    assert lab.network.take() == []
