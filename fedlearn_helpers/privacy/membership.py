"""Membership inference: was this example among those that a model was trained on?

A score per example, higher for a member, and a threshold make an attack. `log_odds` is such a score: a model is surer
of what it has seen. The loss is a monotone function of it, so this is the loss threshold of Yeom et al. 2018,
https://arxiv.org/abs/1709.01604. It calls every easy example a member. LiRA asks instead whether this example's score
is more like those of models trained with it, or of models trained without it, which it learns from shadow models:

    score = log N(s; mu_in, sigma^2) - log N(s; mu_out, sigma^2)

s is the log-odds by the target, mu_in and mu_out the means of this example's log-odds by the shadows with and without
it. Few shadows cannot tell a variance for each example, so there is one for all.

Source: Carlini et al. 2022, https://arxiv.org/abs/2112.03570, algorithm 1 (online), section 6 (one variance).
"""

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers import metrics
from fedlearn_helpers.device import computing_on
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.seeds import check_seed
from fedlearn_helpers.tasks import normalize
from fedlearn_helpers.training import EVALUATION_BATCH, in_dtype


@torch.no_grad()
def log_odds(model: nn.Module, images: Tensor, labels: Tensor, indices: Tensor | np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of the right class's probability p, (n,) float64.

    It is the right class's score minus the log-sum-exp of all others, which stays exact where p is 1 to all digits.

    Args:
        model: maps float images (n, channels, height, width) to scores (n, classes), two classes or more.
        images: (N, channels, height, width) uint8, on the model's device.
        labels: (N,) int64, on the model's device: the right classes.
        indices: (n,) int64, the examples to look at.

    Raises:
        InputError: no examples, fewer than two classes, or scores that are not finite.
    """
    if len(indices) == 0:
        raise InputError("indices must name at least one example, got none")
    model.eval()
    dtype = next(model.parameters()).dtype
    found = []
    with computing_on(images.device):
        for batch in torch.as_tensor(indices).to(images.device).split(EVALUATION_BATCH):
            scores = model(in_dtype(normalize(images[batch]), dtype)).double()
            if scores.shape[1] < 2:
                raise InputError(f"model must have scores for at least 2 classes, got {scores.shape[1]}")
            right = labels[batch].unsqueeze(1)
            others = scores.scatter(1, right, -torch.inf).logsumexp(dim=1)
            found.append(scores.gather(1, right).squeeze(1) - others)
    result = torch.cat(found).cpu().numpy()
    if not np.isfinite(result).all():
        raise InputError("model must have finite scores, got nan or infinite ones: its training may have diverged")
    return result


def roc(scores: np.ndarray, is_member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the false and true positive rates of "score >= threshold" for every threshold, from (0, 0) to (1, 1).

    Examples with the same score pass a threshold together.

    Args:
        scores: (n,) finite, higher for a member.
        is_member: (n,) bool, with members and others.

    Returns:
        Two arrays of shape (different scores + 1,), rising, in [0, 1].

    Raises:
        InputError: other shapes, scores that are not finite, or no members, or members alone.
    """
    curve = metrics.roc_curve(*_check_scored(scores, is_member))
    return curve.false_positive_rates, curve.sensitivities


def auc(scores: np.ndarray, is_member: np.ndarray) -> float:
    """Return the area under the ROC curve: the probability that a member's score is above another's; 0.5 is a guess.

    Args:
        scores, is_member: as in `roc`.
    """
    return metrics.auc(*_check_scored(scores, is_member))


def tpr_at(fpr_limit: float, scores: np.ndarray, is_member: np.ndarray) -> float:
    """Return the largest true positive rate of a threshold whose false positive rate is at most the limit.

    The accusations that can be relied on: at 1 % of 200 non-members, those above all but 2 of them, so it is uncertain.

    Args:
        fpr_limit: in [0, 1].
        scores, is_member: as in `roc`.

    Raises:
        InputError: a limit out of range, or as `roc`.
    """
    check_number("fpr_limit", fpr_limit, ">= 0 and <= 1", lambda limit: 0 <= limit <= 1)
    false, true = roc(scores, is_member)
    return float(true[false <= fpr_limit].max())


def complementary_halves(num_candidates: int, num_shadows: int, seed: int) -> np.ndarray:
    """Return which candidates each shadow is trained on, (num_shadows, num_candidates) bool.

    Shadows come in pairs: a random half of the candidates, and the other half. So each candidate is in exactly half of
    the shadows.

    Args:
        num_candidates: >= 2.
        num_shadows: K, an even number >= 2.
        seed: decides the halves.

    Raises:
        InputError: an argument out of range.
    """
    num_candidates = check_whole_number("num_candidates", num_candidates, 2)
    if check_whole_number("num_shadows", num_shadows, 2) % 2:
        raise InputError(f"num_shadows must be even, got {num_shadows}")
    generator = np.random.default_rng(check_seed(seed))
    first = np.array([generator.permutation(num_candidates) < num_candidates // 2 for _ in range(num_shadows // 2)])
    return np.concatenate([first, ~first])


def likelihood_ratio(target_scores: np.ndarray, shadow_scores: np.ndarray, was_in: np.ndarray) -> np.ndarray:
    """Return LiRA's score of each candidate, (n,): the logarithm of how much likelier the target's log-odds are "in".

    Args:
        target_scores: (n,), the candidates' log-odds by the target.
        shadow_scores: (K, n), by each shadow.
        was_in: (K, n) bool, whether the shadow was trained on the candidate.

    Raises:
        InputError: other shapes, scores that are not finite, a candidate that is in all shadows or in none, or scores
            without any variance, as with 2 shadows: each mean is then one score.
    """
    target_scores, shadow_scores, was_in = map(np.asarray, (target_scores, shadow_scores, was_in))
    _check_finite("target_scores", target_scores, (target_scores.size,))
    _check_shape("was_in", was_in, (*was_in.shape[:1], target_scores.size))
    _check_finite("shadow_scores", shadow_scores, was_in.shape)
    if was_in.dtype != bool or was_in.all(axis=0).any() or not was_in.any(axis=0).all():
        raise InputError("was_in must be True for some shadows and False for others, for every candidate")
    mean_in = shadow_scores.mean(axis=0, where=was_in)
    mean_out = shadow_scores.mean(axis=0, where=~was_in)
    around = shadow_scores - np.where(was_in, mean_in, mean_out)
    freedom = around.size - 2 * target_scores.size  # two means for each candidate
    if freedom == 0 or not around.any():
        raise InputError("shadow_scores must vary among shadows with a candidate, or without it; use 4 shadows or more")
    variance = (around**2).sum() / freedom
    return ((target_scores - mean_out) ** 2 - (target_scores - mean_in) ** 2) / (2 * variance)


def _check_scored(scores: np.ndarray, is_member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays."""
    scores, is_member = np.asarray(scores), np.asarray(is_member)
    _check_shape("is_member", is_member, (scores.size,))
    _check_finite("scores", scores, is_member.shape)
    if is_member.dtype != bool or is_member.all() or not is_member.any():
        raise InputError("is_member must be True for some examples and False for others")
    return scores, is_member


def _check_shape(argument: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise InputError(f"{argument} must have the shape {shape}, got {array.shape}")


def _check_finite(argument: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    _check_shape(argument, array, shape)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{argument} must have finite numbers alone")
