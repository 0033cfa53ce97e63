"""Clients' links: times by the formula, losses by the seed, and links that are closed most of the time."""

import math

import numpy as np
import pandas as pd
import pytest

from fedlearn_helpers.availability import draw_devices, timeline
from fedlearn_helpers.communication.links import (
    HOUR,
    Clock,
    Links,
    draw_links,
    first_reaching,
    synchronous_curve,
    within,
)
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.history import Exchange, History

CURVE = pd.DataFrame({"hours": [0.0, 1, 3], "bytes": [0, 10, 40], "turns": [0, 2, 4], "accuracy": [0.1, 0.5, 0.4]})


def links(clients=1, **changed):
    fields = {
        "bytes_per_second_up": 100.0,
        "bytes_per_second_down": 1000.0,
        "latency": 0.5,
        "loss": 0.0,
        "seconds_of_period": 100.0,
        "seconds_open": 100.0,
        "first_open": 0.0,
    } | changed
    return Links(**{name: np.full(clients, value) for name, value in fields.items()}, seed=3)


def test_a_message_takes_latency_and_bytes_over_bandwidth():
    assert links().seconds(0, 0, "up", 1000) == 0.5 + 1000 / 100
    assert links().seconds(0, 0, "down", 1000) == 0.5 + 1000 / 1000
    assert links().arrival(0, 0, "up", 1000, 7.0) == 17.5
    clock = Clock(links(), np.array([60.0]))
    assert clock.trained(0, 0, 7.0, 2000) == 7 + 2.5 + 60
    assert clock.answered(0, 0, 7.0, 2000, 1000) == 7 + 2.5 + 60 + 10.5


def test_a_lost_message_is_repeated_as_a_whole():
    lossy = links(loss=0.6)
    attempts = np.array([lossy.attempts(0, turn, "up") for turn in range(3000)])
    assert attempts.min() == 1 and attempts.mean() == pytest.approx(1 / 0.4, abs=0.1)
    for turn in range(5):
        assert lossy.seconds(0, turn, "up", 1000) == attempts[turn] * 10.5
    assert [lossy.attempts(0, turn, "up") for turn in range(50)] == attempts[:50].tolist(), "asked again"
    assert [lossy.attempts(0, turn, "down") for turn in range(50)] != attempts[:50].tolist()
    assert all(links().attempts(0, turn, "up") == 1 for turn in range(50)), "nothing is lost"


@pytest.mark.parametrize(
    ("start", "seconds", "arrives"),
    [
        (20, 4, 24),  # open from 20 to 30, from 120 to 130, …
        (25, 5, 30),  # arrives as it closes
        (25, 6, 121),  # the last second has to wait
        (25, 15, 130),
        (25, 16, 221),
        (30, 4, 124),  # has just closed
        (70, 10, 130),
        (70, 11, 221),
        (5, 1, 21),  # before the first period
        (20, 0, 20),
        (70, 0, 120),
    ],
)
def test_a_message_waits_while_the_link_is_closed(start, seconds, arrives):
    now_and_then = links(latency=0.0, first_open=20.0, seconds_open=10.0)
    assert now_and_then.arrival(0, 0, "down", 1000 * seconds, start) == pytest.approx(arrives)


def test_who_sends_later_does_not_arrive_sooner():
    now_and_then = links(first_open=20.0, seconds_open=10.0, loss=0.3)
    for turn in range(20):
        arrivals = [now_and_then.arrival(0, turn, "up", 700, start) for start in np.linspace(0, 300, 301)]
        assert arrivals == sorted(arrivals) and all(np.array(arrivals) >= np.linspace(0, 300, 301))


def test_drawn_links():
    drawn = draw_links(100, away_share=0.3, latency=0.2, loss=0.1, seed=0)
    assert len(drawn) == 100
    away = drawn.seconds_open < drawn.seconds_of_period
    assert away.sum() == 30 and set(drawn.seconds_open[away]) == {2 * HOUR}
    assert np.median(drawn.bytes_per_second_up) == pytest.approx(250_000, rel=0.2)
    np.testing.assert_allclose(drawn.bytes_per_second_down, 4 * drawn.bytes_per_second_up)
    again, other = draw_links(100, seed=0), draw_links(100, seed=1)
    np.testing.assert_array_equal(again.bytes_per_second_up, drawn.bytes_per_second_up)
    assert not np.array_equal(other.bytes_per_second_up, drawn.bytes_per_second_up)


def exchange(number, client, bytes_down=1000, bytes_up=1000, error=None):
    return Exchange(number, "train", client, 5, {}, bytes_down, bytes_up, 0.1, error)


def test_a_round_waits_for_its_slowest_client():
    history = History(
        [exchange(1, 0), exchange(1, 1), exchange(2, 0), exchange(3, 0), exchange(3, 1, bytes_up=0, error="away")],
        {"server": {0: {"accuracy": 0.1}, 3: {"accuracy": 0.7}}},
    )
    curve = synchronous_curve(history, Clock(links(2), np.array([10.0, 3600.0])))
    once = 1.5 + 10.5  # down and up
    np.testing.assert_allclose(curve["hours"] * HOUR, np.cumsum([0, once + 3600, once + 10, once + 10]))
    assert curve["bytes"].tolist() == [0, 4000, 6000, 9000] and curve["turns"].tolist() == [0, 2, 3, 4]
    assert curve["accuracy"].iloc[[0, 3]].tolist() == [0.1, 0.7] and curve["accuracy"].isna().sum() == 2
    with pytest.raises(InputError, match="^clock must have a link for each client, got 1 links and client 1$"):
        synchronous_curve(history, Clock(links(1), np.ones(1)))


def test_a_round_of_several_messages_to_a_client_is_refused():
    history = History([exchange(1, 0), exchange(1, 1), exchange(1, 0)])
    sentence = (
        "^history must have one message of training to a client in a round, got 2 to client 0 in round 1, as with"
    )
    with pytest.raises(InputError, match=sentence):
        synchronous_curve(history, Clock(links(2), np.ones(2)))
    with pytest.raises(InputError, match=sentence):
        timeline(history, draw_devices(2, slow_share=0.5, slow_factor=2.0, seed=0), [1, 1])


def test_equal_budgets():
    assert len(within(CURVE, "hours", 1)) == 2 and len(within(CURVE, "bytes", 39)) == 2
    assert first_reaching(CURVE, "hours", 0.45) == 1 and first_reaching(CURVE, "bytes", 0.5) == 10
    assert first_reaching(CURVE, "turns", 0.6) == math.inf
    with pytest.raises(InputError, match="^column must be 'hours', 'bytes', 'turns', got 'days'$"):
        within(CURVE, "days", 1)
    with pytest.raises(InputError, match=r"^budget must be >= 0, got -1$"):
        within(CURVE, "hours", -1)
    with pytest.raises(InputError, match=r"^accuracy must be between 0 and 1, got 70$"):
        first_reaching(CURVE, "hours", 70)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bytes_per_second_up": 0.0}, "bytes_per_second_up must be > 0, got 0.0"),
        ({"bytes_per_second_down": -5.0}, "bytes_per_second_down must be > 0, got -5.0"),
        ({"bytes_per_second_down": math.nan}, "bytes_per_second_down must be > 0, got nan"),
        ({"latency": -0.1}, "latency must be >= 0, got -0.1"),
        ({"loss": 1.0}, "loss must be in [0, 1), got 1.0"),
        ({"loss": -0.5}, "loss must be in [0, 1), got -0.5"),
        ({"seconds_open": 0.0}, "seconds_open must be > 0, got 0.0"),
        ({"seconds_open": 101.0}, "seconds_open must be <= seconds_of_period, 100, got 101.0"),
        ({"first_open": -1.0}, "first_open must be >= 0, got -1.0"),
    ],
)
def test_bad_links(changed, message):
    with pytest.raises(InputError) as caught:
        links(**changed)
    assert str(caught.value) == message


def test_other_bad_input():
    with pytest.raises(InputError, match="^links must have one value per client, got arrays of lengths"):
        Links(*[np.ones(2)] * 3, np.zeros(3), *[np.ones(2)] * 3, seed=0)
    with pytest.raises(InputError, match="^work_seconds must have one value per link"):
        Clock(links(2), np.ones(3))
    with pytest.raises(InputError, match="^work_seconds must be > 0, got 0.0"):
        Clock(links(2), np.zeros(2))
    with pytest.raises(InputError, match="^num_bytes must be a whole number >= 0, got -1"):
        links().seconds(0, 0, "up", -1)
    with pytest.raises(InputError, match="^direction must be 'up', 'down', got 'sideways'"):
        links().seconds(0, 0, "sideways", 1)
    with pytest.raises(InputError, match="^spread must be >= 1, got 0.5"):
        draw_links(3, spread=0.5, seed=0)
    with pytest.raises(InputError, match="^away_share must be between 0 and 1, got 2"):
        draw_links(3, away_share=2, seed=0)
    with pytest.raises(InputError, match="^bytes_per_second_up must be > 0, got 0"):
        draw_links(3, bytes_per_second_up=0, seed=0)
    with pytest.raises(InputError, match="^hours_open must be > 0 and <= hours_of_period, 72, got 80"):
        draw_links(3, hours_open=80, seed=0)
