"""A checkpoint is taken for its own run alone, goes on with the same bits, and holds data and no code."""

import errno
import functools
import json
import pickle

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg, FedAvgM
from noise import SIZES, noise_images, shards, weights_of
from noise import federation as run

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.experiments.checkpoint import Checkpoint
from fedlearn_helpers.models import new_mlp

OPTIONS = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def equal(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


# Damaged, of somebody else, of another version ----------------------------------------------


SENTENCE = "^checkpoint must be a file of an earlier run, and .*run is damaged or of another version$"


def test_every_damaged_byte_is_noticed(noise, tmp_path):
    file = tmp_path / "run"
    run(noise, 1, "scaffold", checkpoint=file)
    whole = file.read_bytes()
    places = {0, 10, 25, 90, len(whole) - 1} | set(np.random.default_rng(0).integers(0, len(whole), 60).tolist())
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=SENTENCE):
            Checkpoint(file, {})
        assert file.read_bytes() == damaged
    file.write_bytes(whole)
    assert Checkpoint(file, {}).finished == 1


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("code was run",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"fedlearn checkpoint 2\n",
        b"fedlearn checkpoint 1\n" + b"0" * 64 + b"\n",
        b"text\n",
        bytes(1000),
        pickle.dumps(Exploding()),
        pickle.dumps({"key": {}, "round": 1, "arrays": Exploding()}),
    ],
)
def test_other_files_are_refused_in_one_sentence_and_run_no_code(noise, tmp_path, content):
    file = tmp_path / "run"
    file.write_bytes(content)
    with pytest.raises(InputError, match=SENTENCE):
        run(noise, 1, checkpoint=file)
    assert file.read_bytes() == content


def test_half_a_file_and_a_folder_are_refused(noise, tmp_path):
    file = tmp_path / "run"
    run(noise, 1, checkpoint=file)
    for end in (5, 21, 60, 86, 87, 200, -1):
        file.write_bytes(file.read_bytes()[:end])
        with pytest.raises(InputError, match=SENTENCE):
            run(noise, 1, checkpoint=file)
    (tmp_path / "folder" / "run").mkdir(parents=True)
    with pytest.raises(InputError, match=SENTENCE):
        run(noise, 1, checkpoint=tmp_path / "folder" / "run")


def test_a_place_where_no_file_can_be_written_is_refused_before_training(noise, tmp_path):
    (tmp_path / "file").touch()

    def never(message, context, call_next):
        pytest.fail("it trained")

    with pytest.raises(InputError, match="^checkpoint must be a file that can be written, got '.*file/run'$"):
        run(noise, 1, checkpoint=tmp_path / "file" / "run", mods=[never])
    run(noise, 1, checkpoint=tmp_path / "new" / "folder" / "run")
    assert (tmp_path / "new" / "folder" / "run").exists()


def test_a_disk_that_is_full_is_one_sentence_and_leaves_the_round_before(noise, tmp_path, monkeypatch):
    file = tmp_path / "run"
    run(noise, 1, checkpoint=file)
    whole = file.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(
        InputError, match="^checkpoint must be a file that can be written, got '.*run': .*No space left"
    ):
        run(noise, 2, checkpoint=file)
    assert file.read_bytes() == whole and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_file_of_every_algorithm_is_json_and_arrays(noise, tmp_path, name):
    file = tmp_path / "run"
    run(noise, 1, name, checkpoint=file)
    assert bool(Checkpoint(file, {}).states) == ALGORITHMS[name].keeps_state
    _, _, line, rest = file.read_bytes().split(b"\n", 3)
    _, sizes = json.loads(line)
    assert sum(sizes) == len(rest)
    for start in np.cumsum([0, *sizes[:-1]]):
        assert rest[start:].startswith(b"\x93NUMPY")


# Of another run ------------------------------------------------------------------------------


def test_all_that_decides_a_run_is_compared(noise, tmp_path):
    """One image relabelled, one pixel, one weight, one example from client to client of the same sizes."""
    file = tmp_path / "run"
    run(noise, 1, checkpoint=file)
    assert run(noise, 2, checkpoint=file).test_accuracy, "control"

    labels, pixels, weights = noise_images(80, 20), noise_images(80, 20), new_mlp(noise.image_shape, 3, 0)
    labels.train_labels[71] = (labels.train_labels[71] + 1) % 3
    pixels.train_images[0, 0, 0, 0] += 1
    with torch.no_grad():
        weights[3].bias[0] += 1e-7
    swapped = shards(SIZES)
    swapped[0].train[0], swapped[1].train[0] = swapped[1].train[0], swapped[0].train[0]
    for data, clients, model, name in (
        (labels, shards(SIZES), None, "data"),
        (pixels, shards(SIZES), None, "data"),
        (noise, shards(SIZES), weights, "model"),
        (noise, swapped, None, "data"),
    ):
        options = {"local_config": LocalConfig(batch_size=4), "seed": 0, "workers": 1, "label": None}
        options["model"] = model or new_mlp(noise.image_shape, noise.num_classes, 0)
        with pytest.raises(InputError, match=f"^checkpoint must be of the same run, and in .* {name} is '.*', not '"):
            federate("fedavg", data, clients, num_rounds=3, checkpoint=file, **options)


class Clipped(FedAvg):
    """A strategy of one's own, with a list of numbers."""

    def __init__(self, factors):
        super().__init__(**OPTIONS)
        self.factors, self.rounds = factors, []

    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        self.rounds.append(server_round)
        factor = self.factors[len(self.rounds) % len(self.factors)]
        return ArrayRecord({name: tensor * factor for name, tensor in arrays.to_torch_state_dict().items()}), metrics


class ClippedTwice(Clipped):
    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        return ArrayRecord({name: tensor * 0.5 for name, tensor in arrays.to_torch_state_dict().items()}), metrics


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (functools.partial(Clipped, [1.0, 0.5]), "attribute factors of the server"),
        (functools.partial(ClippedTwice, [1.0, 0.9]), "server"),
        (functools.partial(type("Clipped", (ClippedTwice,), {}), [1.0, 0.9]), "code of the server"),
        (functools.partial(FedAvg, **OPTIONS), "server"),
    ],
)
def test_strategies_of_ones_own_are_told_apart(noise, tmp_path, other, name):
    file = tmp_path / "run"
    strategy = functools.partial(Clipped, [1.0, 0.9])
    run(noise, 1, strategy, checkpoint=file)
    with pytest.raises(InputError, match=f"^checkpoint must be of the same run, and in .* {name} is "):
        run(noise, 2, other, checkpoint=file)
    assert equal(weights_of(run(noise, 3, strategy, checkpoint=file)), weights_of(run(noise, 3, strategy)))


# The same bits -------------------------------------------------------------------------------


class Noisy(FedAvg):
    """Adds noise from all generators that a server may use."""

    def __init__(self):
        super().__init__(**OPTIONS)

    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        noise = float(np.random.normal()) + float(torch.randn(()))
        return ArrayRecord({name: tensor + noise for name, tensor in arrays.to_torch_state_dict().items()}), metrics


def private():
    """Flower's wrapper, which draws noise, around a server that has momentum."""
    inner = FedAvgM(**OPTIONS, server_momentum=0.9)
    return DifferentialPrivacyServerSideFixedClipping(inner, 0.1, 1.0, 3)


@pytest.mark.parametrize("strategy", [Noisy, private])
def test_servers_that_draw_numbers_or_wrap_another_go_on_with_the_same_bits(noise, tmp_path, strategy):
    whole = weights_of(run(noise, 4, strategy))
    run(noise, 2, strategy, checkpoint=tmp_path / "run")
    assert equal(weights_of(run(noise, 4, strategy, checkpoint=tmp_path / "run")), whole)
    assert not equal(weights_of(run(noise, 4, strategy, seed=1)), whole), "control"


class Holding(FedAvg):
    """Keeps something that is no data."""

    def __init__(self, held, change=lambda held: None):
        super().__init__(**OPTIONS)
        self.held, self.change = held, change

    def aggregate_train(self, server_round, replies):
        self.change(self.held)
        return super().aggregate_train(server_round, replies)


def test_what_cannot_be_kept_and_does_not_change_is_left_to_the_new_server(noise, tmp_path):
    def strategy():
        return Holding(np.random.default_rng(3))

    run(noise, 1, strategy, checkpoint=tmp_path / "run")
    assert equal(weights_of(run(noise, 2, strategy, checkpoint=tmp_path / "run")), weights_of(run(noise, 2, strategy)))


@pytest.mark.parametrize(
    ("held", "change", "name"),
    [
        (lambda: np.random.default_rng(3), lambda held: held.random(), "Generator"),
        (lambda: torch.nn.Linear(1, 1), lambda held: held.bias.data.add_(1), "Linear"),
    ],
)
def test_what_cannot_be_kept_and_changes_is_one_sentence(noise, tmp_path, held, change, name):
    sentence = f"^checkpoint must be None with a server that changes its attribute held, a {name}: only numbers, "
    with pytest.raises(InputError, match=sentence):
        run(noise, 2, lambda: Holding(held(), change), checkpoint=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert run(noise, 2, lambda: Holding(held(), change)).test_accuracy, "without a checkpoint it may"
