"""How well a score tells positive rows from negative ones, at every threshold and at one.

A row is called positive if score >= threshold.

    sensitivity = positive rows that are called positive / positive rows
    specificity = negative rows that are not             / negative rows
    AUC         = P(score of a positive row > score of a negative row) + P(equal) / 2

The AUC is the area under the curve of sensitivity over 1 - specificity. It is Mann and Whitney's U over the number of
pairs. It needs both classes, and does not change with their shares.

Sources: Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747; Fawcett 2006,
https://doi.org/10.1016/j.patrec.2005.10.010 (ties).
"""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.metrics.binary import check_both_classes, check_positive_rows, check_scored, counts_by_score


@dataclass(frozen=True)
class RocCurve:
    """The points of a curve, from (0, 0) to (1, 1): three arrays of shape (different scores + 1,)."""

    thresholds: np.ndarray
    """Falling; the first is infinity, which calls nobody positive."""
    false_positive_rates: np.ndarray
    """1 - specificity, rising."""
    sensitivities: np.ndarray
    """Rising."""


def roc_curve(scores: np.ndarray, labels: np.ndarray) -> RocCurve:
    """Return the curve over all thresholds. Rows with the same score pass a threshold together.

    Args:
        scores: (n,) finite, higher for a positive row.
        labels: (n,) 0 or 1, with both.

    Raises:
        InputError: rows of one class alone, or others than described.
    """
    scores, labels = check_scored(scores, labels)
    check_both_classes(labels, "a ROC curve")
    thresholds, positives, negatives = counts_by_score(scores, labels)
    return RocCurve(
        thresholds=np.append(np.inf, thresholds),
        false_positive_rates=np.append(0.0, negatives / negatives[-1]),
        sensitivities=np.append(0.0, positives / positives[-1]),
    )


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of pairs of a positive and a negative row that the score puts in order, in [0, 1]; 0.5 guesses.

    With 2 negative rows each of them is half of the AUC: see `auc_interval`.

    Args:
        scores, labels: as in `roc_curve`.
    """
    scores, labels = check_scored(scores, labels)
    check_both_classes(labels, "an AUC")
    positive, negative = scores[labels], np.sort(scores[~labels])
    below = np.searchsorted(negative, positive, side="left").sum()
    not_above = np.searchsorted(negative, positive, side="right").sum()
    return float((below + not_above) / 2 / (positive.size * negative.size))


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold does to some rows, as counts: `wilson` makes an interval of them."""

    threshold: float
    true_positives: int
    positives: int
    true_negatives: int
    negatives: int

    @property
    def sensitivity(self) -> float:
        """In [0, 1]; nan if there are no positive rows."""
        return self.true_positives / self.positives if self.positives else math.nan

    @property
    def specificity(self) -> float:
        """In [0, 1]; nan if there are no negative rows."""
        return self.true_negatives / self.negatives if self.negatives else math.nan


def at_threshold(scores: np.ndarray, labels: np.ndarray, threshold: float) -> AtThreshold:
    """Count what "positive if score >= threshold" gets right.

    Args:
        scores: (n,) finite, higher for a positive row.
        labels: (n,) 0 or 1; one class alone will do.
        threshold: any number that is not nan.

    Raises:
        InputError: others than described.
    """
    scores, labels = check_scored(scores, labels)
    if not isinstance(threshold, Real) or math.isnan(threshold):
        raise InputError(f"threshold must be a number, got {threshold!r}")
    called = scores >= threshold
    return AtThreshold(
        threshold=float(threshold),
        true_positives=int((called & labels).sum()),
        positives=int(labels.sum()),
        true_negatives=int((~called & ~labels).sum()),
        negatives=int((~labels).sum()),
    )


def threshold_for_sensitivity(scores: np.ndarray, labels: np.ndarray, wanted: float) -> float:
    """Return the highest threshold with at least the wanted sensitivity on these rows.

    Measure it on other rows: on its own it is never below what was wanted. Of m positive rows it calls the first
    k = ceil(wanted * m) positive, and of new ones from the same source k / (m + 1) on average.

    Args:
        scores: (n,) finite, higher for a positive row, of the rows to choose on.
        labels: (n,) 0 or 1, with at least one 1.
        wanted: > 0 and <= 1.

    Raises:
        InputError: no positive rows, or others than described.
    """
    scores, labels = check_scored(scores, labels)
    check_number("wanted", wanted, "> 0 and <= 1", lambda share: 0 < share <= 1)
    check_positive_rows(labels, "a threshold")
    falling = np.sort(scores[labels])[::-1]
    rank = max(1, math.ceil(wanted * falling.size - 1e-9))  # 0.7 * 10 is a little above 7
    return float(falling[rank - 1])
