"""The lesson of notebook 02."""

import ast
import math
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from flwr.app import MetricRecord, RecordDict
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed, all_lessons, code_of, execute
from nbformat.v4 import new_code_cell
from shown_code import definition

from fedlearn_helpers.algorithms import weighted_mean
from fedlearn_helpers.experiments import ReferenceLines, basic_client
from fedlearn_helpers.lessons.federated_averaging import exercises, figures
from fedlearn_helpers.metrics import averages, weighted_average

DATA = os.environ.get("FEDLEARN_DATA", "")  # no test of a lesson sees it unless it says so
SETTINGS = pd.DataFrame({"accuracy": [0.70, 0.78, 0.80, 0.79, 0.75], "megabytes": [1.0, 4.0, 16.0, 8.0, 2.0]})


def aggregate(change):
    """An answer to `worst_client` that does one thing differently."""

    def answer(replies, weighted_by):
        reports = [dict(reply["metrics"]) for reply in replies]
        examples = [report.pop(weighted_by) for report in reports]
        result = weighted_average(reports, examples) | {"worst_accuracy": min(report["accuracy"] for report in reports)}
        return change(result, reports, examples)

    return answer


class TestFederatedAveraging(LessonTests):
    lesson = Lesson(
        notebook="02_federated_averaging",
        small={"num_clients": 6, "max_images": 600, "num_rounds": 2, "batch_size": 100, "patience": 1},
        metrics={
            "fedavg_test_accuracy",
            "local_only_test_accuracy",
            "centralized_test_accuracy",
            "test_accuracy_per_round",
            "bytes_down",
            "bytes_up",
            "fedavg_seconds",
            "local_only_stopped_test_accuracy",
            "tries_test_accuracy",
            "kept_round",
            "settings",
        },
        bad=[
            ({"num_clients": 0}, "num_clients must be >= 1, got 0"),
            ({"num_clients": "four"}, "num_clients must be a whole number, got 'four'"),
            ({"num_clients": 20_000}, "num_clients=20000 leaves a client with 0; use fewer clients"),
            ({"max_images": 99}, "max_images must be >= 100, got 99"),
            ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
            ({"local_epochs": 0}, "local_epochs must be >= 1, got 0"),
            ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
            ({"learning_rate": -0.1}, "learning_rate must be > 0, got -0.1"),
            ({"patience": 0}, "patience must be >= 1, got 0"),
            ({"fraction_train": 1.5}, "fraction_train must be <= 1, got 1.5"),
            ({"min_clients": 11}, "min_clients must be <= num_clients (10), got 11"),
            ({"workers": 0}, "workers must be 'auto' or a whole number >= 1, got 0"),
            ({"seed": -1}, "seed must be >= 0, got -1"),
            ({"device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda', got 'tpu'"),
        ],
        wrong={
            "models_sent": [
                (10, "That is training alone"),
                (30, "with all ten clients training"),
                (25, "Do clients send a model back when they evaluate?"),
                (5, "the number of clients that train"),
                (7, "7 is not it"),
            ],
            "worst_client": [
                (aggregate(lambda result, *_: result), "must return a MetricRecord"),
                (
                    aggregate(
                        lambda result, reports, _: MetricRecord(
                            weighted_average(reports, [1] * len(reports)) | {"worst_accuracy": 0.5}
                        )
                    ),
                    "weigh the clients by their examples",
                ),
                (
                    aggregate(lambda result, *_: MetricRecord({"worst_accuracy": result["worst_accuracy"]})),
                    "must stay in the result",
                ),
                (
                    aggregate(
                        lambda result, reports, _: MetricRecord(
                            result | {"worst_accuracy": max(r["accuracy"] for r in reports)}
                        )
                    ),
                    "The worst client is the one with the lowest",
                ),
                (
                    aggregate(
                        lambda result, reports, examples: MetricRecord(
                            result
                            | {"worst_accuracy": min(r["accuracy"] * n for r, n in zip(reports, examples, strict=True))}
                        )
                    ),
                    "Examples do not matter",
                ),
                (
                    aggregate(
                        lambda result, reports, _: MetricRecord(result | {"worst_accuracy": reports[-1]["accuracy"]})
                    ),
                    "wherever it stands",
                ),
                (
                    aggregate(
                        lambda result, *_: MetricRecord({"accuracy": result["accuracy"], "loss": result["loss"]})
                    ),
                    "no 'worst_accuracy'",
                ),
            ],
            "cheapest_setting": [
                (0, "It sends least of all, but row 0 has accuracy 70.0%"),
                (4, "5.0 points below the best one, 80.0%; 4 are allowed"),
                (2, "Row 2 is the most accurate, and sends 16.00 MB: 4.0 times as much"),
                (3, "Row 3 is accurate enough, and sends 8.00 MB: 2.0 times as much"),
                (9, "the number of a row, 0 to 4, and it is 9"),
                ("first", "must be a number, and it is 'first'"),
            ],
        },
        given={"cheapest_setting": {"settings": SETTINGS}},
        names={"np": np, "RecordDict": RecordDict, "MetricRecord": MetricRecord, "weighted_average": weighted_average},
        shown={"weighted_average": averages, "train_client": basic_client},
        in_browser=Typed("models_sent", wrong="30", sentence="Here half of them train", right="20"),
    )


LESSON = TestFederatedAveraging.lesson


# Parameters


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2**32 - 1},
        {"num_clients": 1, "min_clients": 1},
        {"min_clients": 10},
        {"learning_rate": 1},
        {"learning_rate": 10.0},
        {"fraction_train": 1.0},
        {"fraction_train": 1e-9},
        {"workers": 1},
        {"workers": 64},
        {"device": "cuda"},
        {"dataset": "cifar10"},
        {"dataset": "fashion-mnist"},
        {"dataset": "mnist"},
    ],
    ids=str,
)
def test_limits_are_allowed(change):
    values = LESSON.defaults | change
    assert LESSON.model.check(values) == values


def test_two_mistakes_give_two_sentences():
    said = LESSON.refused_at_once({"num_rounds": 0, "device": "tpu"})
    assert said == "num_rounds must be >= 1, got 0; device must be 'auto', 'cpu' or 'cuda', got 'tpu'"


def test_more_clients_wanted_than_there_are():
    said = LESSON.refused_at_once({"num_clients": 3, "min_clients": 4})
    assert said == "min_clients must be <= num_clients (3), got 4"


# Runs

SAME_FEDERATION = """
app = make_client_app(
    data,
    shards,
    model,
    local_epochs=local_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    seed=seed,
)
run_config = {"num-server-rounds": num_rounds}
again = simulate(server_app, app, num_clients=num_clients, seed=seed, run_config=run_config)
columns = ["train_loss", "evaluate_loss", "evaluate_accuracy", "server_accuracy", "bytes_up"]
assert again.rounds[columns].equals(history.rounds[columns])
"""


def defined_in_the_notebook(name, **names):
    """A function that the notebook defines, with what it needs."""
    exec(ast.unparse(definition(code_of(LESSON.path), name)), names)
    return names[name]


def test_the_best_row_is_right_where_nothing_cheaper_comes_near():
    settings = pd.DataFrame({"accuracy": [0.60, 0.80], "megabytes": [1.0, 2.0]})
    verdict = exercises.cheapest_setting.check(1, settings=settings)
    assert verdict.status == "correct" and "nothing is gained by sending less" in verdict.message


def test_settings_that_send_the_same_are_all_accepted():
    settings = pd.DataFrame({"accuracy": [0.79, 0.80], "megabytes": [2.0, 2.0]})
    assert {exercises.cheapest_setting.check(row, settings=settings).status for row in (0, 1)} == {"correct"}


def test_coins_fall_as_unevenly_as_the_sign_test_says():
    sign_test = defined_in_the_notebook("sign_test", comb=math.comb)
    assert sign_test(9, 1) == sign_test(1, 9) == pytest.approx(22 / 1024)
    assert sign_test(9, 0) == pytest.approx(2 / 512)
    assert sign_test(5, 5) == sign_test(0, 0) == 1


def test_averaging_in_the_notebook_is_that_of_the_package():
    generator = torch.Generator().manual_seed(0)
    states = [{"w": torch.randn(50, 4, generator=generator), "b": torch.randn(7, generator=generator)} for _ in "abc"]
    by_hand = defined_in_the_notebook("average_models")(states, examples=[30, 10, 7])
    packaged = weighted_mean(states, [30, 10, 7])
    assert all(torch.equal(by_hand[name], packaged[name]) for name in "wb")


@pytest.mark.notebook
def test_two_runs_and_the_packages_client_are_equal_bit_for_bit_and_another_seed_is_not(tmp_path):
    """The second run goes on with the package's client, and then has another number of workers than the first."""
    notebook = nbformat.read(LESSON.path, as_version=4)
    notebook.cells.append(new_code_cell(SAME_FEDERATION))
    nbformat.write(notebook, longer := tmp_path / "longer.ipynb")
    runs = []
    for source, chosen in ((None, {"workers": 1}), (longer, {"workers": "auto"}), (None, {"seed": 1})):
        (folder := tmp_path / f"run {len(runs)}").mkdir()
        metrics = execute(LESSON, folder, source=source, **LESSON.small, **chosen)["metrics"]
        runs.append({name: value for name, value in metrics.items() if not name.endswith("seconds")})
    assert runs[0] == runs[1]
    assert runs[0]["test_accuracy_per_round"] != runs[2]["test_accuracy_per_round"]


@pytest.mark.notebook
def test_notebooks_01_and_02_give_the_same_reference_lines(tmp_path):
    """The lines that 01 introduces are the ones that 02 compares with."""
    for name in "ab":
        (tmp_path / name).mkdir()
    shared = {"num_clients": 5, "max_images": 1000, "batch_size": 100, "learning_rate": 0.003}
    first = execute(all_lessons()["01_centralized_cnn"], tmp_path / "a", **shared, epochs=2, patience=1)["metrics"]
    second = execute(LESSON, tmp_path / "b", **shared, num_rounds=2, patience=1)["metrics"]
    assert first["centralized_test_accuracy"] == second["centralized_test_accuracy"]
    alone = first["local_only_test_accuracy_per_client"]
    assert alone == second["local_only_test_accuracy_per_client"][: len(alone)]


@pytest.mark.notebook
@pytest.mark.skipif(not (Path(DATA) / "cifar10").is_dir(), reason="needs CIFAR-10 in FEDLEARN_DATA")
def test_cifar10_reaches_all_three_lines(tmp_path, monkeypatch):
    """A short run: the federation must lie above local only, and below centralized."""
    monkeypatch.setenv("FEDLEARN_DATA", DATA)
    few = {"num_clients": 5, "max_images": 8000, "num_rounds": 4, "local_epochs": 2, "patience": 1}
    metrics = execute(LESSON, tmp_path, dataset="cifar10", **few)["metrics"]
    assert 0.30 < metrics["local_only_test_accuracy"] < metrics["fedavg_test_accuracy"]
    assert metrics["fedavg_test_accuracy"] < metrics["centralized_test_accuracy"] < 0.70


# Figures


def test_settings_are_numbered_and_the_best_that_a_price_can_buy_are_ringed():
    settings = pd.DataFrame({"rounds": [4, 4, 20], "accuracy": [0.5, 0.4, 0.7], "megabytes": [1.0, 2.0, 4.0]})
    (axis,) = figures.tradeoff(settings).figure.axes
    assert [text.get_text() for text in axis.texts] == ["0", "1", "2"]
    ringed, *points = axis.lines
    assert list(ringed.get_ydata()) == [0.5, 0.7]
    (stays,) = axis.collections
    assert [segment.tolist() for segment in stays.get_segments()] == [[[1.0, 0.5], [4.0, 0.5]]]
    assert [list(line.get_xdata()) for line in points] == [[1.0], [2.0], [4.0]]
    assert axis.get_xlabel() and axis.get_ylabel()


def test_numbers_of_settings_at_one_price_stand_apart_in_their_order():
    settings = pd.DataFrame({"accuracy": [0.72, 0.725, 0.73, 0.5], "megabytes": [2.0, 2.0, 2.0, 1.0]})
    (axis,) = figures.tradeoff(settings).figure.axes
    heights = {text.get_text(): text.xy[1] for text in axis.texts}
    low, high = axis.get_ylim()
    assert heights["1"] - heights["0"] > 0.04 * (high - low) and heights["2"] - heights["1"] > 0.04 * (high - low)


def test_no_cheaper_setting_is_as_good_as_one_on_the_line():
    settings = pd.DataFrame(
        {"accuracy": [0.7, 0.6, 0.7, 0.8, 0.75], "rounds": [2, 1, 3, 3, 3]}, index=[10, 11, 12, 13, 14]
    )
    assert figures.best_for_the_price(settings, "rounds") == [11, 10, 13]


STOPPED = ReferenceLines(0.85, (0.8, 0.8), (0.5, 0.375), (0.5, 0.375), seconds=1.0)
LINES = ReferenceLines(0.8, (0.75, 0.75), (0.5, 0.25), (0.5, 0.25), seconds=1.0, early_stopping=STOPPED)


def test_the_federation_is_drawn_with_both_kinds_of_reference_lines():
    drawing = figures.accuracy_by_round(pd.Series([0.1, 0.4, 0.625]), LINES, local_epochs=2)
    assert drawing.alt == (
        "Test accuracy of the federated model by round: 40.0% after the first, 62.5% after 2 rounds. Reference lines: "
        "centralized, as many epochs: 80.0%; local only, as many epochs: 37.5%; centralized, early stopping: 85.0%; "
        "local only, early stopping: 43.8%."
    )
    (axis,) = drawing.figure.axes
    assert axis.get_xlabel() == "round (2 local epochs per round)"
    federated, *lines = axis.lines
    assert federated.get_ydata().tolist() == [0.4, 0.625]
    assert [line.get_ydata()[0] for line in lines] == [0.85, 0.8, 0.4375, 0.375]
    assert len({line.get_color() for line in lines}) == 2, "one for local only, one for centralized"
    named = sorted(axis.texts, key=lambda text: text.xy[1])
    assert [text.get_text() for text in named] == [
        "local only, as many epochs: 37.5%",
        "local only, early stopping: 43.8%",
        "centralized, as many epochs: 80.0%",
        "centralized, early stopping: 85.0%",
    ]
    places = [text.get_position()[1] for text in named]
    gaps = [upper - lower for lower, upper in zip(places, places[1:], strict=False)]
    assert min(gaps) > 0.05 * np.ptp(axis.get_ylim()), "no name is on another"


def test_gains_and_losses_of_clients_are_told_apart():
    drawing = figures.gain_of_clients([0.5, 0.75, 0.5], [0.625, 0.75, 0.25], when="round 3")
    assert drawing.alt == (
        "Accuracy of every client on its own validation images, round 3. With the federated model 1 of 3 clients do "
        "better than alone, 1 worse, 1 equally well. Federated: from 25.0% to 75.0%; local only: from 50.0% to 75.0%."
    )
    (axis,) = drawing.figure.axes
    gain, loss = axis.collections
    assert gain.get_segments()[0].tolist() == [[0, 0.5], [0, 0.625]]
    assert loss.get_segments()[0].tolist() == [[2, 0.5], [2, 0.25]]
    assert axis.get_legend() is None, "it stands beside the axes, where it covers no client"


def test_what_chance_may_do_is_a_bar_beside_the_clients():
    drawing = figures.gain_of_clients([0.5, 0.75, 0.5], [0.625, 0.75, 0.25], chance=10.0)
    (axis,) = drawing.figure.axes
    bar = axis.collections[-1].get_segments()[0]
    assert bar.tolist() == [[3, pytest.approx(0.25)], [3, pytest.approx(0.35)]]
    assert drawing.alt.endswith("A bar shows two standard errors of a difference, 10.0 points.")


def test_a_client_below_the_picture_is_written_at_its_edge():
    drawing = figures.gain_of_clients([0.75, 0.75], [0.25, 0.5], limits=(0.4, 0.8))
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["↓25%"]


def test_the_models_before_averaging_and_their_average():
    drawing = figures.attempts(["careless", "careful"], [[0.5, 0.75], [0.5, 0.625]], [0.125, 0.75])
    assert drawing.alt.endswith(
        "careless: 62.5% on average before, 12.5% after; careful: 56.2% on average before, 75.0% after."
    )
    left, right = drawing.figure.axes
    for axis in (left, right):
        drawn = [list(line.get_xdata()) for line in axis.lines[:4]]
        assert drawn == [[0.5, 0.75], [0.125], [0.5, 0.625], [0.75]]
        assert axis.get_ylim() == (1.5, -0.5), "the first try is on top"
    assert left.get_xlim()[0] < 0.125 < left.get_xlim()[1] < right.get_xlim()[0] < 0.5 < 0.75 < right.get_xlim()[1]


@pytest.mark.parametrize("average", [0.5, 0.7])
def test_an_axis_without_a_hole_is_whole(average):
    (axis,) = figures.attempts(["one"], [[0.5, 0.6, 0.7]], [average]).figure.axes
    assert axis.get_xlim()[0] < 0.5 and axis.get_xlim()[1] > 0.7


def test_the_kept_round_is_shown_with_what_clients_would_choose():
    validation = np.array([[0.5, 0.25], [0.75, 0.5], [0.5, 0.625]])
    drawing = figures.choosing_a_round(validation, [0.375, 0.625, 0.5625], [0.4, 0.6, 0.58], kept=2)
    assert drawing.alt == (
        "Validation accuracy of the global model by round: each client's, and their average, which is best in round 2 "
        "with 62.5%. The clients' own best rounds are 2 to 3. On the test images the model of round 2 reaches 60.0%, "
        "that of the last 58.0%."
    )


def test_the_best_and_the_cheapest_setting_are_named():
    settings = pd.DataFrame({"clients": [2, 10], "accuracy": [0.5, 0.75], "megabytes": [1.0, 2.0]})
    assert figures.tradeoff(settings).alt == (
        "Accuracy of 2 settings, numbered as in the table, against their price: megabytes. The best that "
        "a price can buy: row 0 50.0% for 1, row 1 75.0% for 2."
    )


# The widgets


def test_settings_are_compared_by_what_is_scarce(screen):
    settings = pd.DataFrame(
        {
            "rounds": [4, 4, 20],
            "accuracy": [0.5, 0.6, 0.7],
            "megabytes": [1.0, 2.0, 4.0],
            "steps in a row": [10, 10, 50],
            "steps of all clients": [10, 20, 50],
        }
    )
    figures.compare_settings(settings)
    assert "price: megabytes. The best that a price can buy: row 0 50.0% for 1, row 1" in screen.alts[-1]
    screen.control("price").value = "steps in a row"
    assert screen.alts[-1].endswith("buy: row 1 60.0% for 10, row 2 70.0% for 50.")
    screen.control("price").value = "rounds"
    assert screen.alts[-1].endswith("buy: row 1 60.0% for 4, row 2 70.0% for 20.")


def test_a_round_is_shown_with_the_clients_that_gain(screen):
    figures.browse_rounds([0.5, 0.75], np.array([[0.25, 0.5], [0.625, 0.5], [0.75, 0.875]]))
    assert "round 3. With the federated model 2 of 2 clients do better than alone" in screen.alts[-1]
    screen.control("round").value = 2
    assert "round 2. With the federated model 1 of 2 clients do better than alone, 1 worse" in screen.alts[-1]


@pytest.mark.browser
def test_other_settings_of_the_federation(opened, expect):
    page = opened("02_federated_averaging")
    widget = cell(page, "figures.compare_settings(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("against their price: megabytes"))
    widget.get_by_role("button", name="rounds", exact=True).click()
    expect(image).to_have_attribute("alt", re.compile("against their price: rounds"))


@pytest.mark.browser
def test_picking_a_round(opened, expect):
    page = opened("02_federated_averaging")
    widget = cell(page, "figures.browse_rounds(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("validation images, round 2[.]"))
    press(page, widget.locator(".widget-slider"), "ArrowLeft", 1)
    expect(image).to_have_attribute("alt", re.compile("validation images, round 1[.]"))
