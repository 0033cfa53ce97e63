"""The exercises of notebook 07."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_HALF = 0.5
_MOST_BYTES = 40  # for a number and its place, in any way of writing them


def _test_stale(answer: Any) -> str:
    value = number(answer)
    mistakes = (
        (40, "40 is the staleness: how many versions were made since. How much does the answer count then?"),
        (0.02, "That is 1 / (1 + 40), or close to it. The weight falls with the root, more slowly."),
        (0.03, "That is 1 / 40, or close to it. The weight falls with the root, more slowly."),
        (6.4, "That is the root of 1 + 40. The older an answer, the less it counts: one divided by that."),
        (0.11, "One version a minute would be 120 versions. Here it is one in three minutes."),
        (0.09, "One version a minute would be 120 versions. Here it is one in three minutes."),
        (0.7, "That is the weight of an answer that is one version old. How many versions are made in two hours?"),
        (0.71, "That is the weight of an answer that is one version old. How many versions are made in two hours?"),
        (0.58, "That is the weight after two versions. The two hours are time: how many versions are made in them?"),
        (1, "It would, if nothing had happened in the two hours. How many versions are made in them?"),
        (0, "FedBuff throws nothing away: an old answer counts less, and something."),
    )
    rounded = round(value, 2)
    for wrong, sentence in mistakes:
        if rounded == wrong:
            raise NotYet(sentence)
    if rounded != 0.16:
        raise NotYet(
            f"{value:g} is not it. How many versions are made in two hours? Then use the formula of section 8."
        )
    return (
        "120 / 3 = 40 versions, and 1 / sqrt(1 + 40) = 0.16. It counts, and it is one answer of many: whoever answers "
        "every few minutes has sent dozens in these two hours."
    )


def _largest_of(numbers: np.ndarray) -> np.ndarray:
    """Keep the number with the largest magnitude."""
    return np.where(np.arange(len(numbers)) == np.abs(numbers).argmax(), numbers, 0.0)


def _test_feedback(answer: Callable[..., Any]) -> str:
    def run(
        update: list[float], memory: list[float], compress: Callable[[np.ndarray], np.ndarray] = _largest_of
    ) -> tuple[np.ndarray, np.ndarray]:
        given = np.array(update), np.array(memory)
        result = call(answer, *given, compress)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise NotYet("The function must return two things: what is sent, and what is kept.")
        if given[0].tolist() != update or given[1].tolist() != memory:
            raise NotYet("The function must leave the update and the memory that it gets as they are: make new arrays.")
        try:
            sent, kept = (np.asarray(part, dtype=float) for part in result)
        except (TypeError, ValueError):
            raise NotYet("What is sent and what is kept must be arrays of numbers.") from None
        if sent.shape != given[0].shape or kept.shape != given[0].shape:
            raise NotYet(
                f"Both must have as many numbers as the update, {len(update)}, and have {sent.shape} and {kept.shape}."
            )
        return sent, kept

    sent, kept = run([4.0, 1.0, -2.0], [0.0, 0.0, 0.0])
    if sent.tolist() == [4.0, 1.0, -2.0]:
        raise NotYet("Everything is sent. Only what compress returns may travel.")
    if sent.tolist() != [4.0, 0.0, 0.0]:
        raise NotYet(f"Of (4, 1, -2) with an empty memory compress sends (4, 0, 0), and you send {sent.tolist()}.")
    if kept.tolist() == [0.0, 0.0, 0.0]:
        raise NotYet("Nothing is kept, so what was not sent is lost: this is compression without error feedback.")
    if kept.tolist() != [0.0, 1.0, -2.0]:
        raise NotYet(f"After (4, 0, 0) was sent of (4, 1, -2), (0, 1, -2) is left, and you keep {kept.tolist()}.")
    sent, kept = run([1.0, 1.0, 0.0], [0.0, 1.0, 0.5])
    if sent.tolist() == [1.0, 0.0, 0.0] and kept.tolist() == [0.0, 1.0, 0.0]:
        raise NotYet("The memory is not used: it is forgotten at the second turn. It must be added to the update.")
    if sent.tolist() == [1.0, 0.0, 0.0]:
        raise NotYet("The memory must be added before compress chooses: here 1 + 1 = 2 is the largest number.")
    if sent.tolist() == [1.0, 1.0, 0.5] or sent.tolist() == [1.0, 2.0, 0.5]:
        raise NotYet("Only what compress returns may be sent. Here the memory travels beside it, uncompressed.")
    if sent.tolist() != [0.0, 2.0, 0.0]:
        raise NotYet(f"Of (1, 1, 0) with (0, 1, 0.5) in memory (0, 2, 0) is sent, and you send {sent.tolist()}.")
    if kept.tolist() == [1.0, -1.0, 0.0]:
        raise NotYet(
            "You keep the update minus what was sent. What was to be sent is the update and the memory: the 0.5 is "
            "lost, and the 1 that was just sent will be taken back."
        )
    if kept.tolist() != [1.0, 0.0, 0.5]:
        raise NotYet(f"After (0, 2, 0) was sent of (1, 2, 0.5), (1, 0, 0.5) is left, and you keep {kept.tolist()}.")
    sent, kept = run([1.5, 0.25, -2.25, 3.0], [0.0, 0.5, 0.0, 0.5], np.floor)
    if sent.tolist() != [1.0, 0.0, -3.0, 3.0]:
        raise NotYet(
            "Here compress rounds down, and what it returns of (1.5, 0.75, -2.25, 3.5) is (1, 0, -3, 3). You send "
            f"{sent.tolist()}. Use the compress that the function gets."
        )
    if kept.tolist() != [0.5, 0.75, 0.75, 0.5]:
        raise NotYet(
            "Here compress rounds down: it changes what it sends. What is kept is the difference of what was to be sent "
            f"and what was sent, for each number, and you keep {kept.tolist()}."
        )
    return (
        "So after any number of turns, what was sent plus what is kept is the sum of all updates: nothing is lost, it "
        "is late. This is what `TopK` and `Sign` do in the package."
    )


def _check_what_arrives(received: np.ndarray, wanted: np.ndarray, update: np.ndarray, k: int, *, first: bool) -> None:
    """Raise a NotYet unless the k largest of what was to be sent arrive at their places."""
    places = np.sort(np.argsort(np.abs(wanted))[-k:])
    if np.allclose(received[places], wanted[places], atol=1e-5) and np.count_nonzero(received) <= k:
        return
    there = np.sort(received[received != 0])
    if len(there) == k and np.allclose(there, np.sort(wanted[places]), atol=1e-5):
        raise NotYet(
            "The numbers arrive at other places than they had. The receiver has nothing but the bytes: the places must "
            "be in there, too. (A variable that both functions see is no message.)"
        )
    if not first and np.allclose(there, np.sort(update[np.argsort(np.abs(update))[-k:]]), atol=1e-5):
        raise NotYet("From the second turn on, what is chosen and sent must be of the update and the memory together.")
    raise NotYet(f"Other numbers arrive than the {k} with the largest magnitudes. Is np.abs still there?")


def _test_mended(answer: Any) -> str:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet("The answer must be both functions: mended = (send, receive).")
    send, receive = answer
    rng = np.random.default_rng(0)
    size, k = 400, 4
    updates = rng.normal(size=(6, 2, size)) * np.linspace(0.2, 2, size)
    memories = np.zeros((2, size))
    for number_of_turn, turn in enumerate(updates):
        wanted = turn + memories
        messages = []
        for client in range(2):  # both send before the first message is read
            result = call(send, turn[client].copy(), memories[client].copy(), k)
            if not isinstance(result, tuple | list) or len(result) != 2 or not isinstance(result[0], bytes):
                raise NotYet("send must return two things: bytes, and what is kept. Only bytes can travel.")
            messages.append(result[0])
            if len(result[0]) > _MOST_BYTES * k:
                raise NotYet(
                    f"A message of {k} numbers and their places has {len(result[0])} bytes: more than {_MOST_BYTES} "
                    "for each. Send what is chosen, not all."
                )
            try:
                memories[client] = result[1]
            except (TypeError, ValueError):
                raise NotYet(f"What is kept must be {size} numbers, as many as the update has.") from None
        for client, data in enumerate(messages):
            received = np.asarray(call(receive, data, size), dtype=float)
            if received.shape != (size,):
                raise NotYet(f"receive must return {size} numbers, and their shape is {received.shape}.")
            _check_what_arrives(received, wanted[client], turn[client], k, first=number_of_turn == 0)
            if not np.allclose(received + memories[client], wanted[client], atol=1e-5):
                raise NotYet(
                    "The right numbers arrive, but what is kept is not what was to be sent minus what was sent. "
                    "What becomes of the old memory?"
                )
    wide = np.zeros(70_000)
    wide[69_999] = 1.0
    data, _ = call(send, wide, np.zeros_like(wide), 1)
    if np.flatnonzero(call(receive, data, wide.size)).tolist() != [69_999]:
        raise NotYet("In an update of 70,000 numbers the last one arrives elsewhere: two bytes count to 65,535 only.")
    return (
        "Both mistakes are silent: shapes fit, training goes on, the model is only worse than it should be. So a codec "
        "is tested by itself: the sum of what arrives and of what is kept must be the sum of the updates."
    )


def _test_speed(answer: Any, *, share_on_link: Callable[[float], float]) -> str:
    speed = number(answer)
    if speed != int(speed) or speed < 1:
        raise NotYet(f"The answer must be a whole number of kB/s, at least 1, and it is {speed:g}.")
    share = share_on_link(speed)
    if share >= _HALF:
        raise NotYet(f"With {speed:g} kB/s the round still spends {share:.0%} of its time on the link. Faster.")
    if speed > 1 and share_on_link(speed - 1) < _HALF:
        raise NotYet(f"That is fast enough: {share:.0%} of the time. One kB/s less is enough, too.")
    return (
        f"From {speed:g} kB/s on the round's last client works longer than it sends and receives. On faster links "
        "compression saves as many bytes, and less and less time: what is left is the work."
    )


stale = Exercise(
    name="stale",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "Staleness counts versions, not hours. How many versions are made in two hours?",
        "Section 8: an update counts 1 / sqrt(1 + staleness).",
    ),
    solution_code="prediction = 1 / (1 + 120 / 3) ** 0.5",
    test=_test_stale,
)

feedback = Exercise(
    name="feedback",
    kind="code",
    difficulty="medium",
    minutes=6,
    hints=(
        "What is to be sent is more than this turn's update. What must be added to it before compress chooses?",
        "Three lines: what is wanted, what compress makes of it, and the difference of these two.",
    ),
    solution_code="""
        def send_with_feedback(update, memory, compress):
            wanted = update + memory
            sent = compress(wanted)
            return sent, wanted - sent
    """,
    test=_test_feedback,
)

bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=9,
    hints=(
        "Look only at the bytes. Could somebody else, with nothing but them and `size`, put the numbers back where they "
        "belong? Then look at what is kept: is the old memory in it?",
        "places.astype('<u4').tobytes() are the places as bytes, four each; np.frombuffer(data, '<u4', k) reads k of "
        "them. What is kept is wanted with zeros where something was sent.",
    ),
    solution_code="""
        def send(update, memory, k):
            wanted = update + memory
            places = np.argsort(np.abs(wanted))[-k:]
            sent = wanted[places].astype("<f4")
            kept = wanted.copy()
            kept[places] -= sent
            return places.astype("<u4").tobytes() + sent.tobytes(), kept


        def receive(data, size):
            k = len(data) // 8
            update = np.zeros(size)
            update[np.frombuffer(data, "<u4", k)] = np.frombuffer(data, "<f4", k, 4 * k)
            return update


        mended = (send, receive)
    """,
    test=_test_mended,
)

fast_enough = Exercise(
    name="fast_enough",
    kind="explore",
    difficulty="easy",
    minutes=3,
    hints=(
        "Which part of a client's time depends on the speed of its link, and which does not?",
        "Try share_on_link(2), share_on_link(8), share_on_link(32). Between which of them is one half?",
    ),
    solution_code="""
        speed = 1
        while share_on_link(speed) >= 0.5:
            speed += 1
    """,
    test=_test_speed,
)
