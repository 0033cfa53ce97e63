"""The lesson of notebook 06."""

import ast
import re

import numpy as np
import pandas as pd
import pytest
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.algorithms import apfl, gradient, mixed, moved
from fedlearn_helpers.lessons.personalization import exercises, figures

PULLS = {  # by scenario, the clients' accuracies by λ
    "Ditto, λ =": {
        "skewed": {0.0: [0.9, 0.6], 1.0: [0.99, 0.5], 3.0: [0.7, 0.7]},
        "alike": {0.0: [0.6, 0.7], 1.0: [0.81, 0.79], 3.0: [0.74, 0.72]},
    }
}


ENDS = {
    "Ditto, λ = 0": "local only",
    "APFL, α = 0": "global",
    "APFL, α = 1": "local only",
    "pFedMe, λ very large": "global",
    "FedPer, every layer is head": "local only",
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
            "methods": "global,finetune,apfl,ifca",
            "num_seeds": 1,
            "num_clients": 5,
            "num_newcomers": 1,
            "num_rounds": 1,
            "local_epochs": 1,
            "adaptation_epochs": 1,  # as many as in all rounds: two rows of a table have one number
            "batch_size": 50,
            "max_images": 300,
        },
        metrics={
            "situations",
            "local_only_mean",
            "apfl_mean",
            "apfl_worst_tenth",
            "apfl_better_than_alone",
            "apfl_newcomers",
            "best_points_on_dirichlet:0.5",
            "fedbn_points_on_darker:0.95",
            "finetune_on_dirichlet:10",
            "few_over_many_against_alone",
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
                ("local only", "must be a dictionary"),
                ({"Ditto, λ = 0": "local only"}, "Still to be answered: APFL, α = 0; APFL, α = 1"),
                (ENDS | {"IFCA, one cluster": "both"}, "must be 'local only' or 'global', and that for IFCA"),
                *(
                    (ENDS | {name: "global" if right == "local only" else "local only"}, f"Not so for {name}.")
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
                (
                    apfl_with(
                        lambda w, v, s, alpha, eta: (
                            moved(w, s(w), -eta),
                            moved(v, s(mixed(w, v, alpha)), -eta * alpha),
                        )
                    ),
                    "w and v are exchanged",
                ),
                (
                    apfl_with(
                        lambda w, v, s, alpha, eta: (
                            moved(w, s(w), -eta),
                            moved(v, s(mixed(v, w, alpha)), eta * alpha),
                        )
                    ),
                    "v goes uphill",
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
                ({"skewed": 3.0, "alike": 1.0}, "the best for the worst client"),
                ({"skewed": 0.0, "alike": 1.0}, "Now the second question"),
                ({"skewed": 0.0, "alike": 1.0, "beyond chance": "alike"}, "there must be a list of scenarios"),
                ({"skewed": 0.0, "alike": 1.0, "beyond chance": []}, "For alike the best λ is 7.0 points ahead"),
                ({"skewed": 0.0, "alike": 1.0, "trusted": ["skewed", "alike"]}, "not more than twice that"),
            ],
        },
        given={"best_lambda": {"found": PULLS["Ditto, λ ="]}},
        names=vars(apfl) | {"np": np, "between": PULLS, "ahead": exercises._paired},
        in_browser=Typed(
            "ends", wrong=repr(ENDS | {"Ditto, λ = 0": "global"}), sentence="Not so for Ditto, λ = 0", right=repr(ENDS)
        ),
    )


# Figures


def test_classes_of_clients_are_counted():
    drawing = figures.classes_of_clients(np.array([[3, 0], [1, 2]]), ["cat", "dog"], scenario="x:1", num_unseen=1)
    assert drawing.alt == (
        "Training images of each class for 2 clients under x:1; the last 1 are unseen. A client has between 1 and 2 of "
        "the 2 classes."
    )


def test_unseen_clients_are_named_and_parted_from_members():
    axis = figures.classes_of_clients(np.ones((3, 2), int), ["cat", "dog"], scenario="x:1", num_unseen=1).figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "1", "unseen 2"]
    assert axis.lines[0].get_ydata() == [1.5, 1.5]


def test_who_is_better_off_alone_is_counted():
    strip = {
        "local only": np.array([0.5, 0.9, 0.7]),
        "FedAvg": np.array([0.6, 0.8, 0.7]),
        "centralized": np.array([0.8, 0.8, 0.8]),
    }
    drawing = figures.alone_or_with_the_global_model(
        {"mixed": strip}, longer={"mixed": np.array([0.7, 0.8, 0.9])}, rounds=32
    )
    assert drawing.alt == (
        "Accuracy of clients on their own images. On mixed 3 clients reach 70.0% local only on average, with FedAvg's "
        "model 70.0% (the worst client 60.0%), with the centralized one 80.0%, with FedAvg's after 32 "
        "rounds 80.0%; at 1 local only is ahead."
    )
    (axis,) = drawing.figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "2", "1"], "the most gained first"
    assert axis.patches[0].get_x() == 1.5, "at the last local only is ahead"


def test_curves_over_steps_are_means_of_the_clients():
    own, test = np.array([[0.2, 0.6], [0.4, 0.8]]), np.array([[0.5, 0.3], [0.5, 0.1]])
    rare = np.array([[0.7, 0.2], [np.nan, np.nan]])
    drawing = figures.fine_tuning_steps([0, 5], own, test, rare, alone=0.4)
    assert drawing.alt == (
        "Accuracy by fine-tuning steps, mean of the clients. On their own images: 0 steps 30.0%, 5 steps 70.0%; local "
        "only 40.0%. On test images of the client's frequent classes it changes from 50.0% to 20.0%, on those of all "
        "other classes from 70.0% to 20.0%."
    )
    first, second, third, _ = drawing.figure.axes[0].lines
    assert first.get_ydata().tolist() == pytest.approx([0.3, 0.7])
    assert second.get_ydata().tolist() == pytest.approx([0.5, 0.2])
    assert third.get_ydata().tolist() == pytest.approx([0.7, 0.2]), "a client without such classes does not count"
    drawing = figures.adaptation_steps(
        [0, 5],
        {("FedAvg", "members"): own, ("Per-FedAvg", "unseen clients"): test},
        alone={"members": 0.5, "unseen clients": 0.25},
    )
    assert drawing.alt == (
        "Accuracy on own images by adaptation steps. FedAvg, members: 0 steps 30.0%, 5 steps 70.0%. "
        "Per-FedAvg, unseen clients: 0 steps 50.0%, 5 steps 20.0%. "
        "Local only, members: 50.0%. Local only, unseen clients: 25.0%."
    )


def test_the_lowest_points_before_and_after_a_step_are_said_and_what_clients_want_is_drawn():
    losses = np.array([1.0, 2.0])
    lowest = {"before": 1.0, "after": -0.5}
    drawing = figures.before_and_after_one_step(losses, losses, losses / 2, lowest, [(-3.0, 0.5), (1.0, 2.0)])
    assert drawing.alt.endswith(
        "lowest at 1.00, after one step of every client at -0.50. The clients want -3 (and care 0.5), 1 (and care 2)."
    )
    (axis,) = drawing.figure.axes
    assert axis.get_yscale() == "linear" and [text.get_text() for text in axis.texts] == [" cares 0.5", " cares 2"]


def test_settings_are_drawn_from_alone_to_together_with_their_limits():
    lines = {"local only": [0.5, 0.7], "FedAvg": [0.8, 0.9]}
    mixtures = {"APFL, α =": {"alike": {0.0: [0.8, 0.9], 1.0: [0.5, 0.7]}}}
    drawing = figures.accuracy_by_setting(PULLS | mixtures, lines, "alike", turned_round=["APFL, α ="])
    assert drawing.alt == (
        "Mean accuracy on own images, alike. Ditto, λ = 0: 65.0%, 1: 80.0%, 3: 73.0%. APFL, α = 0: 85.0%, 1: 60.0%. "
        "The limits: local only 60.0% and FedAvg 85.0%."
    )
    left, right = drawing.figure.axes
    assert left.lines[-1].get_xdata().tolist() == [0, 1, 3] and left.get_xscale() == "linear"
    assert not left.xaxis_inverted() and right.xaxis_inverted(), "local only is left in both"
    assert left.lines[-1].get_color() != right.lines[-1].get_color()
    wide = {"Ditto, λ =": {"alike": {0.0: [0.1], 0.1: [0.2], 1000.0: [0.3]}}}
    (axis,) = figures.accuracy_by_setting(wide, lines, "alike").figure.axes
    assert axis.get_xscale() == "symlog"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.1", "1000"]


def test_pictures_have_a_row_for_each_client():
    images = np.zeros((3, 1, 16, 16), np.uint8)
    drawing = figures.pictures_of_clients({"client 0": images, "client 7": images[:2]}, "They are black.")
    assert drawing.alt == "Images of 2 clients, a row for each: client 0; client 7. They are black."
    assert [len(axis.images) for axis in drawing.figure.axes] == [1, 1, 1, 1, 1, 0]


def test_who_gains_is_said_for_those_with_few_and_with_many_images():
    table = pd.DataFrame({"a": [3.0, 2.0, -1.25], "b": [0.0, 0.0, 0.5]})
    gains = {"being alone": table, "FedAvg": -table}
    drawing = figures.who_gains(gains, [20.0, 40.0, 61.4], errors={name: table.abs() for name in gains})
    assert drawing.alt == (
        "Gain in accuracy on own images by the number of the client's training images. "
        "Against being alone: a +3.0 with few, -1.2 with many; b 0 with few, +0.5 with many. "
        "Against FedAvg: a -3.0 with few, +1.2 with many; b 0 with few, -0.5 with many."
    )
    assert drawing.figure.axes[0].get_xticklabels()[2].get_text() == "many\n(61)"


def test_shown_source_has_the_first_line_of_each_docstring():
    shown = figures.source(apfl.step, mixed)
    assert '"""Return w and v after one step of each on the same batch."""' in shown
    assert (
        "Args:" not in shown
        and shown.count("def ") == 2
        and "\n\n\n# fedlearn_helpers.algorithms.arithmetic\ndef mixed(" in shown
    )
    ast.parse(shown)


def test_choices_have_a_mark_for_every_client_and_round():
    drawing = figures.chosen_models(np.array([[0, 1, 1], [0, 0, 1]]), ["x", "x", "y"], agree=1.0)
    lines = drawing.figure.axes[0].lines
    assert {line.get_label(): len(line.get_xdata()) for line in lines} == {"model 0": 3, "model 1": 3}
    assert len({line.get_marker() for line in lines}) == 2
    assert drawing.alt == (
        "The model that each of 3 clients chose in 2 rounds. In the last round 100% of the clients are with those of "
        "their own kind."
    )


def test_the_best_algorithm_of_a_scenario_is_no_reference_line_and_no_unseen_client_counts():
    rows = [
        (name, scenario, seed, False, accuracy)
        for scenario in ("skewed", "alike")
        for name, accuracies in {"local only": (0.9, 0.9), "global": (0.5, 0.7), "ditto": (0.6, 0.8)}.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    rows += [("centralized", "skewed", 0, False, 0.95), ("global", "skewed", 0, True, 0.99)]
    rows += [("centralized", "alike", 0, False, 0.95)]
    clients = pd.DataFrame(rows, columns=["algorithm", "scenario", "seed", "unseen", "accuracy"])
    drawing = figures.accuracy_of_algorithms(clients, {"global": "FedAvg", "ditto": "Ditto"})
    assert drawing.alt == (
        "Mean accuracy of the clients on their own images: a panel per scenario, a row per algorithm, a mark per seed. "
        "On skewed the best is Ditto with 70.0%; FedAvg has 60.0%, local only 90.0%. "
        "On alike the best is Ditto with 70.0%; FedAvg has 60.0%, local only 90.0%."
    )
    left, right = drawing.figure.axes
    assert [left.get_title(), right.get_title()] == ["skewed", "alike"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["FedAvg", "Ditto"]
    assert left.get_ylim() == (1.6, -0.6), "the frame cuts no mark"
    assert len(drawing.figure.legends) == 1
    widths = [np.ptp(axis.get_xlim()) for axis in (left, right)]
    assert left.get_gridspec().get_width_ratios() == pytest.approx(widths), "a point is as wide in every panel"


@pytest.mark.slow
def test_elsewhere_has_per_cents_in_its_cells_while_there_is_room():
    small, large = figures.elsewhere({"m": np.eye(3)}), figures.elsewhere({"m": np.eye(17)})
    assert sorted(text.get_text() for text in small.figure.axes[0].texts) == ["0"] * 6 + ["100"] * 3
    assert not large.figure.axes[0].texts
    assert small.alt == (
        "Accuracy of every client's model on every client's images. m: at home 100.0%, elsewhere 0.0%."
    )


def test_a_map_of_points_has_each_number_in_its_cell():
    table = pd.DataFrame({"x": [5.4, -53.2], "y": [-0.04, np.nan]}, index=["a", "b"])
    axis = figures.gain_of_unseen_clients(table).figure.axes[0]
    assert axis.images[0].get_clim() == (-10, 10), "one bad cell does not bleach the others"
    assert [text.get_text() for text in axis.texts] == ["+5.4", "0", "-53.2"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_maps_of_points_say_who_gains_most():
    table = pd.DataFrame({"x": [5.4, -12.0], "y": [0.2, 0.1]}, index=["a", "b"])
    assert figures.gain_of_unseen_clients(table).alt.endswith(
        "On x: from -12.0 (b) to +5.4 (a). On y: from +0.1 (b) to +0.2 (a)."
    )
    agree = pd.DataFrame({"x": [True, True], "y": [True, False]}, index=["a", "b"])
    drawing = figures.where_it_pays(table, agree=agree)
    assert drawing.alt == (
        "Gain of each algorithm over the better of local only and FedAvg, in points. "
        "On x the best is a with +5.4; 1 of 2 algorithms are ahead with every seed. "
        "On y the best is a with +0.2; 1 of 2 algorithms are ahead with every seed."
    )
    (hatched,) = [patch for patch in drawing.figure.axes[0].patches if patch.get_hatch()]
    assert hatched.get_xy() == (0.5, 0.5), "the cell whose sign changes with the seed"


# The widget


def test_the_explorer_of_settings_follows_its_controls(screen):
    lines = {name: {"local only": [0.5, 0.7], "FedAvg": [0.8, 0.9]} for name in ("skewed", "alike")}
    figures.explore_settings(PULLS | {"APFL, α =": {name: {0.5: [0.1, 0.3]} for name in lines}}, lines)
    assert screen.alts[-1] == (
        "Ditto, λ = 0, skewed: the clients' own models reach 75.0% on average and 60.0% at the worst client; "
        "local only 60.0%, FedAvg 85.0% on average."
    )
    screen.control("scenario").value = "alike"
    screen.control("setting").value = "Ditto, λ = 3"
    assert screen.alts[-1].startswith("Ditto, λ = 3, alike: the clients' own models reach 73.0% on average")
    screen.control("setting").value = "APFL, α = 0.5"
    assert screen.alts[-1].startswith("APFL, α = 0.5, alike: the clients' own models reach 20.0% on average")


@pytest.mark.browser
def test_settings_between_alone_and_together(opened, expect):
    page = opened("06_personalization")
    widget = cell(page, "figures.explore_settings(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 0, dirichlet:0.5: the clients' own models reach"))
    press(page, widget.locator(".widget-slider"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^Ditto, λ = 10, dirichlet:0.5:"))
    press(page, widget.locator(".widget-slider"), "ArrowRight", 4)
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, dirichlet:0.5:"))
    widget.get_by_role("button", name="dirichlet:10").click()
    expect(image).to_have_attribute("alt", re.compile("^APFL, α = 0.5, dirichlet:10:"))
