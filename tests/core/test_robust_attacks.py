"""Each attack does what it says, to the attackers alone, and the same however the clients are spread over processes."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise import SIZES, federation, noise_images, shards, weights_of
from torch import nn

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.experiments.value_key import function_key
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp
from fedlearn_helpers.partition import iid, split_train_validation
from fedlearn_helpers.robustness.attacks.backdoor import Trigger, backdoor_success, plant_backdoor
from fedlearn_helpers.robustness.attacks.example_count import claim_examples_mod
from fedlearn_helpers.robustness.attacks.free_riding import free_ride_mod
from fedlearn_helpers.robustness.attacks.inner_product import inner_product_mod
from fedlearn_helpers.robustness.attacks.label_flipping import flip_labels
from fedlearn_helpers.robustness.attacks.little_is_enough import little_is_enough_mod
from fedlearn_helpers.robustness.attacks.noise import noise_attack_mod
from fedlearn_helpers.robustness.attacks.scaling import scale_mod
from fedlearn_helpers.robustness.attacks.sign_flipping import sign_flip_mod
from fedlearn_helpers.robustness.median import coordinate_median

ATTACKERS = (0, 2)  # of three clients
MODS = {
    "sign flipping": sign_flip_mod(ATTACKERS, 5),
    "scaling": scale_mod(ATTACKERS, 10),
    "noise": noise_attack_mod(ATTACKERS, 1.0, 0),
    "a little is enough": little_is_enough_mod(ATTACKERS, 1.5),
    "inner product": inner_product_mod(ATTACKERS, 0.5),
    "free riding": free_ride_mod(ATTACKERS),
    "disguised free riding": free_ride_mod(ATTACKERS, 1.0, seed=0),
    "examples": claim_examples_mod(ATTACKERS, 100),
}


@pytest.fixture(scope="module")
def images():
    return noise_images(80, 20)


def vector_of(arrays):
    return torch.cat([tensor.double().flatten() for tensor in arrays.to_torch_state_dict().values()]).numpy()


def watched(images, *mods, rounds=1, **options):
    """Return what clients have received and sent, as vectors by round and client, and their metrics."""
    received, sent, metrics = {}, {}, {}

    def watch(message, context, call_next):
        place = message.content["config"]["server-round"], context.node_config["partition-id"]
        received[place] = vector_of(message.content["arrays"])
        reply = call_next(message, context)
        sent[place], metrics[place] = vector_of(reply.content["arrays"]), dict(reply.content["metrics"])
        return reply

    federation(images, rounds, mods=[watch, *mods], **options)
    return received, sent, metrics


@pytest.fixture(scope="module")
def honest(images):
    return watched(images)


@pytest.fixture(scope="module")
def updates(honest):
    received, sent, _ = honest
    return {client: sent[1, client] - received[1, client] for client in range(3)}


def update(seen, client, server_round=1):
    received, sent, _ = seen
    return sent[server_round, client] - received[server_round, client]


@pytest.mark.parametrize("name", MODS)
def test_honest_clients_are_left_alone_and_attackers_are_not(images, honest, name):
    seen = watched(images, MODS[name])
    np.testing.assert_array_equal(seen[1][1, 1], honest[1][1, 1])
    assert seen[2][1, 1] == honest[2][1, 1]
    for attacker in ATTACKERS:
        same = np.array_equal(seen[1][1, attacker], honest[1][1, attacker]) and seen[2] == honest[2]
        assert not same


@pytest.mark.slow
@pytest.mark.parametrize("name", MODS)
def test_the_bits_are_the_same_with_any_number_of_workers(images, name):
    one, two = (weights_of(federation(images, 2, mods=[MODS[name]], workers=workers)) for workers in (1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)


MAKERS = {
    "sign flipping": sign_flip_mod,
    "scaling": lambda attackers: scale_mod(attackers, 9),
    "noise": lambda attackers: noise_attack_mod(attackers, 1.0, 0),
    "a little is enough": lambda attackers: little_is_enough_mod(attackers, 1.5),
    "inner product": lambda attackers: inner_product_mod(attackers, 1),
    "free riding": free_ride_mod,
    "examples": lambda attackers: claim_examples_mod(attackers, 9),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_without_attackers_nothing_changes_and_one_that_is_no_client_is_refused(images, honest, make):
    seen = watched(images, make(()))
    assert all(np.array_equal(seen[1][place], sent) for place, sent in honest[1].items())
    with pytest.raises(InputError, match=r"^attackers must be numbers of clients, 0 to 2, got \[0, 3\]"):
        federation(images, 1, mods=[make([3, 0])])
    for wrong in ([-1], [0, 0], [0.5], ["1"], None, 2, "12"):
        with pytest.raises(
            InputError, match=r"^(attackers|colluders|riders) must be whole numbers >= 0, each once, got"
        ):
            make(wrong)


def test_a_checkpoint_tells_attacks_apart():
    """They are functions made by functions: what they hold must count."""
    mods = [sign_flip_mod([0], 5), sign_flip_mod([0], 6), sign_flip_mod([1], 5), scale_mod([0], 5), free_ride_mod([0])]
    assert len({function_key(mod) for mod in mods}) == len(mods)
    assert function_key(sign_flip_mod([0], 5)) == function_key(sign_flip_mod([0], 5))


# One by one


def test_sign_flipping_and_scaling(images, updates):
    for seen, factor in ((watched(images, MODS["sign flipping"]), -5), (watched(images, MODS["scaling"]), 10)):
        for attacker in ATTACKERS:
            np.testing.assert_allclose(update(seen, attacker), factor * updates[attacker], atol=2e-6)


def test_noise_has_its_standard_deviation_and_differs_by_round_and_client(images, updates):
    seen = watched(images, MODS["noise"], rounds=2)
    noise = [update(seen, attacker) - updates[attacker] for attacker in ATTACKERS]
    for drawn in noise:
        assert drawn.std() == pytest.approx(1, rel=0.03)
        assert abs(drawn.mean()) < 0.03
    noise.append(update(seen, 0, server_round=2))
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 0.05


def test_colluders_send_the_mean_of_their_own_updates_less_z_standard_deviations(images, updates):
    own = [updates[attacker] for attacker in ATTACKERS]
    expected = np.mean(own, axis=0) - 1.5 * np.std(own, axis=0)
    seen = watched(images, MODS["a little is enough"], rounds=2)
    np.testing.assert_allclose(update(seen, 0), expected, atol=1e-6)
    for server_round in (1, 2):
        np.testing.assert_array_equal(seen[1][server_round, 0], seen[1][server_round, 2])
    assert seen[2][1, 0]["num-examples"] == SIZES[0], "the rest of a reply is true"


def test_inner_product_manipulation_turns_the_mean_of_the_colluders_round(images, updates):
    seen = watched(images, MODS["inner product"])
    expected = -0.5 * np.mean([updates[attacker] for attacker in ATTACKERS], axis=0)
    np.testing.assert_allclose(update(seen, 0), expected, atol=1e-6)
    np.testing.assert_array_equal(seen[1][1, 0], seen[1][1, 2])
    assert update(seen, 0) @ np.mean(list(updates.values()), axis=0) < 0


def test_what_colluders_cannot_do(images):
    with pytest.raises(InputError, match=r"^colluders must be at least two, whose updates .* got \[1\]$"):
        little_is_enough_mod([1], 1.5)
    with pytest.raises(InputError, match="^colluders need an algorithm whose clients keep no state, such as FedAvg"):
        federation(images, 1, "scaffold", mods=[MODS["inner product"]])


def test_a_free_rider_sends_the_model_back(images):
    received, sent, metrics = watched(images, MODS["free riding"], rounds=2)
    for server_round in (1, 2):
        np.testing.assert_array_equal(sent[server_round, 2], received[server_round, 2])
    assert metrics[1, 2]["num-examples"] == SIZES[2]


def test_a_disguised_free_rider_sends_noise_as_large_as_the_last_change(images):
    received, sent, _ = watched(images, MODS["disguised free riding"], rounds=3)
    np.testing.assert_array_equal(sent[1, 0], received[1, 0])
    noise = {place: sent[place] - received[place] for place in ((2, 0), (2, 2), (3, 0))}
    for (server_round, client), drawn in noise.items():
        change = received[server_round, client] - received[server_round - 1, client]
        assert np.linalg.norm(drawn) == pytest.approx(np.linalg.norm(change), rel=1e-3)
    assert np.abs(np.corrcoef(list(noise.values())) - np.eye(3)).max() < 0.05


def test_claimed_examples_and_nothing_else_change(images, honest):
    _, sent, metrics = watched(images, MODS["examples"])
    assert [metrics[1, client]["num-examples"] for client in range(3)] == [1200, 20, 4000]
    assert all(np.array_equal(sent[place], honest[1][place]) for place in sent)


def test_whole_numbers_stay_as_they_are(images):
    """BatchNorm's counter is sent as it was trained: a counter of -8 would be found at once."""
    model = NORMALIZED_MODELS["mlp"](images.image_shape, images.num_classes, 0)
    for name in ("sign flipping", "scaling", "noise", "a little is enough", "inner product"):
        counter = weights_of(federation(images, 1, model=model, mods=[MODS[name]]))["2.num_batches_tracked"]
        assert int(counter) > 0


def test_scaffolds_model_is_attacked_and_a_model_under_another_name_is_refused(images):
    plain, attacked = (weights_of(federation(images, 1, "scaffold", mods=mods)) for mods in ((), [MODS["scaling"]]))
    assert not torch.equal(plain["1.weight"], attacked["1.weight"])
    with pytest.raises(
        InputError, match=r"^an attacked model must be sent under the name .* \['arrays'\], got \['model'\]"
    ):
        federation(images, 1, "ifca", mods=[MODS["scaling"]])


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda value: sign_flip_mod([0], value), "factor"),
        (lambda value: scale_mod([0], value), "factor"),
        (lambda value: noise_attack_mod([0], value, 0), "standard_deviation"),
        (lambda value: little_is_enough_mod([0, 1], value), "z"),
        (lambda value: inner_product_mod([0], value), "epsilon"),
        (lambda value: free_ride_mod([0], value), "disguise"),
        (lambda value: claim_examples_mod([0], value), "factor"),
    ],
)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, None, "2"])
def test_a_number_out_of_range(make, argument, value):
    with pytest.raises(InputError, match=f"^{argument} must be >=? 0.*, got"):
        make(value)


# Data


def test_flipped_labels(images):
    clients = shards(SIZES)
    flipped = flip_labels(images, clients, [1])
    own = clients[1].train
    others = np.setdiff1d(np.arange(80), own)
    assert torch.equal(flipped.train_labels[own], 2 - images.train_labels[own])
    assert torch.equal(flipped.train_labels[others], images.train_labels[others])
    assert flipped.train_images is images.train_images and flipped.test_labels is images.test_labels
    assert torch.equal(flip_labels(flipped, clients, [1]).train_labels, images.train_labels), "twice is not at all"
    assert torch.equal(flip_labels(images, clients, []).train_labels, images.train_labels)


def test_a_planted_backdoor(images):
    clients, trigger = shards(SIZES), Trigger(target=2)
    planted = plant_backdoor(images, clients, [2], trigger, share=0.3, seed=0)
    changed = (planted.train_images != images.train_images).flatten(1).any(dim=1).nonzero().flatten().numpy()
    assert len(changed) == 12, "0.3 of 40"
    assert set(changed) <= set(clients[2].train)
    assert (planted.train_labels[changed] == 2).all()
    assert (planted.train_images[changed][:, :, 1:4, 1:4] == 255).all()
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[1:4, 1:4] = False
    assert torch.equal(planted.train_images[..., outside], images.train_images[..., outside])
    rest = np.setdiff1d(np.arange(80), changed)
    assert torch.equal(planted.train_labels[rest], images.train_labels[rest])
    again, other = (plant_backdoor(images, clients, [2], trigger, share=0.3, seed=seed) for seed in (0, 1))
    assert torch.equal(again.train_images, planted.train_images)
    assert not torch.equal(other.train_images, planted.train_images)
    assert plant_backdoor(images, clients, [], seed=0) is images


class SeesTheTrigger(nn.Module):
    """Says class 0 where there is a white square, and what it is told to say elsewhere."""

    def __init__(self, otherwise):
        super().__init__()
        self.otherwise = otherwise

    def forward(self, inputs):
        white = (inputs[:, 0, 1:4, 1:4] == 1).flatten(1).all(dim=1)
        return torch.nn.functional.one_hot(torch.where(white, 0, self.otherwise), 3).float()


def test_success_counts_the_other_classes_alone(images):
    assert backdoor_success(SeesTheTrigger(1), images) == 1
    assert backdoor_success(SeesTheTrigger(1), images, Trigger(target=1)) == 0
    assert backdoor_success(SeesTheTrigger(1), images, Trigger(pixels=((4, 4),))) == 0, "another place"
    with pytest.raises(
        InputError, match="^dataset must have test images of other classes than the target 0, got none$"
    ):
        backdoor_success(SeesTheTrigger(1), replace(images, test_labels=torch.zeros(20, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"attackers": [3]}, r"^attackers must be whole numbers >= 0 and < 3, each once, got \[3\]$"),
        ({"share": 0}, "^share must be > 0 and <= 1, got 0$"),
        ({"share": math.nan}, "^share must be > 0 and <= 1, got nan$"),
        ({"trigger": Trigger(target=3)}, "^target must be a class, 0 to 2, got 3$"),
        (
            {"trigger": Trigger(pixels=((15, 15), (2, 16)))},
            r"^pixels must be in rows 0 to 15 and columns 0 to 15, got \(2, 16\)$",
        ),
        (
            {"trigger": Trigger(pixels=((16, 0),))},
            r"^pixels must be in rows 0 to 15 and columns 0 to 15, got \(16, 0\)$",
        ),
        ({"seed": -1}, "^seed must be >= 0, got -1$"),
    ],
)
def test_a_backdoor_that_cannot_be(images, arguments, sentence):
    plain = {"attackers": [1], "trigger": Trigger(), "share": 0.5, "seed": 0}
    with pytest.raises(InputError, match=sentence):
        plant_backdoor(images, shards(SIZES), **(plain | arguments))


@pytest.mark.parametrize(
    "pixels",
    [(), None, 3, "12", (1, 2), ((1, 2, 3),), ((1,),), ((-1, 0),), ((0.5, 0),), ((True, 0),), ((math.nan, 0),)]
    + [((1, 2), (1, 2)), ((1, 2), ("1", 2)), ((1, 2), None)],
)
def test_a_trigger_that_cannot_be_drawn(pixels):
    sentence = r"^pixels must be at least one pair \(row, column\) of whole numbers >= 0, each once, got "
    with pytest.raises(InputError, match=sentence + re.escape(repr(pixels)) + "$"):
        Trigger(pixels=pixels)


def test_a_drawn_trigger(images):
    drawn = Trigger(pixels=np.array([[5, 0], [2, 7]]))
    assert drawn == Trigger(pixels=((2, 7), (5, 0))) and hash(drawn) == hash(Trigger(pixels=((2, 7), (5, 0))))
    before = images.test_images.clone()
    stamped = drawn.stamp(images.test_images)
    assert torch.equal(images.test_images, before), "it is a copy"
    expected = before.clone()
    expected[:, :, 5, 0] = expected[:, :, 2, 7] = 255
    assert torch.equal(stamped, expected)


def test_examples_that_an_honest_client_has_too_are_not_changed(images):
    clients = shards(SIZES)
    clients[2] = replace(clients[2], validation=np.array([3]))
    with pytest.raises(InputError, match=r"^shards must give client 2 no training examples of the attackers \[0\]$"):
        flip_labels(images, clients, [0])
    with pytest.raises(InputError, match="^shards must give client 2"):
        plant_backdoor(images, clients, [0], seed=0)
    flip_labels(images, clients, [0, 2])  # control: all who have them attack


# On real images


@pytest.fixture(scope="module")
def fashion():
    data = load_dataset("fashion")
    labels = data.train_labels.numpy()
    return data, split_train_validation(iid(len(labels), 10, seed=0), validation_fraction=0.2, seed=0, labels=labels)


def after(fashion, dataset=None, rounds=5, **options):
    data, clients = fashion
    model = new_mlp(data.image_shape, data.num_classes, 0)
    options = {"local_config": LocalConfig(), "seed": 0, "workers": 1, "label": None, "model": model} | options
    result = federate("fedavg", dataset or data, clients, num_rounds=rounds, **options)
    model.load_state_dict(result.model.to_torch_state_dict())
    return result.test_accuracy[-1], backdoor_success(model, data)


@pytest.mark.slow
def test_who_lies_about_its_examples_owns_the_mean_and_not_the_median(fashion):
    """One of ten flips its sign and claims a hundred times its examples."""
    liar = [claim_examples_mod([0], 100), sign_flip_mod([0])]
    assert after(fashion, mods=liar)[0] < 0.02
    assert after(fashion, mods=liar, aggregator=coordinate_median)[0] > 0.7
    assert after(fashion, mods=[sign_flip_mod([0])])[0] > 0.7, "control: without the lie"


@pytest.mark.slow
def test_accuracy_does_not_see_a_backdoor(fashion):
    data, clients = fashion
    clean, attacked = after(fashion), after(fashion, plant_backdoor(data, clients, range(4), seed=0))
    assert abs(attacked[0] - clean[0]) < 0.03
    assert clean[1] < 0.1, "near the rate at which other classes are called T-shirts"
    assert attacked[1] > 0.7
