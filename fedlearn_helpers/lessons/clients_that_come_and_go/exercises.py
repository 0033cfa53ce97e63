"""The exercises of notebook 03."""

from collections.abc import Callable
from typing import Any

from fedlearn_helpers.availability.devices import steps_in_time
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_ENOUGH = 0.25


def _test_clients_to_ask(answer: Any) -> str:
    mistakes = {
        9: "Then all nine would have to be there, and be fast. Of nine that are asked, about four answer in time.",
        10: "That allows for those who are away. Half of the ten are slow, and are dropped.",
        18: "That allows for the slow half. And of these 18 one in ten is not there.",
        4: "That is how many of nine answer. The question is how many must be asked so that nine do.",
        15: "Shares are multiplied, not added: of all clients half are fast, and nine tenths of those are there.",
    }
    value = number(answer)
    if value in mistakes:
        raise NotYet(mistakes[int(value)])
    if value != 20:
        raise NotYet(f"{value:g} is not it. Which share of those who are asked is there, and fast?")
    return (
        "20 · 0.5 · 0.9 = 9. To ask for more than one needs is called over-selection. It fills the average; "
        "it does not bring the slow clients' data into it."
    )


def _test_partial_steps(answer: Callable[..., Any]) -> str:
    def run(*arguments: float) -> float:
        return number(call(answer, *arguments))

    # steps, seconds per step, seconds for both transfers, deadline; all exact in binary
    taken = run(20, 0.5, 1.0, 6.0)
    mistakes = {
        12: "12 steps take 6 seconds, and the model has to travel, too: 1 of the 6 seconds is for that.",
        8: "8 steps come out if the transfers are subtracted twice. seconds_for_transfers is both of them together.",
        5: "5 is the number of seconds that are left to compute. How many steps of 0.5 seconds are that?",
        2.5: "Divide the seconds by the seconds per step: a step of 0.5 seconds fits twice into a second.",
        20: "20 steps take 10 seconds, and the deadline is after 6. A late device stops earlier.",
    }
    if taken in mistakes:
        raise NotYet(mistakes[taken])
    if taken != 10:
        raise NotYet(f"Steps of 0.5 s, 1 s for transfers and a deadline of 6 s leave 5 s: 10 steps, not {taken:g}.")
    taken = run(20, 1.0, 2.0, 5.75)
    if taken != 3:
        raise NotYet(f"3.75 seconds are left, and a step takes one second: 3 whole steps, not {taken:g}.")
    taken = run(5, 0.5, 2.0, 60.0)
    if taken != 5:
        raise NotYet(f"With a minute of time a device that is asked for 5 steps takes 5, and yours takes {taken:g}.")
    taken = run(5, 0.5, 2.0, 1.0)
    if taken != 0:
        raise NotYet(
            f"If the transfers alone take longer than the deadline, there are 0 steps, and yours are {taken:g}."
        )
    return "It is the package's steps_in_time: with it the simulated devices decide how much of the work they do."


def _test_smallest_deadline(answer: Any, *, smallest_share: Callable[[float], float], budget: float) -> str:
    seconds = number(answer)
    if seconds != int(seconds) or seconds < 1:
        raise NotYet(f"The answer must be a whole number of seconds, at least 1, and it is {seconds:g}.")
    share = smallest_share(seconds)
    if share < _ENOUGH:
        raise NotYet(
            f"By {seconds:g} seconds the slowest device has taken {share:.0%} of its steps: too few. Wait longer."
        )
    if smallest_share(seconds - 1) >= _ENOUGH:
        raise NotYet(f"By then even the slowest has taken {share:.0%} of its steps. One second less is enough, too.")
    twice = smallest_share(2 * seconds)
    return (
        f"The slowest device takes {share:.0%} of its steps by second {seconds:g}, and {twice:.0%} by second "
        f"{2 * seconds:g}: not just twice as many, for the transfers are paid for once. The price is rounds: in the time "
        f"of section 4 there are {budget / seconds:.0f} that last {seconds:g} seconds."
    )


clients_to_ask = Exercise(
    name="clients_to_ask",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "Two things must hold for an answer in time: the client is fast, and it is there. Neither decides the other.",
        "Which share of the clients that are asked is both? Of ten that are asked, how many answer in time?",
    ),
    solution_code="prediction = 9 / (0.5 * 0.9)",
    test=_test_clients_to_ask,
)

partial_steps = Exercise(
    name="partial_steps",
    kind="code",
    difficulty="medium",
    minutes=5,
    hints=(
        "How many seconds are left to compute when the transfers are paid for? How many steps fit into them?",
        "Then three special cases: half a step is no step. What if the time left is negative? And what if it is enough "
        "for more steps than were asked for?",
    ),
    solution_code=steps_in_time,
    test=_test_partial_steps,
)

smallest_deadline = Exercise(
    name="smallest_deadline",
    kind="explore",
    difficulty="easy",
    minutes=3,
    hints=(
        "How many seconds of a deadline does the slowest device spend on transfers, and how many on each step?",
        "Try a few: smallest_share(5), smallest_share(10), smallest_share(20). Where must it lie?",
    ),
    solution_code="""
        limit = 1
        while smallest_share(limit) < 0.25:
            limit += 1
    """,
    test=_test_smallest_deadline,
)
