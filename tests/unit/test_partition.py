"""Who holds which examples."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import iid, split_train_validation


@pytest.mark.parametrize(("examples", "clients"), [(10, 1), (10, 3), (10, 10), (1000, 7)])
def test_parts_are_disjoint_and_cover_the_data_equally(examples, clients):
    parts = iid(examples, clients, seed=0)
    assert len(parts) == clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(examples))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        assert part.dtype == np.int64 and part.tolist() == sorted(part.tolist())


def test_parts_depend_on_the_seed_alone():
    state = np.random.get_state()[1].copy()
    first, again, other = (iid(100, 4, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_parts_are_a_random_mixture():
    first_half = [int((part < 5000).sum()) for part in iid(10_000, 10, seed=0)]
    assert all(400 < count < 600 for count in first_half), "6 standard deviations are 95"
    assert len(set(first_half)) > 1, "a deal in turns would give everyone the same"


@pytest.mark.parametrize("clients", [0, -1, 11])
def test_impossible_number_of_clients(clients):
    with pytest.raises(InputError, match=f"num_clients must be between 1 and the 10 training examples, got {clients}$"):
        iid(10, clients, seed=0)


@pytest.mark.parametrize(
    ("size", "fraction", "held_out"),
    [(10, 0.2, 2), (10, 0.25, 2), (2, 0.01, 1), (2, 0.99, 1), (3, 0.9, 2), (50, 0.5, 25)],
)
def test_validation_share_leaves_something_on_both_sides(size, fraction, held_out):
    part = np.arange(100, 100 + size)
    (shard,) = split_train_validation([part], validation_fraction=fraction, seed=0)
    assert (len(shard.train), len(shard.validation)) == (size - held_out, held_out)
    assert sorted([*shard.train, *shard.validation]) == part.tolist()
    assert shard.train.tolist() == sorted(shard.train) and shard.validation.tolist() == sorted(shard.validation)
    assert shard.train.dtype == shard.validation.dtype == np.int64


def test_every_client_keeps_its_own_examples():
    parts = iid(97, 5, seed=3)
    shards = split_train_validation(parts, validation_fraction=0.2, seed=0)
    for part, shard in zip(parts, shards, strict=True):
        assert sorted([*shard.train, *shard.validation]) == part.tolist()


def test_split_depends_on_the_seed_alone():
    parts = [np.arange(50), np.arange(50, 100)]
    first, again, other = (split_train_validation(parts, validation_fraction=0.5, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.validation, b.validation) and not np.array_equal(a.validation, c.validation)
    assert not np.array_equal(first[0].validation, first[1].validation - 50), "clients must not share the draw"


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_impossible_validation_fraction(fraction):
    with pytest.raises(InputError, match=f"validation_fraction must be > 0 and < 1, got {fraction}$"):
        split_train_validation([np.arange(4)], validation_fraction=fraction, seed=0)


@pytest.mark.parametrize("smallest", [0, 1])
def test_client_with_too_few_examples_to_split(smallest):
    with pytest.raises(InputError, match=f"num_clients=2 leaves a client with {smallest}"):
        split_train_validation([np.arange(4), np.arange(smallest)], validation_fraction=0.5, seed=0)
