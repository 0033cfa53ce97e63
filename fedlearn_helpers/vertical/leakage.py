"""What the messages of a joint logistic regression give away, in both directions.

Labels, to the passive party.  r = p - y with 0 < p < 1, so r < 0 if y = 1, and r > 0 if y = 0: the first message has
all labels. Noise N(0, s^2) on r hides them: in the first round r is -1/2 or 1/2, so the sign of noisy residuals ranks a
pair of patients right with probability Phi(1 / (s sqrt 2)). But r keeps its sign in all T rounds, so a mean over
rounds leaves noise of s / sqrt T.

Labels, from gradients alone.  If r is encrypted and the passive party gets no more than g = X_b^T r_b / n_b for batches
b, it knows X and has d linear equations per batch: a batch of at most d rows is solved, and so are larger ones, if
batches of the same weights overlap in enough different ways. One batch of more than d rows is not.

Columns, to the active party.  It gets z_t = X w_t in every round t. Who knows the weights w_t as well, as where both
parties get the joint model, has d unknowns per patient and one equation per round: d rounds give X. Who does not know
them still knows the residuals r_t that it has sent, and z_{t+1} - z_t = -(eta / n) X X^T r_t: some rounds give all of
X X^T, and with it X up to a rotation.

Sources: Li et al. 2022, https://arxiv.org/abs/2102.08504 (labels; isotropic noise is what they compare with); Luo et
al. 2021, https://arxiv.org/abs/2010.10152 (columns; there from the predictions of one model).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.metrics import auc
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.vertical.logistic import check_columns, check_labels, check_learning_rate

_SMALLEST = 1e-10  # of the largest singular value: what is below counts as none
_OPEN = 1e-12  # so much of an unknown may lie where no equation reaches, before it counts as not determined

# Labels ----------------------------------------------------------------------------------


def labels_from_residuals(residuals: np.ndarray) -> np.ndarray:
    """Return the labels (n,) int64 behind the residuals (n,) of one round: 1 where p - y is below 0.

    Exactly 0 is a 1: in float64, p becomes 1 at scores above 37, and 0 only at scores below -745.
    """
    return (np.asarray(residuals) <= 0).astype(np.int64)


def label_auc(residuals: np.ndarray, labels: np.ndarray) -> float:
    """Return how well residuals rank patients by label: the AUC of -r, 1 if they give all labels away, 0.5 if none.

    Args:
        residuals: (n,) of one round; or (rounds, n), of which the mean over rounds is taken.
        labels: (n,) 0 or 1, both of them present.

    Raises:
        InputError: other shapes, or labels of one kind.
    """
    residuals = np.atleast_2d(np.asarray(residuals, dtype=np.float64))
    labels = check_labels(labels, residuals.shape[-1])
    return auc(-residuals.mean(axis=0), labels == 1)


@dataclass(frozen=True)
class GaussianNoise:
    """A `Protect` that adds N(0, s^2) to each residual, anew in every round.

    Attributes:
        deviation: s, >= 0. At the start the residuals of the two labels are 1 apart.
        seed: of the noise. Who knows it can take the noise off again; a real party draws it from the system.

    Raises:
        InputError: an attribute out of range.
    """

    deviation: float
    seed: int

    def __post_init__(self) -> None:
        check_number("deviation", self.deviation, ">= 0", lambda deviation: deviation >= 0)
        check_seed(self.seed)

    def __call__(self, server_round: int, residuals: np.ndarray) -> np.ndarray:
        """Return the residuals (n,) of a round with noise."""
        generator = np.random.default_rng(derive_seed(self.seed, "residual noise", server_round))
        return residuals + self.deviation * generator.standard_normal(residuals.shape)


def residuals_from_gradients(
    columns: np.ndarray, batches: Sequence[np.ndarray], gradients: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the residuals (n,) that follow from gradients of batches; nan for a row that they leave open.

    Args:
        columns: (n, d) the passive party's own.
        batches: row numbers of each batch, none twice in a batch. Batches that overlap must be of the same weights.
        gradients: (d,) of each batch, X_b^T r_b / n_b.

    Raises:
        InputError: arguments that do not belong together.
    """
    columns = check_columns(columns)
    if len(batches) != len(gradients) or not len(batches):
        raise InputError(f"gradients must have one entry per batch ({len(batches)}, at least 1), got {len(gradients)}")
    equations, sums = [], []
    for number, (batch, gradient) in enumerate(zip(batches, gradients, strict=True)):
        batch, gradient = np.asarray(batch), np.asarray(gradient, dtype=np.float64)
        if batch.ndim != 1 or not batch.size or not np.isin(batch, np.arange(len(columns))).all():
            raise InputError(f"batch {number} must have row numbers in [0, {len(columns)}), got {batch.tolist()}")
        if len(set(batch.tolist())) < len(batch):
            raise InputError(f"batch {number} must have each row once, got {batch.tolist()}")
        if gradient.shape != columns.shape[1:] or not np.isfinite(gradient).all():
            raise InputError(f"gradient {number} must have {columns.shape[1]} finite numbers, got {gradient.tolist()}")
        of_batch = np.zeros((columns.shape[1], len(columns)))
        of_batch[:, batch] = columns[batch].T
        equations.append(of_batch)
        sums.append(len(batch) * gradient)
    return _solved(np.vstack(equations), np.concatenate(sums)[:, None])[:, 0]


# Columns ---------------------------------------------------------------------------------


def features_from_scores(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the passive party's columns (n, d), from its scores in several rounds and its weights in them.

    Args:
        weights: (rounds, d) w_t of each round. With others than those that were used, the columns come out wrong.
        scores: (rounds, n) z_t = X w_t.

    Returns:
        nan in a column that the rounds leave open, as fewer than d do.

    Raises:
        InputError: arguments that do not belong together.
    """
    weights, scores = check_columns(weights, "weights"), check_columns(scores, "scores")
    if len(weights) != len(scores):
        raise InputError(f"scores must have one row per round ({len(weights)}), got {len(scores)}")
    return _solved(weights, scores).T


def similarities_from_scores(scores: np.ndarray, residuals: np.ndarray, learning_rate: float) -> np.ndarray:
    """Return X X^T (n, n) of the passive party, from what the active party sees and sends, and without any weights.

    Entry (i, j) is the inner product of the columns of patients i and j, so it knows how far apart any two of them are.
    With K = X X^T and what is known, Y = K R^T, it is K = Y (R Y)^+ Y^T: exact once the rounds reach all d directions
    of X by more than rounding, which takes some tens of them. With fewer it is the part of K that they reach.

    Args:
        scores: (rounds, n) z_t = X w_t.
        residuals: (rounds, n) r_t that the passive party stepped along; those of the last round are not used.
        learning_rate: eta, > 0.

    Raises:
        InputError: arguments that do not belong together, or fewer than 2 rounds.
    """
    scores, residuals = check_columns(scores, "scores"), check_columns(residuals, "residuals")
    check_learning_rate(learning_rate)
    if scores.shape != residuals.shape or len(scores) < 2:
        raise InputError(f"residuals must have the shape of scores, 2 rounds or more, got {residuals.shape}")
    moved = -scores.shape[1] / learning_rate * np.diff(scores, axis=0).T  # Y, (n, rounds - 1)
    inner = residuals[:-1] @ moved
    return moved @ np.linalg.pinv((inner + inner.T) / 2, rcond=_SMALLEST, hermitian=True) @ moved.T


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return x (k, c) of least squares for matrix x = right; (m, k), (m, c). nan in rows that are not determined.

    An unknown is determined if its axis lies in the space that the equations span.
    """
    left, sizes, axes = np.linalg.svd(matrix, full_matrices=False)
    used = sizes > _SMALLEST * max(sizes[0], np.finfo(float).tiny)
    solution = axes[used].T @ ((left[:, used].T @ right) / sizes[used, None])
    solution[1 - (axes[used] ** 2).sum(axis=0) > _OPEN] = np.nan
    return solution
