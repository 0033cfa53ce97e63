"""Real numbers as whole numbers of steps."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.steps import in_steps


def test_the_nearest_whole_number_of_steps():
    values = np.array([[0.0, 0.5, 1.5], [-0.5, -1.5, 2.49]])
    steps = in_steps("values", values, 1.0)
    assert steps.dtype == np.int64
    assert steps.tolist() == [[0, 0, 2], [0, -2, 2]]  # half to even
    assert in_steps("values", np.array([1.23, -4.56]), 0.01).tolist() == [123, -456]
    assert in_steps("values", np.array([], float), 0.01).shape == (0,)
    assert in_steps("values", np.array([3, 4], np.int32), 0.5).tolist() == [6, 8]


def test_at_most_half_a_step_off():
    values = np.random.default_rng(0).normal(0, 1000, 10_000)
    for step in (1.0, 0.01, 2**-20):
        assert np.abs(in_steps("values", values, step) * step - values).max() <= step / 2 * (1 + 1e-9) + 1e-12


def test_sums_are_the_same_in_any_order_and_those_of_floats_are_not():
    values = np.random.default_rng(1).normal(size=1000)
    orders = [np.random.default_rng(seed).permutation(1000) for seed in range(20)]
    steps = in_steps("values", values, 0.001)
    assert len({int(sum(steps[order].tolist())) for order in orders}) == 1
    assert len({sum(values[order].tolist()) for order in orders}) > 1


@pytest.mark.parametrize(
    ("values", "step", "words"),
    [
        ([1.0, np.nan], 1.0, "ages must be finite, got nan"),
        ([1.0, -np.inf], 1.0, "ages must be finite, got -inf"),
        ([1.0, 2.0**54], 1.0, r"ages must be at most 2\^53 steps of 1, got 1.8"),
        ([1e300], 1e-300, "ages must be at most"),
        (["a"], 1.0, "ages must be real numbers"),
        ([True], 1.0, "ages must be real numbers, got bool"),
        ([1.0], 0.0, "step must be a finite number > 0, got 0.0"),
        ([1.0], -1.0, "step must be"),
        ([1.0], np.nan, "step must be"),
        ([1.0], "1", "step must be"),
    ],
)
def test_what_cannot_be_counted_is_refused(values, step, words):
    with pytest.raises(InputError, match=words):
        in_steps("ages", np.array(values), step)


def test_the_largest_number_is_exact():
    assert in_steps("values", np.array([2.0**53, -(2.0**53)]), 1.0).tolist() == [2**53, -(2**53)]
