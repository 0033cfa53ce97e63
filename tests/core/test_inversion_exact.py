"""What a gradient gives away without a search: the input of a dense layer, and the labels."""

import math

import pytest
import torch
from torch.nn import functional as F

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import new_cnn, new_mlp
from fedlearn_helpers.privacy.dense_layer import input_of_dense_layer, inputs_of_dense_layer, share_recovered
from fedlearn_helpers.privacy.labels import label_of, labels_of_batch, softmax_on_noise
from fedlearn_helpers.privacy.pictures import best_order, psnr, to_inputs, to_pictures
from fedlearn_helpers.privacy.victims import gradient_of, update_of
from fedlearn_helpers.tasks import normalize

SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def held_out():
    dataset = load_dataset("fashion")
    return normalize(dataset.test_images[:640]), dataset.test_labels[:640]


@pytest.mark.parametrize("seed", range(5))
def test_a_dense_first_layer_holds_its_input(held_out, seed):
    image, label = held_out[0][seed : seed + 1], held_out[1][seed : seed + 1]
    weight, bias, *_ = gradient_of(new_mlp(SHAPE, 10, seed), image, label)
    found = input_of_dense_layer(weight, bias)
    assert (to_pictures(found) - to_pictures(image).flatten()).abs().max() < 1e-5
    assert psnr(to_pictures(found), to_pictures(image).flatten()) > 100


def test_two_images_that_activate_the_unit_are_mixed(held_out):
    """Two copies of an input are one input; two inputs that activate all units give neither."""
    images = held_out[0][:2]
    model = new_mlp(SHAPE, 10, 0)
    with torch.no_grad():
        model[1].bias += 100  # all units are active
        model[3].weight *= 0.001  # and the model is unsure of both
    for pair, low, high in ((images[[0, 0]], 100, math.inf), (images, 0, 20)):
        weight, bias, *_ = gradient_of(model, pair, held_out[1][:2])
        found = to_pictures(input_of_dense_layer(weight, bias))
        best = max(psnr(found, to_pictures(image).flatten()) for image in pair)
        assert low <= best <= high


def test_the_larger_the_batch_the_fewer_are_recovered(held_out):
    images, labels = held_out
    shares = []
    for size in (1, 4, 16, 64):
        weight, bias, *_ = gradient_of(new_mlp(SHAPE, 10, 0), images[:size], labels[:size])
        candidates = inputs_of_dense_layer(weight, bias)
        assert len(candidates) <= 64
        shares.append(share_recovered(candidates, images[:size]))
    assert shares[0] == 1 and shares == sorted(shares, reverse=True) and shares[-1] < 0.1


def test_candidates_are_compared_with_stored_images_too():
    stored = load_dataset("fashion").test_images[:3]
    candidates = normalize(stored).flatten(start_dim=1)[:2]
    assert share_recovered(candidates, stored) == share_recovered(candidates, normalize(stored)) == 2 / 3


@pytest.mark.parametrize("local_steps", [1, 5, 20])
def test_steps_of_sgd_hide_nothing_and_adam_leaves_signs(held_out, local_steps):
    image, label = held_out[0][:1], held_out[1][:1]
    model = new_mlp(SHAPE, 10, 0)
    weight, bias, *_ = update_of(model, image, label, local_steps, 0.01)
    assert (input_of_dense_layer(weight, bias) - image.flatten()).abs().max() < 1e-4

    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(local_steps):
        optimizer.zero_grad()
        F.cross_entropy(model(image), label).backward()
        optimizer.step()
    weight, bias, *_ = (after.detach() - first for after, first in zip(model.parameters(), before, strict=True))
    found = input_of_dense_layer(weight, bias)
    far = image.flatten().abs() > 0.1
    torch.testing.assert_close(found[far], image.flatten()[far].sign(), atol=1e-2, rtol=0)
    assert psnr(to_pictures(found), to_pictures(image).flatten()) < 20


@pytest.mark.parametrize("size", [2, 8, 32])
def test_all_labels_of_twenty_batches(held_out, size):
    images, labels = held_out
    for number in range(20):
        model = new_cnn(SHAPE, 10, number)
        batch = slice(number * size, (number + 1) * size)
        last = gradient_of(model, images[batch], labels[batch])[-1]
        guess = softmax_on_noise(model, SHAPE, number)
        found = labels_of_batch(last, guess, size)
        assert found.equal(labels[batch].sort().values)
        assert not labels_of_batch(-last, guess, size).equal(found)


def test_counts_are_exact_with_the_true_probabilities(held_out):
    """With the batch's own softmax the equation holds for any model, also one that noise says little about."""
    images, labels = held_out[0][:32], held_out[1][:32]
    model = new_mlp(SHAPE, 10, 0)
    with torch.no_grad():
        model[3].weight *= 20
        probabilities = model(images).softmax(dim=1).mean(dim=0)
    last = gradient_of(model, images, labels)[-1]
    assert labels_of_batch(last, probabilities, 32).equal(labels.sort().values)
    assert not labels_of_batch(last, softmax_on_noise(model, SHAPE, 0), 32).equal(labels.sort().values)


def test_the_one_label_is_where_the_gradient_is_negative(held_out):
    model = new_cnn(SHAPE, 10, 0)
    for i in range(20):
        assert label_of(gradient_of(model, held_out[0][i : i + 1], held_out[1][i : i + 1])[-1]) == held_out[1][i]


def test_psnr():
    image = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(0)) * 0.5
    assert psnr(image, image) == math.inf
    assert psnr(image, image + 0.1) == pytest.approx(20, abs=1e-4)
    assert psnr(image, image + 0.01) == pytest.approx(40, abs=1e-3)
    assert psnr(image, image + 0.1) == psnr(image + 0.1, image)
    assert psnr(torch.zeros(4), torch.ones(4)) == 0
    assert psnr(image.expand(3, 1, 8, 8), image.expand(3, 1, 8, 8) + 0.1) == pytest.approx(20, abs=1e-4)


def test_pictures_and_inputs():
    stored = torch.arange(256, dtype=torch.uint8)
    assert to_pictures(stored)[[0, 255]].tolist() == [0, 1]
    torch.testing.assert_close(to_inputs(to_pictures(stored)), normalize(stored))
    torch.testing.assert_close(to_pictures(normalize(stored)), to_pictures(stored))


def test_the_best_order_finds_a_permutation():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((6, 1, 4, 4), generator=generator)
    shuffled = torch.randperm(6, generator=generator)
    noisy = (images + 0.05 * torch.randn(images.shape, generator=generator))[shuffled]
    order = best_order(images, noisy)
    assert shuffled[order].tolist() == list(range(6))
    assert order.tolist() != list(range(6))


def test_the_best_order_is_not_greedy():
    """The first image likes the first picture best, but the second image needs it more."""
    images = torch.tensor([0.5, 0.0]).reshape(2, 1, 1, 1)
    recovered = torch.tensor([0.3, 0.9]).reshape(2, 1, 1, 1)
    assert best_order(images, recovered).tolist() == [1, 0]


def nan(*shape):
    return torch.full(shape, math.nan)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psnr(torch.zeros(2), torch.zeros(3)), "other must have the shape of image"),
        (lambda: psnr(torch.zeros(2, dtype=torch.uint8), torch.zeros(2)), "image must be a float tensor"),
        (lambda: psnr(torch.zeros(2), nan(2)), "other must be finite"),
        (lambda: psnr(torch.zeros(0), torch.zeros(0)), "image must be a float tensor"),
        (lambda: best_order(torch.zeros(9, 1), torch.zeros(9, 1)), "images must be at most 8"),
        (lambda: best_order(torch.zeros(2, 1), torch.zeros(3, 1)), "recovered must have the shape of images"),
        (lambda: best_order(torch.zeros(2, 1), nan(2, 1)), "recovered must be finite"),
        (lambda: input_of_dense_layer(torch.ones(3, 4), torch.ones(2)), "weight_gradient must have shape"),
        (lambda: input_of_dense_layer(torch.ones(3, 4), torch.ones(3, 1)), "bias_gradient must have shape"),
        (lambda: input_of_dense_layer(torch.ones(3, 4), torch.zeros(3)), "bias_gradient must have a number other"),
        (lambda: input_of_dense_layer(nan(3, 4), torch.ones(3)), "weight_gradient must be finite"),
        (lambda: inputs_of_dense_layer(torch.ones(3, 4), nan(3)), "bias_gradient must be finite"),
        (lambda: share_recovered(torch.ones(3, 4), torch.zeros(1, 1, 2, 3)), "candidates must have shape"),
        (lambda: share_recovered(torch.ones(3, 4), torch.zeros(1, 1, 2, 2), math.nan), "least must be finite"),
        (lambda: label_of(torch.ones(1)), "last_bias_gradient must have shape"),
        (lambda: label_of(nan(10)), "last_bias_gradient must be finite"),
        (lambda: labels_of_batch(torch.ones(3), torch.ones(2), 4), "mean_softmax must be finite"),
        (lambda: labels_of_batch(torch.ones(3), nan(3), 4), "mean_softmax must be finite"),
        (lambda: labels_of_batch(torch.ones(3), torch.ones(3), 0), "batch_size must be"),
        (lambda: softmax_on_noise(new_cnn(SHAPE, 10, 0), (3, 28, 28), 0), "images must be what the model takes"),
        (lambda: softmax_on_noise(new_cnn(SHAPE, 10, 0), SHAPE, -1), "seed must be"),
    ],
)
def test_what_cannot_work_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
