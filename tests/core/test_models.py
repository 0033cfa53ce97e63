"""The CNN, its size, and averages of models."""

import pytest
import torch
from torch import nn

from fedlearn_helpers.algorithms import weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import (
    MODELS,
    NORMALIZED_MODELS,
    TutorialCNN,
    count_bytes,
    count_parameters,
    new_cnn,
)


def test_cnn_has_the_tutorials_62006_parameters():
    """Counted by hand: weights and biases of two convolutions and three linear layers."""
    by_hand = (6 * 3 * 25 + 6) + (16 * 6 * 25 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10)
    assert count_parameters(TutorialCNN(3, 32, 32, 10)) == by_hand == 62_006


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 16, 16), (3, 16, 40), (2, 17, 33)])
def test_cnn_gives_one_score_per_class(shape):
    scores = TutorialCNN(*shape, num_classes=7)(torch.zeros(5, *shape))
    assert scores.shape == (5, 7)


def test_cnn_uses_every_parameter():
    model = TutorialCNN(1, 28, 28, 10)
    model(torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("size", [(15, 32), (32, 15), (1, 1)])
def test_images_below_16_pixels_are_refused(size):
    with pytest.raises(InputError, match=f"must be >= 16 pixels for this CNN, got {size[0]}x{size[1]}"):
        TutorialCNN(3, *size, 10)


def test_new_cnn_depends_on_the_seed_alone():
    before = torch.get_rng_state()
    first = new_cnn((1, 28, 28), 10, seed=5).state_dict()
    torch.rand(3)
    again, other = (new_cnn((1, 28, 28), 10, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    torch.set_rng_state(before)
    new_cnn((1, 28, 28), 10, seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def test_new_cnn_starts_from_what_pytorch_draws_after_the_seed():
    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = TutorialCNN(3, 32, 32, 10).state_dict()
    model = new_cnn((3, 32, 32), 10, seed=11).state_dict()
    assert all(torch.equal(model[name], expected[name]) for name in expected)


def test_bytes_count_buffers_and_parameters_only_what_is_trained():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert count_parameters(model) == 9 + 6
    assert count_bytes(model) == 4 * (9 + 6 + 6) + 8, "BatchNorm keeps two means of float32 and one count of int64"
    model[0].requires_grad_(False)
    assert count_parameters(model) == 6 and count_bytes(model) == 4 * (9 + 6 + 6) + 8
    assert count_bytes(nn.Linear(2, 3).half()) == 2 * 9


def test_average_counts_each_model_by_its_weight():
    states = [
        {"w": torch.tensor([0.0, 8.0]), "b": torch.tensor(1.0)},
        {"w": torch.tensor([4.0, 0.0]), "b": torch.tensor(5.0)},
    ]
    average = weighted_mean(states, [1, 3])
    assert average["w"].tolist() == [3.0, 2.0] and average["b"].item() == 4.0
    uniform = weighted_mean(states, [1, 1])
    assert uniform["w"].tolist() == [2.0, 4.0], "negative control: the plain mean is another one"


def test_average_depends_on_the_ratio_of_the_weights_and_changes_no_input():
    states = [new_cnn((1, 16, 16), 3, seed=seed).state_dict() for seed in (0, 1)]
    before = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
    one, thousand = weighted_mean(states, [1, 2]), weighted_mean(states, [1000, 2000])
    model = TutorialCNN(1, 16, 16, 3)
    model.load_state_dict(one)
    for name in one:
        torch.testing.assert_close(one[name], thousand[name])
        assert all(torch.equal(state[name], old[name]) for state, old in zip(states, before, strict=True))


def test_average_of_one_model_is_the_model():
    state = new_cnn((1, 16, 16), 3, seed=0).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in weighted_mean([state], [17]).items())


@pytest.mark.parametrize(("count", "weights"), [(0, []), (2, [1]), (1, [1, 2])])
def test_average_needs_one_weight_per_model(count, weights):
    with pytest.raises(ValueError, match=f"got {len(weights)} for {count} models"):
        weighted_mean([{"w": torch.zeros(1)}] * count, weights)


@pytest.mark.parametrize("name", MODELS)
def test_a_normalized_model_is_the_same_network_with_batchnorm(name):
    plain, normalized = (models[name]((1, 28, 28), 10, 3) for models in (MODELS, NORMALIZED_MODELS))
    weights = [p for p in plain.parameters()]
    layers = [m for m in normalized.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert all(torch.equal(p, q) for p, q in zip(weights, [q for m in layers for q in m.parameters()], strict=True))
    images = torch.randn(1, 1, 28, 28)
    normalized.train()
    normalized(images).sum().backward()  # a batch of one
    assert all(p.grad is not None for p in normalized.parameters())
