"""Membership inference: curves against scikit-learn, LiRA against closed forms, guesses that must stay guesses."""

import math

import numpy as np
import pytest
import torch
from noise import noise_images
from sklearn.metrics import roc_auc_score, roc_curve

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import new_cnn, new_mlp
from fedlearn_helpers.privacy.membership import (
    auc,
    complementary_halves,
    likelihood_ratio,
    log_odds,
    roc,
    tpr_at,
)
from fedlearn_helpers.training import evaluate, train

HALF = np.arange(400) < 200  # 200 members, 200 others
SAMPLING_ERROR = math.sqrt((400 + 1) / (12 * 200 * 200))  # standard deviation of the AUC of guesses: .029


# Scores


class Scores(torch.nn.Module):
    """A model whose scores are its one parameter, one row per image, by the image's first pixel."""

    def __init__(self, scores):
        super().__init__()
        self.rows = torch.nn.Parameter(torch.as_tensor(scores))

    def forward(self, images):
        return self.rows[((images[:, 0, 0, 0] + 1) * 127.5).round().long()]


def numbered_images(count):
    return torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()


def test_log_odds_are_those_of_the_probability():
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    p = scores.double().softmax(dim=1)[range(6), labels]
    found = log_odds(Scores(scores), numbered_images(6), labels, np.array([5, 0, 3]))
    np.testing.assert_allclose(found, torch.log(p / (1 - p))[[5, 0, 3]], rtol=1e-6)
    assert found.dtype == np.float64


def test_log_odds_stay_exact_where_the_probability_is_one():
    scores = torch.tensor([[200.0, 0.0, 0.0], [-200.0, 0.0, 0.0]])
    found = log_odds(Scores(scores), numbered_images(2), torch.tensor([0, 0]), [0, 1])
    np.testing.assert_allclose(found, [200 - math.log(2), -200 - math.log(2)], rtol=1e-12)


def test_log_odds_rank_as_the_loss_does():
    images = noise_images(600, 20)  # more than one batch
    model = new_mlp(images.image_shape, images.num_classes, 0)
    found = log_odds(model, images.train_images, images.train_labels, np.arange(600))
    for sample in (0, 300, 599):
        loss = evaluate(model, images.train_images, images.train_labels, [sample]).loss
        assert found[sample] == pytest.approx(-math.log(math.expm1(loss)), abs=1e-4)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_scores_that_are_not_finite(broken):
    model = Scores([[broken, 0.0, 0.0]])
    with pytest.raises(InputError, match="model must have finite scores"):
        log_odds(model, numbered_images(1), torch.tensor([0]), [0])


def test_too_little_to_look_at():
    with pytest.raises(InputError, match="indices must name at least one example"):
        log_odds(Scores([[0.0, 1.0]]), numbered_images(1), torch.tensor([0]), [])
    with pytest.raises(InputError, match="at least 2 classes"):
        log_odds(Scores([[0.0]]), numbered_images(1), torch.tensor([0]), [0])


# Curves


def random_scores(seed, ties=False):
    """Return scores, higher for members, of which many are the same where there are ties."""
    generator = np.random.default_rng(seed)
    is_member = generator.random(300) < 0.4
    scores = generator.normal(size=300) + 0.7 * is_member
    return (scores.round() if ties else scores), is_member


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn(seed, ties):
    scores, is_member = random_scores(seed, ties)
    assert auc(scores, is_member) == pytest.approx(roc_auc_score(is_member, scores), abs=1e-12)
    false, true = roc(scores, is_member)
    expected_false, expected_true, _ = roc_curve(is_member, scores, drop_intermediate=False)
    np.testing.assert_allclose(false, expected_false)
    np.testing.assert_allclose(true, expected_true)


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_a_probability(ties):
    scores, is_member = random_scores(9, ties)
    above = scores[is_member][:, None] - scores[~is_member]
    assert auc(scores, is_member) == pytest.approx(((above > 0) + 0.5 * (above == 0)).mean(), abs=1e-12)


def test_perfect_separation_and_its_opposite():
    assert auc(HALF.astype(float), HALF) == 1 and tpr_at(0, HALF.astype(float), HALF) == 1
    assert auc(-HALF.astype(float), HALF) == 0 and tpr_at(0.99, -HALF.astype(float), HALF) == 0


def test_ties_are_a_guess_in_any_order():
    for is_member in (HALF, ~HALF):
        assert auc(np.zeros(400), is_member) == 0.5
        assert tpr_at(0.99, np.zeros(400), is_member) == 0
        np.testing.assert_array_equal(roc(np.zeros(400), is_member), [[0, 1], [0, 1]])


@pytest.mark.parametrize("monotone", [np.exp, np.arctan, lambda x: 3 * x - 7, lambda x: x**3])
def test_only_the_order_counts(monotone):
    scores, is_member = random_scores(3)
    np.testing.assert_array_equal(roc(monotone(scores), is_member), roc(scores, is_member))


def test_true_positive_rate_at_a_limit():
    scores, is_member = np.array([9, 8, 7, 6, 5, 4]), np.array([True, True, False, True, False, False])
    assert [tpr_at(limit, scores, is_member) for limit in (0, 0.3, 1 / 3, 0.6, 1)] == [2 / 3, 2 / 3, 1, 1, 1]


@pytest.mark.parametrize("function", [roc, auc, lambda *arguments: tpr_at(0.01, *arguments)])
@pytest.mark.parametrize(
    ("scores", "is_member", "message"),
    [
        ([1.0, 2.0], [True], "is_member must have the shape"),
        ([1.0, math.nan], [True, False], "scores must have finite numbers"),
        ([1.0, math.inf], [True, False], "scores must have finite numbers"),
        ([1.0, 2.0], [True, True], "is_member must be True for some"),
        ([1.0, 2.0], [False, False], "is_member must be True for some"),
        ([1.0, 2.0], [1, 0], "is_member must be True for some"),
        ([], [], "is_member must be True for some"),
        ([[1.0, 2.0]], [True, False], "scores must have the shape"),
    ],
)
def test_curves_that_cannot_be(function, scores, is_member, message):
    with pytest.raises(InputError, match=message):
        function(np.array(scores), np.array(is_member))


@pytest.mark.parametrize("limit", [-0.1, 1.1, math.nan, None])
def test_a_limit_out_of_range(limit):
    with pytest.raises(InputError, match="fpr_limit must be"):
        tpr_at(limit, *random_scores(0))


# Shadows


@pytest.mark.parametrize(("candidates", "shadows"), [(400, 8), (7, 4), (2, 2)])
def test_every_candidate_is_in_half_of_the_shadows(candidates, shadows):
    was_in = complementary_halves(candidates, shadows, 0)
    assert was_in.shape == (shadows, candidates) and was_in.dtype == bool
    assert (was_in.sum(axis=0) == shadows // 2).all()
    assert set(was_in.sum(axis=1)) <= {candidates // 2, -(-candidates // 2)}
    np.testing.assert_array_equal(was_in, complementary_halves(candidates, shadows, 0))


def test_halves_differ_by_pair_and_seed():
    was_in = complementary_halves(400, 8, 0)
    assert len(np.unique(was_in, axis=0)) == 8
    assert not np.array_equal(was_in, complementary_halves(400, 8, 1))
    assert abs(np.corrcoef(was_in[:4].astype(float)) - np.eye(4)).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 8, 0), "num_candidates"), ((400, 7, 0), "num_shadows"), ((400, 0, 0), "num_shadows"), ((400, 8, -1), "seed")],
)
def test_halves_that_cannot_be(arguments, name):
    with pytest.raises(InputError, match=f"{name} must be"):
        complementary_halves(*arguments)


def synthetic(shadows, candidates=400, seed=0, gap=1.0):
    """Return a target's scores, shadows' scores, who was in, and all means: easy and hard examples, noise of 1."""
    generator = np.random.default_rng(seed)
    out = generator.normal(scale=3, size=candidates)
    inside = out + gap * generator.random(candidates) * 2
    was_in = complementary_halves(candidates, shadows, seed)
    shadow_scores = np.where(was_in, inside, out) + generator.normal(size=was_in.shape)
    is_member = np.arange(candidates) < candidates // 2
    target_scores = np.where(is_member, inside, out) + generator.normal(size=candidates)
    return target_scores, shadow_scores, was_in, is_member, inside, out


def test_with_many_shadows_the_ratio_is_that_of_the_true_gaussians():
    target, shadows, was_in, _, inside, out = synthetic(4000)
    closed = (inside - out) * (target - (inside + out) / 2)  # variance 1
    np.testing.assert_allclose(likelihood_ratio(target, shadows, was_in), closed, atol=0.35)


def test_the_ratio_by_hand():
    shadows = np.array([[5.0, 0.0], [7.0, 2.0], [1.0, 4.0], [3.0, 8.0]])
    was_in = np.array([[True, False], [True, False], [False, True], [False, True]])
    # means in: 6, 6; out: 2, 1; residuals 1 1 1 1, 1 1 2 2; 8 - 4 degrees of freedom
    variance = (4 + 2 + 8) / 4
    expected = [((4.5 - 2) ** 2 - (4.5 - 6) ** 2) / (2 * variance), ((0 - 1) ** 2 - (0 - 6) ** 2) / (2 * variance)]
    np.testing.assert_allclose(likelihood_ratio(np.array([4.5, 0.0]), shadows, was_in), expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_ratio_beats_one_threshold_for_all(seed):
    target, shadows, was_in, is_member, _, _ = synthetic(16, 2000, seed)
    ratio = likelihood_ratio(target, shadows, was_in)
    assert auc(ratio, is_member) > auc(target, is_member) + 0.07
    assert tpr_at(0.01, ratio, is_member) > 2 * tpr_at(0.01, target, is_member)
    shuffled = np.random.default_rng(seed).permutation(is_member)
    assert auc(ratio, shuffled) == pytest.approx(0.5, abs=4 * math.sqrt(2001 / (12 * 1000 * 1000)))


def test_without_a_gap_the_ratio_is_a_guess():
    target, shadows, was_in, is_member, _, _ = synthetic(16, 2000, gap=0)
    assert auc(likelihood_ratio(target, shadows, was_in), is_member) == pytest.approx(0.5, abs=0.053)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda target, shadows, was_in: (target[:-1], shadows, was_in), "was_in must have the shape"),
        (lambda target, shadows, was_in: (target, shadows, True), "was_in must have the shape"),
        (lambda target, shadows, was_in: (target, shadows[:-1], was_in), "shadow_scores must have the shape"),
        (lambda target, shadows, was_in: (target * math.nan, shadows, was_in), "target_scores must have finite"),
        (lambda target, shadows, was_in: (target, shadows * math.inf, was_in), "shadow_scores must have finite"),
        (lambda target, shadows, was_in: (target, shadows, was_in | True), "was_in must be True for some"),
        (lambda target, shadows, was_in: (target, shadows, was_in & False), "was_in must be True for some"),
        (lambda target, shadows, was_in: (target, shadows, was_in * 1), "was_in must be True for some"),
        (lambda target, shadows, was_in: (target, shadows * 0, was_in), "shadow_scores must vary"),
        (lambda target, shadows, was_in: (target, shadows[[0, 4]], was_in[[0, 4]]), "shadow_scores must vary"),
    ],
)
def test_ratios_that_cannot_be(change, message):
    target, shadows, was_in, *_ = synthetic(8)
    with pytest.raises(InputError, match=message), np.errstate(invalid="ignore"):
        likelihood_ratio(*change(target, shadows, was_in))


# A real model


def attack(epochs, seed=0):
    """Return the AUC of the loss threshold on 200 members and 200 others."""
    dataset = load_dataset("fashion")
    model = new_cnn(dataset.image_shape, dataset.num_classes, seed)
    candidates = np.random.default_rng(seed).permutation(len(dataset.train_labels))[:400]
    images, labels = dataset.train_images, dataset.train_labels
    if epochs:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
        train(model, images, labels, candidates[HALF], optimizer, epochs=epochs, batch_size=32, seed=seed)
    return auc(log_odds(model, images, labels, candidates), HALF)


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_model_tells_nothing(seed):
    assert attack(0, seed) == pytest.approx(0.5, abs=3.5 * SAMPLING_ERROR)


@pytest.mark.slow
def test_a_model_that_knows_its_examples_by_heart_tells():
    assert attack(100) > 0.5 + 2.5 * SAMPLING_ERROR
