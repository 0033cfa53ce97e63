"""The lesson of notebook 08."""

import re

import numpy as np
import pytest
import torch
from in_browser import cell
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.lessons.privacy import figures
from fedlearn_helpers.privacy import accountant, inversion, pictures, victims
from fedlearn_helpers.tasks import normalize

MODULUS = 2**32


def epsilon_of(z):
    return accountant.epsilon(0.1, z, 20, 1e-5)


def norm_one(update, clip_norm):
    norm = np.linalg.norm(update)
    return update / norm if norm > clip_norm else update


def masked(update, added, subtracted, *, scale=2**16, modulus=MODULUS):
    whole = np.rint(update * scale).astype(np.int64)
    whole = whole + sum(mask.astype(np.int64) for mask in added) - sum(mask.astype(np.int64) for mask in subtracted)
    return whole % modulus if modulus else whole


def received(messages, *, scale=2**16, signed=True):
    total = sum(messages) % MODULUS
    return np.where(total >= MODULUS / 2, total - MODULUS, total) / scale if signed else total / scale


def with_small_masks(update, added, subtracted):
    return masked(update, [mask & 0xFF for mask in added], [mask & 0xFF for mask in subtracted])


def as_floats(update, added, subtracted):
    return update + sum(mask.astype(float) for mask in added) - sum(mask.astype(float) for mask in subtracted)


def private(*, clipped="norms", by_examples=False, divide="expected", noise=1.0, own_seed=False):
    def private_mean(updates, examples, clip_norm, noise_multiplier, expected, rng):
        rng = np.random.default_rng(0) if own_seed else rng
        if clipped == "numbers":
            updates = updates.clip(-clip_norm, clip_norm)
        elif clipped:
            axis = None if clipped == "all" else 1
            norms = np.linalg.norm(updates, axis=axis, keepdims=True)
            limit = 1.0 if clipped == "to one" else clip_norm
            updates = updates * np.minimum(1, limit / np.maximum(norms, 1e-12))
        shares = examples / examples.sum() * len(updates) if by_examples else np.ones(len(updates))
        total = (shares[:, None] * updates).sum(axis=0)
        count = {"expected": expected, "came": len(updates), "nothing": 1}[divide]
        return total / count + rng.normal(0, noise * noise_multiplier * clip_norm / expected, updates.shape[1])

    return private_mean


def spent(sampling_rate, noise_multiplier, rounds, delta):
    return accountant.epsilon(sampling_rate, noise_multiplier, rounds, delta)


def spent_without_sampling(sampling_rate, noise_multiplier, rounds, delta):
    return accountant.epsilon(1.0, noise_multiplier, rounds, delta)


class TestPrivacy(LessonTests):
    lesson = Lesson(
        notebook="08_privacy",
        small={
            "num_pictures": 2,
            "largest_batch": 4,
            "attack_steps": 20,
            "num_members": 20,
            "member_epochs": 2,
            "num_shadows": 4,
            "num_clients": 40,
            "images_per_client": 2,
            "num_rounds": 2,
            "num_seeds": 2,
        },
        metrics={
            "dense_layer_largest_error",
            "sigmoid_network_psnr_per_picture",
            "the_cnn_by_cosine_psnr_per_picture",
            "repeats_the_steps_psnr_per_picture",
            "batch_4_psnr_per_picture",
            "likelihood_ratio_auc_per_seed",
            "likelihood_ratio_tpr_at_1_percent_fpr_per_seed",
            "on_relabelled_images_auc_per_seed",
            "epsilon_rdp",
            "epsilon_library_rdp",
            "epsilon_library_prv",
            "many_noise_1_test_accuracy_per_seed",
            "unprotected_noise_0_test_accuracy_per_seed",
            "secure_sum_seconds",
        },
        bad=[
            ({"noise_multiplier": 0.0}, "noise_multiplier must be >= 0.3, got 0.0"),
            ({"noise_multiplier": 101.0}, "noise_multiplier must be <= 100, got 101.0"),
            ({"clip_norm": 0.0}, "clip_norm must be > 0, got 0.0"),
            ({"delta": 0.0}, "delta must be > 0, got 0.0"),
            ({"delta": 1.0}, "delta must be < 1, got 1.0"),
            ({"num_shadows": 5}, "num_shadows must be an even number"),
            ({"num_shadows": 2}, "num_shadows must be >= 4, got 2"),
            ({"sampling_rate": 0.0}, "sampling_rate must be > 0, got 0.0"),
            (
                {"sampling_rate": 0.01, "num_clients": 50},
                "sampling_rate must be at least 1 / num_clients (0.02), so that a round has a client, got 0.01",
            ),
            ({"num_pictures": 9}, "num_pictures must be <= 8, got 9"),
            ({"attack_steps": 19}, "attack_steps must be >= 20, got 19"),
            ({"images_per_client": 11}, "images_per_client must be at most 10 for num_clients 1000"),
            ({"num_members": 5001}, "num_members must be at most 5000, half of the 10000 training images, got 5001"),
        ],
        wrong={
            "clip": [
                (lambda update, clip_norm: np.clip(update, -clip_norm, clip_norm), "Each number is clipped by itself"),
                (lambda update, clip_norm: update, "comes out as it is"),
                (lambda update, clip_norm: update / np.abs(update).sum(), "sum of the magnitudes"),
                (norm_one, "Where is clip_norm used"),
                (lambda update, clip_norm: update * clip_norm / np.linalg.norm(update), "you make it larger"),
                (
                    lambda update, clip_norm: (
                        update * clip_norm / np.linalg.norm(update) if np.abs(update).max() > clip_norm else update
                    ),
                    "Compare the norm, not each number",
                ),
                (
                    lambda update, clip_norm: (
                        update * clip_norm / np.linalg.norm(update) if np.linalg.norm(update) > 1 else update
                    ),
                    "above clip_norm 0.1",
                ),
                (
                    lambda update, clip_norm: (
                        update * clip_norm / np.linalg.norm(update) if np.abs(update).sum() > clip_norm else update
                    ),
                    "not the sum of the magnitudes",
                ),
                (lambda update, clip_norm: update.__imul__(clip_norm / 5), "leave the update that it gets"),
                (lambda update, clip_norm: 1.0, "its shape is ()"),
                (lambda update, clip_norm: update * clip_norm / 10, "must become (0.6, -0.8)"),
            ],
            "batches": [
                ("BCA", "Look at fine lines"),
                ("BAC", "That is the other way round"),
                ("ABC", "Look at fine lines"),
                ("ABX", "must name each of A, B, C once"),
                (2, "must name each of A, B, C once"),
            ],
            "noise": [
                (1.0, "epsilon is 4.26, above 3"),
                (2.0, "also enough"),
                (1.25, "has one decimal"),
                (-1, "must be a number above 0"),
                (float("inf"), "must be a number above 0"),
                ("three", "must be a number, and it is 'three'"),
            ],
            "masks": [
                (as_floats, "must be both functions"),
                ((as_floats, sum), "numbers that are not whole"),
                ((lambda update, added, subtracted: update, sum), "the masks are not used"),
                ((lambda *all: masked(*all, modulus=None), received), "below 0 or above 2**32 - 1"),
                ((masked, lambda messages: received(messages, signed=False)), "the upper half of the remainders"),
                ((masked, lambda messages: received(messages, scale=2**15)), "The sum is off by up to"),
                ((with_small_masks, received), "does not hide it"),
                ((masked, lambda messages: received(messages)[:3]), "must have 500 numbers"),
                ((lambda update, added, subtracted: update[:3], sum), "A message must have 500 numbers"),
            ],
            "bug_hunt": [
                (private(), "must be both functions"),
                ((private(clipped=""), spent), "nobody has seen to it that they are"),
                ((private(by_examples=True), spent), "Every client must count the same"),
                ((private(divide="came"), spent), "You divide by the number of clients that came"),
                ((private(divide="nothing"), spent), "The mean is clipped, or the sum, or nothing is divided"),
                ((private(clipped="numbers"), spent), "clip its norm, the root of the squares"),
                ((private(clipped="all"), spent), "not all together"),
                ((private(clipped="to one"), spent), "Where is clip_norm used"),
                ((private(own_seed=True), spent), "Draw it from rng"),
                ((private(noise=0.0), spent), "noise"),
                ((private(noise=4.0), spent), "standard deviation 2 * 1 / 4 = 0.5, and it has"),
                ((private(), spent_without_sampling), "far too modest"),
                ((private(), lambda *all: 1.0), "gives 1"),
                ((private(), lambda *all: accountant.epsilon(0.1, 1.0, 20, 1e-5)), "another federation"),
            ],
        },
        given={
            "batches": {"order": [4, 8, 2], "decibels": [36.0, 23.0, 64.0]},
            "noise": {"epsilon_of": epsilon_of},
        },
        names={"np": np, "accountant": accountant, "shuffled": [4, 8, 2], "epsilon_of": epsilon_of},
        in_browser=Typed("noise", wrong="0.5", sentence="above 3", right="1.0"),
    )


def test_an_order_by_quality_counts_where_a_larger_batch_did_better():
    exercise = TestPrivacy.lesson.exercises["batches"]
    verdict = exercise.check("BCA", order=[4, 8, 2], decibels=[20.0, 64.0, 23.0])
    assert verdict.status == "correct" and "By batch size it is CAB" in verdict.message


# What is shown


def test_the_search_that_is_shown_is_the_packages():
    data = load_dataset("fashion")
    lenet = victims.sigmoid_lenet(data.image_shape, data.num_classes, 0)
    image, label = normalize(data.test_images[:1]), data.test_labels[:1]
    gradient = victims.gradient_of(lenet, image, label)
    names = TestPrivacy.lesson.run_cells("search-code", torch=torch, F=torch.nn.functional, data=data)
    stages = names["dlg"](lenet, gradient, label, 0, turns=3)
    found = inversion.invert(lenet, gradient, label, data.image_shape, seed=0, steps=60)
    assert torch.allclose(stages[-1].clamp(0, 1), found, atol=1e-4)
    assert pictures.psnr(pictures.to_pictures(image), found) > 15


@pytest.mark.parametrize("setting", [(0.1, 1.0, 20, 1e-5), (1.0, 4.0, 10, 1e-5), (0.01, 1.0, 1000, 1e-6)])
def test_the_accountant_that_is_shown_is_the_packages(setting, capsys):
    source = next(one.source for one in cells() if one.id == "accountant-code").split("\n\n\nspent")[0]
    names = {"np": np}
    exec(source, names)
    assert names["by_hand"](*setting) == pytest.approx(accountant.epsilon(*setting), rel=1e-9)


def cells():
    import nbformat

    return nbformat.read(TestPrivacy.lesson.path, as_version=4).cells


def private_federation(**names):
    settings = {"learning_rate": 0.05, "clip_norm": 0.3, "sampling_rate": 0.5, "num_rounds": 3}
    return TestPrivacy.lesson.run_cells("mechanism-code", torch=torch, **{**settings, **names})["dp_fedavg"]


def some_clients(count=40):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn((count, 4, 6), generator=draws)
    return x, torch.nn.functional.one_hot(torch.randint(3, (count, 4), generator=draws), 3).float()


def test_one_client_moves_the_private_sum_by_the_clip_norm_at_most():
    x, y = some_clients()
    far = x.clone()
    far[0] *= 1000
    dp_fedavg = private_federation(sampling_rate=1.0, num_rounds=1)
    one, other = dp_fedavg(x, y, 0.0, 0), dp_fedavg(far, y, 0.0, 0)
    assert float((one - other).norm()) <= 2 * 0.3 / len(x) + 1e-6  # exchanged: twice the sensitivity
    unclipped = private_federation(sampling_rate=1.0, num_rounds=1, clip_norm=1e9)
    assert float((unclipped(x, y, 0.0, 0) - unclipped(far, y, 0.0, 0)).norm()) > 1


def test_the_private_noise_is_as_claimed():
    x, y = torch.zeros((40, 1, 2000)), torch.full((40, 1, 3), 1 / 3)  # clients that do not move
    dp_fedavg = private_federation(sampling_rate=0.5, num_rounds=1)
    assert float(dp_fedavg(x, y, 2.0, 0).std()) == pytest.approx(2.0 * 0.3 / (0.5 * 40), rel=0.03)


# Figures


def test_pictures_say_what_is_in_each_row():
    drawing = figures.pictures({"a": [np.zeros((1, 4, 4))], "b": [np.ones((3, 4, 4))] * 2}, {"b": ["12 dB", "20 dB"]})
    assert drawing.alt == "Pictures, shown row by row: a: 1; b: 12 dB, 20 dB."
    assert [axis.get_title() for axis in drawing.figure.axes] == ["", "", "12 dB", "20 dB"]


def test_the_widget_of_batches_shows_what_was_found(screen):
    picture = np.zeros((1, 4, 4))
    figures.explore_batches([picture] * 2, {1: ([picture], [70.0]), 2: ([picture] * 2, [30.0, 10.0])})
    assert screen.alts[-1].endswith("from the gradient: 70 dB.")
    screen.control("images in the batch").value = 2
    assert screen.alts[-1].endswith("from the gradient: 30 dB, 10 dB.")


def test_the_widget_of_noise_says_what_is_promised(screen):
    def epsilon_of(noise, rounds, share):
        return rounds * share / noise

    figures.explore_noise(epsilon_of, 1.0, 20, 0.1, 1e-5)
    assert "Noise multiplier 1, 20 rounds, 10% of the clients in each: epsilon 2.00 at delta 1e-05." in screen.alts
    screen.control("noise multiplier").value = 2.0
    screen.control("rounds").value = 100
    screen.control("share in a round").value = 1.0
    assert screen.alts[-1].startswith("Noise multiplier 2, 100 rounds, 100% of the clients in each: epsilon 50.00")


def test_the_attack_and_the_model_have_a_panel_each_and_their_own_guess():
    noise = [[0.9, 0.8], [0.6, 0.5]]
    drawing = figures.attack_and_model([0.0, 2.0], [np.inf, 5.31], {"all": noise}, noise, num_classes=10)
    assert drawing.alt == (
        "AUC of the attack and accuracy of the model by noise: attack, all 0.85 without noise and 0.55 with 2; "
        "model 0.85 without noise and 0.55 with 2."
    )
    ticks = [label.get_text() for label in drawing.figure.axes[0].get_xticklabels()]
    assert ticks == ["0\n∞", "2\n5.3"]
    guesses = [axis.lines[-1].get_ydata()[0] for axis in drawing.figure.axes]
    assert guesses == [0.5, 0.1]


def test_a_client_that_is_rarely_there_shows_less():
    def heights(share):
        drawing = figures.noise_promise(lambda noise, rounds, share: 1.0, 1.0, 20, share, 1e-5)
        return [line.get_ydata() for line in drawing.figure.axes[0].lines]

    def apart(lines):
        return np.abs(lines[0] - lines[1]).max()

    assert apart(heights(0.1)) == pytest.approx(0.1 * apart(heights(1.0)))


def test_curves_of_attacks_say_what_is_found_where_few_are_accused():
    drawing = figures.roc({"one": [(np.array([0.0, 0.01, 1.0]), np.array([0.0, 0.2, 1.0]))]})
    assert drawing.alt == "Both axes are logarithmic. one finds 20.0% of the members at 1% false positives."


@pytest.mark.browser
def test_privacy_in_the_browser(opened, expect):
    page = opened("08_privacy")
    widget = cell(page, "figures.explore_noise(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^Noise multiplier 1,"))
    pictures_of_batches = cell(page, "figures.explore_batches(")
    pictures_of_batches.get_by_role("button", name="4").click()
    expect(pictures_of_batches.locator("img")).to_have_attribute("alt", re.compile("images: 4;"))
