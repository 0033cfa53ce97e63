"""Tables as a data set: hospitals learn together, with the algorithms that images are learned with."""

import re

import numpy as np
import pytest
import torch

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate, reference_lines
from fedlearn_helpers.tables import (
    Standardizer,
    as_dataset,
    load_heart,
    model_inputs,
    new_logistic_regression,
    new_small_network,
    split_site,
)
from fedlearn_helpers.tasks import TABLES
from fedlearn_helpers.training import evaluate

COLUMNS = ("age", "sex", "cp", "trestbps", "thalach", "exang", "oldpeak")
CONFIG = LocalConfig(local_epochs=2, batch_size=16, learning_rate=0.05)
FEATURES = 10  # four for the chest pain


def hospitals(seed=0):
    """Return the four hospitals as a data set, with medians, means and deviations of all training rows."""
    parts = [split_site(site.only(COLUMNS), 0.25, seed) for site in load_heart()]
    pooled = np.concatenate([train.values for train, _ in parts])
    standardizer = Standardizer(parts[0][0].schema, np.nanmean(pooled, axis=0), np.nanstd(pooled, axis=0))
    fill = np.nanmedian(pooled, axis=0)
    inputs = [[model_inputs(part, fill=fill, standardizer=standardizer) for part in pair] for pair in parts]
    return as_dataset(
        [train for train, _ in inputs],
        [train.labels for train, _ in parts],
        test=([test for _, test in inputs], [test.labels for _, test in parts]),
        name="heart",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [("fedavg", {}), ("fedprox", {"mu": 0.1}), ("scaffold", {}), ("ditto", {"lambda": 1.0})]
)
@pytest.mark.parametrize("new_model", [new_logistic_regression, new_small_network])
def test_hospitals_learn_together(settings, new_model):
    torch.set_num_threads(1)
    dataset, shards = hospitals()
    name, own = settings
    result = federate(
        name, dataset, shards, num_rounds=10, local_config=CONFIG, settings=own, seed=0, workers=1,
        model=new_model(FEATURES, 0), label=None,
    )  # fmt: skip
    assert len(result.members.own) == 4 and np.isfinite(result.members.own).all()
    always_ill = dataset.test_targets.double().mean().item()
    if name != "ditto":
        assert result.test_accuracy[-1] > max(0.74, always_ill), "better than the more frequent class"
        assert result.test_accuracy[-1] > result.test_accuracy[0]
    assert result.members.own.mean() > 0.7


@pytest.mark.slow
def test_one_hospitals_model_is_worse_elsewhere():
    torch.set_num_threads(1)
    dataset, shards = hospitals()
    lines = reference_lines(
        dataset, shards, epochs=30, batch_size=16, learning_rate=0.01, seed=0, workers=1,
        model=new_logistic_regression(FEATURES, 0), label=None,
    )  # fmt: skip
    assert lines.centralized_test > 0.75
    swiss = lines.local_test[2]
    assert swiss == min(lines.local_test) and swiss < lines.centralized_test - 0.1


def test_rows_stay_with_their_site():
    rng = np.random.default_rng(0)
    train = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 6)]
    test = [rng.normal(size=(n, 3)).astype(np.float32) for n in (2, 5, 1)]
    labels = [np.arange(len(rows)) % 2 for rows in train]
    test_labels = [np.arange(len(rows)) % 2 for rows in test]
    before = [array.copy() for array in (*train, *test, *labels, *test_labels)]
    dataset, shards = as_dataset(train, labels, test=(test, test_labels), name="three")
    assert (dataset.name, dataset.task) == ("three", TABLES)
    assert dataset.train_inputs.dtype == dataset.test_inputs.dtype == torch.float32
    assert dataset.train_targets.dtype == dataset.test_targets.dtype == torch.int64
    for site, shard in enumerate(shards):
        np.testing.assert_array_equal(dataset.train_inputs[shard.train], train[site])
        np.testing.assert_array_equal(dataset.train_targets[shard.train], labels[site])
        np.testing.assert_array_equal(dataset.train_inputs[shard.validation], test[site])
        np.testing.assert_array_equal(dataset.train_targets[shard.validation], test_labels[site])
    np.testing.assert_array_equal(dataset.test_inputs, np.concatenate(test))
    np.testing.assert_array_equal(dataset.test_targets, np.concatenate(test_labels))
    used = np.concatenate([part for shard in shards for part in (shard.train, shard.validation)])
    assert sorted(used.tolist()) == list(range(len(dataset.train_inputs))), "each row once"
    dataset.train_inputs.zero_()
    dataset.train_targets.zero_()
    for array, unchanged in zip((*train, *test, *labels, *test_labels), before, strict=True):
        np.testing.assert_array_equal(array, unchanged)


def test_two_scores_are_a_logistic_regression():
    """The loss of two scores is that of their difference with a single output, and so is the prediction."""
    dataset, _ = hospitals()
    model = new_logistic_regression(FEATURES, 3)
    rows, labels = dataset.test_inputs, dataset.test_targets
    difference = rows @ (model.weight[1] - model.weight[0]) + model.bias[1] - model.bias[0]
    single = torch.nn.functional.binary_cross_entropy_with_logits(difference, labels.float())
    found = evaluate(model, rows, labels, task=TABLES)
    assert found.loss == pytest.approx(single.item(), rel=1e-5)
    assert found.predictions.tolist() == (difference > 0).long().tolist()
    assert TABLES.inputs(rows) is rows


ROWS, LABELS = [np.ones((2, 3)), np.ones((2, 3))], [np.array([0, 1]), np.array([0, 1])]


@pytest.mark.parametrize(
    ("inputs", "labels", "test", "says"),
    [
        ([], [], (ROWS, LABELS), "inputs_by_site must have inputs and labels of each site, got 0 and 0"),
        (ROWS, LABELS[:1], (ROWS, LABELS), "inputs_by_site must have inputs and labels of each site, got 2 and 1"),
        (ROWS, LABELS, (ROWS[:1], LABELS[:1]), "test must have rows of 2 sites, got 1"),
        (ROWS, LABELS, (ROWS, LABELS[:1]), "test must have inputs and labels of each site, got 2 and 1"),
        ([ROWS[0], np.ones((2, 4))], LABELS, (ROWS, LABELS), re.escape("the same features at all sites, got [3, 4]")),
        ([ROWS[0], np.ones((3, 3))], LABELS, (ROWS, LABELS), re.escape("got shape (3, 3) and 2 labels for site 1")),
        ([ROWS[0], np.ones(2)], LABELS, (ROWS, LABELS), re.escape("got shape (2,) and 2 labels for site 1")),
        ([ROWS[0], np.ones((0, 3))], [LABELS[0], []], (ROWS, LABELS), re.escape("got shape (0, 3) and 0 labels")),
        ([ROWS[0], np.full((2, 3), "a")], LABELS, (ROWS, LABELS), "inputs_by_site must be numbers"),
        (
            [ROWS[0], np.full((2, 3), np.nan)],
            LABELS,
            (ROWS, LABELS),
            "inputs_by_site must be finite, got nan for site 1",
        ),
        (ROWS, LABELS, ([np.full((2, 3), 1e200), ROWS[0]], LABELS), "test must be finite, got inf for site 0"),
        (ROWS, [LABELS[0], np.array([0, np.nan])], (ROWS, LABELS), "labels of 'site 1' must be 0 or 1, got nan"),
        (ROWS, [LABELS[0], np.array([0, 2])], (ROWS, LABELS), "labels of 'site 1' must be 0 or 1, got 2"),
    ],
)
def test_rows_that_cannot_be_a_data_set_are_refused(inputs, labels, test, says):
    with pytest.raises(InputError, match=says):
        as_dataset(inputs, labels, test=test)
