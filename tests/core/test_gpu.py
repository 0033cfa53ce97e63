"""What only a GPU can show: the same bits twice, the numbers of a processor, memory that is used up."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import stand_in_graph
import torch
from torch import nn

from fedlearn_helpers import captured
from fedlearn_helpers.algorithms import STRATEGIES, LocalConfig
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.models import NORMALIZED_MODELS, new_cnn, new_mlp
from fedlearn_helpers.partition import iid, split_train_validation
from fedlearn_helpers.simulation.workers import obstacle_to_forking
from fedlearn_helpers.training import evaluate, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use"),
]

CONFIG = LocalConfig(local_epochs=1, batch_size=32, learning_rate=0.05)
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3, fused=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, eps=1e-4),
}
MODELS = {"cnn": new_cnn, "mlp": new_mlp, "normalized cnn": NORMALIZED_MODELS["cnn"]}
FORKED = """
import torch
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.device import pick_device
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.partition import iid, split_train_validation

device = pick_device("cpu")
torch.ones(1, requires_grad=True).backward()  # as a notebook that has trained before its federation
shards = split_train_validation(iid(600, 4, seed=0), validation_fraction=0.2, seed=0)
for workers in (1, 2):
    print(federate("fedavg", load_dataset("fashion"), shards, num_rounds=1, seed=0, workers=workers, label=None)
          .test_accuracy)
"""


@pytest.fixture(scope="module")
def on_cpu():
    return load_dataset("fashion")


@pytest.fixture(scope="module")
def on_gpu(on_cpu):
    return on_cpu.to("cuda")


@pytest.fixture(scope="module")
def shards(on_cpu):
    """Five clients with 640 images each."""
    return split_train_validation(iid(4000, 5, seed=0), validation_fraction=0.2, seed=0)


@pytest.fixture
def recordings(monkeypatch):
    """Return a list that grows with every step that is recorded."""
    record, made = captured.record, []

    def counted(step, device):
        replay = record(step, device)
        made.append(step)
        return replay

    monkeypatch.setattr(captured, "record", counted)
    return made


def trained(dataset, kind, new_optimizer, *, clients=3, epochs=2):
    """Train a model for clients, one after the other; return its weights and losses, and its last evaluation."""
    model = MODELS[kind](dataset.image_shape, dataset.num_classes, 0).to(dataset.train_images.device)
    start, results = copy.deepcopy(model.state_dict()), []
    for client in range(clients):
        model.load_state_dict(start)
        optimizer = new_optimizer(model.parameters())
        for epoch in range(epochs):
            indices = np.arange(client, client + 300 + 50 * client)
            loss = train(
                model,
                dataset.train_images,
                dataset.train_labels,
                indices,
                optimizer,
                epochs=1,
                batch_size=32,
                seed=epoch,
            )
            results.append(torch.tensor(loss))
        results.append({name: tensor.cpu().clone() for name, tensor in model.state_dict().items()})
    found = evaluate(model, dataset.test_images, dataset.test_labels)
    return results, found, model


def equal(first, second):
    try:
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", MODELS)
def test_recorded_steps_give_the_numbers_of_steps_one_by_one(kind, optimizer, on_gpu, on_cpu, monkeypatch, recwarn):
    recorded, found, model = trained(on_gpu, kind, OPTIMIZERS[optimizer])
    (step,) = captured._RECORDINGS[model].values()
    assert step is not None, "the step could be recorded"
    again, found_again, _ = trained(on_gpu, kind, OPTIMIZERS[optimizer])
    assert equal(recorded, again) and found.loss == found_again.loss, "the same bits"
    with monkeypatch.context() as patch:
        patch.setattr(captured, "DEVICE", "nowhere")
        eager, found_eagerly, _ = trained(on_gpu, kind, OPTIMIZERS[optimizer])
    # BatchNorm divides by a batch's spread, which magnifies what the order of additions changes: 4e-4 on an H200.
    tolerance = {"rtol": 5e-2, "atol": 2e-3} if "normalized" in kind else {"rtol": 1e-3, "atol": 2e-4}
    torch.testing.assert_close(recorded, eager, **tolerance)
    on_processor, found_there, _ = trained(on_cpu, kind, OPTIMIZERS[optimizer])
    torch.testing.assert_close(recorded, on_processor, rtol=5e-2, atol=5e-3)
    for other in (found_eagerly, found_there):
        assert found.accuracy == pytest.approx(other.accuracy, abs=0.01)
        assert found.loss == pytest.approx(other.loss, rel=0.02)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_stand_in_of_the_tests_is_true_to_the_recording(on_gpu, monkeypatch):
    recorded, _, _ = trained(on_gpu, "cnn", OPTIMIZERS["sgd"])
    stand_in_graph.use(monkeypatch)
    monkeypatch.setattr(captured, "DEVICE", "cuda")
    stood_in, _, _ = trained(on_gpu, "cnn", OPTIMIZERS["sgd"])
    torch.testing.assert_close(recorded, stood_in, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", STRATEGIES)
def test_a_strategy_is_as_good_as_on_a_processor_and_has_the_same_bits_twice(
    algorithm, on_cpu, on_gpu, shards, recordings
):
    options = {"num_rounds": 3, "local_config": CONFIG, "seed": 0, "label": None}
    first, second = (federate(algorithm, on_gpu, shards, **options) for _ in range(2))
    assert len(recordings) == 2, "one for each federation"
    assert first.test_accuracy == second.test_accuracy
    assert equal(first.model.to_torch_state_dict(), second.model.to_torch_state_dict())
    there = federate(algorithm, on_cpu, shards, **options)
    assert first.test_accuracy[-1] == pytest.approx(there.test_accuracy[-1], abs=0.01)


@pytest.mark.parametrize("algorithm", ["ditto", "apfl", "fedrep", "fedbn"])
def test_a_personalization_has_the_same_bits_twice(algorithm, on_gpu, shards, recordings):
    options = {"num_rounds": 2, "local_config": CONFIG, "seed": 0, "label": None}
    first, second = (federate(algorithm, on_gpu, shards, **options) for _ in range(2))
    assert len(recordings) == (4 if algorithm in ("ditto", "fedrep") else 2)
    assert str(first.members) == str(second.members)
    assert equal(first.model.to_torch_state_dict(), second.model.to_torch_state_dict())


def test_bits_do_not_depend_on_what_ran_before(on_gpu, shards):
    options = {"num_rounds": 2, "seed": 0, "label": None}
    first = federate("scaffold", on_gpu, shards, **options)
    torch.backends.cudnn.benchmark = True
    try:
        for batch_size in (8, 16, 64):
            federate("fedprox", on_gpu, shards, local_config=LocalConfig(batch_size=batch_size), **options)
        images = torch.randn(64, 3, 32, 32, device="cuda")
        nn.Conv2d(3, 6, 5).cuda()(images).sum().backward()
        again = federate("scaffold", on_gpu, shards, **options)
        assert torch.backends.cudnn.benchmark and torch.get_deterministic_debug_mode() == 0, "restored"
    finally:
        torch.backends.cudnn.benchmark = False
    assert equal(first.model.to_torch_state_dict(), again.model.to_torch_state_dict())


def test_the_tutorials_client_is_the_same_twice(on_gpu, shards):
    """Adam, made anew in every round, as in notebook 02."""
    from test_federation_tutorial import federate as tutorial

    model = new_cnn(on_gpu.image_shape, on_gpu.num_classes, 0).to("cuda")
    first, second = (tutorial(on_gpu, shards, model=copy.deepcopy(model), num_rounds=2) for _ in range(2))
    assert first.rounds.filter(regex="loss|accuracy").equals(second.rounds.filter(regex="loss|accuracy"))


def test_a_graph_that_is_kept_elsewhere_does_not_break_off_a_recording(on_gpu):
    """Such as that of a loss that a notebook still has: its leaves belong to another stream."""
    model = new_mlp(on_gpu.image_shape, on_gpu.num_classes, 0).to("cuda")
    images, labels = on_gpu.train_images, on_gpu.train_labels
    loss = nn.functional.cross_entropy(model(images[:9].float()), labels[:9])
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    train(model, images, labels, np.arange(64), optimizer, epochs=1, batch_size=32, seed=0)
    assert loss.grad_fn is not None and None not in captured._RECORDINGS[model].values()


class Dropped(nn.Module):
    """Draws random numbers in every step."""

    def __init__(self):
        super().__init__()
        self.inner = new_mlp((1, 28, 28), 10, 0)

    def forward(self, images):
        return self.inner(nn.functional.dropout(images, training=self.training))


class Deciding(Dropped):
    """Looks at its numbers, for which a processor must wait for the GPU."""

    def forward(self, images):
        return self.inner(images * 2 if images.sum() > 0 else images)


@pytest.mark.parametrize("kind", [Dropped, Deciding])
def test_a_model_that_cannot_be_recorded_is_trained_step_by_step(kind, on_gpu, monkeypatch):
    monkeypatch.setitem(MODELS, "other", lambda *_: kind())

    def run():
        torch.manual_seed(0)
        return trained(on_gpu, "other", OPTIMIZERS["sgd"])

    first, _, model = run()
    assert list(captured._RECORDINGS[model].values()) == [None]
    second, _, _ = run()
    assert equal(first, second)
    good, _, model = trained(on_gpu, "mlp", OPTIMIZERS["sgd"])
    assert None not in captured._RECORDINGS[model].values(), "the next model is recorded"


def test_memory_that_is_used_up_is_one_sentence_and_leaves_nothing(on_gpu):
    free, _ = torch.cuda.mem_get_info()
    features = 2**16
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, features), nn.ReLU(), nn.Linear(features, 10)).to("cuda")
    widths = free // (4 * features * 2)  # images after which the layer's outputs alone fill the memory
    big = ImageDataset(
        "big",
        on_gpu.train_images[:1].expand(widths, -1, -1, -1),
        on_gpu.train_labels[:1].expand(widths),
        on_gpu.test_images,
        on_gpu.test_labels,
        on_gpu.class_names,
        "",
    )
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    settings = {"epochs": 1, "seed": 0}
    with pytest.raises(InputError, match="device must be 'cpu', or batch_size smaller"):
        train(model, big.train_images, big.train_labels, np.arange(widths), optimizer, batch_size=widths, **settings)
    assert not captured._RECORDINGS.get(model)
    del model, optimizer
    results, _, _ = trained(on_gpu, "mlp", OPTIMIZERS["sgd"])
    assert equal(results, trained(on_gpu, "mlp", OPTIMIZERS["sgd"])[0])


def test_workers_after_cuda_are_refused_in_one_sentence(on_gpu, on_cpu, shards):
    trained(on_gpu, "mlp", OPTIMIZERS["sgd"], clients=1)
    assert obstacle_to_forking()
    for dataset in (on_gpu, on_cpu):
        with pytest.raises(
            InputError, match=r"workers must be 1 or 'auto' here, because .*pick_device\('cpu'\), got 2"
        ):
            federate("fedavg", dataset, shards, num_rounds=1, seed=0, workers=2, label=None)


def test_workers_compute_in_a_process_that_has_begun_on_the_processor():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
