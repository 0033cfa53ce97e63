"""Scenarios with everything that a federation can do, and what their tasks and measures are."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from torch import nn

from fedlearn_helpers.algorithms import fine_tuning
from fedlearn_helpers.communication.compression import Compression
from fedlearn_helpers.communication.top_k import TopK
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate, reference_lines
from fedlearn_helpers.models import count_parameters
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.privacy.mods import clip_mod
from fedlearn_helpers.scenarios import (
    SCENARIO_NAMES,
    VOCABULARY,
    average_precision,
    load_scenario,
    scores_of_class_1,
    share_found,
    watch,
)
from fedlearn_helpers.tasks import TEXT, balanced, class_by_threshold, loss_per_character, rare_class, share_right
from fedlearn_helpers.training import evaluate, train


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small(name, clients=3, examples=24):
    """Return a scenario with a few clients and a few examples each."""
    scenario = load_scenario(name)

    def fewer(shard):
        return Shard(shard.train[:examples], shard.validation[:8])

    dataset = scenario.dataset
    dataset = replace(dataset, test_inputs=dataset.test_inputs[:40], test_targets=dataset.test_targets[:40])
    return replace(
        scenario,
        dataset=dataset,
        shards=tuple(fewer(shard) for shard in scenario.shards[:clients]),
        unseen=tuple(fewer(shard) for shard in scenario.unseen[:1]),
    )


def run(scenario, algorithm="fedavg", workers=1, **options):
    options = {"num_rounds": 2, "seed": 3, "label": None} | options
    return federate(
        algorithm, scenario.dataset, scenario.shards, unseen=scenario.unseen, local_config=scenario.local_config,
        model=scenario.new_model(3), workers=workers, **options,
    )  # fmt: skip


# Federations ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIO_NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"algorithm": "fedprox"},
        {"algorithm": "ditto"},
        {"algorithm": "finetune"},
        {"adapt": fine_tuning.adapt},
        {"mods": [clip_mod(0.1)]},
        {"transport": Compression(up=TopK(0.1))},
    ],
    ids=["fedavg", "fedprox", "ditto", "finetune", "adapt", "clipped", "compressed"],
)
def test_scenarios_run_with_all_of_it(name, options):
    scenario = small(name)
    result = run(scenario, **options)
    assert result.members.own.shape == (3,) and np.isfinite(result.members.own).all()
    assert np.isfinite(result.unseen.own).all() and (result.members.own <= 1).all()
    first = scenario.new_model(3).state_dict()
    final = result.model.to_torch_state_dict()
    assert final.keys() == first.keys()
    assert any(not torch.equal(final[key], first[key]) for key in first), "something was learned"


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_two_workers_give_the_same_bits(name):
    scenario = small(name)
    one, two = (run(scenario, workers=workers) for workers in (1, 2))
    for key, tensor in one.model.to_torch_state_dict().items():
        assert torch.equal(tensor, two.model.to_torch_state_dict()[key])
    assert one.test_accuracy == two.test_accuracy
    other = run(scenario, seed=4)
    assert any(
        not torch.equal(tensor, other.model.to_torch_state_dict()[key])
        for key, tensor in one.model.to_torch_state_dict().items()
    ), "another seed is another order of examples"


@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_reference_lines(name):
    scenario = small(name)
    options = scenario.reference_options | {"epochs": 2}
    lines = reference_lines(
        scenario.dataset, scenario.shards, unseen=scenario.unseen, model=scenario.new_model(0), seed=0, workers=1,
        label=None, **options,
    )  # fmt: skip
    assert len(lines.local_validation) == 4 and np.isfinite(lines.local_validation).all()
    assert 0 <= lines.centralized_test <= 1


def test_learning_alone_takes_the_clients_steps():
    scenario = load_scenario("watch")
    config = replace(scenario.local_config, local_epochs=3, momentum=0.7, weight_decay=0.1)
    scenario = replace(scenario, local_config=config, rate_alone=config.learning_rate)
    options = scenario.reference_options
    assert (options["epochs"], options["batch_size"]) == (3 * scenario.num_rounds, config.batch_size)
    model = scenario.new_model(0)
    own = options["optimizer"](model.parameters(), lr=options["learning_rate"], fused=True)
    assert own.defaults == config.new_optimizer(model).defaults


@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_first_models_depend_on_their_seed_alone(name):
    scenario = load_scenario(name)
    torch.manual_seed(1)
    weights, again, other = (list(scenario.new_model(seed).parameters()) for seed in (0, 0, 1))
    assert all(map(torch.equal, weights, again)) and not any(map(torch.equal, weights, other))
    with pytest.raises(InputError, match="seed must be >= 0"):
        scenario.new_model(-1)


def test_the_watch_has_a_small_network():
    parameters = count_parameters(load_scenario("watch").new_model(0))
    assert parameters == (6 * 7 + 1) * 16 + (16 * 7 + 1) * 32 + (32 + 1) * 7 == 4_535
    assert f"{parameters:,} parameters" in watch.new_model.__doc__


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("watch", 0.5), ("bank", 0.6)])
def test_the_recommended_settings_learn(name, least):
    scenario = load_scenario(name)
    result = run(scenario, num_rounds=10, seed=0)
    assert result.test_accuracy[-1] > max(least, result.test_accuracy[0])


# Text -------------------------------------------------------------------------------------


class Constant(nn.Module):
    """Always the same scores."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, inputs):
        return self.scores.expand(*inputs.shape, -1)


def test_equal_scores_have_the_loss_of_the_vocabulary():
    dataset = load_scenario("keyboard").dataset
    result = evaluate(Constant(torch.zeros(36)), dataset.test_inputs, dataset.test_targets, task=TEXT)
    assert result.loss == pytest.approx(math.log(len(VOCABULARY)), rel=1e-6)
    assert result.confidences[0].item() == pytest.approx(1 / 36)
    assert result.predictions.shape == dataset.test_targets.shape


def test_a_constant_guess_is_right_as_often_as_its_character_is_there():
    dataset = load_scenario("keyboard").dataset
    counts = torch.bincount(dataset.test_targets.flatten(), minlength=36)
    for character in (" ", "e", "z"):
        number = VOCABULARY.index(character)
        scores = torch.nn.functional.one_hot(torch.tensor(number), 36).float()
        result = evaluate(Constant(scores), dataset.test_inputs, dataset.test_targets, task=TEXT)
        assert result.accuracy == pytest.approx(counts[number].item() / counts.sum().item(), rel=1e-12)
    assert counts.argmax().item() == VOCABULARY.index(" ") and 0.15 < counts.max() / counts.sum() < 0.2


def test_the_models_guess_depends_on_the_six_characters_before_and_on_nothing_later():
    model = load_scenario("keyboard").new_model(0).eval()
    text = torch.randint(36, (1, 40), generator=torch.Generator().manual_seed(0))
    scores = model(text)
    assert scores.shape == (1, 40, 36)
    changed = text.clone()
    changed[0, 20] = (changed[0, 20] + 1) % 36
    differs = (model(changed) != scores).any(dim=2)[0].nonzero().flatten().tolist()
    assert differs == list(range(20, 26))


def test_loss_of_texts_by_hand():
    scores = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(7, (3, 5), generator=torch.Generator().manual_seed(1))
    each = [-scores[i, t].log_softmax(0)[targets[i, t]] for i in range(3) for t in range(5)]
    assert loss_per_character(scores, targets).item() == pytest.approx(sum(each).item() / 15)
    assert loss_per_character(scores, targets, reduction="sum").item() == pytest.approx(sum(each).item() / 5)
    assert share_right(torch.tensor([[1, 2], [3, 3]]), torch.tensor([[1, 0], [3, 3]])).tolist() == [0.5, 1.0]


def test_a_model_of_text_that_diverged_predicts_nothing():
    dataset = load_scenario("keyboard").dataset
    result = evaluate(Constant(torch.full((36,), math.nan)), dataset.test_inputs, dataset.test_targets, task=TEXT)
    assert math.isnan(result.accuracy) and math.isnan(result.loss) and (result.predictions == -1).all()


def test_text_without_its_order_is_not_learned():
    """A negative control: with targets in random order nothing is left but how frequent characters are."""
    scenario = load_scenario("keyboard")
    dataset, shard = scenario.dataset, scenario.shards[0]
    targets = dataset.train_targets
    order = torch.randperm(targets.numel(), generator=torch.Generator().manual_seed(0))
    shuffled = targets.flatten()[order].reshape(targets.shape)
    reached = []
    for learned in (targets, shuffled):
        model = scenario.new_model(0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        train(model, dataset.train_inputs, learned, shard.train, optimizer, epochs=2, batch_size=8, seed=0, task=TEXT)
        reached.append(evaluate(model, dataset.train_inputs, learned, shard.validation, task=TEXT).accuracy)
    assert reached[0] > 0.24 and reached[1] < 0.2


# Rare classes -----------------------------------------------------------------------------


def random_case(seed, n=200, share=0.1):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(np.int64)
    labels[0] = 1
    return rng.integers(0, 20, n) / 20 + 0.2 * labels, labels


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_scikit_learns(seed):
    scores, labels = random_case(seed)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), rel=1e-12)
    called = (scores > 0.6).astype(np.int64)
    mean = balanced(torch.from_numpy(called), torch.from_numpy(labels)).mean().item()
    assert mean == pytest.approx(balanced_accuracy_score(labels, called), rel=1e-12)


def test_who_knows_nothing_has_the_share_and_finds_what_it_looks_at():
    labels = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0])
    assert average_precision(np.zeros(10), labels) == pytest.approx(0.2)
    assert share_found(np.zeros(10), labels, 0.3) == pytest.approx(0.3)
    assert average_precision(labels.astype(float), labels) == 1 and share_found(labels, labels, 0.2) == 1
    assert share_found(labels, labels, 0.1) == 0.5 and share_found(1 - labels, labels, 0.8) == 0


def test_never_and_always_have_a_balanced_accuracy_of_one_half():
    labels = torch.from_numpy(random_case(0)[1])
    for constant in (0, 1):
        assert balanced(torch.full_like(labels, constant), labels).mean().item() == pytest.approx(0.5)
    good = torch.zeros(7, dtype=torch.int64)
    assert balanced(good, good).mean() == 1, "where a class is missing, the other one counts alone"


def test_an_example_is_called_rare_above_the_share():
    scores = torch.tensor([[0.0, -3.0], [0.0, -2.0], [2.0, 0.0]])  # probabilities of 1: 0.047, 0.119, 0.119
    predictions, sure = class_by_threshold(scores, threshold=0.1)
    assert predictions.tolist() == [0, 1, 1]
    assert sure.tolist() == pytest.approx([1 - 1 / (1 + math.exp(3)), 1 / (1 + math.exp(2)), 1 / (1 + math.exp(2))])
    assert class_by_threshold(scores, threshold=0.5)[0].tolist() == [0, 0, 0]


def test_the_scores_are_those_of_the_model():
    scenario = load_scenario("bank")
    model = scenario.new_model(0)
    scores, labels = scores_of_class_1(model, scenario.dataset)
    expected = model(scenario.dataset.test_inputs).softmax(1)[:, 1].detach().numpy()
    assert np.allclose(scores, expected) and np.array_equal(labels, scenario.dataset.test_targets.numpy())
    own = scenario.shards[2].validation
    assert len(scores_of_class_1(model, scenario.dataset, own)[0]) == len(own)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rare_class(0.0), "got 0.0"),
        (lambda: rare_class(math.nan), "got nan"),
        (lambda: share_found(np.zeros(2), np.array([0, 1]), 0.0), "looked_at must be > 0 and <= 1, got 0.0"),
        (lambda: share_found(np.zeros(2), np.array([0, 1]), 1.5), "looked_at must be > 0 and <= 1, got 1.5"),
    ],
)
def test_bad_shares_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


@pytest.mark.parametrize("measure", [average_precision, lambda scores, labels: share_found(scores, labels, 0.5)])
@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        ([0.1, math.nan], [0, 1], "scores must be finite numbers alone, got nan"),
        (["a", "b"], [0, 1], "scores must be finite numbers alone, got values of the type str"),
        ([0.1, 0.2], [0, 2], "labels must be 0 or 1 alone, got 2"),
        ([0.1, 0.2], [math.nan, 1], "labels must be 0 or 1 alone, got nan"),
        ([0.1, 0.2], [0, 0], "labels must hold a positive row for a ranking, got 2 negative rows"),
        ([0.1, 0.2, 0.3], [0, 1], r"one for each row, got the shapes \(3,\), \(2,\)"),
        ([], [], "one for each row"),
    ],
)
def test_rows_that_cannot_be_ranked_are_refused(measure, scores, labels, says):
    with pytest.raises(InputError, match=says):
        measure(scores, labels)
