"""Sums of int64 that are exact or refused, and their digits in a secure sum."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import secure_sum
from fedlearn_helpers.statistics.sums import (
    DIGITS,
    MOST_SITES,
    add_exactly,
    from_digits,
    square_exactly,
    to_digits,
)

LEAST, MOST = -(2**63), 2**63 - 1


def int64(*numbers):
    return np.array(numbers, np.int64)


def random_numbers(rng, shape):
    """Of all sizes: as many of 5 bits as of 60."""
    return rng.integers(LEAST, MOST, shape, endpoint=True) >> rng.integers(3, 63, shape)


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_whole_numbers_without_limit(seed):
    rng = np.random.default_rng(seed)
    numbers = random_numbers(rng, (7, 200))
    expected = [sum(column) for column in numbers.T.tolist()]
    assert add_exactly("x", numbers).tolist() == expected
    digits = np.stack([to_digits(row) for row in numbers])
    assert digits.dtype == np.uint32
    assert from_digits("x", digits.sum(axis=0, dtype=np.uint32)).tolist() == expected


def test_no_numbers_and_no_rows():
    assert add_exactly("x", np.zeros((0, 3), np.int64)).tolist() == [0, 0, 0]
    assert add_exactly("x", int64()) == 0
    assert len(to_digits(int64())) == 0
    assert from_digits("x", np.zeros(0, np.uint32)).tolist() == []


@pytest.mark.parametrize("number", [0, 1, -1, 2**15, -(2**15), 2**16 - 1, 2**48, -(2**48) - 1, LEAST, MOST])
def test_digits_of_one_number(number):
    digits = to_digits(int64(number))
    assert digits.shape == (DIGITS,)
    assert from_digits("x", digits).tolist() == [number]


def test_a_sum_that_fits_though_parts_of_it_do_not():
    numbers = int64([MOST, LEAST], [1, -1], [-2, 5])
    with pytest.raises(InputError):
        add_exactly("x", numbers[:2])
    assert add_exactly("x", numbers).tolist() == [MOST - 1, LEAST + 4]
    digits = sum(to_digits(row) for row in numbers)
    assert from_digits("x", digits).tolist() == [MOST - 1, LEAST + 4]


@pytest.mark.parametrize("numbers", [(MOST, 1), (LEAST, -1), (MOST, MOST), (LEAST, LEAST)])
def test_sums_beyond_int64_are_refused_where_numpys_wrap(numbers):
    column = int64(*numbers)[:, None]
    assert int(column.sum()) != sum(numbers)
    with pytest.raises(InputError, match=r"counts must have a sum between -2\^63 and 2\^63 - 1: take larger steps"):
        add_exactly("counts", column)
    with pytest.raises(InputError, match="counts must have a sum"):
        from_digits("counts", to_digits(column[0]) + to_digits(column[1]))


@pytest.mark.parametrize("number", [-1, 2**47 - 1, -(2**47), 0x7FFF_FFFF_FFFF])
def test_the_digits_of_the_most_sites_do_not_wrap(number):
    """The largest digits are in -1 and in 2^47 - 1."""
    digits = (to_digits(int64(number)).astype(np.uint64) * MOST_SITES).astype(np.uint32)
    assert from_digits("x", digits).tolist() == [number * MOST_SITES]


def test_those_of_two_sites_more_do():
    digits = (to_digits(int64(0xFFFF)).astype(np.uint64) * (MOST_SITES + 2)).astype(np.uint32)
    assert from_digits("x", digits).tolist() != [0xFFFF * (MOST_SITES + 2)]


def test_through_masks():
    numbers = random_numbers(np.random.default_rng(9), (5, 50)) >> 3
    total = secure_sum([to_digits(row) for row in numbers], threshold=3, dropped=[1]).total
    kept = np.delete(numbers, 1, axis=0)
    assert (from_digits("x", total) == kept.sum(axis=0)).all()


def test_squares():
    root = 3_037_000_499
    assert root**2 <= MOST < (root + 1) ** 2
    assert square_exactly("x", int64(root, -root, 3)).tolist() == [root**2, root**2, 9]
    for number in (root + 1, -root - 1, LEAST):
        with pytest.raises(InputError, match="x must be at most 3037000499 in size"):
            square_exactly("x", int64(number))
