"""Adapters of several clients: the mean of products is not the product of means.

Client k learns B_k A_k. The server of FedAvg averages A and B, each for itself, and so it has

    mean(B) mean(A) = mean(B A) - mean((B_k - mean(B)) (A_k - mean(A)))

What is lost is the covariance of B and A over the clients: `product_error` measures it. It is 0 where all clients have
the same A or the same B, and grows as they drift apart. Two ways out:

    FFA-LoRA     A is frozen, the same for all: mean(B A) = mean(B) A. Half of the bytes, and half of the freedom.
    FedEx-LoRA   the server adds what is lost to a matrix R beside the frozen weights, and sends it: `exact_mean`.
                 Clients start from mean(B A) exactly, but R (out, in) is as large as the layer, and travels.

Sources: Sun et al. 2024, https://arxiv.org/abs/2403.12313, section 3; Singhal et al. 2024,
https://arxiv.org/abs/2410.09432, section 3. There, clients send no R, and it is added to W at once; here it is in the
state both ways, so that `federate("fedavg", ..., aggregator=exact_mean)` is all that there is to it.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fedlearn_helpers.algorithms.aggregation import State, shares_of, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics import check_weights

_A, _B, _R = ".A.weight", ".B.weight", ".R.weight"


def product_error(states: Sequence[State], weights: Sequence[float], shared: State | None = None) -> float:
    """Return ||mean(B A) - mean(B) mean(A)|| / ||mean(B A)||, Frobenius norms over all layers together.

    Args:
        states: one per client, of an `Adapted`.
        weights: one per client, finite, >= 0 and not all zero.
        shared: what all clients have and do not send: `Adapted.shared()`.

    Returns:
        A number >= 0, computed in float64; 0 where no client has learned anything.

    Raises:
        InputError: no states, states without A or without B, other names in another client's, or weights that are not
            as described.
    """
    states = [{**(shared or {}), **state} for state in states]
    mean_of_products, lost = 0.0, 0.0
    for layer in _layers(states, weights):
        products = [state[layer + _B].double() @ state[layer + _A].double() for state in states]
        mean = sum(share * product for share, product in zip(shares_of(weights), products, strict=True))
        mean_of_products += float(torch.as_tensor(mean).square().sum())
        lost += float(_covariance(states, weights, layer).square().sum())
    return math.sqrt(lost / mean_of_products) if mean_of_products else math.inf if lost else 0.0


def exact_mean(states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
    """Average A, B and R, and add to R what averages of A and B lose: FedEx-LoRA's server, an aggregator.

    Args:
        states: one per client, of an `Adapted` of kind "fedex".
        weights: one per client, finite, >= 0 and not all zero.

    Raises:
        InputError: states without R, or as `product_error`.
    """
    layers = _layers(states, weights)
    mean = weighted_mean(states, weights)
    for layer in layers:
        if layer + _R not in mean:
            raise InputError(f'states must have R of each layer, got none for {layer!r}; use kind="fedex"')
        mean[layer + _R] = mean[layer + _R] + _covariance(states, weights, layer).to(mean[layer + _R].dtype)
    return mean


def _covariance(states: Sequence[State], weights: Sequence[float], layer: str) -> Tensor:
    """Return sum_k share_k (B_k - mean(B)) (A_k - mean(A)), (out, in) float64; exactly 0 where all A are equal."""
    around = {part: _around_their_mean([state[layer + part] for state in states], weights) for part in (_A, _B)}
    terms = zip(shares_of(weights), around[_B], around[_A], strict=True)
    return torch.stack([share * b @ a for share, b, a in terms]).sum(dim=0)


def _around_their_mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> list[Tensor]:
    from_first = torch.stack([tensor.double() - tensors[0].double() for tensor in tensors])  # 0 where all are equal
    shares = torch.tensor(shares_of(weights), dtype=torch.float64, device=from_first.device)
    return list(from_first - torch.tensordot(shares, from_first, dims=1))


def _layers(states: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> list[str]:
    """Return the names of the layers that all states have, after a check of both."""
    check_weights(weights)
    if len(states) == 0 or len(weights) != len(states):
        raise InputError(f"states must be at least one, with a weight each, got {len(states)} and {len(weights)}")
    names = set(states[0])
    layers = [name.removesuffix(_B) for name in states[0] if name.endswith(_B)]
    if not layers or any(set(state) != names for state in states) or any(layer + _A not in names for layer in layers):
        raise InputError(f"states must have A and B of the same layers, got {', '.join(list(states[0])[:3]) or 'none'}")
    return layers
