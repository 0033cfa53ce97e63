"""The lesson of notebook 06."""

import re

import numpy as np
import pandas as pd
import pytest
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.algorithms import apfl, gradient, mixed, moved
from fedlearn_helpers.lessons.personalization import figures

# by scenario, the clients' accuracies by λ
PULLS = {  # by situation, the clients' accuracies by λ
    "Ditto, λ =": {
        "skewed": {0.0: [0.9, 0.9], 1.0: [0.99, 0.5], 3.0: [0.8, 0.7]},
        "alike": {0.0: [0.6, 0.7], 1.0: [0.9, 0.7], 3.0: [0.74, 0.72]},
    }
}


ENDS = {
    "Ditto, λ = 0": "alone",
    "APFL, α = 0": "global",
    "APFL, α = 1": "alone",
    "pFedMe, λ very large": "global",
    "FedPer, every layer is head": "alone",
    "IFCA, one cluster": "global",
}


def apfl_with(do):
    """An answer to `apfl_step` that does something of its own with w, v and the slopes of the loss."""

    def answer(loss, w, v, batch, *, alpha, eta):
        def slope(point):
            return gradient(loss, point, batch)

        slope.loss, slope.batch = loss, batch
        return do(w, v, slope, alpha, eta)

    return answer


class TestPersonalization(LessonTests):
    lesson = Lesson(
        notebook="06_personalization",
        small={
            "methods": "global,finetune,ditto,ifca",
            "others": "",
            "num_seeds": 1,
            "num_clients": 5,
            "num_newcomers": 1,
            "num_rounds": 1,
            "batch_size": 50,
            "max_images": 300,
        },
        metrics={
            "situations",
            "local_only_mean",
            "ditto_mean",
            "ditto_worst_tenth",
            "ditto_better_than_alone",
            "ditto_newcomers",
            "best_points_on_pathological:2",
            "fedbn_points_on_darker:0.95",
        },
        bad=[
            (
                {"methods": "ditto"},
                "methods must be 'all', or global, finetune and others out of global, finetune, perfedavg",
            ),
            ({"skewed": "iid,iid"}, "skewed must be one scenario, such as pathological:2, got"),
            ({"alike": "turned:3"}, "scenario turned must be turned:2 or turned:4, got 'turned:3'"),
            ({"others": "darker:2"}, "scenario darker needs a number > 0 and <= 1, as in darker:0.9"),
            ({"others": "even"}, "partition must be one of iid, dirichlet, pathological, quantity"),
            ({"num_newcomers": 0}, "num_newcomers must be >= 1, got 0"),
            ({"num_clients": 3, "num_newcomers": 1}, "have room for 8 of 10 classes; use more of either"),
        ],
        wrong={
            "ends": [
                ("alone", "must be a dictionary"),
                ({"Ditto, λ = 0": "alone"}, "Still to be answered: APFL, α = 0; APFL, α = 1"),
                (ENDS | {"IFCA, one cluster": "both"}, "must be 'alone' or 'global', and that for IFCA"),
                *(
                    (ENDS | {name: "global" if right == "alone" else "alone"}, f"Not so for {name}.")
                    for name, right in ENDS.items()
                ),
            ],
            "apfl_step": [
                (3, "must be a function"),
                (apfl_with(lambda w, v, slope, alpha, eta: w), "two dictionaries of tensors"),
                (
                    apfl_with(
                        lambda w, v, slope, alpha, eta: apfl.step(slope.loss, w, v, slope.batch, alpha=alpha, eta=eta)[
                            ::-1
                        ]
                    ),
                    "w and v are exchanged",
                ),
                (
                    apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(mixed(v, w, alpha)), -eta), v)),
                    "with the gradient at w, not at the mixture",
                ),
                (apfl_with(lambda w, v, slope, alpha, eta: (moved(w, slope(w), eta), v)), "w goes uphill"),
                (apfl_with(lambda w, v, slope, alpha, eta: (w, v)), "The new w is not w − η"),
                (
                    apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), moved(v, s(v), -eta * alpha))),
                    "is taken at v",
                ),
                (
                    apfl_with(
                        lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), moved(v, s(mixed(v, w, alpha)), -eta))
                    ),
                    "The factor α is missing",
                ),
                (
                    apfl_with(
                        lambda w, v, s, alpha, eta: (
                            moved(w, s(w), -eta),
                            moved(mixed(v, w, alpha), s(mixed(v, w, alpha)), -eta * alpha),
                        )
                    ),
                    "v is overwritten",
                ),
                (
                    apfl_with(
                        lambda w, v, s, alpha, eta: (
                            moved(w, s(w), -eta),
                            moved(v, s(mixed(v, moved(w, s(w), -eta), alpha)), -eta * alpha),
                        )
                    ),
                    "has the new w in it",
                ),
                (apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), v)), "The new v is not v − η α"),
                (apfl_with(lambda w, v, s, alpha, eta: ({"a": w["a"].mul_(2)}, v)), "have changed"),
                (apfl_with(lambda w, v, s, alpha, eta: w["c"]), "raised KeyError"),
            ],
            "best_lambda": [
                (0.3, "must be a dictionary"),
                ({"skewed": 0.0}, "no λ for alike yet"),
                ({"skewed": 0.2, "alike": 1.0}, "For skewed these λ were tried: 0, 1, 3"),
                ({"skewed": 1.0, "alike": 1.0}, "another one more"),
                ({"skewed": 0.0, "alike": 3.0}, "the best for the worst client"),
            ],
        },
        given={"best_lambda": {"found": PULLS["Ditto, λ ="]}},
        names=vars(apfl) | {"np": np, "between": PULLS},
        in_browser=Typed(
            "ends", wrong=repr(ENDS | {"Ditto, λ = 0": "global"}), sentence="Not so for Ditto, λ = 0", right=repr(ENDS)
        ),
    )


# Figures


def test_a_map_of_numbers_has_each_number_in_its_cell():
    table = pd.DataFrame({"x": [5.4, -12.0], "y": [0.2, np.nan]}, index=["a", "b"])
    axis = figures.numbers(table, limit=10, label="points").axes[0]
    assert [text.get_text() for text in axis.texts] == ["+5", "+0", "-12"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_elsewhere_has_per_cents_in_its_cells_while_there_is_room():
    small, large = figures.elsewhere({"m": np.eye(3)}), figures.elsewhere({"m": np.eye(17)})
    assert sorted(text.get_text() for text in small.axes[0].texts) == ["0"] * 6 + ["100"] * 3
    assert not large.axes[0].texts


def test_choices_have_a_mark_for_every_client_and_round():
    figure = figures.choices(np.array([[0, 1, 1], [0, 0, 1]]), ["x", "x", "y"])
    counted = {line.get_label(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert counted == {"model 0": 3, "model 1": 3}
    assert len({line.get_marker() for line in figure.axes[0].lines}) == 2


# The widget


@pytest.mark.browser
def test_between_alone_and_together(opened, expect):
    page = opened("06_personalization")
    widget = cell(page, "figures.between_alone_and_together(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 0, pathological:2: the clients' own models reach"))
    press(page, widget.locator(".widget-slider"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 0.3, pathological:2:"))
    widget.get_by_role("button", name="APFL").click()
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, pathological:2:"))
    widget.get_by_role("button", name="dirichlet:10").click()
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, dirichlet:10:"))
