"""Seeds as values."""

import itertools
import random

import numpy as np
import pytest
import torch
from noise import noise_images

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import Comparison, make_scenario, run_in_parallel
from fedlearn_helpers.models import new_cnn, new_mlp
from fedlearn_helpers.partition import make_partition
from fedlearn_helpers.partition.registry import PARTITIONS
from fedlearn_helpers.seeds import check_seed, derive_seed, seeded


def test_derived_seeds_never_change():
    """Whoever changes these changes every number in the workbook."""
    assert derive_seed(0, "train", 3, 7) == 9085421666933956688
    assert derive_seed(7) == 8460147692890830636


def test_every_path_has_its_own_seed():
    paths = [path for length in range(5) for path in itertools.product((0, 1, "train"), repeat=length)]
    paths += [("server",), ("client", 1, 2), ("client", 2, 1), ("train", 0, 0, 0, 0, 0)]
    seeds = [derive_seed(seed, *path) for seed in (0, 1, 2**31) for path in paths]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seed_depends_on_the_path_and_not_on_what_was_derived_before():
    forward = [derive_seed(3, "client", i) for i in range(5)]
    backward = [derive_seed(3, "client", i) for i in reversed(range(5))]
    assert forward == backward[::-1]


def test_derived_seeds_are_accepted_by_every_generator():
    seed = derive_seed(1, "anything")
    torch.Generator().manual_seed(seed)
    np.random.default_rng(seed)
    with seeded(seed):
        pass


@pytest.mark.parametrize("path", [(), (-1,)])
def test_negative_numbers_have_no_seed(path):
    with pytest.raises(ValueError):
        derive_seed(0 if path else -1, *path)


def draw():
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_seeded_decides_all_three_generators():
    with seeded(5):
        first = draw()
    with seeded(5):
        again = draw()
    with seeded(6):
        other = draw()
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_seeded_restores_all_three_generators(error):
    with seeded(0):  # so that this test leaves the real state alone
        expected = draw(), draw()
    with seeded(0):
        before = draw()
        try:
            with seeded(99):
                draw()
                if error:
                    raise error
        except (RuntimeError, KeyboardInterrupt):
            pass
        assert (before, draw()) == expected


def test_seeded_restores_after_a_seed_that_no_generator_takes():
    with seeded(0):
        expected = draw()
    with seeded(0):
        with pytest.raises(InputError), seeded("text"):
            pass
        assert draw() == expected


# Whatever kind of integer it is ------------------------------------------------------------

INTEGERS = (np.int64, np.int8, np.uint64, np.array, torch.tensor)
WRONG = [
    (True, "must be a whole number, got True"),
    (np.True_, r"must be a whole number, got (np\.)?True_?"),
    (1.0, "must be a whole number, got 1.0"),
    (np.float64(1), "must be a whole number, got "),
    ("1", "must be a whole number, got '1'"),
    (None, "must be a whole number, got None"),
    ([1], r"must be a whole number, got \[1\]"),
    (-1, "must be >= 0, got -1"),
    (np.int64(-1), "must be >= 0, got -1"),
    (2**63, r"must be < 2\*\*63, got 9223372036854775808"),
    (2**70, r"must be < 2\*\*63, got "),
    (np.uint64(2**63), r"must be < 2\*\*63, got "),
]


@pytest.mark.parametrize("kind", INTEGERS)
def test_all_integers_are_seeds(kind):
    seed = kind(7)
    assert type(check_seed(seed)) is int and check_seed(seed) == 7
    assert derive_seed(seed, "train", 3) == derive_seed(7, "train", 3)
    with seeded(7):
        expected = draw()
    with seeded(seed):
        assert draw() == expected
    assert check_seed(np.uint64(2**63 - 1)) == 2**63 - 1


@pytest.mark.parametrize(("seed", "sentence"), WRONG)
def test_what_is_no_seed_is_said_in_one_sentence(seed, sentence):
    for call in (check_seed, derive_seed, lambda seed: seeded(seed).__enter__()):
        with pytest.raises(InputError, match=f"^seed {sentence}"):
            call(seed)


@pytest.fixture(scope="module")
def images():
    return noise_images(400, 20)


def takes(images):
    """All that takes a seed, by name: called with one, returns what it decides."""
    labels = images.train_labels.numpy()

    def weights(seed):
        return new_mlp(images.image_shape, 10, seed)[1].weight.detach().numpy()

    def scenario(seed):
        made = make_scenario("dirichlet:0.5", images, num_clients=3, num_unseen=1, max_images=300, seed=seed)
        return np.concatenate([shard.train for shard in (*made.members, *made.unseen)])

    def parts(name):
        return lambda seed: np.concatenate(make_partition(name, labels, 4, seed=seed))

    return {
        "new_mlp": weights,
        "new_cnn": lambda seed: new_cnn((1, 28, 28), 10, seed).fc3.bias.detach().numpy(),
        "make_scenario": scenario,
        "run_in_parallel": lambda seed: [run_in_parallel(lambda n: {"x": random.random()}, 1, seed=seed, label=None)],
        **{name: parts(name) for name in PARTITIONS},
    }


@pytest.mark.parametrize("name", ["new_mlp", "new_cnn", "make_scenario", "run_in_parallel", *PARTITIONS])
def test_whatever_takes_a_seed_takes_numpys(images, name):
    decide = takes(images)[name]
    assert np.array_equal(decide(np.int64(3)), decide(3))
    assert not np.array_equal(decide(4), decide(3)), "control"
    for seed, sentence in ((True, "must be a whole number"), (-1, "must be >= 0, got -1"), (2**70, "must be < 2")):
        with pytest.raises(InputError, match=f"^seed {sentence}"):
            decide(seed)


def test_a_comparison_takes_an_array_of_seeds():
    plan = Comparison(("fedavg",), ("iid",), np.arange(2))
    assert plan.seeds == (0, 1) and {type(seed) for seed in plan.seeds} == {int}
    for seeds, sentence in (((0, True), "a whole number, got True"), ((0, 2**70), "< 2"), ((1.5,), "a whole number")):
        with pytest.raises(InputError, match=f"^seeds must be {sentence}"):
            Comparison(("fedavg",), ("iid",), seeds)
