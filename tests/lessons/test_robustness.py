"""The lesson of notebook 09."""

import math

import numpy as np
import pytest
import torch
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.robustness.detection import flag

ATTACKERS = (0, 3, 7)
SCORES = [9.0, 1.0, 1.1, 2.6, 0.9, 1.2, 3.0, 3.2, 1.0, 1.05, 1.3, 0.8, 1.15, 0.95, 1.4]  # client 6 is odd, and honest


def mistakes(threshold):
    return len(set(flag(SCORES, threshold)) ^ set(ATTACKERS))


def run(attack):
    """A federation that goes to (1, …, 1): five of fifteen attack, and the accuracy is 0.7 at the goal."""
    draws = np.random.default_rng(0)
    model, passed = np.zeros(400), []
    for _ in range(6):
        honest = [0.3 * (1 - model) + 0.02 * draws.normal(size=model.size) for _ in range(15)]
        sent = [np.asarray(attack(update.copy()), dtype=float) for update in honest[:5]] + honest[5:]
        norms = np.array([np.linalg.norm(update) for update in sent])
        limits = np.array([1.5 * np.median(np.delete(norms, k)) for k in range(15)])
        passed.extend(norms[:5] <= limits[:5])
        model = model + np.mean(
            [update for update, norm, most in zip(sent, norms, limits, strict=True) if norm <= most], axis=0
        )
    return 0.7 - 0.02 * float(np.linalg.norm(1 - model)), float(np.mean(passed))


def trimmed_mean(updates, f, low=None, high=None, axis=0):
    low, high = f if low is None else low, f if high is None else high
    return np.sort(updates, axis=axis)[low : len(updates) - high].mean(axis=0)


def sorted_in_place(updates, f):
    updates.sort(axis=0)
    return updates[f : len(updates) - f].mean(axis=0)


def without_clients(updates, scores, low, high):
    return updates[np.argsort(scores)[low : len(updates) - high]].mean(axis=0)


def by_magnitude(updates, low, high):
    order = np.argsort(np.abs(updates), axis=0)[low : len(updates) - high]
    return np.take_along_axis(updates, order, axis=0).mean(axis=0)


def without_all_that_are_equal(updates, f):
    for _ in range(f):
        low, high = np.nanmin(updates, axis=0), np.nanmax(updates, axis=0)
        updates = np.where((updates > low) & (updates < high), updates, np.nan)
    return np.nanmean(updates, axis=0)


def winsorized(updates, f):
    ordered = np.sort(updates, axis=0)
    return np.clip(updates, ordered[f], ordered[len(updates) - f - 1]).mean(axis=0)


def by_loop(updates, f):
    """The same trimmed mean in plain Python."""
    columns = [sorted(column)[f : len(updates) - f] for column in updates.T.tolist()]
    return [sum(column) / len(column) for column in columns]


def by_torch(updates, f):
    """The same trimmed mean in PyTorch."""
    ordered, _ = torch.from_numpy(updates).sort(dim=0)
    return ordered[f : len(ordered) - f].mean(dim=0)


def doubled_in_place(honest):
    honest *= -1
    return honest


def combine(*, finite="all", bound=np.median, weights="same", divide="left", clip="norms", nothing="raise"):
    """The server's step with a mistake."""

    def step(updates, examples):
        number = np.isnan(updates) if finite == "nan only" else ~np.isfinite(updates)
        good = {
            "never": np.ones(len(updates), dtype=bool),
            "first number": ~number[:, 0],
            "any number": ~number.all(axis=1),
        }.get(finite, ~number.any(axis=1))
        if finite == "zeros":
            updates, good = np.where(good[:, None], updates, 0.0), np.ones(len(updates), dtype=bool)
        if finite == "numbers":
            updates, good = np.where(number, 0.0, updates), np.ones(len(updates), dtype=bool)
        every = np.linalg.norm(updates, axis=1)
        kept, examples = updates[good], examples[good]
        if not len(kept):
            if nothing == "zeros":
                return np.zeros(updates.shape[1])
            raise {"raise": ValueError, "other": KeyError}[nothing]("nothing is left")
        norms = np.linalg.norm(kept, axis=1)
        limit = bound(norms) if finite != "in the median" else np.median(np.where(good, every, np.inf))
        safe = norms if clip == "by zero" else np.maximum(norms, 1e-12)
        factors = {"always": limit / safe, "to one": 1 / safe}.get(clip, np.minimum(1, limit / safe))
        clipped = {
            "numbers": kept.clip(-limit, limit),
            "nothing": kept,
            "drop": np.where(norms[:, None] <= limit, kept, 0.0),
        }.get(clip, factors[:, None] * kept)
        shares = {
            "same": np.ones(len(kept)),
            "capped": np.minimum(examples, 15.0),
            "plausible": np.where(examples > 100, 10.0, examples),
            "some": (examples > 0).astype(float),
        }.get(weights, examples)
        total = (shares[:, None] * clipped).sum(axis=0)
        if divide == "nothing":
            return total
        if clip == "drop":
            return total / (norms <= limit).sum()
        return total / (len(updates) if divide == "all" else shares.sum())

    return step


def of_more_than(most, wrong):
    """The right step, and another one where there are more finite updates."""

    def step(updates, examples):
        return (wrong if np.isfinite(updates).all(axis=1).sum() > most else combine())(updates, examples)

    return step


def scaled_first(updates, examples):
    """The right step, with norms that do not overflow."""
    kept = [update for update in updates.tolist() if all(map(math.isfinite, update))]
    if not kept:
        raise ValueError("nothing is left")
    norms = [math.hypot(*update) for update in kept]
    middle = float(np.median(norms))
    clipped = [
        [value / norm * min(norm, middle) if norm else 0.0 for value in update]
        for update, norm in zip(kept, norms, strict=True)
    ]
    return [sum(column) / len(kept) for column in zip(*clipped, strict=True)]


def overflowing(updates, examples):
    """A norm that is not a number where numbers are huge."""
    kept = updates[np.isfinite(updates).all(axis=1)]
    if not len(kept):
        raise ValueError("nothing is left")
    norms = np.linalg.norm(kept, axis=1)
    directions = kept / np.maximum(norms, 1e-12)[:, None]
    return (directions * np.minimum(norms, np.median(norms))[:, None] + 0 * (norms - norms)[:, None]).mean(axis=0)


def normalized_in_place(updates, examples):
    updates[~np.isfinite(updates)] = 0.0
    updates /= 2
    return updates.mean(axis=0)


class TestRobustness(LessonTests):
    lesson = Lesson(
        notebook="09_robustness",
        small={
            "max_images": 220,
            "num_rounds": 1,
            "num_seeds": 1,
        },
        metrics={
            "model_replacement_off",
            "iid_no_attack_mean_test_accuracy_per_seed",
            "iid_sign_flip_multi_krum_test_accuracy_per_seed",
            "few_classes_inner_product_bulyan_test_accuracy_per_seed",
            "iid_backdoor_mean_success_per_seed",
            "flip_50_last_test_accuracy_per_seed",
            "turned_round_100_x_the_examples_test_accuracy_per_seed",
            "few_classes_flipped_labels_distance_caught_per_seed",
            "ditto_sign_flip_own_accuracy_per_seed",
            "iid_1_flips_in_groups_test_accuracy_per_seed",
            "other_twin_left_out_per_seed",
        },
        bad=[
            ({"num_clients": 10}, "num_clients must be >= 11, got 10"),
            ({"num_attackers": 1}, "num_attackers must be >= 2, got 1"),
            (
                {"num_attackers": 3},
                "num_attackers must be at most 2 for num_clients 11, since Bulyan needs 4 times as many clients plus 3,"
                " got 3",
            ),
            ({"classes_per_client": 0}, "classes_per_client must be >= 1, got 0"),
            ({"max_images": 99}, "max_images must be >= 100, got 99"),
            (
                {"max_images": 100, "num_clients": 15},
                "max_images must be at least 10 times num_clients (15), got 100 training images",
            ),
            ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ],
        wrong={
            "breakdown": [
                (3, "must be three numbers"),
                ((0, 3), "must be three numbers"),
                ((0, 0.15, 0.5), "not shares"),
                ((0, 3, 21), "from 0 to 20"),
                ((1, 3, 9), "Mean: one attacker is enough"),
                ((9, 3, 9), "How large must a single number be"),
                ((0, 6, 9), "stand at the same end"),
                ((0, 14, 9), "how many numbers are left in the middle"),
                ((0, 4, 9), "What does the last one do"),
                ((0, 9, 9), "cuts all but the middle"),
                ((0, 2, 9), "Trimmed mean: it survives more"),
                ((0, 5, 9), "may all stand at one"),
                ((0, 3, 10), "the mean of the two in the middle"),
                ((0, 3, 11), "are the majority"),
                ((0, 3, 6), "Median: it survives more"),
                ((0, 3, 17), "more than half"),
                (("none", 3, 9), "must be a number"),
            ],
            "trimmed": [
                (lambda u, f: u.mean(axis=0), "the plain mean"),
                (lambda u, f: np.median(u, axis=0), "That is the median"),
                (lambda u, f: trimmed_mean(u, f, low=0), "Only the largest are cut"),
                (lambda u, f: trimmed_mean(u, f, high=0), "Only the smallest are cut"),
                (lambda u, f: trimmed_mean(u, f, 0, 2 * f), "All 2f are cut at the top"),
                (lambda u, f: trimmed_mean(u, f, 2 * f, 0), "All 2f are cut at the bottom"),
                (lambda u, f: trimmed_mean(u, f, f // 2, f - f // 2), "You cut f numbers in all"),
                (lambda u, f: trimmed_mean(u, f // 2), "You cut f numbers in all"),
                (lambda u, f: trimmed_mean(u, 2), "You cut f numbers in all"),
                (lambda u, f: trimmed_mean(u, f, high=f + 1), "one number too many at the top"),
                (lambda u, f: trimmed_mean(u, f, high=f - 1), "one number too few at the top"),
                (lambda u, f: trimmed_mean(u, f + 1), "You cut 5 numbers at each end"),
                (lambda u, f: u[f : len(u) - f].mean(axis=0), "The numbers are not sorted"),
                (lambda u, f: trimmed_mean(u, f, axis=1), "within each client"),
                (lambda u, f: np.sort(u, axis=1)[:, f : u.shape[1] - f].mean(axis=1), "for each of the 13 clients"),
                (lambda u, f: by_magnitude(u, f, f), "You sort by magnitude"),
                (lambda u, f: by_magnitude(u, 0, 2 * f), "the largest magnitudes"),
                (lambda u, f: by_magnitude(u, 0, f), "the f largest magnitudes"),
                (lambda u, f: without_clients(u, np.linalg.norm(u, axis=1), f, f), "You drop whole clients"),
                (lambda u, f: without_clients(u, u.sum(axis=1), f, f), "You drop whole clients"),
                (
                    lambda u, f: without_clients(u, np.linalg.norm(u - np.median(u, axis=0), axis=1), 0, 2 * f),
                    "You drop whole clients",
                ),
                (lambda u, f: np.sort(u, axis=0)[f : len(u) - f].sum(axis=0) / len(u), "You divide by n."),
                (lambda u, f: np.sort(u, axis=0)[f : len(u) - f].sum(axis=0) / (len(u) - f), "You divide by n - f"),
                (lambda u, f: np.sort(u, axis=0)[f : len(u) - f].sum(axis=0), "the sum of what is left"),
                (winsorized, "where they still count"),
                (lambda u, f: np.sort(u, axis=0)[f:-f].sum(axis=0) / (len(u) - 2 * f), "With f = 0 nothing is cut"),
                (lambda u, f: trimmed_mean(u, f) if f else u[0], "With f = 0 nothing is cut"),
                (without_all_that_are_equal, "one 1 is cut and the other one stays"),
                (sorted_in_place, "must leave the array"),
                (lambda u, f: trimmed_mean(u, 3), "You cut 3 numbers at each end, and f is 4"),
                (lambda u, f: np.zeros(u.shape[1]), "must become"),
                (lambda u, f: 0.0, "its shape is ()"),
                (lambda u, f: "a mean", "must be an array of numbers"),
                (0.5, "must be a function"),
            ],
            "passes": [
                (lambda honest: honest, "that is no attack"),
                (lambda honest: 0 * honest, "a free rider"),
                (lambda honest: 0.5 * honest, "still points where the others go"),
                (lambda honest: 1.4 * honest, "still points where the others go"),
                (lambda honest: -2 * honest, "2 times as long"),
                (lambda honest: -100 * honest, "100 times as long"),
                (lambda honest: np.ones(honest.size), "times as long"),
                (lambda honest: honest * np.nan, "not finite"),
                (lambda honest: honest[:-1], "its shape is (2,)"),
                (lambda honest: np.linalg.norm(honest), "its shape is ()"),
                (doubled_in_place, "must leave the array"),
                (lambda honest: -1.5 * honest, "keep a distance from the limit"),
                (lambda honest: -0.05 * honest, "The filter lets longer updates pass"),
                (lambda honest: 0.3 * np.where(np.arange(honest.size) % 2, honest, -honest), "nearly at right angles"),
                (lambda honest: np.where(np.arange(honest.size) % 8, honest, 0), "points where an honest one does"),
                (lambda honest: 1 / 0 if honest.size == 400 else -honest, "In the federation the attack ended with"),
                (-1.25, "must be a function"),
            ],
            "threshold": [
                (0.4, "from 0.5 to 10"),
                (11, "from 0.5 to 10"),
                (math.nan, "from 0.5 to 10"),
                (3.55, "has one decimal"),
                (0.5, "A higher threshold flags fewer"),
                (10.0, "A lower threshold flags more"),
                ("high", "must be a number"),
            ],
            "bug_hunt": [
                (combine(finite="never", bound=np.mean, weights="claimed"), "99 % of the say"),
                (combine(weights="capped"), "must become (0.5, 0.5)"),
                (combine(weights="plausible"), "20 examples still counts more"),
                (combine(weights="some"), "that claims 0 examples"),
                (combine(divide="nothing"), "added up"),
                (combine(bound=np.mean), "which one client has moved"),
                (combine(bound=np.min), "must become (0.2, 0.6)"),
                (combine(bound=lambda norms: np.sort(norms)[(len(norms) - 1) // 2]), "the two in the middle"),
                (combine(clip="nothing"), "Nothing is clipped"),
                (combine(clip="to one"), "All updates get the norm 1"),
                (combine(clip="drop"), "The long update is left out"),
                (combine(clip="numbers"), "Each number is clipped by itself"),
                (combine(clip="always"), "is made longer"),
                (combine(clip="by zero", bound=lambda norms: np.median(norms) or np.nan), "must be zeros"),
                (combine(finite="never"), "is never true"),
                (combine(finite="nan only"), "NaN is not all"),
                (combine(finite="first number"), "Leave such an update out"),
                (combine(finite="any number"), "Leave such an update out"),
                (combine(finite="zeros"), "is replaced by zeros"),
                (combine(finite="numbers"), "the 8 counts"),
                (combine(finite="in the median"), "before you look at the norms"),
                (combine(divide="all"), "still divide by 3"),
                (combine(nothing="zeros"), "there is nothing to combine"),
                (combine(nothing="other"), "a KeyError is"),
                (of_more_than(4, combine(bound=np.mean)), "the bound is the mean of the norms"),
                (of_more_than(8, combine(divide="nothing")), "must come out"),
                (of_more_than(4, combine(weights="claimed")), "what clients claim counts"),
                (of_more_than(4, combine(clip="nothing")), "nothing is clipped"),
                (of_more_than(4, combine(divide="all")), "must come out"),
                (of_more_than(4, combine(bound=lambda norms: np.sort(norms)[3])), "must come out"),
                (of_more_than(4, lambda updates, examples: combine()(updates[:5], examples[:5])), "must come out"),
                (overflowing, "its norm overflows"),
                (normalized_in_place, "leave the arrays"),
                (lambda updates, examples: 1.0, "its shape is ()"),
            ],
        },
        given={
            "breakdown": {"num_clients": 20, "assumed": 3},
            "passes": {"run": run, "honest_accuracy": run(lambda honest: honest)[0]},
            "threshold": {"scores": SCORES, "attackers": ATTACKERS},
        },
        names={"np": np, "mistakes": mistakes, "asked_clients": 20},
        in_browser=Typed("breakdown", wrong="(1, 3, 9)", sentence="one attacker is enough", right="(0, 3, 9)"),
    )


# Right answers in another form


@pytest.mark.parametrize("answer", [(0, 3, 9), [0, 3, 9], np.array([0, 3, 9]), (0.0, 3.0, 9.0)])
def test_three_numbers_may_come_in_any_form(answer):
    assert TestRobustness.lesson.check(TestRobustness.lesson.exercises["breakdown"], answer).status == "correct"


@pytest.mark.parametrize(
    ("n", "f", "right"),
    [(10, 2, (0, 2, 4)), (15, 3, (0, 3, 7)), (14, 3, (0, 3, 6)), (7, 3, (0, 3, 3)), (5, 0, (0, 0, 2))],
)
def test_a_breakdown_point_follows_the_number_of_clients(n, f, right):
    exercise = TestRobustness.lesson.exercises["breakdown"]
    assert exercise.check(right, num_clients=n, assumed=f).status == "correct"
    assert exercise.check((*right[:2], right[2] + 1), num_clients=n, assumed=f).status == "not yet"
    assert exercise.check((right[0], f + 1, right[2]), num_clients=n, assumed=f).status == "not yet"


def test_of_an_odd_number_of_clients_more_than_half_are_too_many_for_the_median():
    verdict = TestRobustness.lesson.exercises["breakdown"].check((0, 3, 8), num_clients=15, assumed=3)
    assert "8 of 15 are the majority" in verdict.message


@pytest.mark.parametrize("answer", [by_loop, by_torch, lambda updates, f: trimmed_mean(updates, f).tolist()])
def test_a_trimmed_mean_may_be_written_in_any_way(answer):
    assert TestRobustness.lesson.exercises["trimmed"].check(answer).status == "correct"


@pytest.mark.parametrize(
    "attack",
    [
        lambda honest: -honest,
        lambda honest: (-1.3 * honest).tolist(),
        lambda honest: -1.2 * torch.from_numpy(honest),
        lambda honest: -1.2 * np.linalg.norm(honest) * np.sign(honest) / honest.size**0.5,
    ],
)
def test_every_attack_that_passes_and_does_harm_is_right(attack):
    verdict = TestRobustness.lesson.check(TestRobustness.lesson.exercises["passes"], attack)
    assert verdict.status == "correct", verdict


@pytest.mark.parametrize(("after", "status"), [(0.62, "correct"), (0.64, "not yet"), (0.71, "not yet")])
def test_the_accuracy_must_fall_by_a_tenth_of_what_it_was(after, status):
    passes = TestRobustness.lesson.exercises["passes"]
    verdict = passes.check(lambda honest: -honest, run=lambda attack: (after, 1.0), honest_accuracy=0.7)
    assert verdict.status == status
    assert ("by a tenth of what it was: by 7.0 points" in verdict.message) == (status == "not yet")


def test_every_threshold_with_the_fewest_mistakes_is_right_and_no_other():
    exercise = TestRobustness.lesson.exercises["threshold"]
    limits = [tenths / 10 for tenths in range(5, 101)]
    least = min(map(mistakes, limits))
    assert 1 <= least < max(map(mistakes, limits))  # the odd honest client and the quiet attacker
    for limit in limits:
        status = exercise.check(limit, scores=SCORES, attackers=ATTACKERS).status
        assert (status == "correct") == (mistakes(limit) == least), limit


def test_the_servers_step_may_be_written_in_any_way():
    exercise = TestRobustness.lesson.exercises["bug_hunt"]
    at_least = combine(bound=lambda norms: np.median(np.maximum(norms, 1e-12)))
    for answer in (scaled_first, at_least, combine(), lambda u, examples: torch.from_numpy(combine()(u, examples))):
        assert exercise.check(answer).status == "correct", exercise.check(answer)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("breakdown", "prediction"),
        ("trimmed", "trimmed"),
        ("passes", "attack"),
        ("threshold", "limit"),
        ("bug_hunt", "mended"),
    ],
)
def test_a_solution_defines_its_answer_and_no_name_that_the_notebook_uses(exercise, answer):
    names = {"__builtins__": __builtins__, "np": np, "mistakes": mistakes, "asked_clients": 20, "assumed": 3}
    before = set(names)
    exec(TestRobustness.lesson.exercises[exercise].solution_source, names)
    assert set(names) - before == {answer}
