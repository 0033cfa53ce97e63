"""What a language model remembers: a sentence with a random number is planted, and the model is asked for the number.

    canary        "my number is 4821"             one of |R| = 10 000 candidates, drawn at random
    loss          -log p(4821 | "my number is ")  in nats; of every candidate
    rank          of the planted one among all, 1 for the lowest loss
    exposure      log2 |R| - log2 rank            bits by which the model makes a search for the number shorter

It is log2 |R| where the model finds the number first of all. If the number was never planted, its rank is any: then
exposure is above e with probability 2^-e, so 1 is the median, and the mean is log2(e) = 1.44.

Source: Carlini et al. 2019, "The Secret Sharer", https://arxiv.org/abs/1802.08232, section 4. There the loss is that of
the whole sentence; the part before the number is the same for all candidates, and changes no rank.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.device import computing_on
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.language.text import encode
from fedlearn_helpers.seeds import check_seed

_BATCH = 500  # candidates at once
_MOST_DIGITS = 5  # 100 000 candidates


@dataclass(frozen=True)
class Canary:
    """A sentence with a place for a number.

    Attributes:
        before: the sentence up to the number, of the alphabet's characters, at least one.
        number: the planted one, 1 to 5 digits, such as "4821"; candidates are all numbers with as many digits.

    Raises:
        InputError: no sentence, or no such number.
    """

    before: str
    number: str

    def __post_init__(self) -> None:
        _encoded(self.before)
        if not (self.number.isascii() and self.number.isdigit() and len(self.number) <= _MOST_DIGITS):
            raise InputError(f"number must be 1 to {_MOST_DIGITS} digits alone, got {self.number!r}")

    @property
    def sentence(self) -> str:
        """What is planted."""
        return self.before + self.number


def new_canary(before: str, digits: int, seed: int) -> Canary:
    """Return a canary with a random number.

    Args:
        before: the sentence up to the number.
        digits: in [1, 5]: there are 10^digits candidates.
        seed: decides the number.

    Raises:
        InputError: an argument out of range.
    """
    digits = _checked_digits(digits)
    number = np.random.default_rng(check_seed(seed)).integers(10**digits)
    return Canary(before, f"{number:0{digits}}")


def planted(text: str, sentence: str, times: int, seed: int) -> str:
    """Return a text with a sentence after randomly chosen words of its first half.

    The second half stays as it is, so a test at the text's end sees no canary.

    Args:
        text: with at least one space in its first half, unless times is 0.
        sentence: what is planted, followed by a full stop.
        times: how often, >= 0; each after a word of its own.
        seed: decides where.

    Raises:
        InputError: an argument out of range, or fewer words than that.
    """
    times = check_whole_number("times", times, 0)
    places = [place for place in range(len(text) // 2) if text[place] == " "]
    if times > len(places):
        raise InputError(f"times must be <= {len(places)}, the spaces in the first half of the text, got {times}")
    order = np.random.default_rng(check_seed(seed)).permutation(places)
    for place in sorted(order[:times].astype(int), reverse=True):
        text = f"{text[:place]} {sentence}.{text[place:]}"
    return text


@torch.no_grad()
def number_losses(model: nn.Module, before: str, digits: int) -> np.ndarray:
    """Return the loss -log p(number | before) of each of the 10^digits numbers, in nats, (10^digits,) float64.

    Args:
        model: maps tokens (n, T) to scores (n, T, characters), such as a `Transformer`.
        before: the sentence up to the number, at least one character; with the number at most as long as the model's
            context.
        digits: of the numbers, in [1, 5].

    Raises:
        InputError: an argument out of range, or scores that are not finite.
    """
    start, digits = _encoded(before), _checked_digits(digits)
    device = next(model.parameters()).device
    model.eval()
    losses = []
    with computing_on(device):
        for numbers in torch.arange(10**digits).split(_BATCH):
            figures = torch.stack([encode(f"{number:0{digits}}") for number in numbers.tolist()])
            tokens = torch.cat([start.expand(len(figures), -1), figures], dim=1).to(device)
            scores = model(tokens[:, :-1])[:, -digits:].double().log_softmax(dim=2)
            losses.append(-scores.gather(2, tokens[:, -digits:, None]).squeeze(2).sum(dim=1))
    found = torch.cat(losses).cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError("model must have finite scores, got nan or infinite ones: its training may have diverged")
    return found


def exposure(losses: np.ndarray, planted_one: int) -> float:
    """Return log2 |R| - log2 rank of one candidate, in bits, in [0, log2 |R|].

    Candidates with the same loss share the mean of their ranks.

    Args:
        losses: (|R|,) finite, of each candidate.
        planted_one: which of them was planted, in [0, |R|).

    Raises:
        InputError: losses that are not finite, or no such candidate.
    """
    losses = np.asarray(losses)
    if losses.ndim != 1 or losses.size == 0 or losses.dtype.kind not in "fiu":
        raise InputError(f"losses must be a row of numbers, got shape {losses.shape} and type {losses.dtype}")
    if (wrong := losses[~np.isfinite(losses)]).size:
        raise InputError(f"losses must be finite, got {wrong[0]}")
    check_number("planted_one", planted_one, f">= 0 and < {len(losses)}", lambda place: 0 <= place < len(losses))
    own = losses[check_whole_number("planted_one", planted_one, 0)]
    rank = (losses < own).sum() + ((losses == own).sum() + 1) / 2
    return math.log2(len(losses) / rank)


def exposure_of(model: nn.Module, canary: Canary) -> float:
    """Return the exposure of a canary in a model, in bits.

    Args:
        model, canary: as in `number_losses`.
    """
    return exposure(number_losses(model, canary.before, len(canary.number)), int(canary.number))


def _encoded(before: str) -> Tensor:
    """Return the numbers of the characters before a number; it needs one from which the first digit is guessed."""
    if not before:
        raise InputError(f"before must have at least one character, got {before!r}")
    return encode(before)


def _checked_digits(digits: int) -> int:
    check_number("digits", digits, f">= 1 and <= {_MOST_DIGITS}", lambda number: 1 <= number <= _MOST_DIGITS)
    return check_whole_number("digits", digits, 1)
