"""So many steps and no more: what clients compute, report, and are charged for, for every algorithm."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from noise import distance, noise_images, shards

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.availability import Devices, device_mod, timeline
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp

CONFIG = LocalConfig(local_epochs=2, batch_size=4, learning_rate=0.05)
IMAGES = 18  # in batches of 4 for 2 epochs: 10 batches, of which 2 are short
AT_ONE_BATCH = {"apfl": 2, "perfedavg": 2, "perfedavg-hf": 4, "perfedavg-exact": 4, "pfedme": 3}
IN_A_ROUND = {name: 10 * AT_ONE_BATCH.get(name, 1) for name in ALGORITHMS} | {"ditto": 20, "fedrep": 15}


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


@pytest.fixture
def passes(monkeypatch):
    """Counts passes backward: each is the gradient of a batch, in whatever way it is asked for."""
    counted = SimpleNamespace(number=0)
    for name in ("grad", "backward"):
        original = getattr(torch.autograd, name)

        def count(*arguments, original=original, **options):
            counted.number += 1
            return original(*arguments, **options)

        monkeypatch.setattr(torch.autograd, name, count)
    return counted


def run(name, noise, mod=None, *, clients=(IMAGES,), **options):
    model = (NORMALIZED_MODELS["mlp"] if name == "fedbn" else new_mlp)(noise.image_shape, noise.num_classes, 0)
    plain = {"num_rounds": 1, "local_config": CONFIG, "seed": 0, "workers": 1, "label": None, "model": model}
    return federate(name, noise, shards(clients), mods=[mod] if mod else [], **(plain | options))


def trained(name, noise, passes, allowed=None):
    """Let a client train for a round; return what it computed, what it says of that, and the server's model."""
    computed = []

    def limit(message, context, call_next):
        if allowed is not None:
            message.content["config"]["max-steps"] = allowed
        before = passes.number
        reply = call_next(message, context)
        computed.append(passes.number - before)
        return reply

    result = run(name, noise, limit)
    (reported,) = result.history.clients.query("phase == 'train'")["steps"]
    return computed[0], reported, result.model.to_torch_state_dict()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_a_round_takes_without_a_limit(noise, passes, name):
    computed, reported, _ = trained(name, noise, passes)
    assert computed == reported == IN_A_ROUND[name]
    assert ALGORITHMS[name].steps_of_round(IMAGES, CONFIG) == IN_A_ROUND[name]


@pytest.mark.parametrize("allowed", [1, 2, 3, 5, 7, 14])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_so_many_gradients_and_no_more(noise, passes, name, allowed):
    """A step that takes several is taken whole or not at all."""
    computed, reported, _ = trained(name, noise, passes, allowed)
    step = AT_ONE_BATCH.get(name, 1)
    assert computed == reported == min(allowed // step * step, IN_A_ROUND[name])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_limit_that_is_not_reached_changes_no_bit(noise, passes, name):
    (*numbers, model), (*same_numbers, same) = (trained(name, noise, passes, n) for n in (None, IN_A_ROUND[name]))
    assert numbers == same_numbers and distance(model, same) == 0
    if IN_A_ROUND[name] > 10:  # the limit counts for all that it does
        assert trained(name, noise, passes, IN_A_ROUND[name] - 4)[0] < IN_A_ROUND[name]


def test_the_halves_of_ditto_and_the_parts_of_fedrep(noise, passes):
    """Of 7 steps Ditto's global model gets 4, as FedAvg's with a limit of 4."""
    sent = trained("ditto", noise, passes, 7)[2]
    assert distance(sent, trained("global", noise, passes, 4)[2]) == 0
    assert distance(sent, trained("global", noise, passes, 7)[2]) > 0, "control"
    head, body = [], []

    def watch(message, context, call_next):
        message.content["config"]["max-steps"] = 6
        return call_next(message, context)

    class Counting(torch.optim.SGD):
        def step(self, *arguments):
            trains_head = self.param_groups[0]["params"][-1].requires_grad
            (head if trains_head else body).append(1)
            return super().step(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            LocalConfig, "new_optimizer", lambda config, model: Counting(model.parameters(), lr=config.learning_rate)
        )
        run("fedrep", noise, watch)
    assert (len(head), len(body)) == (2, 4), "one epoch of the head, and two of the body"


@pytest.mark.parametrize("allowed", [0, -2])
def test_a_limit_below_one_step_is_refused(noise, allowed):
    def limit(message, context, call_next):
        message.content["config"]["max-steps"] = allowed
        return call_next(message, context)

    with pytest.raises(InputError, match=f"^max-steps must be >= 1, got {allowed}\n"):
        run("fedavg", noise, limit)


@pytest.mark.parametrize("name", ["fedavg", "ditto", "fedrep", "apfl", "perfedavg-hf"])
def test_the_clock_charges_what_is_computed(noise, passes, name):
    """A step takes a second, there are 8, and one client has all the time that it needs."""
    needed = ALGORITHMS[name].steps_of_round(IMAGES, CONFIG)
    devices = Devices(np.array([1.0, 1e-3]), np.zeros(2), np.ones(2), seed=0)
    steps, limits = [needed, needed], {"deadline": 8.0, "late": "partial"}
    result = run(name, noise, device_mod(devices, steps, **limits), clients=(IMAGES, IMAGES), on_error="reply")
    assert result.history.clients.query("phase == 'train'")["steps"].tolist() == [8, needed]
    assert timeline(result.history, devices, steps, **limits)["seconds"].tolist() == [8.0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_client_without_training_images_is_one_sentence(noise, name):
    with pytest.raises(InputError, match="^indices must name at least one (training example|example to evaluate), got"):
        run(name, noise, clients=(IMAGES, 0))
