"""The lesson of notebook 07."""

import re

import numpy as np
import pytest
from in_browser import cell
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import models
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.communication import Clock, Sign, draw_links, synchronous_curve
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments import federate, make_scenario
from fedlearn_helpers.lessons.communication import figures


def share_on_link(speed):
    """Half of the time from 6 kB/s on."""
    return 5.5 / (speed + 5.5)


def wrong_receive(data, size):
    numbers = np.frombuffer(data, "<f4")
    update = np.zeros(size)
    update[: len(numbers)] = numbers
    return update


def right_receive(data, size, index="<u4"):
    width = np.dtype(index).itemsize
    k = len(data) // (width + 4)
    update = np.zeros(size)
    update[np.frombuffer(data, index, k)] = np.frombuffer(data, "<f4", k, width * k)
    return update


def kept_where_nothing_was_sent(update, memory, compress):
    sent = compress(update + memory)
    return sent, np.where(sent != 0, 0, update + memory)


def own_top_1(update, memory, compress):
    wanted = update + memory
    sent = np.where(np.arange(len(wanted)) == np.abs(wanted).argmax(), wanted, 0)
    return sent, wanted - sent


def without_memory(update, memory, k):
    places = np.argsort(np.abs(update))[-k:]
    kept = update + memory
    kept[places] -= update[places]
    return places.astype("<u4").tobytes() + update[places].astype("<f4").tobytes(), kept


def sender(*, keep=lambda wanted, update: wanted, index="<u4", places_sent=True, order=np.abs):
    def send(update, memory, k):
        wanted = update + memory
        places = np.argsort(order(wanted))[-k:]
        sent = wanted[places].astype("<f4")
        kept = keep(wanted, update).copy()
        kept[places] = 0
        return (places.astype(index).tobytes() if places_sent else b"") + sent.tobytes(), kept

    return send


def everything(update, memory, k):
    wanted = update + memory
    return np.arange(len(wanted), dtype="<u4").tobytes() + wanted.astype("<f4").tobytes(), np.zeros_like(wanted)


def with_a_shared_variable():
    seen = {}

    def send(update, memory, k):
        wanted = update + memory
        seen["places"] = np.argsort(np.abs(wanted))[-k:]
        kept = wanted.copy()
        kept[seen["places"]] = 0
        return wanted[seen["places"]].astype("<f4").tobytes(), kept

    def receive(data, size):
        update = np.zeros(size)
        update[seen["places"]] = np.frombuffer(data, "<f4")
        return update

    return send, receive


class TestCommunication(LessonTests):
    lesson = Lesson(
        notebook="07_communication",
        small={"num_rounds": 3, "max_images": 400, "num_seeds": 2},
        metrics={
            "target_accuracy",
            "zip_share_left",
            "fedsgd_rounds_to_target_per_seed",
            "20_epochs_hours_to_target_per_seed",
            "5_epochs_a_third_megabytes",
            "2_bits_test_accuracy",
            "2_bits_megabytes",
            "2_bits_simulated_hours",
            "2_bits_times_fewer_bytes",
            "top_1_percent_up_feedback_test_accuracy_per_seed",
            "buffered_accuracy_equal_hours_per_seed",
            "waits_for_half_slow_equal_megabytes_per_seed",
            "ring_rounds_to_agree",
        },
        bad=[
            ({"buffer_size": 10}, "buffer_size must be < num_clients (10), half of the clients of section 8, got 10"),
            ({"kilobytes_per_second": 0.0}, "kilobytes_per_second must be > 0, got 0.0"),
            ({"slow_factor": 0.5}, "slow_factor must be >= 1, got 0.5"),
            ({"slow_factor": 51.0}, "slow_factor must be <= 50, got 51.0"),
            ({"num_clients": 3, "buffer_size": 2}, "num_clients must be >= 4, got 3"),
            ({"fedsgd_rate": 0.0}, "fedsgd_rate must be > 0, got 0.0"),
            ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
            ({"model": "resnet"}, "model must be 'mlp' or 'cnn', got 'resnet'"),
            ({"num_clients": 151}, "max_images must be at least 20 times num_clients (151), got 3000 training images"),
            (
                {"num_clients": 501, "max_images": 20_000},
                "max_images must be at least 20 times num_clients (501), got 10000 training images",
            ),
        ],
        wrong={
            "stale": [
                (40, "40 is the staleness"),
                (1 / 41, "falls with the root"),
                (0.025, "falls with the root"),
                (6.4, "one divided by that"),
                (0.09, "Here it is one in three minutes"),
                (0.71, "one version old"),
                (0.58, "The two hours are time"),
                (1, "if nothing had happened"),
                (0, "FedBuff throws nothing away"),
                (0.3, "0.3 is not it"),
            ],
            "feedback": [
                (lambda update, memory, compress: compress(update), "must return two things"),
                (lambda update, memory, compress: (update, memory), "Everything is sent"),
                (lambda update, memory, compress: (compress(update), np.zeros(3)), "Nothing is kept"),
                (lambda update, memory, compress: (compress(update), update), "you keep [4.0, 1.0, -2.0]"),
                (
                    lambda update, memory, compress: (compress(update), update - compress(update)),
                    "The memory is not used",
                ),
                (
                    lambda update, memory, compress: (compress(update), memory + update - compress(update)),
                    "before compress chooses",
                ),
                (
                    lambda update, memory, compress: (compress(update) + memory, update - compress(update)),
                    "the memory travels beside it",
                ),
                (
                    lambda update, memory, compress: (compress(update + memory), update - compress(update + memory)),
                    "You keep the update minus what was sent",
                ),
                (lambda update, memory, compress: memory.__iadd__(update), "must return two things"),
                (lambda update, memory, compress: (1.0, 2.0), "as many numbers as the update"),
                (kept_where_nothing_was_sent, "it changes what it sends"),
                (own_top_1, "Use the compress that the function gets"),
            ],
            "bug_hunt": [
                (sender(), "must be both functions"),
                ((sender(places_sent=False), wrong_receive), "at other places than they had"),
                (with_a_shared_variable(), "at other places than they had"),
                ((sender(keep=lambda wanted, update: update), right_receive), "What becomes of the old memory"),
                ((sender(keep=lambda wanted, update: 0 * update), right_receive), "What becomes of the old memory"),
                ((sender(order=lambda numbers: numbers), right_receive), "Is np.abs still there"),
                ((without_memory, right_receive), "of the update and the memory together"),
                ((everything, right_receive), "not all"),
                (
                    (sender(index="<u2"), lambda data, size: right_receive(data, size, "<u2")),
                    "two bytes count to 65,535",
                ),
                ((lambda update, memory, k: (update, memory), right_receive), "Only bytes can travel"),
            ],
            "fast_enough": [
                (2, "still spends 73% of its time"),
                (10, "One kB/s less is enough"),
                (5.5, "must be a whole number of kB/s"),
                ("fast", "must be a number, and it is 'fast'"),
            ],
        },
        given={"fast_enough": {"share_on_link": share_on_link}},
        names={"np": np},
        in_browser=Typed("stale", wrong="40", sentence="40 is the staleness", right="0.16"),
    )


# What is shown


def test_the_clock_that_is_shown_is_the_packages():
    data = load_dataset("fashion")
    scenario = make_scenario("iid", data, num_clients=5, max_images=200, seed=0)
    result = federate(
        "fedavg",
        data,
        scenario.members,
        num_rounds=3,
        local_config=LocalConfig(1, 20, 0.1),
        fraction_train=0.6,
        seed=0,
        workers=1,
        model=models.new_mlp(data.image_shape, data.num_classes, 0),
        label=None,
    )
    clock = Clock(draw_links(5, loss=0.2, seed=0), np.array([1.0, 2.0, 30.0, 4.0, 5.0]))
    sent = [entry for entry in result.history.exchanges if entry.phase == "train"]
    run = {
        "accuracy": result.test_accuracy,
        "client": [entry.client for entry in sent],
        "down": [entry.bytes_down for entry in sent],
        "up": [entry.bytes_up for entry in sent],
    }
    names = TestCommunication.lesson.run_cells("clock-hours", np=np, num_clients=5)
    curve = synchronous_curve(result.history, clock)
    assert names["clock_hours"](run, clock) == pytest.approx(curve["hours"].to_numpy(), rel=1e-12)
    assert names["megabytes"](run) == pytest.approx(curve["bytes"].to_numpy() / 1e6, rel=1e-12)


def test_the_signs_that_are_shown_are_the_packages():
    update = np.random.default_rng(0).normal(size=101).astype(np.float32)
    names = TestCommunication.lesson.run_cells("sign-code", np=np, before=np.zeros(101, np.float32), after=update)
    message = names["encode_signs"](update)
    assert len(message) == len(Sign(feedback=False).encode([update], 0, {})) == 4 + 13
    (expected,) = Sign(feedback=False).decode(Sign(feedback=False).encode([update], 0, {}), [update])
    assert names["decode_signs"](message, 101) == pytest.approx(expected)


def test_the_toy_without_feedback_never_moves_and_with_it_arrives():
    toy = TestCommunication.lesson.run_cells("feedback-toy", np=np)
    without, with_it = toy["toy"](toy["top_1"], False), toy["toy"](toy["top_1"], True)
    assert set(without) == {1.0}
    assert max(with_it[-60:]) < 0.05


# Figures


def a_curve(shift=0.0):
    return {
        "accuracy": [0.1, 0.4, 0.6 + shift],
        "rounds": [0, 1, 2],
        "megabytes": [0.0, 2.0, 4.0],
        "hours": [0.0, 0.5, 1.0],
    }


CURVES = {"first": [a_curve(), a_curve(0.1)], "second": [a_curve(), a_curve()]}


def test_curves_end_with_their_costs_and_have_a_panel_for_each_budget():
    drawing = figures.accuracy_by(CURVES, {"megabytes": "megabytes", "hours": "simulated hours"})
    assert [axis.get_xlabel() for axis in drawing.figure.axes] == ["megabytes", "simulated hours"]
    assert drawing.alt.endswith(
        "first 65.0% after 4 megabytes and 1 hours; second 60.0% after 4 megabytes and 1 hours."
    )
    curve = drawing.figure.axes[0].lines[0]
    assert curve.get_ydata()[[0, -1]] == pytest.approx([0.4, 0.65])


def test_a_round_says_who_is_last_and_how_much_of_the_time_is_the_links():
    links = draw_links(2, bytes_per_second_up=10.0, bytes_per_second_down=10.0, spread=1.0, latency=0.0, seed=0)
    drawing = figures.one_round(Clock(links, np.array([20.0, 60.0])), 100)
    assert drawing.alt == (
        "One round of 2 clients with 0 kB each way. The last answer comes from client 1, after 80 simulated seconds. "
        "Between 25% and 50% of a client's time goes to its link."
    )
    assert [bar.get_width() for bar in drawing.figure.axes[0].patches] == [10, 10, 20, 60, 10, 10]


def test_a_setting_says_when_the_target_is_reached_or_that_it_is_not():
    said = figures.one_setting(a_curve(), a_curve(), 0.5, what="so").alt
    assert said.endswith("An accuracy of 50.0% is reached after 4 megabytes and after 1 hours.")
    drawing = figures.one_setting(a_curve(), a_curve(), 0.7, what="so")
    assert drawing.alt.endswith("An accuracy of 70.0% is not reached.")
    assert drawing.figure.axes[0].get_title() == "70.0% is not reached"


def test_the_widget_changes_one_thing_at_a_time(screen):
    asked = []

    def curve_of(*setting):
        asked.append(setting)
        return a_curve()

    figures.explore_one_thing(curve_of, [1, 5], ["float32", "2 bits"], 2.0, 0.5)
    assert screen.alts[-1].startswith("1 local epoch, float32, 2 kB/s up, no village: 60.0% in the end")
    screen.control("compression").value = "2 bits"
    screen.control("links").value = "a village"
    assert asked[-1] == (1, "2 bits", 2.0, "a village")
    screen.control("local epochs").value = 5
    screen.control("kB/s up").value = 64.0
    assert screen.alts[-1].startswith("5 local epochs, 2 bits, 64 kB/s up, a village")


def test_colours_are_not_those_of_the_reference_lines():
    colors = [style["color"] for style in figures._OTHERS]
    assert len(set(colors)) == len(colors)
    taken = {figures.STYLES[name]["color"] for name in figures.STYLES}
    assert not taken & set(colors)


@pytest.mark.browser
def test_compression_in_the_browser(opened, expect):
    page = opened("07_communication")
    widget = cell(page, "figures.explore_one_thing(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^1 local epoch, float32, 2 kB/s up, no village"))
    widget.get_by_role("button", name="2 bits").click()
    expect(image).to_have_attribute("alt", re.compile("^1 local epoch, 2 bits, 2 kB/s up, no village"))
    widget.get_by_role("button", name="a village").click()
    expect(image).to_have_attribute("alt", re.compile("^1 local epoch, 2 bits, 2 kB/s up, a village"))
