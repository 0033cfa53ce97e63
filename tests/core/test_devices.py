"""Simulated devices: who is there, who is late, what a round costs; and the same in front of real clients."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.availability.devices import Answer, Devices, draw_devices, round_seconds, steps_in_time
from fedlearn_helpers.availability.mods import device_mod, timeline
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation import History, keep_result, simulate

FAST_AND_SLOW = Devices(
    seconds_per_step=np.array([0.1, 1.0]), seconds_per_transfer=np.array([2.0, 2.0]), availability=np.ones(2), seed=0
)


def test_without_a_deadline_everybody_is_waited_for():
    assert FAST_AND_SLOW.answer(0, 1, 10) == Answer("in time", 10, 3.0)
    assert FAST_AND_SLOW.answer(1, 1, 10) == Answer("in time", 10, 12.0)


def test_a_late_device_is_dropped_or_does_part_of_the_work():
    assert FAST_AND_SLOW.answer(1, 1, 10, deadline=6) == Answer("late", 0, 12.0)
    assert FAST_AND_SLOW.answer(1, 1, 10, deadline=6, late="partial") == Answer("partial", 4, 6.0)
    assert FAST_AND_SLOW.answer(1, 1, 10, deadline=12) == Answer("in time", 10, 12.0)
    assert FAST_AND_SLOW.answer(1, 1, 10, deadline=2.5, late="partial") == Answer("late", 0, 12.0), "no whole step"
    assert FAST_AND_SLOW.answer(1, 1, 10, deadline=1, late="partial").status == "late", "not even the transfer"


def test_a_device_is_there_as_often_as_its_availability_says_and_the_same_when_asked_again():
    devices = Devices(np.ones(3), np.zeros(3), np.array([0.0, 0.3, 1.0]), seed=5)
    there = np.array([[devices.is_there(client, number) for client in range(3)] for number in range(2000)])
    assert there[:, 0].sum() == 0 and there[:, 2].all()
    assert there[:, 1].mean() == pytest.approx(0.3, abs=0.04)
    assert there[7, 1] == devices.is_there(1, 7)
    assert devices.answer(0, 1, 10) == Answer("away", 0, 0.0)


def test_a_round_lasts_until_the_last_answer_or_until_the_deadline():
    in_time, late, away = Answer("in time", 5, 3.0), Answer("late", 0, 40.0), Answer("away", 0, 0.0)
    assert round_seconds([in_time, Answer("in time", 5, 4.0)], None) == 4.0
    assert round_seconds([in_time, Answer("in time", 5, 4.0)], 10) == 4.0, "nobody missing: no need to wait longer"
    assert round_seconds([in_time, late], 10) == 10.0
    assert round_seconds([in_time, away], 10) == 10.0, "the server cannot know that nothing will come"
    assert round_seconds([in_time, away], None) == 3.0
    assert round_seconds([], None) == 0.0


def test_drawn_devices():
    devices = draw_devices(100, slow_share=0.3, slow_factor=20, availability=0.5, seed=0)
    assert len(devices) == 100
    assert (devices.seconds_per_step > 1).sum() == 30, "fast ones take about 0.1 s a step, slow ones about 2 s"
    assert len(set(devices.seconds_per_step)) == 100
    again, other = (draw_devices(100, slow_share=0.3, slow_factor=20, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(devices.seconds_per_step, again.seconds_per_step)
    assert not np.array_equal(devices.seconds_per_step, other.seconds_per_step)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: FAST_AND_SLOW.answer(0, 1, 5, deadline=0), "deadline must be > 0 seconds, or None .*, got 0$"),
        (lambda: FAST_AND_SLOW.answer(0, 1, 5, deadline=float("nan")), "deadline must be > 0"),
        (lambda: FAST_AND_SLOW.answer(0, 1, 5, late="wait"), "late must be 'drop' or 'partial', got 'wait'$"),
        (lambda: Devices(np.zeros(1), np.ones(1), np.ones(1), 0), "seconds_per_step must be > 0, got 0"),
        (lambda: Devices(np.ones(1), -np.ones(1), np.ones(1), 0), "seconds_per_transfer must be >= 0, got -1"),
        (lambda: Devices(np.ones(1), np.ones(1), np.array([1.5]), 0), "availability must be between 0 and 1, got 1.5"),
        (
            lambda: Devices(np.ones(2), np.ones(1), np.ones(2), 0),
            r"one value per client, got arrays of lengths \[1, 2\]",
        ),
        (
            lambda: draw_devices(0, slow_share=0, slow_factor=1, seed=0),
            "num_clients must be a whole number >= 1, got 0",
        ),
        (lambda: draw_devices(3, slow_share=2, slow_factor=1, seed=0), "slow_share must be between 0 and 1, got 2"),
        (lambda: draw_devices(3, slow_share=0, slow_factor=0.5, seed=0), "slow_factor must be >= 1, got 0.5"),
        (lambda: draw_devices(3, slow_share=0, slow_factor=1, availability=-1, seed=0), "availability must be between"),
        (lambda: device_mod(FAST_AND_SLOW, [1]), r"steps must have one entry per device \(2\), got 1"),
        (lambda: device_mod(FAST_AND_SLOW, [1, 1], deadline=-3), "deadline must be > 0"),
        (lambda: timeline(History(), FAST_AND_SLOW, [1, 1], deadline="1"), "deadline must be > 0 .*, got '1'$"),
        (lambda: draw_devices(3, slow_share=0, slow_factor="2", seed=0), "slow_factor must be >= 1, got '2'$"),
        (lambda: draw_devices(3, slow_share=0, slow_factor=1, seed=0.5), "seed must be a whole number >= 0, got 0.5"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


# In front of clients ----------------------------------------------------------------------


def run(devices, *, num_rounds=2, label="Round", **rule):
    """A federation whose clients add to the model the number of steps that they took; 10 steps are a client's work."""
    steps = [10] * len(devices)
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train(mods=[device_mod(devices, steps, **rule)])
    def train(message, context):
        taken = message.content["config"]["max-steps"]
        w = message.content["arrays"]["w"].numpy() + taken
        metrics = MetricRecord({"num-examples": 1, "steps": taken})
        return Message(RecordDict({"arrays": ArrayRecord({"w": Array(w)}), "metrics": metrics}), reply_to=message)

    @server_app.main()
    def main(grid, context):
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
        initial = ArrayRecord({"w": Array(np.zeros(1))})
        keep_result(strategy.start(grid=grid, initial_arrays=initial, num_rounds=num_rounds), context)

    history = simulate(
        server_app, client_app, num_clients=len(devices), seed=0, workers=1, on_error="reply", label=label
    )
    return history, timeline(history, devices, steps, **rule)


def test_fedavg_drops_the_late(capsys):
    history, rounds = run(FAST_AND_SLOW, deadline=6)
    assert history.arrays["w"].numpy() == 20, "twice the ten steps of the fast client alone"
    assert rounds["late"].tolist() == [1, 1] and rounds["in time"].tolist() == [1, 1]
    assert rounds["clock"].tolist() == [6, 12] and rounds["note"].tolist() == ["", ""]
    assert history.failures["client"].tolist() == [1, 1]
    assert "late: after 12 s, and the deadline is 6 s" in history.failures["error"].iloc[0]


def test_partial_work_counts():
    history, rounds = run(FAST_AND_SLOW, deadline=6, late="partial")
    assert history.arrays["w"].numpy() == 2 * (10 + 4) / 2
    assert rounds["partial"].tolist() == [1, 1] and len(history.failures) == 0


def test_waiting_for_everybody_takes_as_long_as_the_slowest():
    history, rounds = run(FAST_AND_SLOW)
    assert history.arrays["w"].numpy() == 20
    assert rounds["seconds"].tolist() == [12, 12]


def test_a_deadline_that_nobody_can_meet_leaves_the_model_as_it_was_and_says_so(capsys):
    history, rounds = run(FAST_AND_SLOW, deadline=0.5)
    assert history.arrays is None, "no round gave a new model"
    assert rounds["note"].tolist() == ["nobody answered: the model stays as it was"] * 2
    assert rounds["seconds"].tolist() == [0.5, 0.5]
    assert "Rounds 1, 2: no client returned a model, so it stays as it was." in capsys.readouterr().out


def test_a_federation_without_a_label_says_nothing(capsys):
    run(FAST_AND_SLOW, deadline=0.5, label=None)
    assert capsys.readouterr().out == ""


def test_the_fates_of_the_timeline_are_those_of_the_clients():
    devices = draw_devices(30, slow_share=0.4, slow_factor=20, availability=0.7, seed=3)
    history, rounds = run(devices, num_rounds=3, deadline=5, late="partial")
    answered = history.clients[history.clients["error"].isna()].groupby("round").size()
    assert (rounds["in time"] + rounds["partial"]).tolist() == answered.tolist()
    away = history.failures[history.failures["error"].str.contains("away")].groupby("round").size()
    assert rounds["away"].tolist() == away.tolist() and rounds["away"].min() > 0


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ((20, 0.5, 2.0, 6.0), 8),
        ((20, 1.0, 2.0, 5.75), 3),
        ((5, 0.5, 2.0, 60.0), 5),
        ((5, 0.5, 2.0, 1.0), 0),
        ((5, 0.1, 2.0, 2.3), 3),  # 2.3 - 2 is a little less than 0.3
        ((5, 0.1, 2.0, np.inf), 5),
    ],
)
def test_steps_in_time(arguments, steps):
    assert steps_in_time(*arguments) == steps


def test_a_deadline_that_steps_fill_exactly_means_the_same_everywhere():
    """Deadlines that are so many steps after the transfer, computed in floats: all of them are in time."""
    rng = np.random.default_rng(0)
    for step in (0.1, 0.3, *rng.uniform(0.01, 3, 300)):
        devices = Devices(np.array([step]), np.array([2.0]), np.ones(1), seed=0)
        for steps in (1, 3, 7, 40):
            for deadline in (2.0 + steps * step, 2.0 + sum([step] * steps), (200 + steps * (100 * step)) / 100):
                assert steps_in_time(steps + 5, step, 2.0, deadline) == steps
                for rule in ("drop", "partial"):
                    answer = devices.answer(0, 1, steps, deadline=deadline, late=rule)
                    assert (answer.status, answer.steps) == ("in time", steps) and answer.seconds <= deadline
                part = devices.answer(0, 1, steps + 1, deadline=deadline, late="partial")
                assert (part.status, part.steps) == ("partial", steps) and part.seconds <= deadline
                assert devices.answer(0, 1, steps, deadline=deadline - 1e-6).status == "late", "control"


@pytest.mark.parametrize("steps", [0, -3, 2.5, True, "3", None, np.float64(4)])
def test_steps_must_be_a_whole_number_from_1(steps):
    with pytest.raises(InputError, match="^steps must be a whole number >= 1, got "):
        FAST_AND_SLOW.answer(0, 1, steps)
    with pytest.raises(InputError, match="^steps must be a whole number >= 1, got "):
        device_mod(FAST_AND_SLOW, [10, steps])


def test_numbers_of_steps_from_numpy_fit_into_a_message():
    for rule in ({}, {"deadline": 7.0, "late": "partial"}):
        assert type(FAST_AND_SLOW.answer(1, 1, np.int64(8), **rule).steps) is int
