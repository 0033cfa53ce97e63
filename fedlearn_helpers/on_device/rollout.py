"""A new model for many devices, in stages: first for a few, the canaries, and back to the former one if it is worse.

Devices keep the former file until the rollout is over. In a stage some more devices, drawn at random, get the new file,
and each compares both files on the same few examples of its own. It reports one vote: worse, better, or neither. If new
and old are equally good, a vote that is not "neither" is a coin's: with n such votes

    P[at least w of them say worse] = sum_{k >= w} binom(n, k) / 2^n

is the p-value of a one-sided sign test (McNemar 1947 for pairs of right and wrong, in its exact form). The rollout is
taken back where it is <= level / number of stages: all stages together then raise a false alarm with a probability of
at most `level` (Bonferroni's bound; each stage looks at all votes so far).

A device counts once, however many examples it has: examples of one device are alike, and are no independent coins.

A device installs a file only if its SHA-256 is the announced one, and if it takes the images that the device has. That
the announcement is from the right sender is for a signature or for TLS to say, and not shown here.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.seeds import check_seed

STAGES = (0.01, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class Version:
    """What is announced of a model's file.

    Attributes:
        name: for people.
        sha256: of the file's bytes, 64 hexadecimal digits: for machines.
        image_shape: (channels, height, width) of the images that it takes.
    """

    name: str
    sha256: str
    image_shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:8]})"


def announce(name: str, content: bytes, image_shape: Sequence[int]) -> Version:
    """Return the version of a file with these bytes."""
    return Version(name, hashlib.sha256(content).hexdigest(), tuple(image_shape))


class Refused(InputError):
    """A file that a device does not install."""


@dataclass(frozen=True)
class Device:
    """A device and the file that it runs.

    Attributes:
        image_shape: (channels, height, width) of its camera's images.
        version, content: of the file.
        former: the device as it was before a rollout that is still going on; None: there is none.
    """

    image_shape: tuple[int, ...]
    version: Version
    content: bytes
    former: "Device | None" = None

    def install(self, version: Version, content: bytes) -> "Device":
        """Return the device with another file.

        Raises:
            Refused: the file is not the announced one, or not for such images.
        """
        got = hashlib.sha256(content).hexdigest()
        if got != version.sha256:
            raise Refused(f"content must have the announced SHA-256 {version.sha256}, got {got}")
        if version.image_shape != self.image_shape:
            wanted, given = (" x ".join(map(str, shape)) for shape in (self.image_shape, version.image_shape))
            raise Refused(f"version must be for images of {wanted}, as this device has, got {given}")
        return Device(self.image_shape, version, content, former=replace(self, former=None))

    def roll_back(self) -> "Device":
        """Return the device as it was before the rollout; without one, as it is."""
        return self if self.former is None else self.former

    def keep(self) -> "Device":
        """Return the device after the rollout, when nothing leads back."""
        return replace(self, former=None)


@dataclass(frozen=True)
class Fleet:
    """All devices, in the order of their numbers."""

    devices: tuple[Device, ...]

    def versions(self) -> dict[Version, int]:
        """Return how many devices run which version."""
        return dict(Counter(device.version for device in self.devices))


def new_fleet(num_devices: int, version: Version, content: bytes) -> Fleet:
    """Return a fleet whose devices all run this file, and have images for it.

    Raises:
        InputError: no devices.
        Refused: the file is not the announced one.
    """
    check_whole_number("num_devices", num_devices, 1)
    empty = Device(version.image_shape, version, b"")
    return Fleet((empty.install(version, content).keep(),) * num_devices)


Measure = Callable[[int, bytes], Sequence[bool] | np.ndarray]
"""Called with a device's number and a file: which of the device's own recent examples it gets right, in order."""


@dataclass(frozen=True)
class Stage:
    """What one stage showed.

    Attributes:
        share: of the fleet that was to have the new file.
        updated: devices that have it, of this stage and those before.
        refused: devices that did not install it, likewise.
        worse, better: votes so far.
        losses, gains: examples so far that only the old file got right, and only the new one.
        p_value: of the votes.
        alarm: whether all went back: too many say worse, or too few have installed it to say anything.
    """

    share: float
    updated: int
    refused: int
    worse: int
    better: int
    losses: int
    gains: int
    p_value: float
    alarm: bool


@dataclass(frozen=True)
class Rollout:
    """What came of it.

    Attributes:
        fleet: in the end.
        stages: those that there were.
        ran: numbers of the devices that ever ran the new file, in the order in which they got it.
        rolled_back: whether all have the former file again.
    """

    fleet: Fleet
    stages: tuple[Stage, ...]
    ran: tuple[int, ...]
    rolled_back: bool


def roll_out(
    fleet: Fleet,
    version: Version,
    download: Callable[[int], bytes],
    measure: Measure,
    *,
    seed: int,
    stages: Sequence[float] = STAGES,
    level: float = 0.05,
) -> Rollout:
    """Bring a new file to a fleet, stage by stage.

    Args:
        fleet: without a rollout under way.
        version: what was announced of the file.
        download: called with a device's number, returns the bytes that it received.
        measure: see `Measure`.
        seed: decides who is a canary. Volunteers would be no sample of the fleet.
        stages: the share of the fleet that has the new file after each stage, rising, in (0, 1].
        level: with what probability a model that is not worse is taken back, at most; in (0, 1).

    Raises:
        InputError: an argument out of range, a rollout under way, or a first stage with so few devices that no result
            could raise an alarm.
    """
    check_seed(seed)
    shares = _check_stages(stages)
    check_number("level", level, "> 0 and < 1", lambda value: 0 < value < 1)
    if any(device.former is not None for device in fleet.devices):
        raise InputError("fleet must have no rollout under way, got devices that still keep a former file")
    total = len(fleet.devices)
    sizes = [max(1, round(share * total)) for share in shares]
    least = least_votes(level / len(shares))
    if sizes[0] < least:
        raise InputError(
            f"stages must begin with >= {least} devices, or no result could raise an alarm at level {level:g}, got "
            f"{sizes[0]} of {total}"
        )
    devices = list(fleet.devices)
    order = np.random.default_rng(seed).permutation(total).tolist()
    reports: list[Stage] = []
    ran: list[int] = []
    worse = better = losses = gains = done = 0
    for share, size in zip(shares, sizes, strict=True):
        for number in order[done:size]:
            before = devices[number]
            try:
                devices[number] = before.install(version, download(number))
            except Refused:
                continue
            ran.append(number)
            lost, gained = _compare(measure, number, before.content, devices[number].content)
            losses, gains = losses + lost, gains + gained
            worse, better = worse + (lost > gained), better + (gained > lost)
        done = size
        p_value = sign_test(worse, better)
        alarm = p_value <= level / len(shares) or len(ran) < least
        reports.append(Stage(share, len(ran), done - len(ran), worse, better, losses, gains, p_value, alarm))
        if alarm:
            back = Fleet(tuple(device.roll_back() for device in devices))
            return Rollout(back, tuple(reports), tuple(ran), rolled_back=True)
    return Rollout(Fleet(tuple(device.keep() for device in devices)), tuple(reports), tuple(ran), rolled_back=False)


def sign_test(worse: int, better: int) -> float:
    """Return the probability that a fair coin says "worse" at least so often, in so many votes.

    Args:
        worse, better: votes, >= 0 each.

    Raises:
        InputError: a number out of range.
    """
    check_whole_number("worse", worse, 0)
    check_whole_number("better", better, 0)
    return float(_tails(worse + better, 0.5)[worse])


def least_votes(level: float) -> int:
    """Return how many votes are needed at least for a p-value <= level, in (0, 1): all of them must say "worse"."""
    check_number("level", level, "> 0 and < 1", lambda value: 0 < value < 1)
    return math.ceil(-math.log2(level) - 1e-12)


def chance_of_alarm(num_devices: int, examples: int, loss: float, gain: float, level: float) -> float:
    """Return the probability that one test of so many devices raises an alarm: its power, or its false alarms.

    A vote is "worse" with the probability that of the device's examples, each on its own a loss, a gain or neither,
    more are losses than gains. Exact where examples and devices are independent.

    Args:
        num_devices: that vote, >= 1.
        examples: of each device, >= 1.
        loss, gain: probabilities that an example is right with the old file alone, with the new one alone; the accuracy
            falls by loss - gain.
        level: of this test, in (0, 1): for a rollout `level / len(stages)`.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("num_devices", num_devices, 1)
    check_whole_number("examples", examples, 1)
    for name, value in (("loss", loss), ("gain", gain)):
        check_number(name, value, "in [0, 1]", lambda number: 0 <= number <= 1)
    check_number("loss + gain", loss + gain, "<= 1", lambda value: value <= 1)
    least_votes(level)
    vote = np.ones(1)  # the distribution of losses less gains, from -examples to examples
    for _ in range(examples):
        vote = np.convolve(vote, [gain, 1 - loss - gain, loss])
    better, worse = float(vote[:examples].sum()), float(vote[examples + 1 :].sum())
    if (voting := better + worse) == 0:
        return 0.0
    chance = 0.0
    of_votes = _probabilities(num_devices, voting)
    for votes in range(1, num_devices + 1):
        needed = int((_tails(votes, 0.5) > level).sum())  # so many are not enough
        if needed <= votes:
            chance += of_votes[votes] * _tails(votes, worse / voting)[needed]
    return min(float(chance), 1.0)


def _compare(measure: Measure, number: int, old: bytes, new: bytes) -> tuple[int, int]:
    """Return how many of a device's examples only the old file gets right, and how many only the new one."""
    was, now = (np.asarray(measure(number, content), dtype=bool) for content in (old, new))
    if was.shape != now.shape:
        raise InputError(f"measure must judge the same examples with both files, got {len(was)} and {len(now)}")
    return int((was & ~now).sum()), int((now & ~was).sum())


def _check_stages(stages: Sequence[float]) -> list[float]:
    shares = list(stages)
    for share in shares:
        check_number("stages", share, "shares > 0 and <= 1", lambda value: 0 < value <= 1)
    if not shares or any(later <= earlier for earlier, later in zip(shares, shares[1:], strict=False)):
        raise InputError(f"stages must rise, got {shares}")
    return shares


def _probabilities(trials: int, chance: float) -> np.ndarray:
    """Return the binomial probabilities of 0, 1 … successes, (trials + 1,)."""
    if chance in (0, 1):
        return np.eye(trials + 1)[round(trials * chance)]
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    log_binomials = log_factorials[-1] - log_factorials - log_factorials[::-1]
    successes = np.arange(trials + 1)
    return np.exp(log_binomials + successes * math.log(chance) + (trials - successes) * math.log1p(-chance))


def _tails(trials: int, chance: float) -> np.ndarray:
    """Return the binomial probabilities of at least 0, 1 … successes, (trials + 1,)."""
    return np.minimum(_probabilities(trials, chance)[::-1].cumsum()[::-1], 1.0)
