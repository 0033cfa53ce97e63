"""Recorded steps of training: the numbers of training step by step, whatever was recorded before."""

import copy
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import stand_in_graph
import torch
from noise import noise_images
from torch import nn

from fedlearn_helpers import captured
from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.captured import Correction
from fedlearn_helpers.device import computing_on
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.models import NORMALIZED_MODELS, new_cnn, new_mlp
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.tasks import IMAGES, Task
from fedlearn_helpers.training import evaluate, train

SHAPE, CLASSES, BATCH = (1, 16, 16), 4, 8
# With eps, what is zero but for rounding stays small, on any processor: the gradient of a bias in front of BatchNorm.
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-2, fused=True),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.5, nesterov=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, eps=1e-3),
    "fused adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, fused=True),
    "amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, amsgrad=True, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, eps=1e-3, weight_decay=0.1),
}


@pytest.fixture
def images():
    return torch.randint(0, 256, (60, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.randint(0, CLASSES, (60,), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def done(monkeypatch):
    return stand_in_graph.use(monkeypatch)


def clients(model, images, labels, new_optimizer, *, batch_size=BATCH, register=lambda model, optimizer, k: None):
    """Train one model for three clients, one after the other, each from the same weights; return what came of it."""
    start, results = copy.deepcopy(model.state_dict()), []
    for k, size in enumerate((20, 8, 33)):
        model.load_state_dict(start)
        optimizer = new_optimizer(model.parameters())
        register(model, optimizer, k)
        loss = train(model, images, labels, np.arange(k, k + size), optimizer, epochs=2, batch_size=batch_size, seed=k)
        results.append({"loss": torch.tensor(loss), **copy.deepcopy(model.state_dict())})
    return results


def same(first, second, **tolerance):
    try:
        torch.testing.assert_close(first, second, **(tolerance or {"rtol": 1e-5, "atol": 1e-6}))
    except AssertionError:
        return False
    return True


def eagerly(monkeypatch, function):
    with monkeypatch.context() as patch:
        patch.setattr(captured, "DEVICE", "nowhere")
        return function()


# The numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", [new_mlp, new_cnn, *NORMALIZED_MODELS.values()])
def test_the_numbers_are_those_of_training_step_by_step(name, kind, images, labels, done, monkeypatch):
    first, second = (kind(SHAPE, CLASSES, 0) for _ in range(2))
    expected = eagerly(monkeypatch, lambda: clients(second, images, labels, OPTIMIZERS[name]))
    assert done == []
    assert same(clients(first, images, labels, OPTIMIZERS[name]), expected)
    assert done.count("recorded") == 1, "one recording for all clients"
    assert done.count("replayed") == 2 * (20 // BATCH + 8 // BATCH + 33 // BATCH), "the last batch is smaller"


def test_without_a_fresh_state_of_the_optimizer_the_numbers_differ(images, labels, done, monkeypatch):
    """Control: as if momentum went on from client to client."""
    model = new_mlp(SHAPE, CLASSES, 0)
    expected = eagerly(monkeypatch, lambda: clients(copy.deepcopy(model), images, labels, OPTIMIZERS["momentum"]))
    begin = captured._Step.begin

    def stale(self, optimizer):
        kept = [dict(state) for state in captured_states(self)]
        copies = [{name: tensor.clone() for name, tensor in state.items()} for state in kept]
        begin(self, optimizer)
        for state, copied in zip(kept, copies, strict=True):
            for name, tensor in state.items():
                tensor.copy_(copied[name])

    monkeypatch.setattr(captured._Step, "begin", stale)
    assert not same(clients(model, images, labels, OPTIMIZERS["momentum"]), expected)


def captured_states(step):
    return list(step._optimizer.state.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_keeps_its_state_from_call_to_call(name, images, labels, done, monkeypatch):
    """Three epochs, one at a time: all recorded, none, and the second recorded between two that are not."""

    def epochs(*recorded):
        model = new_cnn(SHAPE, CLASSES, 0)
        optimizer = OPTIMIZERS[name](model.parameters())
        for epoch, by_recording in enumerate(recorded):
            settings = {"epochs": 1, "batch_size": BATCH, "seed": epoch}
            call = lambda: train(model, images, labels, np.arange(20), optimizer, **settings)  # noqa: B023, E731
            call() if by_recording else eagerly(monkeypatch, call)
        return model.state_dict(), optimizer.state_dict()

    weights, state = epochs(False, False, False)
    for recorded in ((True, True, True), (False, True, False)):
        its_weights, its_state = epochs(*recorded)
        assert same(dict(its_weights), dict(weights))
        assert its_state.keys() == state.keys() and its_state["param_groups"] == state["param_groups"]
        assert same(its_state["state"], state["state"])
    assert "replayed" in done


def test_frozen_weights_stay(images, labels, done, monkeypatch):
    def frozen_in_turn():
        model, results = new_cnn(SHAPE, CLASSES, 0), []
        for frozen in ("conv1", "fc3", "conv1"):
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(not name.startswith(frozen))
            results += clients(model, images, labels, OPTIMIZERS["momentum"])
        return results

    assert same(frozen_in_turn(), eagerly(monkeypatch, frozen_in_turn))
    assert done.count("recorded") == 2


def test_an_optimizer_may_hold_some_of_the_weights(images, labels, done, monkeypatch):
    def head_alone():
        model = new_cnn(SHAPE, CLASSES, 0)
        return clients(model, images, labels, lambda _: torch.optim.Adam(model.fc3.parameters(), lr=0.01))

    assert same(head_alone(), eagerly(monkeypatch, head_alone)) and "replayed" in done


# Corrections ------------------------------------------------------------------------------


def pull(gradient, parameter, start, *, mu):
    gradient.add_(parameter - start, alpha=mu)


def push(parameter, first, second, *, eta):
    parameter.sub_(first - second, alpha=eta)


def corrected(model, optimizer, k, mu=0.5):
    generator = torch.Generator().manual_seed(k)
    parameters = dict(model.named_parameters())
    first, second = (
        {name: torch.randn(p.shape, generator=generator) for name, p in parameters.items()} for _ in range(2)
    )
    start = {name: p.detach().clone() for name, p in parameters.items()}
    Correction(pull, parameters, (start,), {"mu": mu}, True).register(optimizer)
    Correction(push, parameters, (first, second), {"eta": 0.01}, False).register(optimizer)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_corrections_are_those_of_each_client(name, images, labels, done, monkeypatch):
    def run(register=corrected):
        return clients(new_cnn(SHAPE, CLASSES, 0), images, labels, OPTIMIZERS[name], register=register)

    expected = eagerly(monkeypatch, run)
    assert same(run(), expected) and done.count("recorded") == 1 and "replayed" in done
    assert not same(run(lambda *_: None), expected), "control"
    assert not same(run(lambda model, optimizer, k: corrected(model, optimizer, 0)), expected), "control"


def test_a_correction_made_anew_for_each_client_is_not_recorded(images, labels, done, monkeypatch):
    def register(model, optimizer, k):
        def closure(parameter):
            parameter.mul_(1 - 0.01 * k)

        Correction(closure, dict(model.named_parameters()), (), {}, False).register(optimizer)

    def run():
        return clients(new_mlp(SHAPE, CLASSES, 0), images, labels, OPTIMIZERS["sgd"], register=register)

    assert same(run(), eagerly(monkeypatch, run), rtol=0, atol=0) and done == []


# Algorithms -------------------------------------------------------------------------------

BY_RECORDING = {"ditto": 2, "apfl": 1, "fedrep": 2, "ifca": 1}  # and one for all others that train by `train`
OWN_STEPS = {"perfedavg", "perfedavg-hf", "perfedavg-exact", "pfedme"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_do_the_same_by_recordings(name, done, monkeypatch):
    noise, clients = noise_images(72, 10), [Shard(np.arange(*ends), np.arange(60, 72)) for ends in ((0, 33), (33, 60))]
    settings = {"perfedavg-hf": {"alpha": 0.01}}.get(name)

    def run():
        config = LocalConfig(local_epochs=2, batch_size=BATCH, learning_rate=0.02)
        model = new_mlp(noise.image_shape, noise.num_classes, 0)
        result = federate(
            name,
            noise,
            clients,
            num_rounds=2,
            local_config=config,
            settings=settings,
            model=model,
            seed=0,
            workers=1,
            label=None,
        )
        return dict(result.model.to_torch_state_dict()), torch.from_numpy(result.members.own)

    expected = eagerly(monkeypatch, run)
    assert done == []
    assert same(run(), expected, rtol=1e-4, atol=1e-5)
    assert done.count("recorded") == (0 if name in OWN_STEPS else BY_RECORDING.get(name, 1))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_scaffolds_corrections_are_in_its_recording(momentum, images, labels, done, monkeypatch):
    """Control: with corrections that are not those of the client, the models differ."""
    noise, clients = noise_images(72, 10), [Shard(np.arange(*ends), np.arange(60, 72)) for ends in ((0, 33), (33, 60))]

    def run():
        config = LocalConfig(batch_size=BATCH, learning_rate=0.02, momentum=momentum)
        result = federate("scaffold", noise, clients, num_rounds=3, local_config=config, seed=0, workers=1, label=None)
        return dict(result.model.to_torch_state_dict())

    expected = eagerly(monkeypatch, run)
    assert same(run(), expected) and done.count("recorded") == 1
    begin, first = captured._Step.begin, []

    def stale(self, optimizer):
        first.append(optimizer)
        begin(self, first[0])

    monkeypatch.setattr(captured._Step, "begin", stale)
    assert not same(run(), expected), "control"


# What a recording is for ------------------------------------------------------------------


def once(model, images, labels, **options):
    options = {"epochs": 1, "batch_size": BATCH, "seed": 0} | options
    new_optimizer = options.pop("optimizer", OPTIMIZERS["momentum"])
    train(model, images, labels, np.arange(20), new_optimizer(model.parameters()), **options)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _double(images):
    return images.float().div_(60.0)


SCALE = 1.0


def _scaled(images):
    return images.float() / 255 * SCALE


_scaled.__module__ = "__main__"  # as if a notebook had defined it


CHANGES = {
    "rate": lambda model, images, labels: {"optimizer": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9)},
    "momentum": lambda model, images, labels: {"optimizer": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.1)},
    "batch size": lambda model, images, labels: {"batch_size": 5},
    "task": lambda model, images, labels: {"task": Task("doubled", _double, *list(vars(IMAGES).values())[2:])},
    "data": lambda model, images, labels: {"images": images.flip(0)},
    "targets": lambda model, images, labels: {"labels": labels.flip(0)},
    "fewer examples": lambda model, images, labels: {"images": images[1:]},
    "a layer's setting": lambda model, images, labels: setattr(model[2], "eps", 0.5),
    "another layer": lambda model, images, labels: model.__setitem__(3, nn.Tanh()),
    "weights elsewhere": lambda model, images, labels: (
        model.load_state_dict({name: tensor + 0 for name, tensor in model.state_dict().items()}, assign=True) and None
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed(change, images, labels, done, monkeypatch):
    def run():
        model = NORMALIZED_MODELS["mlp"](SHAPE, CLASSES, 0)
        once(model, images, labels)
        return once(model, **({"images": images, "labels": labels} | (change(model, images, labels) or {})))

    def unchanged():
        model = NORMALIZED_MODELS["mlp"](SHAPE, CLASSES, 0)
        once(model, images, labels)
        return once(model, images, labels)

    expected = eagerly(monkeypatch, run)
    assert same(run(), expected) and done.count("recorded") == 2
    different = eagerly(monkeypatch, unchanged)
    assert same(different, expected) == (change is CHANGES["weights elsewhere"]), "control"


def test_a_number_of_the_notebook_that_a_task_reads_may_change(images, labels, done, monkeypatch):
    def run():
        model, task = new_mlp(SHAPE, CLASSES, 0), replace(IMAGES, inputs=_scaled)
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "SCALE", 1.0)
            once(model, images, labels, task=task)
            patch.setitem(globals(), "SCALE", 3.0)
            return once(model, images, labels, task=task)

    assert same(run(), eagerly(monkeypatch, run)) and done.count("recorded") == 2


def test_data_that_change_in_their_place_are_the_new_ones(images, labels, done, monkeypatch):
    def run():
        model, own = new_mlp(SHAPE, CLASSES, 0), images.clone()
        once(model, own, labels)
        own.copy_(images.flip(0))
        return once(model, own, labels)

    assert same(run(), eagerly(monkeypatch, run)) and done.count("recorded") == 1


def test_data_at_the_address_of_data_that_are_gone(images, labels, done, monkeypatch):
    """What a recording reads is kept, so nothing else can be there."""

    def run():
        model, results = new_mlp(SHAPE, CLASSES, 0), []
        for shift in range(8):
            results.append(once(model, images.roll(shift, 0), labels))
        return results

    assert same(run(), eagerly(monkeypatch, run)) and done.count("recorded") == 8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_nothing_depends_on_what_ran_before(name, images, labels, done):
    def run(model):
        return clients(model, images, labels, OPTIMIZERS[name], register=corrected)

    fresh, used = (NORMALIZED_MODELS["cnn"](SHAPE, CLASSES, 0) for _ in range(2))
    start = copy.deepcopy(used.state_dict())
    for batch_size in (1, 4, BATCH, 16):
        clients(used, images.flip(0), labels, OPTIMIZERS[name], batch_size=batch_size, register=corrected)
    run(used)
    used.load_state_dict(start)
    assert same(run(used), run(fresh), rtol=0, atol=0)


def test_random_numbers_and_weights_are_as_before_a_recording(images, labels, done, monkeypatch):
    def run():
        torch.manual_seed(3)
        once(NORMALIZED_MODELS["cnn"](SHAPE, CLASSES, 0), images, labels)
        return torch.rand(3)

    assert same(run(), eagerly(monkeypatch, run), rtol=0, atol=0) and "recorded" in done


def test_few_recordings_are_kept_and_none_for_a_model_that_is_gone(images, labels, done):
    model = new_mlp(SHAPE, CLASSES, 0)
    for batch_size in range(1, 9):
        once(model, images, labels, batch_size=batch_size)
    assert [len(steps) for steps in captured._RECORDINGS.values()] == [captured._MOST]
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None and len(captured._RECORDINGS) == 0


def test_evaluation_between_does_not_matter(images, labels, done, monkeypatch):
    def run():
        model = NORMALIZED_MODELS["cnn"](SHAPE, CLASSES, 0)
        once(model, images, labels)
        loss = evaluate(model, images, labels).loss
        return once(model, images, labels), torch.tensor(loss)

    assert same(run(), eagerly(monkeypatch, run)) and done.count("recorded") == 1


def test_a_graph_that_is_kept_elsewhere_does_not_matter(images, labels, done):
    """On a GPU it would break off a recording: its leaves belong to another stream, so those of a step are its own."""
    model, seen = new_mlp(SHAPE, CLASSES, 0), []
    kept = nn.functional.cross_entropy(model(images.float()), labels)
    leaves = {id(node.variable) for node in accumulators(kept.grad_fn)}
    assert leaves == set(map(id, model.parameters())), "control"

    def loss(outputs, targets, **options):
        found = nn.functional.cross_entropy(outputs, targets, **options)
        seen.extend(id(node.variable) for node in accumulators(found.grad_fn))
        return found

    once(model, images, labels, task=replace(IMAGES, loss=loss))
    assert seen and not leaves.intersection(seen)


def accumulators(node):
    """Yield the nodes of a graph at which gradients are added up."""
    if hasattr(node, "variable"):
        yield node
    for below, _ in node.next_functions:
        if below is not None:
            yield from accumulators(below)


# What is trained step by step -------------------------------------------------------------


class Waiting(nn.Module):
    """Draws random numbers, or counts, in what it does."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.kind, self.calls = new_mlp(SHAPE, CLASSES, 0), kind, 0

    def forward(self, images):
        if self.kind == "numpy":
            images = images * np.random.rand()
        elif self.kind == "torch":
            images = nn.functional.dropout(images, training=self.training)
        elif self.kind == "counter":
            self.calls += 1
            images = images * self.calls
        return self.inner(images)


def _hooked(model):
    model[1].register_forward_hook(lambda *_: None)
    return model


def _gradient_hooked(model):
    model[1].weight.register_hook(lambda gradient: gradient * 2)
    return model


PLAIN = {
    "random numbers of NumPy": (lambda: Waiting("numpy"), {}),
    "random numbers of PyTorch": (lambda: Waiting("torch"), {}),
    "a counter": (lambda: Waiting("counter"), {}),
    "a hook": (lambda: _hooked(new_mlp(SHAPE, CLASSES, 0)), {}),
    "a hook of a gradient": (lambda: _gradient_hooked(new_mlp(SHAPE, CLASSES, 0)), {}),
    "float64": (lambda: new_mlp(SHAPE, CLASSES, 0).double(), {}),
    "another optimizer": (
        lambda: new_mlp(SHAPE, CLASSES, 0),
        {"optimizer": lambda p: torch.optim.Adagrad(p, lr=0.1)},
    ),
    "a rate in a tensor": (
        lambda: new_mlp(SHAPE, CLASSES, 0),
        {"optimizer": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.1))},
    ),
    "dampening": (
        lambda: new_mlp(SHAPE, CLASSES, 0),
        {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5)},
    ),
    "a loss that reads the weights": (lambda: new_mlp(SHAPE, CLASSES, 0), {"task": "with decay"}),
    "no whole batch": (lambda: new_mlp(SHAPE, CLASSES, 0), {"batch_size": 21}),
}


@pytest.mark.parametrize(("new_model", "options"), PLAIN.values(), ids=PLAIN)
def test_what_cannot_be_recorded_is_trained_step_by_step(new_model, options, images, labels, done, monkeypatch):
    def run():
        model = new_model()
        np.random.seed(0)
        torch.manual_seed(0)

        def loss(outputs, targets, **reduction):
            decay = 0.1 * sum(parameter.pow(2).sum() for parameter in model.parameters())
            return nn.functional.cross_entropy(outputs, targets, **reduction) + decay

        own = options | ({"task": replace(IMAGES, loss=loss)} if "task" in options else {})
        return [once(model, images, labels, **own) for _ in range(2)], getattr(model, "calls", 0)

    (weights, calls), (expected, expected_calls) = run(), eagerly(monkeypatch, run)
    assert same(weights, expected, rtol=0, atol=0) and calls == expected_calls
    assert "replayed" not in done and done.count("recorded") <= (2 if expected_calls else 1)


def test_an_error_in_a_step_is_that_of_training_step_by_step(images, labels, done):
    model = new_mlp((1, 8, 8), CLASSES, 0)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        once(model, images, labels)
    assert "replayed" not in done


@pytest.mark.parametrize("arguments", [{"epochs": 0}, {"batch_size": 0}])
def test_bad_numbers_are_named(arguments, images, labels, done):
    with pytest.raises(InputError, match=f"{next(iter(arguments))} must be >= 1, got 0"):
        once(new_mlp(SHAPE, CLASSES, 0), images, labels, **arguments)


def test_an_interrupt_leaves_nothing_wrong_behind(images, labels, done, monkeypatch):
    """In the middle of a client's training, and of a recording."""
    model = new_cnn(SHAPE, CLASSES, 0)
    start = copy.deepcopy(model.state_dict())
    expected = once(copy.deepcopy(model), images, labels)
    take, calls = captured._Step.take, []

    def interrupted(self, *arguments):
        calls.append(0)
        if len(calls) in (2, 9):
            raise KeyboardInterrupt
        take(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(captured._Step, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            once(model, images, labels)
        assert same(dict(model.state_dict()), dict(start), rtol=0, atol=0), "a recording leaves the weights"
        assert not captured._RECORDINGS.get(model)
        with pytest.raises(KeyboardInterrupt):
            once(model, images, labels)
        assert len(captured._RECORDINGS[model]) == 1
    model.load_state_dict(start)
    assert same(once(model, images, labels), expected, rtol=0, atol=0)


def test_without_memory_there_is_one_sentence_and_no_recording(images, labels, done, monkeypatch):
    def record(step, device):
        step()
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    model = new_mlp(SHAPE, CLASSES, 0)
    start = copy.deepcopy(model.state_dict())
    monkeypatch.setattr(captured, "record", record)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        once(model, images, labels)
    assert same(dict(model.state_dict()), dict(start), rtol=0, atol=0) and not captured._RECORDINGS.get(model)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A Card")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    with pytest.raises(InputError, match="device must be 'cpu', or batch_size smaller, .* got A Card"):
        with computing_on(torch.device("cuda")):
            once(model, images, labels)
