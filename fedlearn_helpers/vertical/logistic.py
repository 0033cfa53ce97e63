"""Logistic regression on columns that lie at different parties.

    z = sum_p X_p w_p               each party's part of the score; the parts are added by the one with the labels
    r = sigmoid(z) - y              residuals, (n,): it sends them back
    g_p = X_p^T r / n               each party's gradient, from its own columns
    w_p <- w_p - eta g_p

With X = [X_1 X_2 ...] and w = [w_1 w_2 ...] this is X w, X^T r / n and one step of gradient descent on pooled columns:
the parties compute the same numbers, up to rounding. Per round a party without labels sends n numbers and gets n.

Source: Hardy et al. 2017, https://arxiv.org/abs/1711.10677, who encrypt what is sent and approximate the sigmoid.
"""

from collections.abc import Callable, Sequence

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number

Protect = Callable[[int, np.ndarray], np.ndarray]
"""What the party with the labels does to residuals before others see them: called with the round, from 1, and the
residuals (n,), returns what it sends in their place (n,)."""

_NEWTON_STEPS = 50
_CONVERGED = 1e-10  # of the gradient's largest entry
_FLAT = 1e-8  # of the largest curvature at the start: where the loss bends less, it has no least value to be found


def check_columns(columns: np.ndarray, name: str = "columns") -> np.ndarray:
    """Return a party's columns (n, d) as float64; raise an InputError unless they are finite, with n, d >= 1."""
    columns = np.asarray(columns, dtype=np.float64)
    if columns.ndim != 2 or 0 in columns.shape:
        raise InputError(f"{name} must have the shape (rows, columns), got {columns.shape}")
    if not np.isfinite(columns).all():
        raise InputError(f"{name} must be finite, got {columns[~np.isfinite(columns)][0]} in them")
    return columns


def check_labels(labels: np.ndarray, rows: int) -> np.ndarray:
    """Return labels as float64; raise an InputError unless there is a 0 or 1 for each row."""
    labels = np.asarray(labels, dtype=np.float64)
    if labels.shape != (rows,):
        raise InputError(f"labels must have one entry per row ({rows}), got the shape {labels.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"labels must be 0 or 1, got {labels[~np.isin(labels, (0, 1))][0]:g}")
    return labels


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)), which overflows for no finite z."""
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1, small) / (1 + small)


def residuals(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return r = sigmoid(z) - y, (n,), for added scores (n,) and labels (n,) of 0 and 1."""
    return sigmoid(scores) - labels


def gradient(columns: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Return a party's g_p = X_p^T r / n, (d,), for its columns (n, d) and the residuals (n,)."""
    return columns.T @ residual / len(columns)


def loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of -log p(y), in nats, for added scores (n,) and labels (n,) of 0 and 1."""
    return float(np.mean(np.logaddexp(0, scores) - labels * scores))


def train(
    parties: Sequence[np.ndarray],
    labels: np.ndarray,
    num_rounds: int,
    learning_rate: float,
    protect: Protect | None = None,
) -> list[list[np.ndarray]]:
    """Train a joint model from zero, all parties in this process; return their weights before and after each round.

    With a single party it is gradient descent on its columns.

    Args:
        parties: columns (n, d_p) of each party, row i of all of them the same patient; the first has the labels.
        labels: (n,) 0 or 1.
        num_rounds: >= 0.
        learning_rate: eta, > 0; below 8 / (largest eigenvalue of X^T X / n) the loss falls in every round.
        protect: what the first party does to residuals before the others see them; it uses its own as they are.

    Returns:
        num_rounds + 1 times the weights (d_p,) of each party.

    Raises:
        InputError: an argument out of range, or parties with other numbers of rows.
    """
    columns = [check_columns(own, f"columns of party {number}") for number, own in enumerate(parties)]
    if len(sizes := {len(own) for own in columns}) != 1:
        raise InputError(f"parties must have the same rows, got {sorted(sizes)} of them")
    labels = check_labels(labels, len(columns[0]))
    check_whole_number("num_rounds", num_rounds, 0)
    check_learning_rate(learning_rate)
    path = [[np.zeros(own.shape[1]) for own in columns]]
    for number in range(1, num_rounds + 1):
        parts = [own @ weights for own, weights in zip(columns, path[-1], strict=True)]
        exact = residuals(np.sum(parts, axis=0), labels)
        sent = exact if protect is None else protect(number, exact)
        used = [exact] + [sent] * (len(columns) - 1)
        path.append(
            [
                weights - learning_rate * gradient(own, residual)
                for own, weights, residual in zip(columns, path[-1], used, strict=True)
            ]
        )
    return path


def check_learning_rate(learning_rate: float) -> None:
    """Raise an InputError unless it is a finite number > 0."""
    check_number("learning_rate", learning_rate, "> 0", lambda rate: rate > 0)


def pooled_weights(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the weights (d,) of least loss on columns (n, d) in one place, by Newton's method.

    Raises:
        InputError: columns or labels that cannot be used, or without such weights: columns that depend on each other,
            or that tell the labels apart without a mistake.
    """
    columns = check_columns(columns)
    labels = check_labels(labels, len(columns))
    weights = np.zeros(columns.shape[1])
    flat = _FLAT * np.linalg.norm(columns, 2) ** 2 / (4 * len(columns))
    for _ in range(_NEWTON_STEPS):
        probability = sigmoid(columns @ weights)
        slope = gradient(columns, probability - labels)
        curvature = (columns.T * (probability * (1 - probability))) @ columns / len(columns)
        if np.linalg.eigvalsh(curvature)[0] <= flat:
            break
        if np.abs(slope).max() < _CONVERGED:
            return weights
        weights = weights - np.linalg.solve(curvature, slope)
    raise InputError(
        f"columns must have weights of least loss, and these {columns.shape[1]} have none: they depend on each other, "
        "or separate the labels"
    )
