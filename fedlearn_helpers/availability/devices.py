"""Devices that are slow, late or away: how long a round takes, in simulated time.

Nothing waits here: a device's time is computed from its speed. A seed decides all that is random.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from fedlearn_helpers.errors import InputError, as_whole_number, check_number, check_whole_number
from fedlearn_helpers.seeds import derive_seed

Late = Literal["drop", "partial"]
Status = Literal["in time", "partial", "late", "away"]


@dataclass(frozen=True)
class Answer:
    """How a device takes part in one round.

    Attributes:
        status: "in time": it takes all steps; "partial": it takes fewer, to be in time; "late": it misses the deadline;
            "away": it is not there.
        steps: training steps whose result arrives; 0 if the device is late or away.
        seconds: simulated time from the server's message to the answer, also if that comes too late; 0 if it is away.
    """

    status: Status
    steps: int
    seconds: float


@dataclass(frozen=True)
class Devices:
    """The clients' devices.

    Attributes:
        seconds_per_step: (clients,) how long a training step takes, > 0.
        seconds_per_transfer: (clients,) to receive a model and send one back, >= 0.
        availability: (clients,) probability of being there when a round begins, in [0, 1].
        seed: decides who is there in which round.

    Raises:
        InputError: a value out of range, or arrays of different lengths.
    """

    seconds_per_step: np.ndarray
    seconds_per_transfer: np.ndarray
    availability: np.ndarray
    seed: int

    def __post_init__(self) -> None:
        lengths = {len(self.seconds_per_step), len(self.seconds_per_transfer), len(self.availability)}
        if len(lengths) != 1:
            raise InputError(f"devices must have one value per client, got arrays of lengths {sorted(lengths)}")
        for value in np.asarray(self.seconds_per_step).tolist():
            check_number("seconds_per_step", value, "> 0", lambda seconds: seconds > 0)
        for value in np.asarray(self.seconds_per_transfer).tolist():
            check_number("seconds_per_transfer", value, ">= 0", lambda seconds: seconds >= 0)
        for value in np.asarray(self.availability).tolist():
            check_number("availability", value, "between 0 and 1", lambda share: 0 <= share <= 1)
        check_whole_number("seed", self.seed, 0)

    def __len__(self) -> int:
        return len(self.seconds_per_step)

    def is_there(self, client: int, server_round: int) -> bool:
        """Tell whether a device is there when a round begins. The same call always gives the same answer."""
        draw = np.random.default_rng(derive_seed(self.seed, "there", server_round, client)).random()
        return bool(draw < self.availability[client])

    def answer(
        self, client: int, server_round: int, steps: int, *, deadline: float | None = None, late: Late = "drop"
    ) -> Answer:
        """Return how a device takes part in a round.

        Args:
            client: number of the device.
            server_round: number of the round.
            steps: training steps that the device is asked for, >= 1.
            deadline: simulated seconds after which the server goes on; None: it waits for all.
            late: what happens when all steps take too long: "drop": the answer is lost (FedAvg); "partial": the device
                takes as many steps as fit, and sends the result (FedProx).

        Raises:
            InputError: no whole number of steps >= 1, a deadline not above 0, or an unknown `late`.
        """
        check_deadline(deadline, late)
        steps = check_steps(steps)
        if not self.is_there(client, server_round):
            return Answer("away", 0, 0.0)
        transfer, step = float(self.seconds_per_transfer[client]), float(self.seconds_per_step[client])
        limit, seconds = math.inf if deadline is None else float(deadline), transfer + steps * step
        possible = steps_in_time(steps, step, transfer, limit)
        if possible == steps:
            return Answer("in time", steps, min(seconds, limit))
        if late == "partial" and possible > 0:
            return Answer("partial", possible, min(transfer + possible * step, limit))
        return Answer("late", 0, seconds)


def steps_in_time(steps: int, seconds_per_step: float, seconds_for_transfers: float, deadline: float) -> int:
    """Return how many of `steps` training steps fit into the time that both transfers leave; 0 if not even one does."""
    time_to_compute = deadline - seconds_for_transfers
    possible = time_to_compute / seconds_per_step + 1e-9  # since 0.3 / 0.1 is 2.9999999999999996
    return math.floor(max(min(possible, steps), 0))


def check_steps(steps: Any) -> int:
    """Return a number of training steps as Python's own integer: Flower's messages cannot hold NumPy's.

    Raises:
        InputError: no whole number >= 1.
    """
    count = as_whole_number(steps)
    if count is None or count < 1:
        raise InputError(f"steps must be a whole number >= 1, got {steps!r}")
    return count


def check_deadline(deadline: float | None, late: str) -> None:
    """Check the deadline of a round, and the rule for late devices.

    Raises:
        InputError: a deadline not above 0, or an unknown `late`.
    """
    if deadline is not None and not (isinstance(deadline, Real) and deadline > 0):
        raise InputError(f"deadline must be > 0 seconds, or None to wait for all, got {deadline!r}")
    if late not in get_args(Late):
        raise InputError(f"late must be 'drop' or 'partial', got {late!r}")


def draw_devices(
    num_clients: int,
    *,
    slow_share: float,
    slow_factor: float,
    availability: float = 1.0,
    seconds_per_step: float = 0.1,
    seconds_per_transfer: float = 2.0,
    seed: int,
) -> Devices:
    """Draw devices at random: fast ones and slow ones, each with a speed of its own.

    Args:
        num_clients: >= 1.
        slow_share: share of slow devices, in [0, 1]; rounded to whole devices, and chosen at random.
        slow_factor: how many times as long a slow device takes for a step, >= 1.
        availability: probability of every device to be there when a round begins, in [0, 1].
        seconds_per_step: of a typical fast device; devices vary around it by a log-normal factor of 1.2.
        seconds_per_transfer: of every device.
        seed: decides which devices are slow, and in which rounds each is there.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("num_clients", num_clients, 1)
    check_whole_number("seed", seed, 0)
    check_number("slow_share", slow_share, "between 0 and 1", lambda share: 0 <= share <= 1)
    check_number("slow_factor", slow_factor, ">= 1", lambda factor: factor >= 1)
    check_number("availability", availability, "between 0 and 1", lambda share: 0 <= share <= 1)
    check_number("seconds_per_step", seconds_per_step, "> 0", lambda seconds: seconds > 0)
    check_number("seconds_per_transfer", seconds_per_transfer, ">= 0", lambda seconds: seconds >= 0)
    rng = np.random.default_rng(derive_seed(seed, "devices"))
    slow = rng.permutation(num_clients) < round(slow_share * num_clients)
    spread = np.exp(rng.normal(0.0, math.log(1.2), num_clients))
    return Devices(
        seconds_per_step=seconds_per_step * spread * np.where(slow, slow_factor, 1.0),
        seconds_per_transfer=np.full(num_clients, seconds_per_transfer),
        availability=np.full(num_clients, availability),
        seed=seed,
    )


def round_seconds(answers: Sequence[Answer], deadline: float | None) -> float:
    """Return how long the server waits in a round, in simulated seconds.

    With a deadline: until the deadline if any client is late or away, since the server cannot know that nothing more
    will come; otherwise until the last answer. Without a deadline: until the last answer of those that are there.
    """
    if deadline is not None and any(answer.status in ("late", "away") for answer in answers):
        return float(deadline)
    return max((answer.seconds for answer in answers), default=0.0)
