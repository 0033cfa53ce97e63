"""Models as vectors: what all defences compute with.

A model's float tensors become one vector of float64, in which the difference of two float32 numbers is exact. Whole
numbers, such as BatchNorm's counter, are no part of it: clients with more steps would look far away. Every defence
takes their median.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State
from fedlearn_helpers.errors import InputError


def as_vectors(states: Sequence[State]) -> Tensor:
    """Return the models' float tensors as rows (n, d) of float64.

    Args:
        states: n models, all with the same names and shapes.

    Raises:
        InputError: no states, other names or shapes than those of the first, or numbers that are not finite.
    """
    if not states:
        raise InputError("states must hold at least one model, got none")
    shapes = {name: tensor.shape for name, tensor in states[0].items()}
    for client, state in enumerate(states):
        if {name: tensor.shape for name, tensor in state.items()} != shapes:
            raise InputError(f"states must all have the names and shapes of the first, and number {client} has others")
    vectors = torch.stack([_vector(state) for state in states])
    if not torch.isfinite(vectors).all():
        raise InputError("states must have finite numbers, got nan or infinite ones")
    return vectors


def as_state(vector: Tensor, states: Sequence[State]) -> dict[str, Tensor]:
    """Return a vector as a model again, with the dtypes of the states, and the median of their whole numbers.

    Args:
        vector: (d,) float64.
        states: those from which `as_vectors` has made vectors.
    """
    whole = {name: tensor for name, tensor in states[0].items() if not tensor.is_floating_point()}
    result: dict[str, Tensor] = {}
    start = 0
    for name, tensor in states[0].items():
        if name in whole:
            counts = torch.stack([state[name].flatten() for state in states]).double()
            result[name] = middle(counts).reshape(tensor.shape)
        else:
            result[name] = vector[start : start + tensor.numel()].reshape(tensor.shape).to(tensor.dtype)
            start += tensor.numel()
    return result


def in_order(vectors: Tensor) -> Tensor:
    """Return the numbers of each coordinate in ascending order: (n, d), sorted along n."""
    return torch.from_numpy(np.sort(vectors.cpu().numpy(), axis=0)).to(vectors.device)  # several times PyTorch's speed


def middle(vectors: Tensor) -> Tensor:
    """Return the median of each coordinate (d,) of vectors (n, d); for an even n the mean of the two in the middle."""
    n, ordered = len(vectors), in_order(vectors)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _vector(state: State) -> Tensor:
    floats = [tensor.double().flatten() for tensor in state.values() if tensor.is_floating_point()]
    return torch.cat(floats) if floats else torch.zeros(0, dtype=torch.float64)
