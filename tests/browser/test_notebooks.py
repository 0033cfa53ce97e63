"""The notebooks as a learner sees them: in JupyterLab, in a browser."""

import re

import pytest
from places import NOTEBOOKS

NAMES = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
every_notebook = pytest.mark.parametrize("name", NAMES)
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
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
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


@every_notebook
def test_exercises_wait_for_an_answer(opened, name):
    verdicts = opened(name).locator(".fedlearn-check")
    assert verdicts.count() >= 3


# Widgets ----------------------------------------------------------------------------------


def cell(page, text):
    """The cell with this code."""
    return page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=text)).first


def press(page, slider, key, times):
    slider.locator(".noUi-handle").first.focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_more_local_steps_move_the_clients_farther(opened, expect):
    page = opened("00_start_here")
    widget = cell(page, "widgets.one_round(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("In 5 local steps"))
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 3)
    expect(image).to_have_attribute("alt", re.compile("In 8 local steps"))
    widget.get_by_role("button", name="1. send").click()
    expect(image).to_have_attribute("alt", re.compile(r"to every client\.$"))


def test_browsing_predictions_by_class(opened, expect):
    page = opened("01_centralized_cnn")
    widget = cell(page, "widgets.browse_predictions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("wrong answers, all classes, at least 0% sure"))
    names = widget.locator("select option").all_inner_texts()
    widget.locator("select").select_option(names[3])
    expect(image).to_have_attribute("alt", re.compile(f"wrong answers, {re.escape(names[3])}, at least 0% sure"))
    widget.get_by_role("button", name="right", exact=True).click()
    expect(image).to_have_attribute("alt", re.compile(f"right answers, {re.escape(names[3])}"))


def test_other_settings_of_the_federation(opened, expect):
    page = opened("02_federated_averaging")
    widget = cell(page, "widgets.compare_settings(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("clients 2, share that trains 0.5, local epochs 1:"))
    press(page, widget.locator(".widget-slider", has_text="local epochs"), "ArrowRight", 1)
    expect(image).to_have_attribute("alt", re.compile("clients 2, share that trains 0.5, local epochs 5:"))


def test_picking_a_client(opened, expect):
    page = opened("02_federated_averaging")
    widget = cell(page, "widgets.browse_clients(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Client 0: 800 training images"))
    press(page, widget.locator(".widget-slider"), "ArrowRight", 4)
    expect(image).to_have_attribute("alt", re.compile("^Client 4: 800 training images"))


def test_partitions_by_rule_and_alpha(opened, expect):
    page = opened("04_non_iid_data")
    widget = cell(page, "widgets.browse_partitions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.1:"))
    press(page, widget.locator(".widget-slider", has_text="alpha"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Partition dirichlet with alpha 0.5:"))
    widget.get_by_role("button", name="pathological").click()
    expect(image).to_have_attribute("alt", re.compile("^Partition pathological with 2 classes a client:"))


def test_the_deadline_and_the_rule_of_a_round(opened, expect):
    page = opened("03_clients_that_come_and_go")
    widget = cell(page, "widgets.round_in_time(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile(r"the deadline is after [\d.]+ seconds: 4 in time, 0 partial"))
    before = image.get_attribute("alt")
    widget.get_by_role("button", name="partial work").click()
    expect(image).to_have_attribute("alt", re.compile(r"4 in time, [1-6] partial work, [0-5] late, 0 away"))
    press(page, widget.locator(".widget-slider", has_text="deadline"), "ArrowLeft", 4)
    deadline = re.search(r"the deadline is after [\d.]+ seconds", before)[0]
    expect(image).to_have_attribute("alt", re.compile(f"^(?!.*{re.escape(deadline)}).*the deadline is after"))
    widget.get_by_role("button", name="wait for all").click()
    expect(image).to_have_attribute("alt", re.compile(r"no deadline: 10 in time, .* The round lasts [\d.]+"))


def test_walks_of_strategies_on_the_plane(opened, expect):
    page = opened("05_strategies")
    widget = cell(page, "widgets.walk_on_plane(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^FedAvg, 10 local steps: after 40 rounds the model is 0.3"))
    widget.get_by_role("button", name="SCAFFOLD").click()
    expect(image).to_have_attribute("alt", re.compile("^SCAFFOLD, 10 local steps: after 40 rounds the model is 0.00"))
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^SCAFFOLD, 12 local steps"))


def test_between_alone_and_together(opened, expect):
    page = opened("06_personalization")
    widget = cell(page, "widgets.between_alone_and_together(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 0, pathological:2: the clients' own models reach"))
    press(page, widget.locator(".widget-slider"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 0.3, pathological:2:"))
    widget.get_by_role("button", name="APFL").click()
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, pathological:2:"))
    widget.get_by_role("button", name="dirichlet:10").click()
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, dirichlet:10:"))


# Exercises --------------------------------------------------------------------------------


def answer(page, stub, text):
    """Type an answer into the cell with this stub, run it and its check."""
    editor = cell(page, stub).locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")


def _ends(of_ditto):
    rest = ("APFL, α = 0", "global"), ("APFL, α = 1", "alone"), ("pFedMe, λ very large", "global")
    rest += ("FedPer, every layer is head", "alone"), ("IFCA, one cluster", "global")
    return repr({"Ditto, λ = 0": of_ditto} | dict(rest))


@pytest.mark.parametrize(
    ("name", "variable", "check", "wrong", "sentence", "right"),
    [
        ("00_start_here", "prediction =", "two_records.check", '"A"', "Only if the gradient came from one", '"B"'),
        ("01_centralized_cnn", "prediction =", "layer_weights.check", "216", "its bias", "224"),
        ("02_federated_averaging", "prediction =", "models_sent.check", "30", "Here half of them train", "20"),
        ("03_clients_that_come_and_go", "prediction =", "clients_to_ask.check", "18", "one in ten is not there", "20"),
        (
            "05_strategies",
            "prediction =",
            "same_after_one_step.check",
            '{"fedprox", "scaffold"}',
            "One more does the same",
            '{"fedprox", "fednova", "scaffold", "fedavgm"}',
        ),
        (
            "06_personalization",
            "prediction =",
            "ends.check",
            _ends("global"),
            "Not so for Ditto, λ = 0",
            _ends("alone"),
        ),
        ("04_non_iid_data", "prediction =", "two_classes_distance.check", "1.6", "Total variation is half", "0.8"),
    ],
)
def test_an_exercise_answered_wrongly_then_rightly_says_so(
    opened, expect, name, variable, check, wrong, sentence, right
):
    page = opened(name)
    verdict = cell(page, check).locator(".fedlearn-check")
    expect(verdict).to_have_attribute("data-status", "not attempted")
    answer(page, variable, f"prediction = {wrong}")
    expect(verdict).to_have_attribute("data-status", "not yet")
    expect(verdict).to_contain_text(sentence)
    answer(page, variable, f"prediction = {right}")
    expect(verdict).to_have_attribute("data-status", "correct")
