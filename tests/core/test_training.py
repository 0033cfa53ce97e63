"""Local training and evaluation."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fedlearn_helpers import training
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.tasks import Task
from fedlearn_helpers.training import evaluate, normalize, train


@pytest.fixture
def examples():
    """Twenty images of noise, 1 x 4 x 4 pixels, of three classes."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8))
    return images, torch.from_numpy(rng.integers(0, 3, 20))


def linear(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def run(examples, *, indices=None, lr=0.1, epochs=2, batch_size=8, seed=0, model=None):
    """Train and return (model, loss)."""
    model = model or linear()
    indices = np.arange(20) if indices is None else indices
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return model, train(model, *examples, indices, optimizer, epochs=epochs, batch_size=batch_size, seed=seed)


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def reference_scores(model, images):
    """Return the linear model's scores, computed in float64 without PyTorch."""
    inputs = images.numpy().reshape(len(images), -1).astype(np.float64) / 127.5 - 1
    weight, bias = (parameter.detach().double().numpy() for parameter in model.parameters())
    return inputs, inputs @ weight.T + bias


# Pixels ----------------------------------------------------------------------------------


def test_pixels_become_numbers_from_minus_one_to_one():
    pixels = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    numbers = normalize(pixels)
    assert numbers.dtype == torch.float32 and numbers.shape == pixels.shape
    torch.testing.assert_close(numbers, torch.tensor([[-1.0, -0.6, 1.0]]))
    assert pixels.tolist() == [[0, 51, 255]]


# Training --------------------------------------------------------------------------------


def test_same_seed_same_bits_other_seed_other_bits(examples):
    (first, loss), (again, same_loss), (other, _) = (run(examples, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(weights(first), weights(again)) and loss == same_loss
    assert not torch.equal(weights(first), weights(other))


def test_training_neither_uses_nor_moves_the_global_generator(examples):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, _ = run(examples)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(weights(run(examples)[0]), weights(first))


def test_one_full_batch_step_is_the_gradient_step(examples):
    """For a linear model with softmax and cross-entropy the gradient is (p - y) x^T / n."""
    images, labels = examples
    model = linear()
    inputs, scores = reference_scores(model, images)
    residual = softmax(scores) - np.eye(3)[labels.numpy()]
    loss = -np.log(softmax(scores)[np.arange(20), labels.numpy()]).mean()
    weight, bias = (parameter.detach().double().numpy() for parameter in model.parameters())
    expected_weight, expected_bias = weight - 0.5 * residual.T @ inputs / 20, bias - 0.5 * residual.mean(axis=0)

    model, measured = run(examples, model=model, lr=0.5, epochs=1, batch_size=20)
    new_weight, new_bias = (parameter.detach().numpy() for parameter in model.parameters())
    np.testing.assert_allclose(new_weight, expected_weight, rtol=0, atol=2e-6)
    np.testing.assert_allclose(new_bias, expected_bias, rtol=0, atol=2e-6)
    assert measured == pytest.approx(loss, abs=2e-6)
    assert np.abs(expected_weight - weight).max() > 1e-2, "the step must be larger than the tolerance"


def test_a_step_does_not_remember_the_gradient_of_the_one_before(examples):
    """Two epochs of full batches are two separate steps."""
    once, _ = run(examples, epochs=1, batch_size=20)
    once.zero_grad()
    once_more, _ = run(examples, epochs=1, batch_size=20, model=once)
    together, _ = run(examples, epochs=2, batch_size=20)
    torch.testing.assert_close(weights(together), weights(once_more))


def test_a_short_last_batch_counts_by_its_examples(examples):
    """With a learning rate of zero the mean loss of the steps is the loss of the model."""
    indices = np.arange(5)
    model, loss = run(examples, indices=indices, lr=0.0, epochs=1, batch_size=4, seed=0)
    assert loss == pytest.approx(evaluate(model, *examples, indices).loss, abs=1e-6)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(0))
    mean_of_batches = sum(evaluate(model, *examples, batch).loss for batch in order.split(4)) / 2
    assert abs(mean_of_batches - loss) > 1e-3, "negative control: batches must not count equally"


def test_every_epoch_sees_every_example_once_in_a_new_order(examples):
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(16, 3)

        def forward(self, x):
            seen.append([tuple(image.flatten().tolist()) for image in x])
            return self.linear(x.flatten(1))

    indices = np.array([3, 1, 4, 15, 9])
    run(examples, indices=indices, model=Spy(), epochs=2, batch_size=2)
    assert [len(batch) for batch in seen] == [2, 2, 1, 2, 2, 1]
    epochs = [sum(seen[:3], []), sum(seen[3:], [])]
    expected = [tuple(image.flatten().tolist()) for image in normalize(examples[0][indices])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(expected)
    assert epochs[0] != epochs[1]


def test_training_learns(examples):
    model = linear()
    before = evaluate(model, *examples)
    _, loss = run(examples, model=model, epochs=30, batch_size=20, lr=0.2)
    after = evaluate(model, *examples)
    assert after.accuracy > before.accuracy and after.loss < loss < before.loss


def test_training_switches_to_training_mode_and_leaves_the_data_alone(examples):
    images, labels = (tensor.clone() for tensor in examples)
    model = linear().eval()
    run(examples, model=model)
    assert model.training
    assert torch.equal(examples[0], images) and torch.equal(examples[1], labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": np.array([], dtype=np.int64)}, "indices must name at least one training example, got none"),
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"batch_size": -3}, "batch_size must be >= 1, got -3"),
    ],
)
def test_impossible_training_is_refused_before_the_model_changes(examples, change, message):
    model = linear()
    before = weights(model).clone()
    with pytest.raises(InputError, match=f"^{message}$"):
        run(examples, model=model, **change)
    assert torch.equal(weights(model), before)


# Evaluation ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [3, 500])
@pytest.mark.parametrize("indices", [None, np.array([7, 0, 7, 19]), torch.tensor([2])])
def test_evaluation_is_the_direct_computation(examples, monkeypatch, indices, batch):
    monkeypatch.setattr(training, "EVALUATION_BATCH", batch)
    images, labels = examples
    model = linear()
    chosen = np.arange(20) if indices is None else np.asarray(indices)
    _, scores = reference_scores(model, images[chosen])
    truth = labels.numpy()[chosen]
    probabilities = softmax(scores)

    result = evaluate(model, images, labels, indices)
    assert result.num_examples == len(chosen)
    assert result.predictions.tolist() == scores.argmax(axis=1).tolist()
    assert result.accuracy == pytest.approx((scores.argmax(axis=1) == truth).mean())
    assert result.loss == pytest.approx(-np.log(probabilities[np.arange(len(chosen)), truth]).mean(), abs=2e-6)
    np.testing.assert_allclose(result.confidences.numpy(), probabilities.max(axis=1), atol=2e-6)
    assert result.predictions.dtype == torch.int64 and result.confidences.dtype == torch.float32


def test_evaluation_knows_right_from_wrong(examples):
    images, _ = examples
    model = linear()
    predictions = evaluate(model, images, torch.zeros(20, dtype=torch.int64)).predictions
    assert evaluate(model, images, predictions).accuracy == 1.0
    assert evaluate(model, images, (predictions + 1) % 3).accuracy == 0.0


def test_evaluation_changes_nothing(examples):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = evaluate(model, *examples), evaluate(model, *examples)
    assert first.loss == second.loss, "dropout must be off"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_training_goes_on_after_an_evaluation(examples):
    model = linear()
    evaluate(model, *examples)
    before = weights(model).clone()
    run(examples, model=model)
    assert not torch.equal(weights(model), before)


def test_evaluation_of_nothing_is_refused(examples):
    with pytest.raises(InputError, match="at least one example to evaluate, got none"):
        evaluate(linear(), *examples, np.array([], dtype=np.int64))


def test_the_cnn_trains_on_an_embedded_image_size():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 1, 28, 28), dtype=np.uint8))
    model = new_cnn((1, 28, 28), 10, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = train(model, images, torch.arange(6), np.arange(6), optimizer, epochs=1, batch_size=6, seed=0)
    assert loss == pytest.approx(np.log(10), abs=0.1), "an untrained model guesses among ten classes"


# A model whose outputs are not numbers -----------------------------------------------------


def spoiled(value, model=None):
    model = model or linear()
    with torch.no_grad():
        next(model.parameters()).fill_(value)
    return model


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_model_that_is_not_finite_has_no_accuracy(examples, value):
    """The largest of nans is the first, so that class 0 would seem to be recognised."""
    images, _ = examples
    result = evaluate(spoiled(value), images, torch.zeros(20, dtype=torch.int64))
    assert math.isnan(result.accuracy) and math.isnan(result.loss) and result.num_examples == 20
    assert set(result.predictions.tolist()) == {-1} and result.confidences.isnan().all()
    assert result.predictions.dtype == torch.int64 and result.confidences.dtype == torch.float32


def test_one_example_without_a_prediction_is_enough(examples):
    images, labels = examples

    class Fails(nn.Module):
        def forward(self, inputs):
            scores = inputs.flatten(1)[:, :3].clone()
            scores[(inputs - normalize(images[7])).abs().sum(dim=(1, 2, 3)) == 0, 1] = math.nan
            return scores

    result = evaluate(Fails(), images, labels)
    assert math.isnan(result.accuracy) and math.isnan(result.loss)
    assert [place for place, said in enumerate(result.predictions.tolist()) if said == -1] == [7]
    others = [place for place in range(20) if place != 7]
    assert math.isfinite(evaluate(Fails(), images, labels, np.array(others)).accuracy)


def test_scores_of_minus_infinity_are_a_way_to_rule_a_class_out(examples):
    images, labels = examples

    class RulesOut(nn.Module):
        def forward(self, inputs):
            return inputs.flatten(1)[:, :3].index_fill(1, torch.tensor([2]), -math.inf)

    result = evaluate(RulesOut(), images, labels)
    assert set(result.predictions.tolist()) == {0, 1} and math.isinf(result.loss)
    assert result.accuracy == (result.predictions == labels).double().mean()


def test_a_regression_that_is_not_finite_has_no_metric_either():
    task = Task("numbers", lambda x: x, F.mse_loss, lambda y: (y, torch.ones(len(y))), lambda y, t: (y < t).flatten())
    rows, targets = torch.ones(4, 2), torch.zeros(4, 1)
    line = nn.Linear(2, 1)
    assert math.isfinite(evaluate(line, rows, targets, task=task).accuracy)
    assert math.isnan(evaluate(spoiled(math.nan, line), rows, targets, task=task).accuracy)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_gets_its_inputs_in_its_own_dtype(examples, dtype):
    model, _ = run(examples, model=linear().to(dtype))
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    plain, _ = run(examples)
    tolerance = 1e-6 if dtype == torch.float64 else 0.05
    torch.testing.assert_close(weights(model).float(), weights(plain), rtol=0, atol=tolerance)
    assert evaluate(model, *examples).accuracy == evaluate(plain, *examples).accuracy
    assert not model._forward_pre_hooks, "and the model is as it was"
