"""Text for a character-level model: numbers for characters, windows of equal length, and the task of the next one.

A window of T characters has T targets: at each place the character that comes next.

    text      t o  b e
    inputs    t o  b
    targets   o  b e

Loss and accuracy are those of `tasks.TEXT`: means over all places, the loss in nats per character.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fedlearn_helpers.data.dataset import Examples
from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.tasks import TEXT, in_pieces

ALPHABET = " abcdefghijklmnopqrstuvwxyz0123456789.,;:'!?-"
"""The characters that a model knows; `simplified` makes a text of them."""
CONTEXT = 64
"""How many characters a model looks back."""
_NUMBER = {character: number for number, character in enumerate(ALPHABET)}


def simplified(text: str) -> str:
    """Return a text in lower case, with one space for all that is not in the alphabet, and no two spaces in a row."""
    known = (character if character in _NUMBER else " " for character in text.lower())
    return " ".join("".join(known).split())


def encode(text: str) -> Tensor:
    """Return the characters' numbers, (len(text),) int64.

    Raises:
        InputError: a character that is not in `ALPHABET`.
    """
    if unknown := sorted(set(text) - set(_NUMBER)):
        raise InputError(f"text must have characters of ALPHABET alone, got {unknown[0]!r}; use simplified(text)")
    return torch.tensor([_NUMBER[character] for character in text], dtype=torch.int64)


def decode(tokens: Tensor) -> str:
    """Return the text of numbers (n,) in [0, len(ALPHABET))."""
    return "".join(ALPHABET[number] for number in tokens.tolist())


def windows(text: str, length: int = CONTEXT) -> tuple[Tensor, Tensor]:
    """Cut a text into windows that do not overlap; what is left at the end is dropped.

    Args:
        text: at least length + 1 characters of the alphabet.
        length: T, >= 1.

    Returns:
        Inputs and targets, (n, T) uint8 and (n, T) int64; a target is the character after its input.

    Raises:
        InputError: a text that is too short, a character out of the alphabet, or a length below 1.
    """
    return in_pieces(encode(text), length)


def as_dataset(
    texts: Sequence[str], *, test_fraction: float = 0.2, length: int = CONTEXT, name: str = "text"
) -> tuple[Examples, list[Shard]]:
    """Return all clients' windows, and which of them are whose.

    The end of each text is its client's `validation`, so nothing there was trained on. All ends together are the test
    examples, on which the server measures the model.

    Args:
        texts: one per client, of the alphabet's characters.
        test_fraction: share of each client's windows that are its end, in (0, 1); at least one window.
        length: T, of a window.
        name: of the data set.

    Raises:
        InputError: no texts, one with fewer than two windows, or an argument out of range.
    """
    check_number("test_fraction", test_fraction, "> 0 and < 1", lambda share: 0 < share < 1)
    if len(texts) == 0:
        raise InputError("texts must have the text of at least one client, got none")
    if short := [client for client, text in enumerate(texts) if len(text) < 2 * length + 1]:
        raise InputError(
            f"texts must have at least {2 * length + 1} characters each, one window to train on and one to test on, "
            f"got {len(texts[short[0]])} for client {short[0]}"
        )
    pairs = [windows(text, length) for text in texts]
    shards, begin = [], 0
    for inputs, _ in pairs:
        tested = min(max(round(len(inputs) * test_fraction), 1), len(inputs) - 1)
        end = begin + len(inputs)
        shards.append(Shard(train=np.arange(begin, end - tested), validation=np.arange(end - tested, end)))
        begin = end
    inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    ends = torch.as_tensor(np.concatenate([shard.validation for shard in shards]))
    return Examples(name, TEXT, inputs, targets, inputs[ends], targets[ends]), shards
