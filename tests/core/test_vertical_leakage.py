"""Messages of a joint model give labels and columns away; what is said to hide them is measured, too."""

import math

import numpy as np
import pytest
from test_vertical_logistic import table

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.vertical.leakage import (
    GaussianNoise,
    features_from_scores,
    label_auc,
    labels_from_residuals,
    residuals_from_gradients,
    similarities_from_scores,
)
from fedlearn_helpers.vertical.logistic import gradient, loss, residuals, train

RATE = 1.0


class Seen:
    """A training: what both parties hold, and what they sent in each round."""

    def __init__(self, rounds=200, protect=None, rows=120):
        (self.own, self.theirs), self.labels = table(rows, columns=(2, 4))
        self.path = train([self.own, self.theirs], self.labels, rounds, RATE, protect)
        self.weights = np.array([weights[1] for weights in self.path[:-1]])
        self.scores = self.weights @ self.theirs.T
        added = [self.own @ weights[0] + self.theirs @ weights[1] for weights in self.path[:-1]]
        exact = [residuals(scores, self.labels) for scores in added]
        self.residuals = np.array([protect(t, r) if protect else r for t, r in enumerate(exact, 1)])
        own, theirs = self.path[-1]
        self.loss = loss(self.own @ own + self.theirs @ theirs, self.labels)


@pytest.fixture(scope="module")
def seen():
    return Seen()


# Labels ----------------------------------------------------------------------------------


def test_the_first_message_has_all_labels(seen):
    for sent in seen.residuals:
        assert np.array_equal(labels_from_residuals(sent), seen.labels)
        assert label_auc(sent, seen.labels) == 1
    assert label_auc(np.abs(seen.residuals[0]), seen.labels) == 0.5  # without the sign, the first has none
    shuffled = np.random.default_rng(0).permutation(seen.residuals[0])
    assert np.mean(labels_from_residuals(shuffled) == seen.labels) < 0.65


def test_labels_are_right_where_the_model_is_sure_to_all_digits():
    labels = np.array([1, 1, 0, 0])
    for scores in ([50.0, -50, 50, -50], [700.0, -700, 700, -700]):
        assert np.array_equal(labels_from_residuals(residuals(np.array(scores), labels)), labels)
    assert residuals(np.array([50.0]), np.array([1])) == 0


@pytest.mark.parametrize("deviation", [0.25, 1, 4])
def test_noise_hides_labels_as_far_as_the_formula_says(deviation):
    labels = np.arange(20_000) % 2
    sent = GaussianNoise(deviation, 0)(1, residuals(np.zeros(20_000), labels))
    assert abs(label_auc(sent, labels) - (1 + math.erf(1 / (2 * deviation))) / 2) < 0.01


def test_a_mean_over_rounds_takes_fresh_noise_off_again(seen):
    noisy = Seen(protect=GaussianNoise(2, 0))
    assert label_auc(noisy.residuals[0], noisy.labels) < 0.75
    assert label_auc(noisy.residuals, noisy.labels) > 0.9
    assert noisy.loss > seen.loss
    much = Seen(protect=GaussianNoise(20, 0))
    assert label_auc(much.residuals, much.labels) < 0.8 and much.loss > noisy.loss + 0.5


def test_noise_is_another_in_every_round_and_the_same_for_a_seed():
    zero = np.zeros(1000)
    noise = GaussianNoise(2, 3)
    assert np.array_equal(noise(1, zero), GaussianNoise(2, 3)(1, zero))
    assert abs(np.corrcoef(noise(1, zero), noise(2, zero))[0, 1]) < 0.1
    assert abs(noise(1, zero).std() - 2) < 0.15
    assert np.array_equal(GaussianNoise(0, 3)(1, zero), zero)


# Gradients alone -------------------------------------------------------------------------


def gradients_of(seen, batches, number=0):
    return [gradient(seen.theirs[batch], seen.residuals[number][batch]) for batch in batches]


def test_batches_of_at_most_as_many_rows_as_columns_give_all_labels(seen):
    for size in (1, 2, 4):
        batches = np.split(np.arange(120), 120 // size)
        found = residuals_from_gradients(seen.theirs, batches, gradients_of(seen, batches, 7))
        assert np.abs(found - seen.residuals[7]).max() < 1e-9
        assert np.array_equal(labels_from_residuals(found), seen.labels)


@pytest.mark.slow
def test_larger_batches_give_none_once_and_all_when_they_overlap_enough(seen):
    rng = np.random.default_rng(0)

    def found_after(passes, size):
        batches = [batch for _ in range(passes) for batch in np.split(rng.permutation(120), 120 // size)]
        return residuals_from_gradients(seen.theirs, batches, gradients_of(seen, batches))

    assert np.isnan(found_after(1, 120)).all()
    assert np.isnan(found_after(50, 120)).all()  # the same rows say the same
    assert np.isnan(found_after(1, 8)).all()
    # All passes have the same sum over batches: 4 (1 + 14 passes) equations for 120 unknowns.
    assert np.isnan(found_after(2, 8)).mean() > 0.9
    assert np.abs(found_after(3, 8) - seen.residuals[0]).max() < 1e-9


def test_a_row_is_open_or_right_and_never_in_between(seen):
    batches = [np.arange(4), np.arange(4, 30)]
    found = residuals_from_gradients(seen.theirs, batches, gradients_of(seen, batches))
    assert np.allclose(found[:4], seen.residuals[0][:4]) and np.isnan(found[4:]).all()


# Columns ---------------------------------------------------------------------------------


def test_scores_and_weights_give_the_columns_from_as_many_rounds_as_columns(seen):
    few = slice(1, 5)  # the first weights are 0
    assert np.abs(features_from_scores(seen.weights[few], seen.scores[few]) - seen.theirs).max() < 1e-6
    assert np.abs(features_from_scores(seen.weights, seen.scores) - seen.theirs).max() < 1e-9
    assert np.isnan(features_from_scores(seen.weights[:4], seen.scores[:4])).all()
    other = np.random.default_rng(0).normal(size=seen.weights.shape)
    assert np.abs(features_from_scores(other, seen.scores) - seen.theirs).max() > 1


def test_scores_and_residuals_give_similarities_without_any_weights(seen):
    truth = seen.theirs @ seen.theirs.T
    assert np.abs(similarities_from_scores(seen.scores, seen.residuals, RATE) - truth).max() < 1e-6
    assert np.abs(similarities_from_scores(seen.scores[:3], seen.residuals[:3], RATE) - truth).max() > 0.1
    shuffled = np.random.default_rng(0).permutation(seen.residuals, axis=1)
    assert np.abs(similarities_from_scores(seen.scores, shuffled, RATE) - truth).max() > 1


# What does not fit -----------------------------------------------------------------------


def test_what_does_not_belong_together_is_refused(seen):
    whole, good = [np.arange(120)], [np.zeros(4)]
    for act, sentence in (
        (lambda: GaussianNoise(-1, 0), "^deviation must be >= 0, got -1$"),
        (lambda: GaussianNoise(np.nan, 0), "^deviation must be >= 0, got nan$"),
        (lambda: GaussianNoise(1, -1), "^seed must be >= 0, got -1$"),
        (lambda: label_auc(np.zeros(3), np.zeros(4)), "^labels must have one entry per row"),
        (lambda: residuals_from_gradients(seen.theirs, whole, []), "^gradients must have one entry per batch"),
        (lambda: residuals_from_gradients(seen.theirs, [], []), "^gradients must have one entry per batch"),
        (lambda: residuals_from_gradients(seen.theirs, [[0, 120]], good), "^batch 0 must have row numbers in"),
        (lambda: residuals_from_gradients(seen.theirs, [[0, 0]], good), "^batch 0 must have each row once"),
        (lambda: residuals_from_gradients(seen.theirs, whole, [np.zeros(3)]), "^gradient 0 must have 4 finite"),
        (lambda: features_from_scores(seen.weights[:3], seen.scores), "^scores must have one row per round"),
        (lambda: similarities_from_scores(seen.scores[:1], seen.residuals[:1], 1.0), "^residuals must have the shape"),
    ):
        with pytest.raises(InputError, match=sentence):
            act()
