"""What the strategies' servers share: the answers of a round, and averages of models."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from flwr.app import ArrayRecord, Message, RecordDict
from torch import Tensor


def answers(replies: Iterable[Message]) -> list[RecordDict]:
    """Return the contents of the replies that are no errors."""
    return [reply.content for reply in replies if not reply.has_error()]


def state_of(arrays: ArrayRecord) -> dict[str, Tensor]:
    """Return the tensors of a model by name."""
    return dict(arrays.to_torch_state_dict())


def mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Average models entry by entry, each counting the same."""
    return {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}
