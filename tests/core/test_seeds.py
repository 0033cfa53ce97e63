"""Seeds as values."""

import itertools
import random

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.seeds import derive_seed, seeded


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


@pytest.mark.parametrize("bad", [-1, 1.0, True, "text", float("nan"), None, [1], np.bool_(True)])
def test_a_seed_that_is_no_whole_number_is_named(bad):
    with seeded(0):
        expected = draw()
    with seeded(0):
        for use in (derive_seed, lambda seed: seeded(seed).__enter__()):
            with pytest.raises(InputError) as caught:
                use(bad)
            assert str(caught.value) == f"seed must be a whole number >= 0, got {bad!r}"
        assert draw() == expected


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1, 2**64 - 1])
def test_seeds_of_numpy_are_those_of_python(seed):
    kind = np.uint64 if seed >= 2**63 else np.int64
    assert derive_seed(kind(seed), "a") == derive_seed(seed, "a")
    with seeded(seed):
        expected = draw()
    with seeded(kind(seed)):
        assert draw() == expected


def test_seeded_takes_seeds_of_any_size():
    with seeded(2**70 + 1):
        drawn = draw()
    with seeded(2**70 + 2):
        assert all(a != b for a, b in zip(drawn, draw(), strict=True))
