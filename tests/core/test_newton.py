"""Newton's method: the pooled logistic regression to the last bit, and the best one."""

import warnings

import numpy as np
import pytest
from few_rows import Rows, pooled, spread
from scipy.optimize import minimize

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.newton import MOST_ROUNDS, STEP, answer_newton, fit_logistic


def rows_of(seed=0, count=300, features=4):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, features)) * rng.uniform(0.5, 2, features)
    score = values @ rng.normal(size=features) + 0.5
    return Rows(values, (rng.random(count) < 1 / (1 + np.exp(-score))).astype(np.int64))


def fit(sites, l2=1.0):
    return fit_logistic(in_process(sites, ANSWERS), sites[0].values.shape[1], l2)


def gradient(model, rows, l2):
    residual = model.predict_proba(rows.values) - rows.labels
    return np.append(rows.values.T @ residual + l2 * model.weights, residual.sum())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_federated_is_pooled_to_the_last_bit(seed, l2):
    rows = rows_of(seed)
    expected = fit([rows], l2)
    assert expected.converged and expected.rounds < 10
    sites = spread(rows, seed)
    for others in (sites, sites[::-1], [pooled(sites[:2]), pooled(sites[2:]), rows.only([])], spread(rows, seed, 9)):
        model = fit(others, l2)
        assert np.array_equal(model.weights, expected.weights) and model.intercept == expected.intercept
        assert np.array_equal(model.standard_errors, expected.standard_errors)
        assert model.gradient == expected.gradient


@pytest.mark.parametrize("secure", [None, 3])
def test_by_messages_in_the_clear_and_masked(secure):
    rows = rows_of()
    model, _ = ask_sites(lambda ask: fit_logistic(ask, 4), spread(rows), ANSWERS, secure=secure)
    assert np.array_equal(model.weights, fit([rows]).weights)


def test_floats_with_a_matrix_product_differ():
    """The trap: neither the product of a matrix nor a sum of floats is the same for other parts of the rows."""
    rows = rows_of(count=301)
    weights = np.random.default_rng(1).normal(size=4)

    def total(sites):
        return sum(site.values.T @ (1 / (1 + np.exp(-site.values @ weights)) - site.labels) for site in sites)

    ways = [total(spread(rows, seed)) for seed in range(10)]
    assert len({way.tobytes() for way in ways}) > 1
    asked = {"weights": np.append(weights, 0.1)}
    exact = [sum(answer_newton(site, asked) for site in spread(rows, seed)) for seed in range(10)]
    assert len({way.tobytes() for way in exact}) == 1


@pytest.mark.parametrize("l2", [0.0, 0.1, 10.0])
def test_the_optimum(l2):
    rows = rows_of(3)
    model = fit([rows], l2)
    assert np.abs(gradient(model, rows, l2)).max() < 1e-6

    def objective(vector):
        score = rows.values @ vector[:-1] + vector[-1]
        return np.logaddexp(0, score).sum() - rows.labels @ score + l2 / 2 * (vector[:-1] ** 2).sum()

    best = minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(np.append(model.weights, model.intercept), best.x, atol=1e-5)
    assert np.abs(gradient(fit([rows], l2 + 0.01), rows, l2)).max() > 1e-6  # another ridge is seen


def test_a_probability_of_one_row_is_that_among_many():
    rows = rows_of(7, features=13)
    model = fit([rows])
    alone = np.concatenate([model.predict_proba(row[None]) for row in rows.values])
    assert np.array_equal(alone, model.predict_proba(rows.values))
    product = rows.values @ model.weights  # where it is not so
    assert not np.array_equal(np.concatenate([row[None] @ model.weights for row in rows.values]), product)


def test_the_sums_are_those_of_the_formulas():
    rows = rows_of(1, count=50, features=2)
    weights = np.array([0.3, -0.2, 0.1])
    x = np.column_stack([rows.values, np.ones(50)])
    p = 1 / (1 + np.exp(-x @ weights))
    total = answer_newton(rows, {"weights": weights})
    assert total.dtype == np.int64
    assert total[:2].tolist() == [50, rows.labels.sum()]
    np.testing.assert_allclose(total[2:5] * STEP, x.T @ (p - rows.labels), atol=50 * STEP)
    hessian = (x.T * (p * (1 - p))) @ x
    np.testing.assert_allclose(total[5:] * STEP, hessian[np.triu_indices(3)], atol=50 * STEP)


@pytest.mark.parametrize("l2", [0.0, 100.0])
def test_standard_errors_are_those_of_the_information_without_the_ridge(l2):
    rows = rows_of(2, count=2000)
    model = fit([rows], l2)
    x = np.column_stack([rows.values, np.ones(2000)])
    p = model.predict_proba(rows.values)
    expected = np.sqrt(np.diag(np.linalg.inv((x.T * (p * (1 - p))) @ x)))
    np.testing.assert_allclose(model.standard_errors, expected, rtol=1e-6)


def test_standard_errors_are_the_spread_of_estimates():
    estimates, errors = [], []
    truth = np.array([1.0, -0.5])
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(300, 2))
        labels = (rng.random(300) < 1 / (1 + np.exp(-values @ truth))).astype(np.int64)
        model = fit([Rows(values, labels)], 0.0)
        estimates.append(model.weights), errors.append(model.standard_errors[:2])
    np.testing.assert_allclose(np.std(estimates, axis=0), np.mean(errors, axis=0), rtol=0.15)


def separable():
    values = np.concatenate([np.linspace(-2, -1, 20), np.linspace(1, 2, 20)])[:, None]
    return Rows(values, np.repeat([0, 1], 20))


def test_separated_classes_need_a_ridge():
    rows = separable()
    model = fit([rows], 0.1)
    assert model.converged and np.abs(gradient(model, rows, 0.1)).max() < 1e-6
    with pytest.warns(UserWarning, match="not converged after 20 rounds"):
        model = fit([rows], 0.0)
    assert not model.converged and model.rounds == MOST_ROUNDS


def test_one_column_that_separates_some_rows_has_not_converged():
    rows = rows_of(4)
    only_ones = np.zeros(300)
    only_ones[np.flatnonzero(rows.labels)[:5]] = 1.0
    quasi = Rows(np.column_stack([rows.values, only_ones]), rows.labels)
    with pytest.warns(UserWarning, match="not converged"):
        assert not fit([quasi], 0.0).converged
    assert fit([quasi], 1.0).converged


def test_collinear_columns():
    rows = rows_of(5)
    double = Rows(np.column_stack([rows.values, rows.values[:, 0]]), rows.labels)
    with pytest.raises(InputError, match="l2 must be larger where columns are collinear"):
        fit([double], 0.0)
    model = fit([double], 1.0)
    assert model.converged
    assert model.weights[0] == pytest.approx(model.weights[4], abs=1e-7)
    assert np.isnan(model.standard_errors).all()
    constant = Rows(np.column_stack([rows.values, np.full(300, 3.0)]), rows.labels)
    with pytest.raises(InputError, match="collinear"):
        fit([constant], 0.0)
    empty = Rows(np.column_stack([rows.values, np.zeros(300)]), rows.labels)
    assert fit([empty], 1.0).weights[4] == 0
    with pytest.raises(InputError, match="collinear"):
        fit([empty], 0.0)


def test_a_strong_ridge_is_no_error():
    model = fit([rows_of(6)], 1e12)
    assert model.converged and np.abs(model.weights).max() < 1e-6


def test_one_class_over_all_sites_and_at_one():
    rows = rows_of()
    zeros, ones = rows.only(rows.labels == 0), rows.only(rows.labels == 1)
    with pytest.raises(InputError, match="labels must have both classes over all sites, got 0 of"):
        fit([zeros])
    assert np.array_equal(fit([zeros, ones]).weights, fit([rows]).weights)
    with pytest.raises(InputError, match="got 0 of 0 with label 1"):
        fit([rows.only([])])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[np.nan], [1.0]]), "values must not be missing"),
        (np.array([[101.0], [1.0]]), "values must be at most 100 in size, got 101; standardize them"),
        (np.array([[np.inf], [1.0]]), "finite"),
        (np.ones((2, 2)), "values must have 1 columns, got 2"),
    ],
)
def test_rows_that_cannot_be_used(values, words):
    with pytest.raises(InputError, match=words):
        fit_logistic(in_process([Rows(values, np.array([0, 1]))], ANSWERS), 1)


@pytest.mark.parametrize(("features", "l2"), [(0, 1.0), (4, -1.0), (4, np.nan), (4, np.inf)])
def test_arguments_out_of_range(features, l2):
    with pytest.raises(InputError, match="features|l2"):
        fit_logistic(in_process([rows_of()], ANSWERS), features, l2)


def test_far_rows_do_not_warn():
    values = np.array([[100.0], [-100.0]] * 10 + [[1.0], [-1.0]] * 5)
    labels = np.array([1, 0] * 10 + [0, 1] * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit([Rows(values, labels)]).converged


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((2, 3)), np.full((2, 4), np.nan)])
def test_values_that_cannot_be_predicted(values):
    with pytest.raises(InputError, match="values must be finite, of shape"):
        fit([rows_of()]).predict_proba(values)
