"""Whether a model's probabilities are those of the outcomes: of the patients with 30 %, do 30 % have the disease?

With p_i the model's probability of a positive label y_i, and logit(p) = log(p / (1 - p)):

    Brier score                   mean of (p_i - y_i)^2
    expected calibration error    sum over bins b of n_b / n |mean p in b - share of positives in b|
    in the large                  mean y - mean p
    intercept a                   of P(y = 1) = sigmoid(a + logit(p)), by maximum likelihood; 0 is calibrated
    slope b                       of P(y = 1) = sigmoid(a + b logit(p)); 1 is calibrated, < 1 too sure of itself

The intercept is "in the large" in log-odds: a > 0 where the model says too little. A ranking, and with it the AUC, does
not change with a, nor with b > 0: a model can rank well and be badly calibrated.

The expected calibration error is above 0 for a calibrated model, too, since shares in small bins are noisy. With 5 bins
and probabilities spread evenly over 0 to 1 its mean is then .12 for 37 rows, .07 for 100 and .02 for 1,000. Compare it
with `errors_of_calibrated`.

Sources: Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; Cox 1958,
https://doi.org/10.1093/biomet/45.3-4.562 (intercept and slope); Van Calster et al. 2019,
https://doi.org/10.1186/s12916-019-1466-7; Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1 (chance in bins).
"""

import math
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.metrics.binary import check_both_classes, check_probabilities, check_scored
from fedlearn_helpers.metrics.intervals import Interval, Z, wilson


@dataclass(frozen=True)
class Bin:
    """Rows with about the same probability."""

    rows: int
    mean_probability: float
    share: Interval
    """Of positive rows, with Wilson's interval."""


def reliability_table(probabilities: np.ndarray, labels: np.ndarray, num_bins: int) -> list[Bin]:
    """Return bins of about equally many rows, by rising probability; equal probabilities share a bin.

    Args:
        probabilities: (n,) in [0, 1], of a positive label.
        labels: (n,) 0 or 1; one class alone will do.
        num_bins: >= 1, the most bins there are.

    Raises:
        InputError: others than described.
    """
    probabilities, labels = _checked(probabilities, labels)
    places = _bins(probabilities, num_bins)
    return [
        Bin(
            rows=int((places == place).sum()),
            mean_probability=float(probabilities[places == place].mean()),
            share=wilson(int(labels[places == place].sum()), int((places == place).sum())),
        )
        for place in np.unique(places)
    ]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, num_bins: int) -> float:
    """Return the mean distance of probability and share over the bins of `reliability_table`, in [0, 1].

    It is too large where rows are few, so do not rank models or sites by it: see `errors_of_calibrated`.

    Args:
        probabilities, labels, num_bins: as in `reliability_table`.
    """
    probabilities, labels = _checked(probabilities, labels)
    return _error(probabilities, labels, _bins(probabilities, num_bins))


def errors_of_calibrated(probabilities: np.ndarray, num_bins: int, draws: int, seed: int) -> np.ndarray:
    """Return expected calibration errors that chance alone makes, (draws,): those of labels drawn by the probabilities.

    Their mean is the bias. The share of them that is as large as the error found is a p-value of "calibrated".

    Args:
        probabilities, num_bins: as in `reliability_table`.
        draws: >= 1.
        seed: >= 0.

    Raises:
        InputError: others than described.
    """
    probabilities, _ = _checked(probabilities, np.zeros(np.shape(probabilities)))
    check_whole_number("draws", draws, 1)
    generator = np.random.default_rng(check_whole_number("seed", seed, 0))
    places = _bins(probabilities, num_bins)
    return np.array(
        [_error(probabilities, generator.random(places.size) < probabilities, places) for _ in range(draws)]
    )


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared distance of probability and label, in [0, 1]; 0.25 for always saying one half.

    A constant that says the share of positives s scores s (1 - s): with s = .94 that is .06. So compare no sites by it.

    Args:
        probabilities: (n,) in [0, 1], of a positive label.
        labels: (n,) 0 or 1; one class alone will do.

    Raises:
        InputError: others than described.
    """
    probabilities, labels = _checked(probabilities, labels)
    return float(((probabilities - labels) ** 2).mean())


def calibration_in_the_large(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of positive rows less the mean probability, in [-1, 1]; 0 is calibrated.

    Args:
        probabilities, labels: as in `brier_score`.
    """
    probabilities, labels = _checked(probabilities, labels)
    return float(labels.mean() - probabilities.mean())


def calibration_intercept(probabilities: np.ndarray, labels: np.ndarray) -> Interval:
    """Return a, the shift of the log-odds that makes the mean probability the share of positives; 0 is calibrated.

    The interval is a +- 1.96 standard errors.

    Args:
        probabilities: (n,) > 0 and < 1, of a positive label.
        labels: (n,) 0 or 1, with both.

    Raises:
        InputError: rows of one class alone, whose a is infinite, or others than described.
    """
    log_odds, labels = _log_odds_of(probabilities, labels)
    check_both_classes(labels, "a calibration intercept")
    middle = float(np.median(log_odds))  # the search begins near a, though all probabilities are close to 0 or to 1
    (shift,), (error,) = _logistic_regression(np.ones((labels.size, 1)), log_odds - middle, labels)
    a = shift - middle
    return Interval(a, a - Z * error, a + Z * error)


def calibration_slope(probabilities: np.ndarray, labels: np.ndarray) -> Interval:
    """Return b, by which the log-odds must be multiplied; 1 is calibrated, 0 is no information, < 1 is too sure.

    The interval is b +- 1.96 standard errors.

    Args:
        probabilities, labels: as in `calibration_intercept`.

    Raises:
        InputError: as there, or a probability that parts the classes: b is then infinite, or any number if all rows
            have the same one. It is common with 2 or 3 rows of a class.
    """
    log_odds, labels = _log_odds_of(probabilities, labels)
    check_both_classes(labels, "a calibration slope")
    positive, negative = log_odds[labels], log_odds[~labels]
    if negative.max() <= positive.min() or positive.max() <= negative.min():
        parted = f"{positive.size} positive and {negative.size} negative rows do not overlap"
        raise InputError(f"probabilities must overlap between the classes for a slope, but those of {parted}")
    spread = float(log_odds.std())  # in its units nothing is rounded off, though probabilities are nearly equal
    scaled = np.stack([np.ones(labels.size), (log_odds - log_odds.mean()) / spread], axis=1)
    (_, b), (_, error) = _logistic_regression(scaled, np.zeros(labels.size), labels)
    b, error = b / spread, error / spread
    return Interval(b, b - Z * error, b + Z * error)


def shift_log_odds(probabilities: np.ndarray, intercept: float) -> np.ndarray:
    """Return sigmoid(intercept + logit(p)), (n,): probabilities after a change of the intercept alone.

    Args:
        probabilities: (n,) in [0, 1]; 0 and 1 stay what they are.
        intercept: -700 to 700, such as `calibration_intercept` of other rows of the same site.

    Raises:
        InputError: others than described.
    """
    probabilities, _ = _checked(probabilities, np.zeros(np.shape(probabilities)))
    check_number("intercept", intercept, ">= -700 and <= 700", lambda shift: -700 <= shift <= 700)
    # p e^a / (p e^a + 1 - p), with the larger of e^a and 1 divided out
    up, down = math.exp(min(intercept, 0.0)), math.exp(min(-intercept, 0.0))
    return probabilities * up / (probabilities * up + (1 - probabilities) * down)


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = check_scored(probabilities, labels)
    check_probabilities(probabilities)
    return probabilities, labels


def _log_odds_of(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = _checked(probabilities, labels)
    if probabilities.min() == 0 or probabilities.max() == 1:
        raise InputError("probabilities must be > 0 and < 1 to have log-odds, got 0 or 1")
    return np.log(probabilities) - np.log1p(-probabilities), labels


def _bins(probabilities: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the bin of each row, (n,) int64, by quantiles of the probabilities."""
    num_bins = check_whole_number("num_bins", num_bins, 1)
    edges = np.quantile(probabilities, np.arange(1, num_bins) / num_bins)
    return np.searchsorted(edges, probabilities, side="left")


def _error(probabilities: np.ndarray, labels: np.ndarray, places: np.ndarray) -> float:
    """The expected calibration error: n_b |mean p - share| is |sum of p - y| in the bin."""
    return float(np.abs(np.bincount(places, weights=probabilities - labels)).sum() / places.size)


def _logistic_regression(inputs: np.ndarray, offset: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the coefficients (d,) of greatest likelihood and their standard errors (d,), by Newton's method.

    Args:
        inputs: (n, d), with an optimum: the classes overlap.
        offset: (n,), added to the log-odds.
        labels: (n,) bool.
    """
    signs = np.where(labels, 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> float:
        return float(np.logaddexp(0.0, -signs * (offset + inputs @ coefficients)).sum())

    coefficients = np.zeros(inputs.shape[1])
    for _ in range(100):
        p = 0.5 * (1 + np.tanh((offset + inputs @ coefficients) / 2))
        information = inputs.T @ (inputs * (p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(information, inputs.T @ (labels - p))
        except np.linalg.LinAlgError:
            break  # p is 0 or 1 in all rows, rounded
        while loss(coefficients + step) > loss(coefficients) and np.abs(step).max() > 1e-12:
            step = step / 2  # a full step can go too far
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-10:
            return coefficients.tolist(), np.sqrt(np.diag(np.linalg.inv(information))).tolist()
    raise InputError("probabilities must be further from 0 and 1: their intercept or slope was not found")
