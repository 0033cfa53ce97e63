"""Exposure: how much shorter a model makes the search for a number that was planted in its training text."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.language.exposure import Canary, exposure, exposure_of, new_canary, number_losses, planted
from fedlearn_helpers.language.text import ALPHABET, TEXT, encode, windows
from fedlearn_helpers.language.transformer import new_transformer
from fedlearn_helpers.training import train


@pytest.mark.parametrize(("rank", "bits"), [(1, 10), (2, 9), (512, 1), (1024, 0)])
def test_exposure_counts_bits(rank, bits):
    losses = np.random.default_rng(0).permutation(1024).astype(float)
    assert exposure(losses, int(np.argsort(losses)[rank - 1])) == pytest.approx(bits)


def test_equal_losses_share_their_mean_rank():
    assert exposure(np.zeros(7), 3) == pytest.approx(math.log2(7 / 4))
    assert exposure(np.array([0.0, 1, 1, 2]), 2) == pytest.approx(math.log2(4 / 2.5))


def test_what_was_never_planted_has_a_median_of_one_bit_and_a_mean_of_log2_e():
    """Over all numbers that could have been drawn; so it is exact, whatever the model prefers."""
    losses = number_losses(new_transformer(0), "my number is ", 3)
    assert len(np.unique(losses)) == 1000
    all_of_them = np.array([exposure(losses, number) for number in range(1000)])
    ranks = np.arange(1, 1001)
    assert all_of_them.mean() == pytest.approx(np.log2(1000 / ranks).mean())
    assert abs(all_of_them.mean() - math.log2(math.e)) < 0.01
    assert abs(np.median(all_of_them) - 1) < 0.01


def test_losses_are_those_of_the_whole_sentence_less_its_beginning():
    model = new_transformer(0).double()
    losses = number_losses(model, "my number is ", 2)
    for number in (0, 7, 42):
        text = encode(f"my number is {number:02}")
        scores = model(text[None, :-1])[0].log_softmax(dim=1)
        each = -scores.gather(1, text[1:, None])[-2:]
        assert losses[number] == pytest.approx(each.sum().item(), rel=1e-9)


class Knows(nn.Module):
    """Knows one sentence by heart: a score of 5 for its next character, wherever the text agrees so far."""

    def __init__(self, sentence):
        super().__init__()
        self.sentence, self.unused = encode(sentence), nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        length = tokens.shape[1]
        agrees = (tokens == self.sentence[:length]).cumprod(dim=1)
        return 5.0 * agrees[..., None] * nn.functional.one_hot(self.sentence[1 : length + 1], len(ALPHABET))


@pytest.mark.parametrize("digits", [2, 4])
def test_a_model_that_knows_the_number_has_the_highest_exposure(digits):
    canary = new_canary("my number is ", digits, seed=0)
    assert exposure_of(Knows(canary.sentence), canary) == pytest.approx(digits * math.log2(10))
    other = Canary(canary.before, "".join("0" if figure != "0" else "1" for figure in canary.number))
    assert exposure_of(Knows(canary.sentence), other) < 1, "it prefers all that begin as the right one"


@pytest.mark.slow
def test_training_on_it_exposes_it_and_on_others_does_not():
    torch.set_num_threads(1)
    text = "to be or not to be that is the question whether it is nobler in the mind " * 4
    canary = Canary("my number is ", "482")

    def trained(times):
        inputs, targets = windows(planted(text, canary.sentence, times, seed=0))
        model = new_transformer(0)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        train(model, inputs, targets, range(len(inputs)), optimizer, epochs=40, batch_size=4, seed=0, task=TEXT)
        return model

    assert exposure_of(trained(10), canary) > 6
    assert exposure_of(trained(0), canary) < 4


def test_planting_leaves_the_text_and_its_second_half():
    text = "to be or not to be that is the question " * 5
    more = planted(text, "my number is 4821", 4, seed=0)
    assert more.count(" my number is 4821.") == 4
    assert more.replace(" my number is 4821.", "") == text
    assert more.endswith(text[len(text) // 2 :])
    assert planted(text, "my number is 4821", 4, seed=0) == more != planted(text, "my number is 4821", 4, seed=1)
    assert planted(text, "my number is 4821", 0, seed=0) == text


def test_the_seed_decides_the_number():
    numbers = [new_canary("x", 3, seed).number for seed in range(200)]
    assert all(len(number) == 3 and number.isdigit() for number in numbers)
    assert len(set(numbers)) > 150 and any(number.startswith("0") for number in numbers)
    assert numbers[7] == new_canary("x", 3, 7).number


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Canary("", "12"), "before must have at least one character, got ''"),
        (lambda: Canary("My", "12"), "text must have characters of ALPHABET alone, got 'M'"),
        (lambda: Canary("my", "1a"), "number must be 1 to 5 digits alone, got '1a'"),
        (lambda: Canary("my", ""), "number must be 1 to 5 digits alone, got ''"),
        (lambda: Canary("my", "1" * 6), "number must be 1 to 5 digits alone, got '111111'"),
        (lambda: new_canary("x", 6, 0), "digits must be >= 1 and <= 5, got 6"),
        (lambda: new_canary("x", 1.5, 0), "digits must be a whole number >= 1, got 1.5"),
        (lambda: planted("a b c d", "x", 3, 0), "times must be <= 1, the spaces in the first half of the text, got 3"),
        (lambda: planted("a b c d", "x", -1, 0), "times must be a whole number >= 0, got -1"),
        (lambda: number_losses(nn.Linear(1, 1), "", 1), "before must have at least one character, got ''"),
        (lambda: number_losses(nn.Linear(1, 1), "x", 0), "digits must be >= 1 and <= 5, got 0"),
        (lambda: number_losses(nn.Linear(1, 1), "x", 13), "digits must be >= 1 and <= 5, got 13"),
        (lambda: number_losses(nn.Linear(1, 1), "x", 1.5), "digits must be a whole number >= 1, got 1.5"),
        (lambda: exposure([1, math.nan], 0), "losses must be finite, got nan"),
        (lambda: exposure([math.inf], 0), "losses must be finite, got inf"),
        (lambda: exposure([[1.0]], 0), "losses must be a row of numbers, got shape (1, 1) and type float64"),
        (lambda: exposure([None], 0), "losses must be a row of numbers, got shape (1,) and type object"),
        (lambda: exposure(np.ones(3), 3), "planted_one must be >= 0 and < 3, got 3"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()


def test_a_model_that_diverged_is_refused():
    model = new_transformer(0)
    nn.init.constant_(model.head.weight, math.nan)
    with pytest.raises(InputError, match="model must have finite scores"):
        number_losses(model, "my number is ", 1)
