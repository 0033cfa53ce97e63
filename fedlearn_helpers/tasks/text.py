"""Pieces of text, of which the next characters are predicted."""

from torch import Tensor
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.tasks.task import Task


def as_numbers(characters: Tensor) -> Tensor:
    """Return characters (n, length) uint8, each by its number in the vocabulary, as int64: an embedding takes these."""
    return characters.long()


def loss_per_character(scores: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Return the cross-entropy of the next characters, in nats per character.

    Args:
        scores: (n, length, vocabulary), at every place of a text those of the character that follows.
        targets: (n, length) int64, the characters that follow.
        reduction: "mean" over the n texts, or "sum" over them.
    """
    loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction=reduction)
    return loss / targets.shape[1] if reduction == "sum" else loss


def most_likely_characters(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next characters (n, length) with the highest scores, and their mean probability in each text (n,)."""
    confidences, predictions = scores.softmax(dim=2).max(dim=2)
    return predictions, confidences.mean(dim=1)


def share_right(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return for each text (n,) the share of its characters that are predicted, in [0, 1]."""
    return (predictions == targets).double().mean(dim=1)


def in_pieces(text: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Cut a text into pieces that do not overlap; at most `length` characters are left over at its end.

    Args:
        text: (characters,) each by its number in the vocabulary, of 256 at most; at least length + 1 of them.
        length: of a piece, >= 1.

    Returns:
        Pieces (n, length) uint8, and the characters that follow each of theirs, (n, length) int64.

    Raises:
        InputError: a text that is too short, or a length below 1.
    """
    length = check_whole_number("length", length, 1)
    if len(text) < length + 1:
        raise InputError(f"text must have at least {length + 1} characters, got {len(text)}")
    until = (len(text) - 1) // length * length
    return text[:until].view(-1, length).byte(), text[1 : until + 1].view(-1, length).long()


TEXT = Task("text", as_numbers, loss_per_character, most_likely_characters, share_right)
"""Pieces of text (n, length) uint8, with the characters that follow each of theirs (n, length) int64."""
