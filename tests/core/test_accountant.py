"""Epsilon: published values, a library, closed forms, and an integral that knows nothing of binomials."""

import builtins
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.accountant import check_delta, epsilon, library_epsilon, noise_for, rdp

DELTA = 1e-5
MNIST, TABLE = (256 / 60000, 1.1, 14062), (0.04, 1.5, 2250)  # sampling rate, noise multiplier, rounds


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (MNIST, 2.597),
        (TABLE, 7.329),
        ((0.01, 1, 1000), 2.101),
        ((0.1, 1, 100), 7.904),
        ((1, 4, 10), 3.62),
        ((0.1, 1, 20), 4.22),
        ((0.1, 1.5, 20), 1.96),
        ((0.1, 2, 20), 1.23),
        ((0.1, 4, 20), 0.48),
    ],
)
def test_published_values(setting, expected):
    assert epsilon(*setting, DELTA) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("setting", "expected"), [((0.1, 0.3, 20), 55.7), ((0.1, 0.7, 20), 8.85), ((1, 1, 10), 19.1)])
def test_whole_orders_give_a_bound_that_is_not_tight_where_epsilon_is_large(setting, expected):
    assert 1.03 * expected < epsilon(*setting, DELTA) < 3 * expected


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "prv"), [(MNIST, 2.382), (TABLE, 6.769), ((0.1, 1, 20), 3.59)])
def test_the_library_agrees(setting, prv):
    pytest.importorskip("opacus")
    library = library_epsilon(*setting, DELTA)
    assert epsilon(*setting, DELTA) == pytest.approx(library.rdp, rel=0.01)
    assert library.prv == pytest.approx(prv, rel=0.01)
    assert library.prv < library.rdp


def test_without_the_library_one_sentence_says_so(monkeypatch):
    import_module = builtins.__import__

    def missing(name, *arguments):
        if name.startswith("opacus"):
            raise ImportError(name)
        return import_module(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match="pip install opacus"):
        library_epsilon(0.1, 1, 20, DELTA)


def test_the_library_is_imported_by_who_asks_for_it_alone():
    code = "import sys, fedlearn_helpers.privacy.accountant; sys.exit('opacus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize("order", [2, 3, 8, 64, 512])
@pytest.mark.parametrize("z", [0.5, 1, 7])
def test_full_sampling_is_the_plain_gaussian_mechanism(order, z):
    assert rdp(1, z, order) == pytest.approx(order / (2 * z**2), rel=1e-12)
    assert rdp(1 - 1e-12, z, order) == pytest.approx(order / (2 * z**2), rel=1e-6)  # the sum has no gap there


@pytest.mark.parametrize(("q", "z", "order"), [(0.1, 1.0, 2), (0.1, 1.0, 5), (0.5, 2.0, 16), (0.01, 0.8, 8)])
def test_the_sum_is_the_divergence(q, z, order):
    """By definition: the integral of p^alpha p0^(1 - alpha), p a mixture of two Gaussians, one of them p0."""
    x = np.linspace(-40, 40, 400_001)
    p0 = np.exp(-(x**2) / (2 * z**2)) / np.sqrt(2 * np.pi) / z
    ratio = 1 - q + q * np.exp((2 * x - 1) / (2 * z**2))
    divergence = np.log(np.trapezoid(p0 * ratio**order, x)) / (order - 1)
    assert rdp(q, z, order) == pytest.approx(divergence, rel=1e-6)


def test_by_hand_at_order_two():
    q, z = 0.3, 0.9
    assert rdp(q, z, 2) == pytest.approx(math.log(1 + q**2 * (math.exp(1 / z**2) - 1)), rel=1e-12)


def test_epsilon_rises_with_rounds_and_falls_with_noise_and_with_fewer_clients():
    rounds = [epsilon(0.1, 1, number, DELTA) for number in (1, 10, 20, 100, 1000)]
    noise = [epsilon(0.1, z, 20, DELTA) for z in (16, 8, 4, 2, 1, 0.5)]
    rates = [epsilon(q, 1, 20, DELTA) for q in (0.001, 0.01, 0.1, 0.5, 0.99, 1)]
    deltas = [epsilon(0.1, 1, 20, delta) for delta in (0.1, 1e-3, 1e-5, 1e-9)]
    for values in (rounds, noise, rates, deltas):
        assert np.all(np.diff(values) > 0), values


def test_hardly_any_noise_is_infinite_and_much_is_never_negative():
    assert epsilon(0.1, 1e-200, 20, DELTA) == epsilon(1, 1e-200, 20, DELTA) == math.inf
    assert epsilon(1e-6, 1e6, 1, 0.9) == 0


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0.05, 1, 8, 1000])
@pytest.mark.parametrize("q", [0.1, 1])
def test_the_smallest_noise_that_suffices(asked, q):
    z = noise_for(asked, q, 20, DELTA)
    assert epsilon(q, z, 20, DELTA) <= asked < epsilon(q, 0.999 * z, 20, DELTA)


def test_noise_and_epsilon_undo_each_other():
    assert noise_for(epsilon(*MNIST, DELTA), MNIST[0], MNIST[2], DELTA) == pytest.approx(1.1, rel=1e-3)


def test_an_epsilon_that_no_noise_gives():
    with pytest.raises(InputError, match="epsilon must be >= .*the smallest.*got 0.001") as refused:
        noise_for(0.001, 0.1, 20, DELTA)
    named = float(str(refused.value).split(">= ")[1].split(",")[0])
    assert 0.001 < named < 0.02
    assert epsilon(0.1, noise_for(named, 0.1, 20, DELTA), 20, DELTA) <= named
    with pytest.raises(InputError, match="epsilon must be >="):
        noise_for(0.97 * named, 0.1, 20, DELTA)


@pytest.mark.parametrize(("delta", "clients"), [(0.1, 10), (1e-3, 1000), (0.5, 1000)])
def test_a_delta_that_is_no_promise(delta, clients):
    with pytest.warns(UserWarning, match="publishes the data of one client"):
        check_delta(delta, clients)


def test_a_delta_that_is_small_enough():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_delta(1e-5, 1000)
        check_delta(1000**-1.1, 1000)


BAD = {
    "sampling_rate": [0, -0.1, 1.01, math.nan, math.inf, None, "1"],
    "noise_multiplier": [0, -1, math.nan, math.inf, None, "1"],
    "rounds": [0, -1, 1.5, math.nan, None, "1"],
    "delta": [0, 1, -1e-5, math.nan, math.inf, None, "1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
@pytest.mark.parametrize("function", [epsilon, library_epsilon])
def test_a_value_out_of_range(function, name, value):
    good = {"sampling_rate": 0.1, "noise_multiplier": 1, "rounds": 20, "delta": DELTA}
    with pytest.raises(InputError, match=f"{name} must be"):
        function(**(good | {name: value}))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: rdp(0.1, 1, 1), "order"),
        (lambda: rdp(0.1, 1, 513), "order"),
        (lambda: rdp(0.1, 1, 2.5), "order"),
        (lambda: rdp(0, 1, 2), "sampling_rate"),
        (lambda: noise_for(0, 0.1, 20, DELTA), "epsilon"),
        (lambda: noise_for(math.inf, 0.1, 20, DELTA), "epsilon"),
        (lambda: noise_for(1, 2, 20, DELTA), "sampling_rate"),
        (lambda: check_delta(1e-5, 0), "num_clients"),
        (lambda: check_delta(0, 10), "delta"),
    ],
)
def test_other_values_out_of_range(call, name):
    with pytest.raises(InputError, match=f"{name} must be"):
        call()
