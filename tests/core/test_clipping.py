"""Clipping: norms of whole updates, directions kept, and what one client can do to a mean."""

import math

import pytest
import torch

from fedlearn_helpers.algorithms.aggregation import uniform_mean, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.clipping import clip, floats_of, norm_of


def update(seed, length=1.0):
    """Return an update of this norm, with a matrix, a number of no dimension, and a counter."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {"weight": torch.randn(5, 7, generator=generator), "scale": torch.randn((), generator=generator)}
    norm = torch.cat([tensor.flatten() for tensor in drawn.values()]).norm()
    return {name: tensor / norm * length for name, tensor in drawn.items()} | {"counter": torch.tensor(9)}


def minus(first, second):
    return {name: first[name] - second[name] for name in first}


def test_the_norm_is_that_of_one_vector():
    assert norm_of({"a": torch.tensor([3.0, 0.0]), "b": torch.tensor(4.0), "c": torch.tensor([100])}) == 5.0
    assert norm_of({}) == norm_of({"counter": torch.tensor(3)}) == 0.0
    assert norm_of({"a": torch.full((10_000,), 1e30)}) == pytest.approx(1e32)


@pytest.mark.parametrize("length", [1.01, 3, 1e6])
def test_a_long_update_is_scaled_to_the_bound(length):
    long = update(0, length)
    short = clip(long, 1.0)
    assert norm_of(short) == pytest.approx(1.0, rel=1e-6)
    for name in ("weight", "scale"):
        torch.testing.assert_close(short[name] * length, long[name])
        assert short[name].shape == long[name].shape and short[name].dtype == torch.float32
    assert short["scale"].abs() < long["scale"].abs()  # a number of no dimension is part of the vector
    assert short["counter"] == 9


def test_a_short_update_stays_bit_for_bit():
    short = update(1, 0.99)
    for clip_norm in (1.0, 1e9):
        assert all(torch.equal(tensor, short[name]) for name, tensor in clip(short, clip_norm).items())
    zero = {"weight": torch.zeros(3)}
    assert torch.equal(clip(zero, 1e-9)["weight"], zero["weight"])


def test_clipping_twice_is_clipping_once():
    once = clip(update(2, 5), 1.0)
    assert norm_of(minus(clip(once, 1.0), once)) < 1e-6


def test_what_was_given_stays_as_it_was():
    long = update(3, 5)
    clip(long, 1.0)
    assert norm_of(long) == pytest.approx(5, rel=1e-6)


@pytest.mark.parametrize("clip_norm", [0, -1, math.nan, math.inf, None, "1"])
def test_a_bound_that_is_none_is_refused(clip_norm):
    with pytest.raises(InputError, match="clip_norm must be > 0 and finite"):
        clip(update(0), clip_norm)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_an_update_that_is_not_finite_is_refused(number):
    broken = update(0) | {"scale": torch.tensor(number)}
    for act in (norm_of, lambda given: clip(given, 1.0)):
        with pytest.raises(InputError, match="update must have finite numbers.*'scale'"):
            act(broken)


# Sensitivity: the worst pair of data sets. All updates are as long as they may be, one points the other way.

CLIENTS, C = 8, 0.5


def clipped_updates():
    """Return updates of norm C: the first points against all others, which are the same."""
    others = floats_of(clip(update(4, 100), C))
    return [{name: -tensor for name, tensor in others.items()}] + [others] * (CLIENTS - 1)


def without_first(updates):
    """Return the same round without the first client: its update counts as 0, the denominator stays."""
    return [{name: torch.zeros_like(tensor) for name, tensor in updates[0].items()}, *updates[1:]]


def exchanged(updates):
    return [updates[1], *updates[1:]]


def test_a_client_less_moves_the_uniform_mean_by_c_over_m_and_another_by_twice_that():
    updates = clipped_updates()
    for neighbour, bound in ((without_first, C / CLIENTS), (exchanged, 2 * C / CLIENTS)):
        moved = norm_of(minus(uniform_mean(updates), uniform_mean(neighbour(updates))))
        assert moved == pytest.approx(bound, rel=1e-5)  # it is reached, and not exceeded


def test_weights_by_examples_break_the_sensitivity():
    updates, examples = clipped_updates(), [1000] + [10] * (CLIENTS - 1)
    moved = norm_of(minus(weighted_mean(updates, examples), weighted_mean(without_first(updates), examples)))
    assert moved == pytest.approx(C * 1000 / 1070, rel=1e-5)
    assert moved > 7 * C / CLIENTS


def test_without_clipping_there_is_no_bound():
    updates = [floats_of(update(seed, 100)) for seed in range(CLIENTS)]
    moved = norm_of(minus(uniform_mean(updates), uniform_mean(without_first(updates))))
    assert moved > 10 * C / CLIENTS
