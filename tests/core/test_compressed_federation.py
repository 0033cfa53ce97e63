"""Compressed federations: every algorithm, workers, checkpoints, clients that fail or stay away; bytes of messages."""

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, FedAvgM
from noise import failing, noise_images, weights_of
from noise import federation as run

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.communication import QSGD, Compression, Lossless, LowRank, Quantization, RandomK, Sign, TopK
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import new_mlp

TWO_BITS = Quantization(2, stochastic=False, feedback=True)
LOSSY = Compression(up=TWO_BITS, down=Quantization(2, stochastic=False))


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def equal(first, second):
    first, second = weights_of(first), weights_of(second)
    return list(first) == list(second) and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def distance(first, second):
    first, second = weights_of(first), weights_of(second)
    return max(float((tensor - second[name]).abs().max()) for name, tensor in first.items())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_lossless_is_the_same_federation(noise, algorithm):
    plain, packed = run(noise, algorithm=algorithm), run(noise, algorithm=algorithm, transport=Compression())
    assert equal(plain, packed)
    np.testing.assert_array_equal(plain.members.own, packed.members.own)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_updates_that_lose_nothing_change_the_last_bits_alone(noise, algorithm):
    """w + (t - w) is rounded; what is left over goes into the next message."""
    plain = run(noise, algorithm=algorithm)
    whole = run(noise, algorithm=algorithm, transport=Compression(up=TopK(1.0), down=TopK(1.0)))
    control = run(noise, algorithm=algorithm, transport=Compression(up=TopK(0.01), down=TopK(1.0)))
    assert distance(plain, whole) < 1e-5
    assert distance(plain, control) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_with_workers_and_stops(noise, algorithm, tmp_path):
    whole = run(noise, 4, algorithm, transport=LOSSY)
    assert equal(whole, run(noise, 4, algorithm, transport=LOSSY, workers=2))
    run(noise, 2, algorithm, transport=LOSSY, checkpoint=tmp_path / "run")
    assert equal(whole, run(noise, 4, algorithm, transport=LOSSY, checkpoint=tmp_path / "run"))
    with pytest.raises(InputError, match="transport"):
        run(noise, 5, algorithm, transport=Compression(), checkpoint=tmp_path / "run")


CODECS = [
    TopK(0.1),
    TopK(0.1, feedback=False),
    RandomK(0.5),
    RandomK(0.5, scaled=False, feedback=True),
    Quantization(8),
    QSGD(8),
    Sign(),
    LowRank(2),
    Lossless(6),
]


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_every_codec_up_and_down(noise, codec):
    plain, up = run(noise), run(noise, transport=Compression(up=codec))
    train = up.history.clients
    assert np.isfinite(distance(plain, up))
    assert len(train.query("error == error and error != ''")) == 0
    if codec.contracts:
        down = run(noise, transport=Compression(down=codec))
        assert np.isfinite(distance(plain, down))


def test_bytes_are_those_of_the_messages(noise):
    size = sum(tensor.numel() for tensor in new_mlp(noise.image_shape, noise.num_classes, 0).state_dict().values())
    tensors = len(new_mlp(noise.image_shape, noise.num_classes, 0).state_dict())
    exchanges = run(noise, transport=LOSSY).history.clients.query("phase == 'train'")
    encoded = 4 * tensors + -(-2 * size // 8)
    heads = 128 + 4
    assert set(exchanges["bytes_up"]) == {heads + len('{"of":["arrays",""]}') + encoded}
    downs = dict(exchanges.groupby("round")["bytes_down"].max())
    assert downs[1] == heads + len('{"version":1,"from":0}')  # all know the first model
    assert downs[2] == downs[3] == heads + len('{"version":1,"from":0}') + encoded


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_fails_gets_the_whole_copy_once(noise, workers):
    result = run(noise, 4, transport=LOSSY, mods=[failing(1, 2)], on_error="reply", workers=workers)
    exchanges = result.history.clients.query("phase == 'train'")
    table = exchanges.pivot(index="round", columns="client", values="bytes_down")
    assert table.loc[3, 1] > 5 * table.loc[3, 0]
    assert table.loc[4, 1] == table.loc[4, 0] == table.loc[3, 0]


def test_a_sample_of_clients_gets_whole_copies(noise):
    result = run(noise, 6, transport=LOSSY, fraction_train=0.34)
    exchanges = result.history.clients.query("phase == 'train'")
    missed = exchanges.groupby("client")["round"].diff().fillna(exchanges["round"]) > 1
    large = exchanges["bytes_down"] > 3 * exchanges["bytes_up"].max()
    assert missed.any()
    assert list(missed) == list(large)


def test_diverged_training_is_told_at_the_client(noise):
    with pytest.raises(InputError, match="cannot be used: 'arrays' has numbers that are not finite"):
        run(noise, 3, transport=LOSSY, local_config=LocalConfig(batch_size=4, learning_rate=1e30))


def test_rank_above_the_model_is_told_before_training(noise):
    with pytest.raises(InputError, match="^rank must be at most"):
        run(noise, transport=Compression(up=LowRank(10_000)))


def test_counters_of_batch_norm_travel_as_they_are(noise):
    torch.manual_seed(0)
    layers = torch.nn.Flatten(), torch.nn.Linear(256, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3)
    model = torch.nn.Sequential(*layers)
    plain, compressed = run(noise, model=model), run(noise, model=model, transport=LOSSY)
    counter = weights_of(compressed)["2.num_batches_tracked"]
    assert counter.dtype == torch.int64
    assert counter == weights_of(plain)["2.num_batches_tracked"]
    assert torch.equal(
        weights_of(run(noise, model=model, transport=Compression()))["1.weight"], weights_of(plain)["1.weight"]
    )


def test_flowers_own_strategies_are_compressed_too(noise):
    """And those that keep numbers of their own, with the same bits after a stop."""
    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    for strategy in (FedAvg, FedAvgM):
        plain = run(noise, algorithm=lambda kind=strategy: kind(**options))
        assert equal(plain, run(noise, algorithm=lambda kind=strategy: kind(**options), transport=Compression()))
        lossy = run(noise, algorithm=lambda kind=strategy: kind(**options), transport=LOSSY)
        assert distance(plain, lossy) > 0


def test_a_strategy_that_sends_each_client_something_else_is_refused(noise):
    class Personal(FedAvg):
        def configure_train(self, server_round, arrays, config, grid):
            messages = list(super().configure_train(server_round, arrays, config, grid))
            for number, message in enumerate(messages):
                other = {name: torch.full_like(w, number) for name, w in arrays.to_torch_state_dict().items()}
                message.content = RecordDict({"arrays": ArrayRecord(other), "config": config})
            return messages

    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    with pytest.raises(InputError, match="^a strategy must send the same arrays to all clients"):
        run(noise, algorithm=lambda: Personal(**options), transport=LOSSY)


@pytest.mark.parametrize("wrong", ["zip", TopK(0.1), 8])
def test_a_transport_that_is_none_is_refused(noise, wrong):
    with pytest.raises(InputError, match="^transport must be one, such as Compression"):
        run(noise, transport=wrong)
