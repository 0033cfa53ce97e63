"""How different clients are: the distance of each client's mixture of classes to that of all clients."""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError


@dataclass(frozen=True)
class Heterogeneity:
    """Distances of the clients' label distributions to the global one, each in [0, 1].

    Attributes:
        total_variation: (clients,) half the sum of absolute differences: the share of a client's examples that would
            have to get another label.
        jensen_shannon: (clients,) square root of the Jensen-Shannon divergence in bits.
        sizes: (clients,) examples of each client.
    """

    total_variation: np.ndarray
    jensen_shannon: np.ndarray
    sizes: np.ndarray

    @property
    def mean_total_variation(self) -> float:
        """Average over clients, weighted by their examples."""
        return float(np.average(self.total_variation, weights=self.sizes))

    @property
    def mean_jensen_shannon(self) -> float:
        """Average over clients, weighted by their examples."""
        return float(np.average(self.jensen_shannon, weights=self.sizes))


def heterogeneity(counts: np.ndarray) -> Heterogeneity:
    """Measure how far each client's mixture of classes is from that of all clients together.

    Args:
        counts: (clients, classes) numbers of examples.

    Raises:
        InputError: no clients, a client without examples, or counts that are negative or not finite.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or len(counts) == 0:
        raise InputError(f"counts must have a row per client and a column per class, got shape {counts.shape}")
    if (wrong := counts[~(np.isfinite(counts) & (counts >= 0))]).size:
        raise InputError(f"counts must be numbers >= 0, got {wrong[0]}")
    sizes = counts.sum(axis=1)
    if (sizes == 0).any():
        raise InputError(f"every client needs examples, got none for client {int(np.argmin(sizes))}")
    clients = counts / sizes[:, None]
    all_clients = counts.sum(axis=0) / counts.sum()
    middle = (clients + all_clients) / 2
    divergence = (_relative_entropy(clients, middle) + _relative_entropy(all_clients, middle)) / 2
    return Heterogeneity(
        total_variation=np.abs(clients - all_clients).sum(axis=1) / 2,
        jensen_shannon=np.sqrt(np.maximum(divergence, 0)),  # rounding errors can make it -1e-17
        sizes=sizes,
    )


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the Kullback-Leibler divergence of rows of q from rows of p, in bits; 0 log 0 is 0."""
    p, q = np.broadcast_arrays(p, q)
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log2(ratio)).sum(axis=1)
