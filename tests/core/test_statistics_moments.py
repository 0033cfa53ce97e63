"""Counts, means and standard deviations: those of pooled data, to the last bit."""

import numpy as np
import pytest
from made_up_sites import NUMBERS, STEP, MadeUpSite, made_up_sites, pooled, regrouped

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.columns import Number
from fedlearn_helpers.statistics.moments import moments, spread


def of(sites, numbers=NUMBERS):
    return moments(in_process(sites, ANSWERS), numbers)


def bits(found):
    parts = (
        found.counts,
        found.missing,
        found.sums,
        found.squares,
        found.means(),
        found.variances(),
        found.deviations(),
    )
    return b"".join(part.tobytes() for part in parts)


@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_any_grouping_has_the_bits_of_pooled_data(seed):
    sites = made_up_sites(seed)
    expected = bits(of([pooled(sites)]))
    assert bits(of(sites)) == bits(of(sites[::-1])) == bits(of(regrouped(sites, seed))) == expected


@pytest.mark.parametrize("secure", [None, 3])
def test_a_federation_has_them_too(secure):
    sites = made_up_sites(3)
    found, history = ask_sites(lambda ask: moments(ask, NUMBERS), sites, ANSWERS, secure=secure)
    assert bits(found) == bits(of([pooled(sites)]))
    assert list(history.clients["round"].unique()) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_floats_differ_by_no_more_than_rounding(seed):
    sites = made_up_sites(seed)
    values, found = pooled(sites).values, of(sites)
    assert found.counts.tolist() == (~np.isnan(values)).sum(axis=0).tolist()
    assert found.missing.tolist() == np.isnan(values).sum(axis=0).tolist()
    assert np.abs(found.means() - np.nanmean(values, axis=0)).max() <= STEP / 2 + 1e-12
    assert np.abs(found.deviations() - np.nanstd(values, axis=0)).max() <= STEP / 2 + 1e-12


def test_of_multiples_of_the_step_nothing_is_lost():
    values = np.array([[0.1], [0.2], [0.3], [0.7]])
    found = of([MadeUpSite("a", values, np.zeros(4))], [Number(0, "x", 0, 1, 0.1)])
    assert (found.sums.tolist(), found.squares.tolist()) == ([13], [1 + 4 + 9 + 49])
    assert found.means()[0] == pytest.approx(0.325, abs=1e-15)
    assert found.variances()[0] == pytest.approx(values.var(), abs=1e-15)


@pytest.mark.parametrize("step", [1e-100, 1e-20, 1e20, 1e100])
def test_steps_of_any_size(step):
    site = MadeUpSite("a", np.array([[0.0], [2.0], [2.0], [4.0]]) * step, np.zeros(4))
    found = of([site], [Number(0, "x", 0, 4 * step, step)])
    assert found.variances()[0] == pytest.approx(2 * step * step, rel=1e-12, abs=0)
    assert found.deviations()[0] == pytest.approx(2**0.5 * step, rel=1e-12, abs=0)


def test_the_formula_loses_nothing_where_floats_lose_all():
    values = 9e7 + np.random.default_rng(0).integers(0, 3, (1000, 1)).astype(np.float64)
    found = of([MadeUpSite("a", values, np.zeros(1000))], [Number(0, "x", 0, 2e8, 1.0)])
    assert found.variances()[0] == pytest.approx(values.var(), rel=1e-12)
    with_floats = (values**2).mean() - values.mean() ** 2
    assert abs(with_floats - values.var()) > 0.1


def test_the_mean_of_standard_deviations_is_another_number():
    sites = [one for one in made_up_sites(1) if len(one.values) > 2]
    of_sites = [of([one], NUMBERS[:2]) for one in sites]
    counts = np.stack([one.counts for one in of_sites])
    mean_of_deviations = np.average([one.deviations() for one in of_sites], axis=0, weights=counts[:, 0])
    together = of(sites, NUMBERS[:2])
    parts = spread(of_sites)
    np.testing.assert_allclose(parts.within + parts.between, together.variances(), rtol=1e-12)
    assert mean_of_deviations[0] < 0.3 * together.deviations()[0]  # the sites' means are far apart
    assert parts.between[0] > 10 * parts.within[0]
    assert parts.between[1] < 0.05 * parts.within[1]


def test_a_column_that_nobody_measured_is_named():
    sites = made_up_sites()[:1]
    found = of(sites)
    assert found.counts[3] == 0
    assert found.missing[3] == 30
    for statistic in (found.means, found.variances, found.deviations):
        with pytest.raises(
            InputError, match="every column must have been measured by a site, got no value of column 3"
        ):
            statistic()


def test_sums_that_are_no_int64_are_refused():
    site = MadeUpSite("A", np.array([[5e9], [1.0]]), np.zeros(2))
    with pytest.raises(InputError, match="site 'A' could not answer 'moments': column 0 in steps must be at most"):
        of([site], [Number(0, "x", 0, 1e10, 1.0)])
    site = MadeUpSite("A", np.array([[1.0, 3e9], [1.0, 3e9]]), np.zeros(2))
    with pytest.raises(InputError, match="the squares of column 1 in steps must have a sum .* or subtract a number"):
        of([site], [Number(place, "x", 0, 1e10, 1.0) for place in range(2)])
    sites = [MadeUpSite(name, np.full((2, 1), 2e9), np.zeros(2)) for name in "AB"]
    with pytest.raises(InputError, match="the answers to 'moments' must have a sum between"):
        of(sites, [Number(0, "x", 0, 1e10, 1.0)])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3)), "place must be that of one of 3 columns, got 3"),
        (np.zeros((2, 4), np.float32), r"values must be an array of float64 and shape \(n, d\), got float32 \(2, 4\)"),
        (np.full((2, 4), np.inf), "column 0 must have finite numbers, or nan where they are missing"),
        (np.full((2, 4), 1e20), r"column 0 must be at most 2\^53 steps"),
        ([[1.0]], "values must be an array"),
    ],
)
def test_a_site_whose_data_cannot_be_counted_is_named(values, words):
    sites = [*made_up_sites(), MadeUpSite("Basel", values, np.zeros(2))]
    with pytest.raises(InputError, match=f"site 'Basel' could not answer 'moments': {words}"):
        of(sites)


def test_bad_columns():
    with pytest.raises(InputError, match="numbers must be at least one column"):
        of(made_up_sites(), [])
    with pytest.raises(InputError, match="low of age must be <= high=0, got 1"):
        Number(0, "age", 1, 0, 0.1)
    for step in (0.0, -1.0, np.nan, np.inf, 1e-101, 1e156):  # the square of some is no number
        with pytest.raises(InputError, match="step of age must be a number from 1e-100 to 1e100, got "):
            Number(0, "age", 0, 1, step)
    with pytest.raises(InputError, match="low and high of age must be finite"):
        Number(0, "age", 0, np.inf, 0.1)
    with pytest.raises(InputError, match="place of age must be a whole number >= 0"):
        Number(-1, "age", 0, 1, 0.1)
    with pytest.raises(InputError, match="of_sites must be at least one"):
        spread([])
