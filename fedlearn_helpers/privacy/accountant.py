"""What noise is worth: epsilon of the Poisson-subsampled Gaussian mechanism, round after round, by Renyi divergences.

A mechanism is (epsilon, delta)-private if for all neighbouring data sets, here with one client more or less,
P[output in S] <= exp(epsilon) P'[output in S] + delta. Noise z times the sensitivity, added in a round in which every
client takes part with probability q, has at order alpha the Renyi divergence

    RDP(alpha) = 1 / (alpha - 1) log sum_{k=0}^{alpha} binom(alpha, k) (1 - q)^(alpha - k) q^k exp((k^2 - k) / (2 z^2))

(Mironov, Talwar, Zhang 2019, https://arxiv.org/abs/1908.10530, section 3.3; alpha / (2 z^2) for q = 1). T rounds add up
to T RDP(alpha). Then, for every order,

    epsilon = T RDP(alpha) + log((alpha - 1) / alpha) - (log(delta) + log(alpha)) / (alpha - 1)

(Balle et al. 2020, https://arxiv.org/abs/1905.09982, theorem 21), and the best order gives the bound. It holds where
every client is drawn on its own with probability q (Poisson sampling), not where a fixed number of clients is drawn,
and for one client that is added or left out. The orders are whole numbers from 2 to 512. Between them lie better ones
where epsilon is large: the bound is then right, and not tight (4.26 for 4.22, but 9.7 for 8.8, and 140 for 55).
"""

import math
import warnings
from typing import NamedTuple

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number

ORDERS = range(2, 513)
MOST_NOISE = 1e4  # of `noise_for`: more would leave nothing of a model
_LOG_FACTORIAL = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, ORDERS.stop)))])


def rdp(sampling_rate: float, noise_multiplier: float, order: int) -> float:
    """Return RDP(alpha) of one round, in nats.

    Args:
        sampling_rate: q, the probability with which a client takes part, in (0, 1].
        noise_multiplier: z, the noise's standard deviation divided by the sensitivity, > 0.
        order: alpha, a whole number in 2..512.

    Raises:
        InputError: an argument out of range.
    """
    _check_mechanism(sampling_rate, noise_multiplier)
    alpha = check_whole_number("order", order, 2)
    if alpha not in ORDERS:
        raise InputError(f"order must be <= {ORDERS[-1]}, got {order}")
    return _rdp(sampling_rate, noise_multiplier, alpha)


def _rdp(q: float, z: float, alpha: int) -> float:
    if q == 1:
        return alpha / 2 / z / z
    k = np.arange(alpha + 1)
    log_binomial = _LOG_FACTORIAL[alpha] - _LOG_FACTORIAL[k] - _LOG_FACTORIAL[alpha - k]
    with np.errstate(over="ignore"):  # hardly any noise: infinite
        log_terms = log_binomial + (alpha - k) * np.log1p(-q) + k * np.log(q) + (k * k - k) / 2 / z / z
        return float(np.logaddexp.reduce(log_terms)) / (alpha - 1)


def epsilon(sampling_rate: float, noise_multiplier: float, rounds: int, delta: float) -> float:
    """Return the epsilon that so many rounds spend at this delta.

    Args:
        sampling_rate: q, in (0, 1].
        noise_multiplier: z, > 0.
        rounds: T, >= 1.
        delta: in (0, 1); below 1 / the number of clients, see `check_delta`.

    Raises:
        InputError: an argument out of range.
    """
    _check_mechanism(sampling_rate, noise_multiplier)
    _check_budget(rounds, delta)
    alphas = np.array(ORDERS)
    spent = rounds * np.array([_rdp(sampling_rate, noise_multiplier, alpha) for alpha in ORDERS])
    bounds = spent + np.log1p(-1 / alphas) - (np.log(delta) + np.log(alphas)) / (alphas - 1)
    return max(0.0, float(bounds.min()))


def noise_for(epsilon: float, sampling_rate: float, rounds: int, delta: float) -> float:
    """Return the smallest noise multiplier z with which so many rounds spend at most this epsilon, to 4 digits.

    Args:
        epsilon: what may be spent, > 0.
        sampling_rate, rounds, delta: as in `epsilon`.

    Raises:
        InputError: an argument out of range, or an epsilon that no noise gives; the message names the smallest.
    """
    check_number("epsilon", epsilon, "> 0", lambda value: value > 0)
    smallest = _spent(sampling_rate, MOST_NOISE, rounds, delta)
    if epsilon < smallest:
        named = f"{1.005 * smallest:.3g}"  # rounded up
        raise InputError(
            f"epsilon must be >= {named}, the smallest that {rounds} rounds can give by this bound "
            f"(with a noise multiplier of {MOST_NOISE:g}), got {epsilon:g}"
        )
    too_little, enough = 0.0, MOST_NOISE
    while enough - too_little > 1e-4 * enough:
        middle = (too_little * enough) ** 0.5 if too_little else enough / 2
        if _spent(sampling_rate, middle, rounds, delta) > epsilon:
            too_little = middle
        else:
            enough = middle
    return enough


_spent = epsilon  # `noise_for` has an argument of this name


def check_delta(delta: float, num_clients: int) -> None:
    """Warn where delta is not below 1 / num_clients.

    Args:
        delta: in (0, 1).
        num_clients: whose data is to be protected, >= 1.

    Raises:
        InputError: an argument out of range.
    """
    _check_budget(1, delta)
    if delta >= 1 / check_whole_number("num_clients", num_clients, 1):
        warnings.warn(
            f"delta should be far below 1 / num_clients ({1 / num_clients:.2g}), got {delta:g}: a mechanism that "
            "publishes the data of one client drawn at random would satisfy it, even with epsilon 0",
            stacklevel=2,
        )


class LibraryEpsilon(NamedTuple):
    """Epsilon by a library: `rdp` as here, with fractional orders; `prv`, nearly exact; infinite if none is found."""

    rdp: float
    prv: float


def library_epsilon(sampling_rate: float, noise_multiplier: float, rounds: int, delta: float) -> LibraryEpsilon:
    """Return the same epsilon as Opacus computes it, by Renyi divergences and by privacy loss random variables.

    The second convolves the distribution of the privacy loss numerically (Gopi et al. 2021,
    https://arxiv.org/abs/2106.02848). The import takes seconds.

    Args:
        sampling_rate, noise_multiplier, rounds, delta: as in `epsilon`.

    Raises:
        InputError: an argument out of range, or Opacus is not installed.
    """
    _check_mechanism(sampling_rate, noise_multiplier)
    _check_budget(rounds, delta)
    try:
        from opacus.accountants import PRVAccountant, RDPAccountant
    except ImportError:
        raise InputError("library_epsilon needs Opacus, which is not installed: pip install opacus==1.6.0") from None
    found = []
    for accountant in (RDPAccountant(), PRVAccountant()):
        accountant.history = [(noise_multiplier, sampling_rate, rounds)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that another order might be better
            try:
                found.append(max(0.0, float(accountant.get_epsilon(delta))))
            except (RuntimeError, ValueError):  # numerically out of reach, as with a delta of 1e-15
                found.append(math.inf)
    return LibraryEpsilon(*found)


def _check_mechanism(sampling_rate: float, noise_multiplier: float) -> None:
    check_number("sampling_rate", sampling_rate, "> 0 and <= 1", lambda rate: 0 < rate <= 1)
    check_number("noise_multiplier", noise_multiplier, "> 0", lambda multiplier: multiplier > 0)


def _check_budget(rounds: int, delta: float) -> None:
    check_whole_number("rounds", rounds, 1)
    check_number("delta", delta, "> 0 and < 1", lambda value: 0 < value < 1)
