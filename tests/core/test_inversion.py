"""Gradient inversion by search: it finds images, and fails where it must."""

import math
from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import NORMALIZED_MODELS, copy_of_weights, new_cnn, new_mlp
from fedlearn_helpers.privacy import inversion, victims
from fedlearn_helpers.privacy.inversion import (
    METHODS,
    cosine_distance,
    invert,
    relative_distance,
    total_variation,
    unroll,
)
from fedlearn_helpers.privacy.pictures import best_order, psnr, to_pictures
from fedlearn_helpers.privacy.victims import as_gradient, gradient_of, sigmoid_lenet, smooth_twin, update_of
from fedlearn_helpers.tasks import normalize

pytestmark = pytest.mark.slow

SHAPE, SMALL = (1, 28, 28), (1, 14, 14)


@pytest.fixture(scope="module")
def held_out():
    dataset = load_dataset("fashion")
    return normalize(dataset.test_images[:8]), dataset.test_labels[:8]


@pytest.fixture(scope="module")
def small(held_out):
    """Return held-out images at half their size: a search takes a fifth of the time."""
    return F.avg_pool2d(held_out[0], 2), held_out[1]


def attacked(model, images, labels, seed=0, **options):
    """Return the PSNR of one image."""
    gradient = gradient_of(model, images, labels)
    found = invert(model, gradient, labels, tuple(images.shape[1:]), seed=seed, **options)
    return psnr(found, to_pictures(images))


def noisy(tensors, ratio, seed=0):
    """Return tensors plus normal noise whose norm is `ratio` times that of the tensors."""
    generator = torch.Generator().manual_seed(seed)
    norm = math.sqrt(sum(tensor.square().sum().item() for tensor in tensors))
    std = ratio * norm / math.sqrt(sum(tensor.numel() for tensor in tensors))
    return [tensor + std * torch.randn(tensor.shape, generator=generator) for tensor in tensors]


@pytest.mark.parametrize("number", range(3))
def test_small_pictures_are_found(small, number):
    image, label = small[0][number : number + 1], small[1][number : number + 1]
    assert attacked(sigmoid_lenet(SMALL, 10, number), image, label, steps=100) > 40


def test_colors_are_found():
    image = torch.rand((1, 3, 10, 10), generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert attacked(sigmoid_lenet((3, 10, 10), 10, 0), image, torch.tensor([3]), steps=200) > 30


def test_the_cosine_attack_finds_them_too(small):
    assert attacked(sigmoid_lenet(SMALL, 10, 0), small[0][:1], small[1][:1], method="cosine", steps=200) > 20


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_label_or_gradient_gives_another_picture(small, method):
    model = sigmoid_lenet(SMALL, 10, 0)
    (image, other), (label, other_label) = small[0][:2].split(1), small[1][:2].split(1)
    gradient = gradient_of(model, image, label)
    wrong = [
        invert(model, gradient, other_label, SMALL, method=method, seed=0, steps=100),
        invert(model, gradient_of(model, other, other_label), other_label, SMALL, method=method, seed=0, steps=100),
    ]
    assert all(psnr(found, to_pictures(image)) < 15 for found in wrong)


def test_noise_as_large_as_the_gradient_hides_a_picture(small):
    model = sigmoid_lenet(SMALL, 10, 0)
    gradient = gradient_of(model, small[0][:1], small[1][:1])
    reached = [
        psnr(
            invert(model, noisy(gradient, ratio), small[1][:1], SMALL, seed=0, steps=100),
            to_pictures(small[0][:1]),
        )
        for ratio in (0, 0.001, 1)
    ]
    assert reached[0] > 40 and reached[1] > 25 and reached[2] < 12


@pytest.mark.parametrize("scale", [2.0**-14, 2.0**14])
def test_a_scaled_loss_gives_the_same_picture(small, monkeypatch, scale):
    """A power of two changes no digit of a gradient, so nothing but a rule that is not relative could differ."""
    model = sigmoid_lenet(SMALL, 10, 0)
    plain = invert(model, gradient_of(model, small[0][:1], small[1][:1]), small[1][:1], SMALL, seed=0, steps=60)
    cross_entropy = F.cross_entropy
    monkeypatch.setattr(victims.F, "cross_entropy", lambda *args: scale * cross_entropy(*args))
    gradient = gradient_of(model, small[0][:1], small[1][:1])
    assert invert(model, gradient, small[1][:1], SMALL, seed=0, steps=60).equal(plain)


def test_an_absolute_distance_ends_at_once(small, monkeypatch):
    """What the relative distance is for: the same attack on a small gradient without it returns its noise."""
    model = sigmoid_lenet(SMALL, 10, 0)
    cross_entropy = F.cross_entropy
    monkeypatch.setattr(victims.F, "cross_entropy", lambda *args: 2.0**-18 * cross_entropy(*args))
    assert attacked(model, small[0][:1], small[1][:1], steps=60) > 40
    monkeypatch.setattr(
        inversion, "relative_distance", lambda a, b: sum((x - y).square().sum() for x, y in zip(a, b, strict=True))
    )
    assert attacked(model, small[0][:1], small[1][:1], steps=60) < 12


def test_unrolled_steps_are_found_where_one_gradient_is_not(small):
    model = sigmoid_lenet(SMALL, 10, 0)
    image, label = small[0][:1], small[1][:1]
    update = update_of(model, image, label, 5, 0.01)
    naive = invert(model, as_gradient(update, 5, 0.01), label, SMALL, seed=0, steps=100)
    unrolled = unroll(model, update, label, SMALL, local_steps=5, learning_rate=0.01, seed=0, steps=100)
    assert psnr(unrolled, to_pictures(image)) > psnr(naive, to_pictures(image)) + 20


def test_one_step_is_a_gradient(small):
    model = sigmoid_lenet(SMALL, 10, 0)
    update = update_of(model, small[0][:2], small[1][:2], 1, 0.25)
    for change, gradient in zip(as_gradient(update, 1, 0.25), gradient_of(model, *(t[:2] for t in small)), strict=True):
        torch.testing.assert_close(change, gradient, rtol=1e-4, atol=1e-5)


def test_an_update_is_that_of_sgd(held_out):
    model = new_cnn(SHAPE, 10, 0)
    update = update_of(model, *held_out, 3, 0.1)
    before = copy_of_weights(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(held_out[0]), held_out[1]).backward()
        optimizer.step()
    for change, (name, parameter) in zip(update, model.named_parameters(), strict=True):
        torch.testing.assert_close(change, parameter.detach() - before[name], rtol=1e-3, atol=1e-7)


def test_both_pictures_of_a_batch_are_found(small):
    model = sigmoid_lenet(SMALL, 10, 0)
    images, labels = small[0][:2], small[1][:2]
    found = invert(model, gradient_of(model, images, labels), labels, SMALL, seed=0, steps=200)
    order = best_order(to_pictures(images), found)
    assert all(psnr(found[order[i]], to_pictures(images)[i]) > 30 for i in range(2))


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_the_picture(small, method):
    model = sigmoid_lenet(SMALL, 10, 0)
    gradient = gradient_of(model, small[0][:1], small[1][:1])
    first, again, other = (
        invert(model, gradient, small[1][:1], SMALL, method=method, seed=seed, steps=20) for seed in (3, 3, 4)
    )
    assert first.equal(again) and not first.equal(other)
    assert first.shape == (1, *SMALL) and 0 <= first.min() and first.max() <= 1
    assert not first.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_neither_model_nor_generator_changes(held_out, method):
    model = NORMALIZED_MODELS["cnn"](SHAPE, 10, 0)
    before, state = copy_of_weights(model), torch.get_rng_state()
    gradient = gradient_of(model, *held_out)
    kept = [tensor.clone() for tensor in gradient]
    invert(model, gradient, held_out[1], SHAPE, method=method, seed=0, steps=2)
    update_of(model, *held_out, 2, 0.1)
    unroll(model, gradient, held_out[1], SHAPE, local_steps=2, learning_rate=0.1, seed=0, steps=1)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.get_rng_state().equal(state)
    assert all(a.equal(b) for a, b in zip(gradient, kept, strict=True))


def test_a_network_without_active_units_gives_numbers(small):
    """Its gradient is 0 but for the last bias, whatever the picture: nothing to find, and nothing to divide by."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(196, 4), nn.ReLU(), nn.Linear(4, 10))
    with torch.no_grad():
        model[1].bias -= 1000
    gradient = gradient_of(model, small[0][:1], small[1][:1])
    for method in METHODS:
        assert invert(model, gradient, small[1][:1], SMALL, method=method, seed=0, steps=3).isfinite().all()


def test_distances():
    a, b = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])], [torch.tensor([0.0, 5.0]), torch.tensor([[0.0]])]
    assert relative_distance(a, a) == 0 and cosine_distance(a, a).abs() < 1e-6
    assert relative_distance([torch.zeros(2), torch.zeros(1, 1)], a) == 1
    assert relative_distance(a, b) == 2 and cosine_distance(a, b) == 1
    doubled = [2 * tensor for tensor in a]
    assert relative_distance(doubled, a) == 1 and cosine_distance(doubled, a).abs() < 1e-6
    assert cosine_distance([-tensor for tensor in a], a) == 2
    assert total_variation(torch.ones(1, 1, 3, 3)) == 0
    assert total_variation(torch.eye(2)[None, None]) == 1  # four differences of 1 over four pixels


def test_the_smooth_twin_has_the_weights_and_no_kinks(held_out):
    cnn = new_cnn(SHAPE, 10, 0)
    twin = smooth_twin(cnn)
    theirs = twin.state_dict()
    assert cnn.state_dict().keys() == theirs.keys()
    assert all(tensor.equal(theirs[name]) for name, tensor in cnn.state_dict().items())
    assert not any(mine is theirs for mine, theirs in zip(cnn.parameters(), twin.parameters(), strict=True))
    x = cnn.conv1(held_out[0])
    x = F.avg_pool2d(torch.tanh(cnn.conv2(F.avg_pool2d(torch.tanh(x), 2))), 2).flatten(1)
    expected = cnn.fc3(torch.tanh(cnn.fc2(torch.tanh(cnn.fc1(x)))))
    torch.testing.assert_close(twin(held_out[0]), expected)
    normalized = NORMALIZED_MODELS["cnn"](SHAPE, 10, 0)
    assert smooth_twin(normalized).state_dict().keys() == normalized.state_dict().keys()


def test_batch_statistics_hide_brightness_and_contrast_and_nothing_else(held_out):
    """Without padding, BatchNorm takes both away again; with running statistics, or without it, the gradient tells."""
    image, label = held_out[0][:1], held_out[1][:1]
    normalized, plain = (smooth_twin(new(SHAPE, 10, 0)) for new in (NORMALIZED_MODELS["cnn"], new_cnn))

    def change(model, other):
        return relative_distance(gradient_of(model, other, label), gradient_of(model, image, label))

    duller = 0.4 * image + 0.3
    assert change(normalized, duller) < 1e-5
    assert change(normalized, image.flip(-1)) > 0.1
    assert change(plain, duller) > 0.1
    assert change(normalized.eval(), duller) > 0.1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 7, 9), (2, 1, 1)])
def test_the_lenet_takes_any_image(shape):
    model = sigmoid_lenet(shape, 7, 0)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    numbers = torch.cat([parameter.flatten() for parameter in model.parameters()])
    assert -0.5 <= numbers.min() < -0.49 and 0.49 < numbers.max() <= 0.5
    assert torch.cat([p.flatten() for p in sigmoid_lenet(shape, 7, 0).parameters()]).equal(numbers)
    assert not torch.cat([p.flatten() for p in sigmoid_lenet(shape, 7, 1).parameters()]).equal(numbers)


ONE, LABEL = torch.zeros(1, *SMALL), torch.tensor([1])


def model_and_gradient():
    model = sigmoid_lenet(SMALL, 10, 0)
    return model, gradient_of(model, ONE, LABEL)


def inverted(change=lambda gradient: gradient, **options):
    model, gradient = model_and_gradient()
    chosen = {"labels": LABEL, "image_shape": SMALL, "seed": 0, "steps": 1} | options
    return invert(model, change(gradient), chosen.pop("labels"), chosen.pop("image_shape"), **chosen)


def unrolled(**options):
    model, gradient = model_and_gradient()
    chosen = {"local_steps": 1, "learning_rate": 0.1, "seed": 0, "steps": 1} | options
    return unroll(model, chosen.pop("update", gradient), LABEL, SMALL, **chosen)


def with_first(value):
    def change(tensors):
        tensors[0].view(-1)[0] = value
        return tensors

    return change


def sent(images=ONE, labels=LABEL):
    return gradient_of(sigmoid_lenet(SMALL, 10, 0), images, labels)


def updated(local_steps=1, learning_rate=0.1, labels=LABEL):
    return update_of(sigmoid_lenet(SMALL, 10, 0), ONE, labels, local_steps, learning_rate)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inverted(labels=torch.tensor([10])), "labels must be between 0 and 9, got .10"),
        (lambda: inverted(labels=torch.tensor([-1])), "labels must be between 0 and 9"),
        (lambda: inverted(labels=torch.tensor([1.0])), "labels must be an int64 tensor"),
        (lambda: inverted(labels=torch.tensor([], dtype=torch.int64)), "labels must be an int64 tensor"),
        (lambda: inverted(labels=[1]), "labels must be an int64 tensor"),
        (lambda: inverted(labels=3), "labels must be an int64 tensor"),
        (lambda: inverted(lambda gradient: gradient[:-1]), "gradient must have the shapes of the model's parameters"),
        (lambda: inverted(lambda gradient: gradient[::-1]), "gradient must have the shapes"),
        (lambda: inverted(with_first(math.nan)), "gradient must be finite, .* in tensor 0"),
        (lambda: inverted(with_first(math.inf)), "gradient must be finite"),
        (lambda: inverted(lambda gradient: [0 * tensor for tensor in gradient]), "gradient must have a number other"),
        (lambda: inverted(method="adam"), "method must be 'lbfgs', 'cosine', got 'adam'"),
        (lambda: inverted(method=None), "method must be"),
        (lambda: inverted(steps=0), "steps must be a whole number >= 1, got 0"),
        (lambda: inverted(steps=2.5), "steps must be a whole number"),
        (lambda: inverted(seed=-1), "seed must be"),
        (lambda: inverted(image_shape=(14, 14)), "image_shape must be"),
        (lambda: inverted(image_shape=(1, 0, 14)), "image_shape must be"),
        (lambda: inverted(image_shape=(3, 14, 14)), "images must be what the model takes"),
        (lambda: unrolled(local_steps=0), "local_steps must be a whole number >= 1, got 0"),
        (lambda: unrolled(learning_rate=0), "learning_rate must be > 0, got 0"),
        (lambda: unrolled(learning_rate=math.nan), "learning_rate must be > 0"),
        (lambda: unrolled(steps=0), "steps must be"),
        (lambda: unrolled(update=[torch.zeros(3)]), "update must have the shapes"),
        (lambda: sent(labels=torch.tensor([1, 2])), "labels must be an int64 tensor of shape"),
        (lambda: sent(labels=torch.tensor([11])), "labels must be between 0 and 9"),
        (lambda: sent(images=torch.zeros(1, 3, 14, 14)), "images must be what the model takes"),
        (lambda: sent(images=torch.zeros(1, *SMALL, dtype=torch.uint8)), "images must be what the model takes"),
        (lambda: sent(images=torch.full((1, *SMALL), math.nan)), "images must be finite"),
        (lambda: updated(local_steps=0), "local_steps must be"),
        (lambda: updated(learning_rate=-1), "learning_rate must be"),
        (lambda: updated(labels=torch.tensor([10])), "labels must be between"),
        (lambda: as_gradient([ONE], 0, 0.1), "local_steps must be"),
        (lambda: smooth_twin(new_mlp(SHAPE, 10, 0)), "cnn must be a TutorialCNN, got Sequential"),
        (lambda: sigmoid_lenet((1, 0, 4), 10, 0), "image_shape must be"),
        (lambda: sigmoid_lenet(SHAPE, 0, 0), "num_classes must be"),
        (lambda: sigmoid_lenet(SHAPE, 10, -1), "seed must be"),
    ],
)
def test_what_cannot_work_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_most_images_are_recognized_in_the_gradients_of_smooth_networks(held_out):
    """Five held-out images each; the CNN with ReLU and max-pooling resists L-BFGS."""

    def recognized(model, steps, enough=5):
        """Return how many are; when enough are, the others are not tried."""
        found = (i for i in range(5) if attacked(model, *(t[i : i + 1] for t in held_out), seed=i, steps=steps) > 20)
        return len(list(islice(found, enough)))

    assert recognized(sigmoid_lenet(SHAPE, 10, 0), 200, enough=3) == 3
    assert recognized(smooth_twin(new_cnn(SHAPE, 10, 0)), 200, enough=3) == 3
    assert recognized(new_cnn(SHAPE, 10, 0), 100) == 0


@pytest.mark.parametrize("method", METHODS)
def test_noise_defeats_both_methods_on_whole_images(held_out, method):
    model = sigmoid_lenet(SHAPE, 10, 0)
    image, label = held_out[0][:1], held_out[1][:1]
    gradient = noisy(gradient_of(model, image, label), 2)
    assert psnr(invert(model, gradient, label, SHAPE, method=method, seed=0, steps=300), to_pictures(image)) < 12
