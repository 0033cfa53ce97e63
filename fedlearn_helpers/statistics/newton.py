"""Logistic regression by Newton's method, from sums of whole numbers: federated, and equal to the pooled one.

    p_i = 1 / (1 + exp(-(x_i w + b)))
    g = sum over rows of (p_i - y_i) (x_i, 1) + lambda (w, 0)
    H = sum over rows of p_i (1 - p_i) (x_i, 1) (x_i, 1)^T + lambda diag(1, …, 1, 0)
    (w, b) <- (w, b) - H^-1 g                                            from w = 0, b = 0

These are iteratively reweighted least squares: Hastie, Tibshirani and Friedman 2009, The Elements of Statistical
Learning, section 4.4.1; over sites: Wu et al. 2012 (GLORE), https://doi.org/10.1136/amiajnl-2012-000862. The ridge
lambda / 2 ||w||^2 leaves the intercept b free.

Every row's terms are rounded to whole numbers of 2^-32 and then added: the sums, and with them all steps, are those of
the pooled data to the last bit. The gradient is known to 2^-33 per row, far below the tolerance of 1e-9 per row.

Standard errors are the square roots of the diagonal of H^-1 without the ridge: the usual ones for lambda = 0. With a
ridge the weights are drawn to 0, and the errors say nothing about that.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.statistics.columns import Site
from fedlearn_helpers.statistics.labelled import labelled_rows
from fedlearn_helpers.statistics.questions import Ask, Asked
from fedlearn_helpers.statistics.steps import in_steps
from fedlearn_helpers.statistics.sums import add_exactly

NEWTON = "newton"

STEP = 2.0**-32
MOST_VALUE = 100.0
"""Of a column's values in size: then 800,000 rows' terms are added without overflow."""

TOLERANCE = 1e-9
"""Converged: no entry of the gradient, divided by the number of rows, is larger in size."""

MOST_MOVE = 1e-4
"""Converged: no weight would move by more in a further step. Where a line separates the classes and there is no ridge,
the gradient vanishes, but the weights go on to grow by about the same in each step."""

MOST_ROUNDS = 20
"""Fewer than 10 are usual. Beyond 20, numbers of separated rows would be near the steps in which they are counted."""

_SINGULAR = 1e-10  # the smallest eigenvalue of H, scaled so that its diagonal is 1


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """What Newton's method has found.

    Attributes:
        weights: w (d,).
        intercept: b.
        standard_errors: (d + 1,) of w and b, without the ridge; NaN where the columns are collinear.
        rounds: questions that were asked.
        gradient: the largest entry of g in size, per row, at these weights.
        converged: whether that is at most 1e-9, and a further step would move no weight by more than 1e-4.
    """

    weights: np.ndarray
    intercept: float
    standard_errors: np.ndarray
    rounds: int
    gradient: float
    converged: bool

    def predict_proba(self, values: np.ndarray) -> np.ndarray:
        """Return p (n,), the probability of label 1, of rows (n, d).

        Raises:
            InputError: values of another shape, or not finite.
        """
        values = np.asarray(values, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.weights) or not np.isfinite(values).all():
            raise InputError(f"values must be finite, of shape (n, {len(self.weights)}), got shape {values.shape}")
        return _probability(values, np.append(self.weights, self.intercept))


def _probability(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return p (n,) for rows (n, d) and weights (d + 1,), the intercept last."""
    total = np.full(len(values), weights[-1])
    for column, weight in zip(values.T, weights[:-1], strict=True):
        total += weight * column  # a matrix product may add in another order for another number of rows
    with np.errstate(over="ignore"):  # exp is infinite, and p is 0
        return 1 / (1 + np.exp(-total))


def answer_newton(site: Site, asked: Asked) -> np.ndarray:
    """A site's half: the sums of one Newton step, without the ridge.

    Args:
        site: its n rows of d features, without missing values, and their labels.
        asked: `weights` (d + 1,), the intercept last.

    Returns:
        int64 (2 + d + 1 + (d + 1)(d + 2) / 2,): rows, rows with label 1; g, and H's upper triangle row by row, in
        steps of 2^-32.

    Raises:
        InputError: a missing value, or one above 100 in size.
    """
    (values, labels), weights = labelled_rows(site), asked["weights"]
    if values.shape[1] + 1 != len(weights):
        raise InputError(f"values must have {len(weights) - 1} columns, got {values.shape[1]}")
    if np.isnan(values).any():
        raise InputError("values must not be missing, got NaN; fill them in, or leave these rows out")
    if (np.abs(values) > MOST_VALUE).any():
        raise InputError(
            f"values must be at most {MOST_VALUE:g} in size, got {np.abs(values).max():g}; standardize them"
        )
    p = _probability(values, weights)
    x = np.column_stack([values, np.ones(len(values))])
    first, second = np.triu_indices(len(weights))
    gradient = (p - labels)[:, None] * x
    hessian = (p * (1 - p))[:, None] * x[:, first] * x[:, second]
    steps = in_steps("terms", np.concatenate([gradient, hessian], axis=1), STEP)
    return np.concatenate([[len(values), labels.sum()], add_exactly("terms", steps)])


def fit_logistic(ask: Ask, features: int, l2: float = 1.0) -> LogisticRegression:
    """Fit a logistic regression to the rows of all sites: the server's half, a question per round.

    Warns where it has not converged after 20 rounds.

    Args:
        ask: knows `NEWTON`.
        features: d, >= 1; columns should be standardized, since the ridge treats all alike.
        l2: lambda, >= 0.

    Raises:
        InputError: an argument out of range; no rows, or labels of one class only: no finite b is best; or an H without
            an inverse: collinear columns, or classes that a line separates, and no ridge.
    """
    check_whole_number("features", features, 1)
    check_number("l2", l2, ">= 0", lambda number: number >= 0)
    weights = np.zeros(features + 1)
    ridge = np.append(np.full(features, float(l2)), 0.0)
    for rounds in range(1, MOST_ROUNDS + 1):
        num_rows, information, gradient = _sums(ask(NEWTON, {"weights": weights}), features + 1)
        gradient = gradient + ridge * weights
        hessian = information + np.diag(ridge)
        if _is_singular(hessian):
            raise InputError(
                f"l2 must be larger where columns are collinear or a line separates the classes, got {l2:g}: "
                f"the Hessian of round {rounds} has no inverse"
            )
        move = np.linalg.solve(hessian, gradient)
        per_row = float(np.abs(gradient).max() / num_rows)
        converged = per_row <= TOLERANCE and bool(np.abs(move).max() <= MOST_MOVE)
        if converged or rounds == MOST_ROUNDS:
            break
        weights = weights - move
    if not converged:
        warnings.warn(f"not converged after {rounds} rounds: the gradient per row is {per_row:.1g}", stacklevel=2)
    errors = np.full(features + 1, np.nan)
    if not _is_singular(information):
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
    return LogisticRegression(weights[:-1], float(weights[-1]), errors, rounds, per_row, converged)


def _sums(total: np.ndarray, size: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the number of rows, H (size, size) and g (size,) of a total; check that there are both classes."""
    rows, positive = map(int, total[:2])
    if not 0 < positive < rows:
        raise InputError(f"labels must have both classes over all sites, got {positive} of {rows} with label 1")
    information = np.zeros((size, size))
    information[np.triu_indices(size)] = total[2 + size :] * STEP
    information += np.triu(information, 1).T
    return rows, information, total[2 : 2 + size] * STEP


def _is_singular(matrix: np.ndarray) -> bool:
    scale = np.sqrt(np.diag(matrix))
    return bool((scale == 0).any() or np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0] <= _SINGULAR)
