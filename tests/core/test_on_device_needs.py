"""What a round needs: numbers counted by hand, and the memory of a real step in a process of its own."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS, copy_of_weights, new_cnn, new_mlp
from fedlearn_helpers.on_device.needs import needs

SMALL, LARGE = (1, 28, 28), (3, 32, 32)
# Of the tutorial CNN by hand: output pixels x filters x numbers under a filter, then inputs x outputs.
MULTIPLY_ADDS = {
    SMALL: 24 * 24 * 6 * 25 + 8 * 8 * 16 * 150 + 256 * 120 + 120 * 84 + 84 * 10,
    LARGE: 28 * 28 * 6 * 75 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10,
}
FIRST_LAYER = {SMALL: 24 * 24 * 6 * 25, LARGE: 28 * 28 * 6 * 75}
PARAMETERS = {SMALL: 44_426, LARGE: 62_006}


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_the_tutorial_cnn_by_hand(shape):
    found = needs(new_cnn(shape, 10, 0), shape, examples=600, local_config=LocalConfig(local_epochs=3))
    assert found.parameters == PARAMETERS[shape]
    assert found.model_bytes == found.gradient_bytes == found.bytes_down == found.bytes_up == 4 * PARAMETERS[shape]
    assert found.optimizer_bytes == 0
    assert found.multiply_adds == MULTIPLY_ADDS[shape]
    # Three times, but for the gradient of the first layer's input, which nobody needs.
    assert found.training_operations == 2 * (3 * MULTIPLY_ADDS[shape] - FIRST_LAYER[shape])
    assert found.round_operations == 3 * 600 * found.training_operations
    assert found.seconds(2.0) == pytest.approx(found.round_operations / 2e9)


def test_the_network_with_one_hidden_layer_by_hand():
    found = needs(new_mlp(SMALL, 10, 0), SMALL, examples=100)
    assert found.multiply_adds == 784 * 64 + 64 * 10
    assert found.training_operations == 2 * (2 * 784 * 64 + 3 * 64 * 10)


def test_activations_of_a_linear_layer_by_hand():
    """Kept of a batch of 32: the pixels as float32, and log-probabilities, targets and a weight sum of the loss."""
    found = needs(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), SMALL, examples=32)
    pixels, log_probabilities, targets = 32 * 784 * 4, 32 * 10 * 4, 32 * 8
    assert 0 <= found.activation_bytes - pixels - log_probabilities - targets <= 8


@pytest.mark.parametrize("new", [*MODELS.values(), *NORMALIZED_MODELS.values()])
def test_activations_grow_with_the_batch_and_nothing_else_does(new):
    model = new(SMALL, 10, 0)
    one, ten = (needs(model, SMALL, examples=500, local_config=LocalConfig(batch_size=size)) for size in (32, 320))
    assert ten.activation_bytes == pytest.approx(10 * one.activation_bytes, rel=1e-2)
    assert ten.memory - ten.activation_bytes == one.memory - one.activation_bytes
    assert ten.round_operations == one.round_operations


def test_a_batch_is_no_larger_than_the_examples():
    few = needs(new_cnn(SMALL, 10, 0), SMALL, examples=8, local_config=LocalConfig(batch_size=32))
    as_many = needs(new_cnn(SMALL, 10, 0), SMALL, examples=8, local_config=LocalConfig(batch_size=8))
    assert few == as_many


def test_momentum_takes_one_number_for_each_parameter():
    found = needs(new_cnn(SMALL, 10, 0), SMALL, examples=10, local_config=LocalConfig(momentum=0.9))
    assert found.optimizer_bytes == found.gradient_bytes
    assert found.memory == 3 * found.model_bytes + found.activation_bytes


def test_frozen_layers_need_no_gradients():
    model = new_cnn(SMALL, 10, 0)
    model.conv1.requires_grad_(False), model.conv2.requires_grad_(False)
    found, whole = (needs(one, SMALL, examples=10) for one in (model, new_cnn(SMALL, 10, 0)))
    assert found.model_bytes == whole.model_bytes
    assert found.gradient_bytes == 4 * found.parameters == whole.gradient_bytes - 4 * (6 * 26 + 16 * 151)
    assert found.activation_bytes < 0.2 * whole.activation_bytes


def test_the_model_stays_as_it_is():
    model = NORMALIZED_MODELS["cnn"](SMALL, 10, 0).eval()
    before = copy_of_weights(model)
    needs(model, SMALL, examples=10)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


_STEPS = """
import json, sys, torch
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.models import MODELS
from fedlearn_helpers.tasks import IMAGES
torch.set_num_threads(1)
name, batch = sys.argv[1], int(sys.argv[2])

def steps(batch):
    model = MODELS[name]((1, 28, 28), 10, 0)
    optimizer = LocalConfig(momentum=0.9).new_optimizer(model)
    images, labels = torch.zeros(batch, 1, 28, 28, dtype=torch.uint8), torch.zeros(batch, dtype=torch.int64)
    for _ in range(2):
        optimizer.zero_grad()
        IMAGES.loss(model(IMAGES.inputs(images)), labels).backward()
        optimizer.step()

def status(name):
    with open("/proc/self/status") as file:
        return 1024 * int(next(line for line in file if line.startswith(name)).split()[1])

steps(16)  # what code and thread pools take
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
before = status("VmRSS")
steps(batch)
print(json.dumps(status("VmHWM") - before))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "batch"), [("cnn", 4096), ("mlp", 8192)])
def test_a_real_step_takes_one_to_three_times_as_much(name, batch):
    """Above come gradients of activations, which the backward pass makes and forgets, and what the allocator holds."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("needs Linux's measure of the peak of a process; that of `resource` begins with its parent's")
    run = subprocess.run([sys.executable, "-c", _STEPS, name, str(batch)], capture_output=True, text=True, check=True)
    config = LocalConfig(batch_size=batch, momentum=0.9)
    computed = needs(MODELS[name](SMALL, 10, 0), SMALL, examples=batch, local_config=config).memory
    assert 1 <= json.loads(run.stdout) / computed <= 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: needs(new_cnn(SMALL, 10, 0), SMALL, examples=0), "examples must be a whole number >= 1, got 0"),
        (lambda: needs(new_cnn(SMALL, 10, 0), LARGE, examples=1), "image_shape must be that .* got 3 x 32 x 32"),
        (lambda: needs(new_mlp(SMALL, 10, 0), SMALL, examples=1).seconds(0), "gflops must be > 0"),
        (lambda: needs(new_mlp(SMALL, 10, 0), SMALL, examples=1).seconds(math.nan), "gflops must be > 0"),
    ],
)
def test_what_cannot_work_is_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()
