"""What stands for a missing value, and how numbers are scaled: from the training rows of all sites."""

import numpy as np
import pytest
from made_up_sites import NUMBERS, STEP, MadeUpSite, made_up_sites, pooled

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.columns import Category, Number
from fedlearn_helpers.statistics.imputing import preparation

COLUMNS = [NUMBERS[3], Category(1, "code", (0, 1, 2, 3)), NUMBERS[0], NUMBERS[2]]  # in another order than the values


def bits(found):
    return found.fill.tobytes() + found.means.tobytes() + found.deviations.tobytes()


@pytest.mark.parametrize("seed", range(10))
def test_it_is_that_of_pooled_rows(seed):
    sites = made_up_sites(seed)
    found = preparation(in_process(sites, ANSWERS), COLUMNS)
    assert bits(found) == bits(preparation(in_process([pooled(sites)], ANSWERS), COLUMNS))
    values = pooled(sites).values
    at = [0, 2, 3]
    medians = np.nanquantile(values, 0.5, axis=0, method="inverted_cdf")
    assert np.abs(found.fill - medians)[at].max() <= STEP / 2 + 1e-9
    assert np.abs(found.means - np.nanmean(values, axis=0))[at].max() <= STEP / 2 + 1e-9
    assert np.abs(found.deviations - np.nanstd(values, axis=0))[[0, 3]].max() <= STEP / 2 + 1e-9
    assert found.deviations[2] == 1  # a column of one value
    codes, counts = np.unique(values[~np.isnan(values[:, 1]), 1], return_counts=True)
    assert (found.fill[1], found.means[1], found.deviations[1]) == (codes[np.argmax(counts)], 0, 1)


def test_a_federation_with_masks_finds_the_same():
    sites = made_up_sites(1)
    found, _ = ask_sites(lambda ask: preparation(ask, COLUMNS), sites, ANSWERS, secure=3)
    assert bits(found) == bits(preparation(in_process([pooled(sites)], ANSWERS), COLUMNS))


def test_prepared_rows_have_no_gaps_and_a_site_gets_the_others_median():
    sites = made_up_sites(2)
    assert np.isnan(sites[0].values[:, 3]).all()
    found = preparation(in_process(sites, ANSWERS), COLUMNS)
    assert (found.fill == preparation(in_process(sites[1:], ANSWERS), COLUMNS).fill)[3]
    inputs = (np.where(np.isnan(sites[0].values), found.fill, sites[0].values) - found.means) / found.deviations
    assert np.isfinite(inputs).all()


def test_what_is_averaged_over_sites_is_another_number():
    sites = made_up_sites(3)[:2]
    alone = [preparation(in_process([one], ANSWERS), [NUMBERS[0], *COLUMNS[1:2]]) for one in map(first_two, sites)]
    both = preparation(in_process(list(map(first_two, sites)), ANSWERS), [NUMBERS[0], *COLUMNS[1:2]])
    for part in ("fill", "means", "deviations"):
        assert abs(np.mean([getattr(one, part)[0] for one in alone]) - getattr(both, part)[0]) > 0.1


def first_two(site):
    return MadeUpSite(site.name, np.ascontiguousarray(site.values[:, :2]), site.labels)


def test_columns_that_nobody_measured_are_named():
    sites = made_up_sites()[:1]
    with pytest.raises(InputError, match="must have been measured by a site, got no value of column 3"):
        preparation(in_process(sites, ANSWERS), COLUMNS)
    nothing = [MadeUpSite("a", np.full((3, 1), np.nan), np.zeros(3))]
    with pytest.raises(InputError, match="got no value of sex"):
        preparation(in_process(nothing, ANSWERS), [Category(0, "sex", (0, 1))])


def test_codes_that_nobody_knows_are_refused():
    with pytest.raises(InputError, match=r"code must have no values but its codes \(0, 1\), got \d+ others"):
        preparation(in_process(made_up_sites(), ANSWERS), [Category(1, "code", (0, 1)), *COLUMNS[:1], *COLUMNS[2:]])


@pytest.mark.parametrize("columns", [[], [NUMBERS[1]], [NUMBERS[0], NUMBERS[0]]])
def test_all_columns_are_needed(columns):
    with pytest.raises(InputError, match="columns must be at least one, with places from 0 on and none twice"):
        preparation(in_process(made_up_sites(), ANSWERS), columns)


def test_only_numbers_and_only_codes():
    site = MadeUpSite("a", np.array([[1.0], [2.0], [2.0]]), np.zeros(3))
    ask = in_process([site], ANSWERS)
    assert preparation(ask, [Category(0, "x", (1, 2))]).fill.tolist() == [2]
    assert preparation(ask, [Number(0, "x", 0, 9, 1.0)]).fill.tolist() == [2]
