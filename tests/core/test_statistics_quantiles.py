"""Quantiles by bisection on counts: those of pooled data, rounded to a step."""

import numpy as np
import pytest
from made_up_sites import NUMBERS, STEP, MadeUpSite, made_up_sites, pooled, regrouped

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.columns import Number
from fedlearn_helpers.statistics.extremes import extremes_by_counts, usual_range
from fedlearn_helpers.statistics.quantiles import most_questions, quantiles, value_counts
from fedlearn_helpers.statistics.steps import in_steps

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def counting(ask):
    asked = []

    def counted(question, about):
        asked.append(question)
        return ask(question, about)

    return counted, asked


def expected(sites, levels, step=STEP):
    of_pooled = np.nanquantile(pooled(sites).values, levels, axis=0, method="inverted_cdf").T
    return in_steps("x", of_pooled, step) * step


@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_any_grouping_has_the_bits_of_pooled_data(seed):
    sites = made_up_sites(seed)
    found = quantiles(in_process(sites, ANSWERS), NUMBERS, LEVELS)
    assert (found == expected(sites, LEVELS)).all()
    assert (found == quantiles(in_process(regrouped(sites, seed), ANSWERS), NUMBERS, LEVELS)).all()


@pytest.mark.parametrize("secure", [None, 3])
def test_a_federation_has_them_too(secure):
    sites = made_up_sites(3)
    found, history = ask_sites(lambda ask: quantiles(ask, NUMBERS, LEVELS), sites, ANSWERS, secure=secure)
    assert (found == expected(sites, LEVELS)).all()
    assert history.clients["round"].max() <= most_questions(NUMBERS) == 19


@pytest.mark.slow
def test_a_thousand_random_cases():
    rng = np.random.default_rng(5)
    for _ in range(1000):
        step, size, d = 10 ** rng.uniform(-3, 1), int(rng.integers(1, 40)), int(rng.integers(1, 3))
        values = rng.normal(0, 10 ** rng.uniform(-1, 2), (size, d))
        if rng.random() < 0.5:
            values = np.round(values)  # ties
        values[rng.random((size, d)) < 0.2] = np.nan
        values[0] = rng.normal(size=d)  # a value at least
        levels = rng.choice([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1, rng.random()], 2)
        sites = regrouped([MadeUpSite("all", values, np.zeros(size))], int(rng.integers(1000)))
        numbers = [Number(place, f"x{place}", -1e4, 1e4, step) for place in range(d)]
        ask, asked = counting(in_process(sites, ANSWERS))
        found = quantiles(ask, numbers, levels)
        assert (found == expected(sites, levels, step)).all()
        exact = np.nanquantile(values, levels, axis=0, method="inverted_cdf").T
        assert np.abs(found - exact).max() <= step / 2 * (1 + 1e-9)
        assert most_questions(numbers) - 1 <= len(asked) <= most_questions(numbers)


@pytest.mark.parametrize(("low", "high", "questions"), [(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 3), (-8, 7, 5)])
def test_how_many_questions(low, high, questions):
    numbers = [Number(0, "x", low, high, 1.0)]
    assert most_questions(numbers) == questions
    for value in range(low, high + 1):
        ask, asked = counting(in_process([MadeUpSite("a", np.array([[float(value)]]), np.zeros(1))], ANSWERS))
        assert quantiles(ask, numbers, [0.5]).tolist() == [[value]]
        assert len(asked) <= questions


def test_columns_of_other_steps_and_ranges_are_found_together():
    rng = np.random.default_rng(0)
    values = np.stack([rng.integers(18, 90, 101).astype(float), rng.normal(0, 0.1, 101)], axis=1)
    numbers = [Number(1, "small", -5, 5, 0.001), Number(0, "age", 0, 120, 1.0)]
    found = quantiles(in_process([MadeUpSite("a", values, np.zeros(101))], ANSWERS), numbers, [0.5])
    assert found[1, 0] == np.median(values[:, 0])
    assert abs(found[0, 0] - np.median(values[:, 1])) <= 0.0005


def test_the_median_or_mean_of_medians_is_another_number():
    sites = made_up_sites(2, (90, 10, 10))
    medians = [np.nanmedian(one.values[:, 0]) for one in sites]
    together = quantiles(in_process(sites, ANSWERS), NUMBERS[:1], [0.5])[0, 0]
    assert abs(np.mean(medians) - together) > 1
    assert abs(np.median(medians) - together) > 1


def test_a_quantile_out_of_bounds_is_refused():
    sites = made_up_sites()
    for low, high, level in ((20, 1000, 0.05), (-1000, 5, 0.95), (-1000, 44, 1.0)):
        with pytest.raises(InputError, match=f"the {level:g} quantile of age must be between its low and high"):
            quantiles(in_process(sites, ANSWERS), [Number(0, "age", low, high, 0.01)], [level])
    inside = quantiles(in_process(sites, ANSWERS), [Number(0, "age", 25, 50, 0.01)], [0.75])  # some are below
    assert (inside == expected(sites, [0.75])[0]).all()


@pytest.mark.parametrize(
    ("low", "high"), [(0.21, 0.6), (0, 0.7), (0.1, 2.3), (0, 7.8), (0.3, 1.1), (-0.6, 0.2), (0.12345678, 0.3)]
)
def test_a_quantile_on_a_bound_is_not_beyond_it(low, high):
    number = Number(0, "x", low, high, 1e-4)
    assert in_steps("x", np.array([low, high]), 1e-4).tolist() == [round(low * 1e4), round(high * 1e4)]
    site = MadeUpSite("a", np.array([[low], [low], [high], [high]]), np.zeros(4))
    assert quantiles(in_process([site], ANSWERS), [number], [0.25, 0.75]).tolist() == [
        [max(low, round(low * 1e4) * 1e-4), min(high, round(high * 1e4) * 1e-4)]
    ]


def test_a_column_that_one_site_never_measured_is_found_at_the_others_and_one_that_none_has_is_named():
    sites = made_up_sites()
    assert (quantiles(in_process(sites[1:], ANSWERS), NUMBERS, [0.5])[3] == expected(sites, [0.5])[3]).all()
    with pytest.raises(InputError, match="must have been measured by a site, got no value of column 3"):
        quantiles(in_process(sites[:1], ANSWERS), NUMBERS, [0.5])


@pytest.mark.parametrize("level", [-0.1, 1.1, np.nan, "half"])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(InputError, match="levels must be numbers from 0 to 1"):
        quantiles(in_process(made_up_sites(), ANSWERS), NUMBERS, [level])


# Extremes --------------------------------------------------------------------------------


def test_counts_alone_give_the_oldest_patient_away():
    sites = made_up_sites(4)
    found = extremes_by_counts(in_process(sites, ANSWERS), NUMBERS)
    values = pooled(sites).values
    assert np.abs(found[:, 0] - np.nanmin(values, axis=0)).max() <= STEP / 2 + 1e-9
    assert np.abs(found[:, 1] - np.nanmax(values, axis=0)).max() <= STEP / 2 + 1e-9
    hidden, _ = ask_sites(lambda ask: extremes_by_counts(ask, NUMBERS), sites, ANSWERS, secure=3)
    assert (hidden == found).all()  # a secure sum does not help


def test_the_usual_range_has_enough_rows_at_or_beyond_its_ends():
    values = np.arange(200.0)[:, None]
    numbers = [Number(0, "age", 0, 1000, 1.0)]
    ask = in_process([MadeUpSite("a", values, np.zeros(200))], ANSWERS)
    assert value_counts(ask, numbers).tolist() == [200]
    low, high = usual_range(ask, numbers, 10)[0]
    assert (low, high) == (9, 189)
    assert (values <= low).sum() >= 10
    assert (values >= high).sum() >= 10
    with pytest.raises(InputError, match="age must have at least 11 values at or beyond its 5 % and 95 % quantiles"):
        usual_range(ask, numbers, 11)
    with pytest.raises(InputError, match="least must be a whole number >= 2"):
        usual_range(ask, numbers, 1)
    values[-1] = 900  # one row far away moves the maximum, and not the range
    assert usual_range(ask, numbers).tolist() == [[9, 189]]
    assert extremes_by_counts(ask, numbers).tolist() == [[0, 900]]
