"""Quick pooling gives PyTorch's numbers and gradients, bit for bit, and touches nothing else."""

from operator import attrgetter

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.pooling import quick_pooling
from fedlearn_helpers.training import evaluate, train

PLAIN = nn.MaxPool2d(2)
POOLS = [PLAIN, nn.MaxPool2d(2, 1), nn.MaxPool2d(3), nn.MaxPool2d(2, padding=1), nn.MaxPool2d(2, dilation=2)]
POOLS += [nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(2)]


def noise(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3), (28, 28)])
@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_the_maxima_are_pytorchs(pool, size):
    images = noise(3, 2, *size)
    images[0, 0, 1, 1], images[1, 1, 0, 0] = torch.nan, torch.inf
    try:
        expected = pool(images)
    except RuntimeError:  # an image smaller than the window
        return
    with quick_pooling(nn.Sequential(nn.Sequential(pool))):
        assert torch.equal(pool(images).nan_to_num(7.0), expected.nan_to_num(7.0))
        assert ("forward" in vars(pool)) == (pool is PLAIN)  # the others are left alone


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3), (28, 28)])
@pytest.mark.parametrize(
    "prepare", [torch.Tensor.clone, F.relu, torch.round, torch.zeros_like], ids=attrgetter("__name__")
)
def test_the_gradients_are_pytorchs_even_where_pixels_are_equal(size, prepare):
    gradients = []
    weights = noise(3, 2, size[0] // 2, size[1] // 2, seed=1)
    for quick in (False, True):
        images = prepare(noise(3, 2, *size)).requires_grad_()
        if quick:
            with quick_pooling(PLAIN):
                (PLAIN(images) * weights).sum().backward()
        else:
            (PLAIN(images) * weights).sum().backward()
        gradients.append(images.grad)
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


def test_a_whole_training_gives_the_same_bits():
    images = torch.randint(256, (60, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 10
    results = []
    for run in (train, train.__wrapped__):  # with quick pooling, and without
        model = new_cnn((3, 32, 32), 10, seed=0)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        loss = run(model, images, labels, torch.arange(60), optimizer, epochs=2, batch_size=20, seed=0)
        results.append((loss, nn.utils.parameters_to_vector(model.parameters()).tolist()))
    assert results[0] == results[1]


@pytest.fixture
def model():
    return nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 3))


def test_training_and_evaluation_do_without_pytorchs_slow_pooling(model, monkeypatch):
    monkeypatch.setattr("torch.nn.functional.max_pool2d", None)
    images, labels = torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64)
    assert evaluate(model, images, labels).num_examples == 6
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, images, labels, torch.arange(6), optimizer, epochs=1, batch_size=3, seed=0)


def test_pooling_is_pytorchs_own_again_afterwards(model):
    with quick_pooling(model):
        assert "forward" in vars(model[0])
    with pytest.raises(RuntimeError), quick_pooling(model):
        model(torch.zeros(1, 1, 6, 6))  # nine numbers for four weights
    assert "forward" not in vars(model[0])
