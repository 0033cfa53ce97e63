"""Low rank: two thin factors in place of a matrix, by one step of the power iteration.

    M (m x n), Q (n x r) of the last message:  P <- M Q, made orthonormal;  Q <- M^T P;  sent: P, Q;  C(M) = P Q^T

The first Q is random. It starts every message where the last one ended ("warm start"), so that one step is enough once
updates resemble each other. C is biased: with error feedback. A tensor of more than two dimensions is a matrix of its
first against all others. What would not be smaller, biases and small matrices, goes as it is.

Source: Vogels et al. 2019, https://arxiv.org/abs/1905.13727 (PowerSGD), algorithm 1. There P and Q are averaged over
workers; here each client sends both, since federated updates are weighted and need not come from all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.communication.codec import Codec, Memory, Tensors, check_flag
from fedlearn_helpers.errors import InputError, check_whole_number


@dataclass(frozen=True)
class LowRank(Codec):
    """An update's matrices as products of thin ones.

    Attributes:
        rank: r, >= 1, and at most the smaller side of the largest matrix of the model.
        feedback: whether the sender keeps what the products lack.

    Raises:
        InputError: a value out of range.
    """

    rank: int
    feedback: bool = True

    def __post_init__(self) -> None:
        check_whole_number("rank", self.rank, 1)
        check_flag("feedback", self.feedback)

    def check(self, tensors: Tensors) -> None:
        """See `Codec`: a rank above the smaller side of the largest matrix."""
        sides = [min(matrix_shape(tensor)) for tensor in tensors if tensor.ndim > 1]
        if self.rank > max(sides, default=0):
            raise InputError(
                f"rank must be at most {max(sides, default=0)}, the smaller side of a matrix of the model, "
                f"got {self.rank}"
            )

    def encode(self, tensors: Tensors, seed: int, memory: Memory) -> bytes:
        """See `Codec`: for each tensor P and Q, or itself; all float32."""
        parts: list[bytes] = []
        for number, tensor in enumerate(tensors):
            tensor = np.asarray(tensor, np.float32)
            if not self._shrinks(tensor):
                parts.append(tensor.tobytes())
                continue
            rows, columns = matrix_shape(tensor)
            q = memory.get(str(number))
            if q is None or not np.any(q):
                q = np.random.default_rng([seed, number]).standard_normal((columns, self.rank), np.float32)
            p, q = factors(tensor.reshape(rows, columns), q)
            memory[str(number)] = q
            parts += [p.tobytes(), q.tobytes()]
        return b"".join(parts)

    def decode(self, data: bytes, like: Tensors) -> list[np.ndarray]:
        """See `Codec`."""
        numbers = np.frombuffer(data, np.float32)
        decoded = []
        for tensor, start in zip(like, self._starts(like), strict=True):
            if self._shrinks(tensor):
                rows, columns = matrix_shape(tensor)
                middle, end = start + rows * self.rank, start + (rows + columns) * self.rank
                p, q = numbers[start:middle].reshape(rows, -1), numbers[middle:end].reshape(columns, -1)
                decoded.append((p @ q.T).reshape(tensor.shape))
            else:
                decoded.append(numbers[start : start + tensor.size].reshape(tensor.shape).copy())
        return decoded

    def _shrinks(self, tensor: np.ndarray) -> bool:
        return tensor.ndim > 1 and self.rank * sum(matrix_shape(tensor)) < tensor.size

    def _starts(self, like: Tensors) -> Iterator[int]:
        start = 0
        for tensor in like:
            yield start
            start += self.rank * sum(matrix_shape(tensor)) if self._shrinks(tensor) else tensor.size


def matrix_shape(tensor: np.ndarray) -> tuple[int, int]:
    """Return the shape of a tensor of two or more dimensions as a matrix."""
    rows = tensor.shape[0]
    return rows, tensor.size // max(rows, 1)


def factors(matrix: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P (m x r, orthonormal) and Q (n x r) after one step of the power iteration; matrix ~ P Q^T."""
    p, _ = np.linalg.qr(matrix @ q)
    return np.ascontiguousarray(p, np.float32), np.ascontiguousarray(matrix.T @ p, np.float32)
