"""Clients' links, and how long a message takes on them, in simulated time.

Nothing waits here: a time is computed from the bytes of a message. A seed decides all that is random.
"""

from __future__ import annotations  # the table's type is imported when the first table is made

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number
from fedlearn_helpers.seeds import check_seed, derive_seed
from fedlearn_helpers.simulation.history import History

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["up", "down"]
HOUR = 3600.0


@dataclass(frozen=True)
class Links:
    """One link per client, between it and the server.

    A link is open during the first `seconds_open` of every period of `seconds_of_period`, which begins at
    `first_open`, one period later, and so on: a village that connects every three days has a period of 72 hours. A
    message that has not arrived when the link closes goes on when it opens again.

    Attributes:
        bytes_per_second_up, bytes_per_second_down: (clients,) > 0.
        latency: (clients,) seconds that a message takes one way besides its bytes, >= 0.
        loss: (clients,) probability that a message is lost and repeated as a whole, in [0, 1).
        seconds_of_period: (clients,) > 0.
        seconds_open: (clients,) > 0, and at most the period; as long as the period: the link is always open.
        first_open: (clients,) when a period begins, >= 0.
        seed: decides which messages are lost.

    Raises:
        InputError: a value out of range, or arrays of different lengths.
    """

    bytes_per_second_up: np.ndarray
    bytes_per_second_down: np.ndarray
    latency: np.ndarray
    loss: np.ndarray
    seconds_of_period: np.ndarray
    seconds_open: np.ndarray
    first_open: np.ndarray
    seed: int

    def __post_init__(self) -> None:
        limits = {
            "bytes_per_second_up": ("> 0", lambda number: number > 0),
            "bytes_per_second_down": ("> 0", lambda number: number > 0),
            "latency": (">= 0", lambda number: number >= 0),
            "loss": ("in [0, 1)", lambda number: 0 <= number < 1),
            "seconds_of_period": ("> 0", lambda number: number > 0),
            "seconds_open": ("> 0", lambda number: number > 0),
            "first_open": (">= 0", lambda number: number >= 0),
        }
        lengths = {len(getattr(self, name)) for name in limits}
        if len(lengths) != 1:
            raise InputError(f"links must have one value per client, got arrays of lengths {sorted(lengths)}")
        for name, (words, holds) in limits.items():
            for value in np.asarray(getattr(self, name)).tolist():
                check_number(name, value, words, holds)
        spans = zip(np.asarray(self.seconds_open).tolist(), np.asarray(self.seconds_of_period).tolist(), strict=True)
        for seconds, period in spans:
            if seconds > period:
                raise InputError(f"seconds_open must be <= seconds_of_period, {period:g}, got {seconds!r}")
        check_seed(self.seed)

    def __len__(self) -> int:
        return len(self.latency)

    def attempts(self, client: int, turn: int, direction: Direction) -> int:
        """Return how often a message is sent until it is not lost, >= 1. The same call gives the same answer.

        Args:
            client: from 0.
            turn: the client's own turns are counted, from 0.
            direction: "down" from the server, "up" to it.
        """
        check_one_of("direction", direction, ("up", "down"))
        draw = np.random.default_rng(derive_seed(self.seed, "loss", direction, turn, client))
        return int(draw.geometric(1 - self.loss[client]))

    def seconds(self, client: int, turn: int, direction: Direction, num_bytes: int) -> float:
        """Return how long the link must be open for a message: attempts x (latency + bytes / bandwidth)."""
        check_whole_number("num_bytes", num_bytes, 0)
        bandwidth = self.bytes_per_second_up if direction == "up" else self.bytes_per_second_down
        once = float(self.latency[client]) + num_bytes / float(bandwidth[client])
        return self.attempts(client, turn, direction) * once

    def arrival(self, client: int, turn: int, direction: Direction, num_bytes: int, start: float) -> float:
        """Return when a message that is sent at `start` arrives, both in simulated seconds since the beginning."""
        return self._after_open(client, start, self.seconds(client, turn, direction, num_bytes))

    def _after_open(self, client: int, start: float, seconds: float) -> float:
        """Return when the link has been open for so many seconds since `start`."""
        period, open_for = float(self.seconds_of_period[client]), float(self.seconds_open[client])
        if open_for == period:
            return start + seconds
        now = (start - float(self.first_open[client])) % period  # since the period began
        begin = start - now
        used = min(now, open_for) + seconds  # seconds of open link since then
        whole = math.floor(used / open_for)
        rest = used - whole * open_for
        if rest == 0 and seconds > 0:  # it arrives as the link closes
            whole, rest = whole - 1, open_for
        return max(start, begin + whole * period + rest)


def draw_links(
    num_clients: int,
    *,
    bytes_per_second_up: float = 250_000.0,
    bytes_per_second_down: float = 1_000_000.0,
    spread: float = 2.0,
    latency: float = 0.05,
    loss: float = 0.0,
    away_share: float = 0.0,
    hours_of_period: float = 72.0,
    hours_open: float = 2.0,
    seed: int,
) -> Links:
    """Draw links at random: each with a bandwidth of its own, some of them open now and then only.

    Args:
        num_clients: >= 1.
        bytes_per_second_up, bytes_per_second_down: of a typical link, > 0.
        spread: links vary around it by this log-normal factor, the same up and down, >= 1.
        latency: seconds one way, of every link, >= 0.
        loss: probability that a message is lost, in [0, 1).
        away_share: share of clients whose link is open now and then only, in [0, 1]; rounded to whole clients.
        hours_of_period, hours_open: theirs; a period begins at a random time of each client's own.
        seed: decides all of it.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("num_clients", num_clients, 1)
    seed = check_seed(seed)
    check_number("spread", spread, ">= 1", lambda factor: factor >= 1)
    check_number("away_share", away_share, "between 0 and 1", lambda share: 0 <= share <= 1)
    for name, given in (
        ("bytes_per_second_up", bytes_per_second_up),
        ("bytes_per_second_down", bytes_per_second_down),
        ("hours_of_period", hours_of_period),
    ):
        check_number(name, given, "> 0", lambda number: number > 0)
    check_number(
        "hours_open", hours_open, f"> 0 and <= hours_of_period, {hours_of_period:g}", lambda n: 0 < n <= hours_of_period
    )
    rng = np.random.default_rng(derive_seed(seed, "links"))
    factors = np.exp(rng.normal(0.0, math.log(spread), num_clients))
    away = rng.permutation(num_clients) < round(away_share * num_clients)
    period = hours_of_period * HOUR
    return Links(
        bytes_per_second_up=bytes_per_second_up * factors,
        bytes_per_second_down=bytes_per_second_down * factors,
        latency=np.full(num_clients, latency),
        loss=np.full(num_clients, loss),
        seconds_of_period=np.full(num_clients, period),
        seconds_open=np.where(away, hours_open * HOUR, period),
        first_open=rng.uniform(0, period, num_clients),
        seed=seed,
    )


@dataclass(frozen=True)
class Clock:
    """When clients answer: a message goes down, the client works, its answer goes up.

    Attributes:
        links: one per client.
        work_seconds: (clients,) how long a client's training in a turn takes, > 0; with the devices of
            `availability`: `devices.seconds_per_step * steps`.

    Raises:
        InputError: not one number > 0 per link.
    """

    links: Links
    work_seconds: np.ndarray

    def __post_init__(self) -> None:
        if len(self.work_seconds) != len(self.links):
            raise InputError(f"work_seconds must have one value per link ({len(self.links)}), got {len(self)}")
        for value in np.asarray(self.work_seconds).tolist():
            check_number("work_seconds", value, "> 0", lambda seconds: seconds > 0)

    def __len__(self) -> int:
        return len(self.work_seconds)

    def trained(self, client: int, turn: int, start: float, bytes_down: int) -> float:
        """Return when a client has trained that is sent a message at `start`, in simulated seconds."""
        return self.links.arrival(client, turn, "down", bytes_down, start) + float(self.work_seconds[client])

    def answered(self, client: int, turn: int, start: float, bytes_down: int, bytes_up: int) -> float:
        """Return when its answer arrives."""
        trained = self.trained(client, turn, start, bytes_down)
        return self.links.arrival(client, turn, "up", bytes_up, trained)


def synchronous_curve(history: History, clock: Clock) -> pd.DataFrame:
    """Return the clock of a federation in rounds: each begins when the last answer of the one before has arrived.

    A row per round, from 0, before the first; the columns are those of `AsynchronousResult.curve`: `hours` (simulated,
    at the end of the round), `bytes` (down and up, of all messages of trainings until then), `turns` (answers until
    then), and what the server measured, such as `accuracy`. For a client that failed the server does not wait.

    Args:
        history: of the federation, whose bytes are measured.
        clock: one link per client.

    Raises:
        InputError: a history with more clients than the clock has, or as `History.trainings`.
    """
    import pandas as pd  # takes a third of a second

    turn: Counter[int] = Counter()
    now, sent, answers = 0.0, 0, 0
    training = history.trainings()
    if too_high := [entry.client for entry in training if entry.client >= len(clock)]:
        raise InputError(f"clock must have a link for each client, got {len(clock)} links and client {max(too_high)}")
    rows = {0: {"hours": 0.0, "bytes": 0, "turns": 0}}
    for number in sorted({entry.round for entry in training}):
        end = now
        for entry in (entry for entry in training if entry.round == number):
            sent += entry.bytes_down + entry.bytes_up
            if entry.error is None:
                answers += 1
                arrived = clock.answered(entry.client, turn[entry.client], now, entry.bytes_down, entry.bytes_up)
                end = max(end, arrived)
            turn[entry.client] += 1
        now = end
        rows[number] = {"hours": now / HOUR, "bytes": sent, "turns": answers}
    table = [{"version": number} | row | history.server_metrics.get(number, {}) for number, row in rows.items()]
    return pd.DataFrame(table).set_index("version")


def within(curve: pd.DataFrame, column: str, budget: float) -> pd.DataFrame:
    """Return the rows of a curve up to a budget: equal "hours", or equal "bytes", for all that are compared.

    Args:
        curve: as of `synchronous_curve`.
        column: "hours", "bytes" or "turns".
        budget: >= 0, in the column's unit.

    Raises:
        InputError: another column, or a budget below 0.
    """
    check_one_of("column", column, ("hours", "bytes", "turns"))
    check_number("budget", budget, ">= 0", lambda number: number >= 0)
    return curve[curve[column] <= budget]


def first_reaching(curve: pd.DataFrame, column: str, accuracy: float) -> float:
    """Return the hours, bytes or turns after which an accuracy in [0, 1] is reached first; infinity if it never is.

    Raises:
        InputError: another column, or an accuracy outside [0, 1].
    """
    check_one_of("column", column, ("hours", "bytes", "turns"))
    check_number("accuracy", accuracy, "between 0 and 1", lambda share: 0 <= share <= 1)
    reached = curve[curve["accuracy"] >= accuracy]
    return float(reached[column].iloc[0]) if len(reached) else math.inf
