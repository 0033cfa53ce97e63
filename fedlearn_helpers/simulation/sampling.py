"""How many clients a round has."""

import math


def sample_size(share: float, num_clients: int) -> int:
    """Return how many clients a share of them is, rounded down: 29 of 100 for 0.29, where 0.29 * 100 is 28.999…"""
    return math.floor(round(share * num_clients, 9))
