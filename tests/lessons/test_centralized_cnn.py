"""The lesson of notebook 01."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from in_browser import cell
from lesson import Lesson, LessonTests, Typed, cells_of, execute

from fedlearn_helpers import metrics, models, partition, training
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.experiments import reference_lines
from fedlearn_helpers.lessons.centralized_cnn import exercises, figures, kept_and_ended
from fedlearn_helpers.lessons.centralized_cnn.claims import CLAIMS
from fedlearn_helpers.training import Evaluation


def accuracy_together(clients):
    return 0.7 + 0.1 * np.log10(clients)


def counting(divide):
    """An answer to `accuracy_per_class` with another denominator."""

    def answer(labels, predictions, num_classes):
        right = np.bincount(labels[labels == predictions], minlength=num_classes)
        with np.errstate(all="ignore"):
            return right / divide(labels, predictions, num_classes)

    return answer


def images_of(labels, predictions, num_classes):
    return np.bincount(labels, minlength=num_classes)


class TestCentralizedCNN(LessonTests):
    lesson = Lesson(
        notebook="01_centralized_cnn",
        small={"num_clients": 40, "epochs": 2, "patience": 1, "batch_size": 200},
        metrics={
            "centralized_test_accuracy",
            "local_only_test_accuracy",
            "centralized_stopped_test_accuracy",
            "local_only_stopped_test_accuracy",
            "test_accuracy_by_images",
        },
        bad=[
            ({"epochs": 0}, "epochs must be >= 1, got 0"),
            ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
            ({"max_images": 99}, "max_images must be >= 100, got 99"),
            ({"patience": 0}, "patience must be >= 1, got 0"),
            ({"dataset": "imagenet"}, "dataset must be 'fashion', 'cifar10'"),
            ({"num_clients": 6000}, "num_clients=6000 leaves a client with 1; use fewer clients"),
        ],
        wrong={
            "layer_weights": [
                (216, "bias"),
                (80, "That is for grey images"),
                (240, "one bias, not one for every channel"),
                (28, "That is one filter. There are eight."),
                (1000, "1000 is not it"),
            ],
            "accuracy_per_class": [
                (counting(lambda true, said, n: np.bincount(said, minlength=n)), "how often the model said"),
                (counting(lambda true, said, n: len(true)), "by the number of all images"),
                (counting(lambda true, said, n: 1), "These are counts"),
                (lambda true, said, n: np.nan_to_num(counting(images_of)(true, said, n)), "must be nan, and it is 0"),
                (lambda true, said, n: np.mean(true == said), "one number per class"),
                (
                    lambda true, said, n: np.array([np.mean(said[true == k] == k) for k in np.unique(true)]),
                    "the last classes have no images",
                ),
            ],
            "half_the_gap": [
                (1, "Not there yet: with the images of 1 client it is 70.0%, and halfway is 75.0%"),
                (2, "Not there yet: with the images of 2 clients it is 73.0%, and halfway is 75.0%"),
                (5, "does not ask for half of the clients"),
                (10, "So do fewer: with the images of 4 clients it is 76.0%"),
                (0, "a whole number of clients from 1 to 10, and it is 0"),
                (3.16, "a whole number of clients from 1 to 10, and it is 3.16"),
                (None, "must be a number, and it is None"),
            ],
        },
        given={
            "half_the_gap": {"accuracy_together": accuracy_together, "halfway": 0.75, "num_clients": 10},
        },
        names={"np": np},
        shown={"TutorialCNN": models, "train": training},
        in_browser=Typed("layer_weights", wrong="216", sentence="its bias", right="224"),
    )


def test_the_deal_that_is_shown_is_the_packages():
    (deal,) = [one.source for one in cells_of(TestCentralizedCNN.lesson.path) if one.id == "deal-code"]
    lines = [line for line in deal.splitlines() if re.match("(order|shares) =", line)]
    names = {"np": np, "seed": 3, "num_clients": 7, "max_images": 100, "data": data_of([0] * 50, ("a",))}
    exec("\n".join(lines), names)
    assert len(lines) == 2
    for shown, packaged in zip(names["shares"], partition.iid(50, 7, seed=3), strict=True):
        assert np.array_equal(shown, packaged)


def test_the_solution_for_classes_is_what_later_notebooks_use():
    names = {"np": np}
    exec(exercises.accuracy_per_class.solution_source, names)
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, 30), rng.integers(0, 5, 30)
    both = [f(labels, predictions, 5) for f in (names["accuracy_per_class"], metrics.accuracy_per_class)]
    assert np.array_equal(*both, equal_nan=True) and np.isnan(both[0][4])


@pytest.mark.notebook
def test_early_stopping_that_is_shown_keeps_the_epochs_that_the_package_keeps(tmp_path):
    """With `patience` >= `epochs`: the package looks at nothing behind the end, the notebook trains for `epochs`."""
    parameters = {"num_clients": 10, "epochs": 2, "patience": 2, "batch_size": 50, "learning_rate": 0.003}
    found = execute(TestCentralizedCNN.lesson, tmp_path, **parameters, max_images=1000)["metrics"]
    data = load_dataset("fashion")
    chosen = np.random.default_rng(0).permutation(len(data.train_labels))[:1000]
    shares = [np.sort(part) for part in np.array_split(chosen, 10)]
    shards = partition.split_train_validation(shares, validation_fraction=0.2, seed=0)
    del parameters["num_clients"]
    lines = reference_lines(data, shards, **parameters, seed=0, workers=1)
    stopped = lines.early_stopping
    assert found["centralized_test_accuracy"] == lines.centralized_test
    assert found["local_only_test_accuracy_per_client"] == list(lines.local_test[:3])
    assert found["centralized_stopped_test_accuracy"] == stopped.centralized_test
    assert found["local_only_stopped_test_accuracy_per_client"] == list(stopped.local_test[:3])
    assert found["stopped_epochs"] == [stopped.centralized_epochs, *stopped.local_epochs[:3]]


@pytest.mark.parametrize("answer", [3, 4])
def test_clients_that_miss_halfway_by_less_than_chance_are_right_too(answer):
    given = {"accuracy_together": accuracy_together, "halfway": 0.75, "num_clients": 10}
    assert exercises.half_the_gap.check(answer, **given).status == "correct"


def test_claims_are_margins_of_what_the_notebook_measures():
    """With the numbers of a run of the default parameters, rounded; each claim holds there."""
    measured = {
        "centralized_test_accuracy": 0.86,
        "local_only_test_accuracy": 0.72,
        "centralized_stopped_test_accuracy": 0.87,
        "local_only_stopped_test_accuracy": 0.77,
        "local_only_stopped_test_accuracy_per_client": [0.78, 0.76, 0.76],
        "rates": [0.001, 0.003, 0.01],
        "rate_validation_accuracies": [0.79, 0.80, 0.77],
        "rate_validation_accuracies_early": [0.60, 0.63, 0.64],
        "lag_by_epoch_of_steps": [0.02, 0.04],
        "images": [800.0, 1600.0, 3200.0, 8000.0],
        "test_accuracy_by_images": [0.77, 0.81, 0.83, 0.87],
    }
    margins = {claim.says: claim.margins(measured) for claim in CLAIMS}
    assert [says for says, found in margins.items() if min(found) <= 0] == []
    assert margins["A gap is left when both have stopped improving."] == pytest.approx([0.09, 0.11, 0.11])
    assert margins["Half of the clients win more than half of the gap."] == pytest.approx([0.83 - 0.82])


# Figures


def data_of(labels, class_names, side=8):
    images = torch.zeros((len(labels), 1, side, side), dtype=torch.uint8)
    labels = torch.tensor(labels)
    return ImageDataset("noise", images, labels, images, labels, class_names, "Nothing.")


def epochs_of(**columns):
    table = pd.DataFrame({name.replace("_", " "): values for name, values in columns.items()})
    return table.set_index(pd.RangeIndex(1, len(table) + 1, name="epoch"))


def test_confusion_shows_shares_of_the_true_class():
    drawing = figures.confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"], "One cat was called a dog.")
    axis, _ = drawing.figure.axes
    assert axis.get_xlabel() and axis.get_ylabel()
    assert sorted(text.get_text() for text in axis.texts) == ["25%", "75%"]
    assert drawing.alt == "Confusion matrix on 4 test images, 75.0% right. One cat was called a dog."


def test_a_class_without_enough_images_leaves_places_empty():
    drawing = figures.class_examples(data_of([0, 0, 1], ("a", "b")), per_class=2)
    assert sum(len(axis.images) for axis in drawing.figure.axes) == 3
    assert drawing.alt == "2 training images of each of the 2 classes, one row per class: a, b."


def test_losses_say_where_the_minimum_is():
    drawing = figures.losses(epochs_of(training_loss=[3.0, 1.0, 0.5], validation_loss=[2.0, 1.5, 1.75]), "local only")
    assert drawing.alt == (
        "Loss over 3 epochs. The training loss goes from 3.00 to 0.50, the validation loss from 2.00 to 1.75; its "
        "minimum is at epoch 2."
    )
    (axis,) = drawing.figure.axes
    assert [line.get_label() for line in axis.lines] == ["local only, training loss", "validation loss"]


def labels_of(drawing):
    return [text.get_text() for legend in drawing.figure.legends for text in legend.get_texts()]


def test_the_centralized_model_and_clients_alone_are_drawn_by_epoch():
    tables = [epochs_of(validation_accuracy=[0.1, end]) for end in (0.8, 0.5, 0.625)]
    drawing = figures.accuracy_by_epoch(tables[0], tables[1:])
    assert drawing.alt == (
        "Validation accuracy over 2 epochs. Centralized training ends at 80.0%, 2 clients alone at 50.0%, 62.5%."
    )
    assert labels_of(drawing) == ["centralized", "local only, client 0", "local only, client 1"]
    (axis,) = drawing.figure.axes
    assert len({line.get_linestyle() for line in axis.lines}) == len({line.get_marker() for line in axis.lines}) == 3


ROUGH = [0.5, 0.6, 0.55, 0.55, 0.75, 0.7, 0.75]


@pytest.mark.parametrize(
    ("epochs", "patience", "expected"),
    [(1, 1, (2, 3)), (1, 2, (2, 4)), (5, 1, (5, 6)), (1, 3, (5, 7)), (7, 1, (5, 7)), (9, 1, (5, 7))],
)
def test_a_training_ends_when_patience_ends_but_not_before_its_least_length(epochs, patience, expected):
    assert kept_and_ended(ROUGH, epochs, patience) == expected


def test_early_stopping_shows_the_model_that_is_kept_and_the_wait():
    drawing = figures.early_stopping(ROUGH, 1, 2)
    assert drawing.alt == (
        "Validation accuracy of client 0. With a patience of 2 training ends after epoch 4. The best, 60.0%, is at "
        "epoch 2; after it come 2 epochs without a better one."
    )
    assert drawing.figure.axes[0].lines[-1].get_xydata().tolist() == [[2, 0.6]]
    labels = ["2 epochs without a better one", "local only, client 0", "with more patience", "this model is kept"]
    assert labels_of(drawing) == labels
    assert labels_of(figures.early_stopping(ROUGH, 9, 2)) == [labels[0], labels[1], labels[3]]


def test_patience_is_explored(screen):
    figures.explore_patience(ROUGH, 1, 2)
    assert "With a patience of 2" in screen.alts[-1]
    screen.control("patience").value = 1
    assert "With a patience of 1 training ends after epoch 3." in screen.alts[-1]


def test_accuracies_are_drawn_over_steps_not_over_epochs():
    drawing = figures.accuracy_by_step([0.5, 0.8], [[0.4, 0.6, 0.5], [0.3, 0.2]], [2, 2, 1], [10, 3, 3])
    assert drawing.alt == (
        "Validation accuracy over training steps until nothing improves. Kept are: centralized 20 steps with 80.0%; "
        "clients alone 6 steps with 60.0%, 3 steps with 30.0%. The mean of the clients ends at 40.0% after 6 steps."
    )
    assert labels_of(drawing) == [
        "centralized",
        "centralized, kept",
        "local only, one client",
        "local only, kept (number: client)",
        "local only, mean of clients",
    ]
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["0", "1"], "in their marks"
    drawing.figure.canvas.draw()


def test_gaps_are_in_points():
    drawing = figures.gaps({"2 epochs": (0.5, 0.75), "until it stops": (0.625, 0.75)})
    assert drawing.alt == (
        "Test accuracy of local only and centralized. 2 epochs: local only 50.0%, centralized 75.0%; until it stops: "
        "local only 62.5%, centralized 75.0%."
    )
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["25.0 points", "12.5 points"]


def test_rates_name_the_best_for_each_length_of_training():
    drawing = figures.rates({"2 epochs": {0.001: 0.4, 0.01: 0.6}, "until it stops": {0.001: 0.7, 0.01: 0.65}})
    assert drawing.alt == (
        "Validation accuracy of clients alone over the learning rate. Best: 2 epochs at 0.01, until it stops at 0.001."
    )
    (axis,) = drawing.figure.axes
    assert [text.get_text() for text in axis.texts] == ["2 epochs", "until it stops"], "where the lines end"
    assert [text.xy for text in axis.texts] == [(0.01, 0.6), (0.01, 0.65)]


def test_ticks_of_accuracies_are_whole_percents():
    drawing = figures.rates({"2 epochs": {0.001: 0.6, 0.01: 0.64}, "until it stops": {0.001: 0.795, 0.01: 0.77}})
    (axis,) = drawing.figure.axes
    assert all(100 * tick == pytest.approx(round(100 * tick)) for tick in axis.get_yticks())


@pytest.mark.parametrize("clients", [(1, 2, 10), (1,)])
def test_the_worth_of_images_has_a_mark_for_each_training(clients):
    rows = [(n, 80 * n, 0.5 + n / 100 + wobble) for n in clients for wobble in (0, 0.01)]
    drawing = figures.worth_of_images(pd.DataFrame(rows, columns=["clients", "images", "test accuracy"]))
    (axis,) = drawing.figure.axes
    assert [len(line.get_xdata()) for line in axis.lines] == [len(clients)] + [2] * len(clients)
    assert axis.get_xticklabels()[0].get_text() == "80\n1 client"
    assert "51.5% with 80" in drawing.alt
    if len(clients) > 1:
        assert labels_of(drawing) == ["mean", "local only", "images of some clients together", "centralized"]


# The widget and the predictions it shows

DATA = data_of([0, 0, 1, 1], ("cat", "dog"), side=2)
TEST = Evaluation(1.0, 0.5, 4, torch.tensor([0, 1, 0, 1]), torch.tensor([0.9, 0.8, 0.6, 0.7]))


def test_predictions_count_those_that_are_right():
    drawing = figures.predictions(DATA, TEST, np.array([0, 1, 3]), "Some")
    assert drawing.alt == "Some: 3 images with true and predicted class, 2 of them right."


def test_predictions_are_found_by_class_answer_and_confidence(screen):
    figures.browse_predictions(DATA, TEST)
    assert screen.alts[-1] == "2 test images: wrong answers, all classes, at least 0% sure."
    screen.control("true class").value = "dog"
    assert screen.alts[-1] == "1 test images: wrong answers, dog, at least 0% sure."
    screen.control("answers").value = "all"
    assert screen.alts[-1] == "2 test images: right and wrong answers, dog, at least 0% sure."
    count = len(screen.alts)
    screen.control("surer than").value = 0.95
    assert len(screen.alts) == count
    assert screen.text == "<p>No such image: right and wrong answers, dog, at least 95% sure.</p>"
    screen.control("surer than").value = 0.0
    assert screen.text == "<p>2 of 4 test images; the surest first.</p><img>"


@pytest.mark.browser
def test_browsing_predictions_by_class(opened, expect):
    page = opened("01_centralized_cnn")
    widget = cell(page, "figures.browse_predictions(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("wrong answers, all classes, at least 0% sure"))
    names = widget.locator("select option").all_inner_texts()
    widget.locator("select").select_option(names[3])
    expect(image).to_have_attribute("alt", re.compile(f"wrong answers, {re.escape(names[3])}, at least 0% sure"))
    widget.get_by_role("button", name="right", exact=True).click()
    expect(image).to_have_attribute("alt", re.compile(f"right answers, {re.escape(names[3])}"))
