"""An update in stages: how often it is taken back without reason, how often with, and what is left then."""

import math

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.on_device.rollout import (
    Fleet,
    Refused,
    announce,
    chance_of_alarm,
    least_votes,
    new_fleet,
    roll_out,
    sign_test,
)

SHAPE = (1, 28, 28)
OLD, NEW = b"the old model", b"the new model"
OLD_VERSION, NEW_VERSION = announce("old", OLD, SHAPE), announce("new", NEW, SHAPE)
EXAMPLES, ACCURACY = 20, 0.8
MOST = 1000  # devices of a fleet
STAGES, LEVEL = (0.1, 0.5, 1.0), 0.05


def fleet_of(count):
    return new_fleet(count, OLD_VERSION, OLD)


def measuring(seed, loss, gain, spread=0.0):
    """Return a `Measure`: an example becomes wrong with probability `loss`, right with `gain`.

    With a spread some devices get better and some get worse, as many of them and by as much.
    """

    rng = np.random.default_rng(seed)
    was, change = rng.random((MOST, EXAMPLES)) < ACCURACY, rng.random((MOST, EXAMPLES))
    shift = spread * rng.choice((-1, 1), (MOST, 1))
    now = np.where(was, change >= (loss + shift) / ACCURACY, change < (gain - shift) / (1 - ACCURACY))
    return lambda number, content: {OLD: was, NEW: now}[content][number]


def send_new(number):
    return NEW


def rollout_of(fleet, seed, loss, gain, spread=0.0, **options):
    measure = measuring(seed, loss, gain, spread)
    return roll_out(fleet, NEW_VERSION, send_new, measure, seed=seed, **({"stages": STAGES, "level": LEVEL} | options))


def share_taken_back(loss, gain, spread=0.0, runs=300, devices=100):
    fleet = fleet_of(devices)
    return np.mean([rollout_of(fleet, seed, loss, gain, spread).rolled_back for seed in range(runs)])


def above(level, runs):
    """Return the level and three standard errors of a share in so many runs."""
    return level + 3 * math.sqrt(level * (1 - level) / runs)


def test_a_model_that_is_as_good_is_seldom_taken_back():
    assert share_taken_back(0.05, 0.05) <= above(LEVEL, 300)


@pytest.mark.slow
def test_not_even_if_some_devices_get_better_and_some_worse():
    """Examples of one device are alike: counted one by one they would raise far more alarms than the level says."""
    assert share_taken_back(0.05, 0.05, spread=0.04) <= above(LEVEL, 300)
    fleet = fleet_of(100)
    alarms = 0
    for seed in range(300):
        stages = rollout_of(fleet, seed, 0.05, 0.05, spread=0.04, level=1e-6, stages=(0.5, 1.0)).stages
        alarms += any(sign_test(stage.losses, stage.gains) <= LEVEL / len(stages) for stage in stages)
    assert alarms / 300 > above(LEVEL, 300)


def test_a_better_model_is_kept():
    result = rollout_of(fleet_of(100), 0, 0.0, 0.05)
    assert not result.rolled_back
    assert result.fleet.versions() == {NEW_VERSION: 100}
    assert result.fleet == new_fleet(100, NEW_VERSION, NEW)
    assert sorted(result.ran) == list(range(100))
    assert [stage.updated for stage in result.stages] == [10, 50, 100]


def test_a_drop_of_five_points_is_noticed_before_all_have_it():
    fleet = fleet_of(200)
    results = [rollout_of(fleet, seed, 0.1, 0.05) for seed in range(200)]
    assert np.mean([result.rolled_back and len(result.ran) <= 100 for result in results]) >= 0.95
    assert np.mean([len(result.ran) for result in results]) <= 100
    assert all(result.fleet == fleet for result in results if result.rolled_back)


def test_without_stages_all_devices_would_have_run_it():
    result = rollout_of(fleet_of(100), 0, 0.1, 0.05, stages=(1.0,))
    assert result.rolled_back
    assert len(result.ran) == 100


def test_a_bad_model_runs_on_the_canaries_alone_and_leaves_nothing():
    fleet = fleet_of(1000)
    result = rollout_of(fleet, 0, 0.4, 0.0, stages=(0.01, 0.1, 0.5, 1.0))
    assert result.rolled_back
    assert len(result.ran) == len(set(result.ran)) == 10
    assert [(stage.updated, stage.worse, stage.better, stage.alarm) for stage in result.stages] == [(10, 10, 0, True)]
    assert result.fleet == fleet  # every version, and every byte
    assert all(device.content == OLD and device.former is None for device in result.fleet.devices)
    assert all(not device.install(NEW_VERSION, NEW).content == OLD for device in result.fleet.devices[:1])


def test_the_seed_decides_who_is_a_canary_and_nothing_else_does():
    fleet = fleet_of(100)
    first, again, other = (rollout_of(fleet, seed, 0.4, 0.0) for seed in (1, 1, 2))
    assert first == again
    assert set(first.ran) != set(other.ran)


def test_a_device_refuses_a_file_that_is_not_the_announced_one():
    device = fleet_of(1).devices[0]
    with pytest.raises(Refused, match=f"announced SHA-256 {NEW_VERSION.sha256}, got"):
        device.install(NEW_VERSION, NEW + b" and more")
    assert device.install(NEW_VERSION, NEW).roll_back() == device


def test_a_device_refuses_a_model_for_other_images():
    device = fleet_of(1).devices[0]
    with pytest.raises(Refused, match="version must be for images of 1 x 28 x 28, as this device has, got 3 x 32 x 32"):
        device.install(announce("new", NEW, (3, 32, 32)), NEW)


def test_downloads_that_were_damaged_are_refused_and_the_rest_goes_on():
    fleet = fleet_of(100)
    damaged = set(range(0, 100, 3))

    def download(number):
        return NEW[:-1] if number in damaged else NEW

    result = roll_out(fleet, NEW_VERSION, download, measuring(0, 0.0, 0.05), seed=0, stages=(0.2, 1.0))
    assert not result.rolled_back
    assert result.fleet.versions() == {OLD_VERSION: len(damaged), NEW_VERSION: 100 - len(damaged)}
    assert set(result.ran) == set(range(100)) - damaged
    assert result.stages[-1].refused == len(damaged)


def test_a_file_that_hardly_anyone_installs_goes_no_further():
    fleet = fleet_of(100)
    result = roll_out(fleet, NEW_VERSION, lambda number: b"", measuring(0, 0.0, 0.0), seed=0, stages=(0.1, 1.0))
    assert result.rolled_back
    assert (result.ran, result.fleet) == ((), fleet)
    assert [(stage.refused, stage.alarm) for stage in result.stages] == [(10, True)]


def test_the_sign_test_by_hand():
    assert sign_test(0, 0) == 1
    assert sign_test(3, 0) == pytest.approx(1 / 8)
    assert sign_test(8, 2) == pytest.approx((45 + 10 + 1) / 1024)
    assert sign_test(2, 8) == pytest.approx(1 - (10 + 1) / 1024)
    assert sign_test(600, 400) == pytest.approx(1.364e-10, rel=1e-3)
    for level in (0.5, 0.05, 0.0125, 1 / 1024):
        least = least_votes(level)
        assert sign_test(least, 0) <= level < sign_test(least - 1, 0)


@pytest.mark.slow
def test_the_chance_of_an_alarm_is_what_comes_out():
    """One stage, many seeds: the exact chance within four standard errors, for no change and for drops."""
    fleet = fleet_of(40)
    for loss, gain in ((0.05, 0.05), (0.07, 0.05), (0.1, 0.05)):
        runs = [rollout_of(fleet, seed, loss, gain, stages=(1.0,)).rolled_back for seed in range(400)]
        chance = chance_of_alarm(40, EXAMPLES, loss, gain, LEVEL)
        assert np.mean(runs) == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / 400) + 1e-9)


def test_the_chance_of_an_alarm_is_bounded_and_grows():
    for devices in (5, 20, 100, 500):
        assert chance_of_alarm(devices, EXAMPLES, 0.05, 0.05, LEVEL) <= LEVEL
    assert chance_of_alarm(4, EXAMPLES, 1.0, 0.0, LEVEL) == 0  # 1 / 16 is the smallest p-value
    assert chance_of_alarm(5, EXAMPLES, 1.0, 0.0, LEVEL) == 1
    assert chance_of_alarm(50, EXAMPLES, 0.0, 0.0, LEVEL) == 0
    assert chance_of_alarm(50, 5, 0.1, 0.05, LEVEL) < chance_of_alarm(50, 50, 0.1, 0.05, LEVEL)
    assert chance_of_alarm(20, 20, 0.1, 0.05, LEVEL) < chance_of_alarm(200, 20, 0.1, 0.05, LEVEL)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages": (0.04, 1.0)}, "stages must begin with >= 6 devices, .* got 4 of 100"),
        ({"stages": ()}, "stages must rise"),
        ({"stages": (0.5, 0.5)}, "stages must rise"),
        ({"stages": (0.5, 1.1)}, "stages must be shares > 0 and <= 1, got 1.1"),
        ({"level": 1}, "level must be > 0 and < 1, got 1"),
        ({"level": math.nan}, "level must be"),
        ({"seed": -1}, "seed must be >= 0"),
    ],
)
def test_what_cannot_work_is_a_sentence_before_anyone_installs_anything(options, words):
    def never(*arguments):
        raise AssertionError("work has begun")

    with pytest.raises(InputError, match=words):
        roll_out(fleet_of(100), NEW_VERSION, never, never, **({"seed": 0, "stages": STAGES} | options))


def test_other_mistakes_are_sentences():
    with pytest.raises(InputError, match="same examples with both files, got 3 and 5"):
        roll_out(fleet_of(100), NEW_VERSION, send_new, lambda _, file: [True] * (3 if file == OLD else 5), seed=0,
                 stages=(1.0,))  # fmt: skip
    under_way = Fleet((fleet_of(1).devices[0].install(NEW_VERSION, NEW),) * 100)
    with pytest.raises(InputError, match="fleet must have no rollout under way"):
        rollout_of(under_way, 0, 0.0, 0.0)
    with pytest.raises(InputError, match="loss \\+ gain must be <= 1"):
        chance_of_alarm(10, 10, 0.6, 0.6, 0.05)
    with pytest.raises(InputError, match="worse must be a whole number >= 0"):
        sign_test(-1, 0)
    with pytest.raises(InputError, match="num_devices"):
        new_fleet(0, OLD_VERSION, OLD)
    with pytest.raises(Refused):
        new_fleet(3, OLD_VERSION, NEW)
