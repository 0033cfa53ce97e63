"""A Flower mod that puts simulated devices in front of clients: some are away, late, or do part of the work."""

from __future__ import annotations  # the table's type is imported when the first table is made

from collections.abc import Sequence
from operator import length_hint
from typing import TYPE_CHECKING, Any

from flwr.app import Context, Error, Message
from flwr.clientapp.typing import ClientAppCallable, Mod

from fedlearn_helpers.algorithms.local import MAX_STEPS
from fedlearn_helpers.availability.devices import Devices, Late, check_deadline, check_steps, round_seconds
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.history import History
from fedlearn_helpers.simulation.position import client_of, training_round

if TYPE_CHECKING:
    import pandas as pd

_NO_ANSWER = 100  # an error code that Flower does not use itself


def device_mod(devices: Devices, steps: Sequence[int], *, deadline: float | None = None, late: Late = "drop") -> Mod:
    """Return a mod for a client's training, `@client_app.train(mods=[device_mod(…)])`.

    A device that is away or late answers with an error, and its client does not train; run such a federation with
    `simulate(..., on_error="reply")`. One that does part of the work finds its number of steps under `MAX_STEPS` in
    the message's config.

    Args:
        devices: one per client.
        steps: the training steps that each client takes in a round if it has the time, >= 1: gradients of batches, of
            which Ditto, for example, computes twice as many as FedAvg. `Algorithm.steps_of_round` counts them.
        deadline, late: as in `Devices.answer`.

    Raises:
        InputError: not one whole number of steps >= 1 per device, a deadline not above 0, or an unknown `late`.
    """
    check_deadline(deadline, late)
    if length_hint(steps) != len(devices):  # 0 for None
        raise InputError(f"steps must have one entry per device ({len(devices)}), got {length_hint(steps)}")
    for of_client in steps:
        check_steps(of_client)

    def take_part(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        client, server_round = client_of(context), training_round(message.content)
        answer = devices.answer(client, server_round, steps[client], deadline=deadline, late=late)
        if answer.status == "away":
            return Message(Error(_NO_ANSWER, "away"), reply_to=message)
        if answer.status == "late":
            reason = f"late: after {answer.seconds:.0f} s, and the deadline is {deadline:g} s"
            return Message(Error(_NO_ANSWER, reason), reply_to=message)
        message.content.config_records["config"][MAX_STEPS] = answer.steps
        return call_next(message, context)

    return take_part


def timeline(
    history: History, devices: Devices, steps: Sequence[int], *, deadline: float | None = None, late: Late = "drop"
) -> pd.DataFrame:
    """Return who answered in the rounds of a federation with `device_mod`, and how long they took: a row per round.

    Columns: `asked`, `in time`, `partial`, `late`, `away` (numbers of clients), `seconds` (simulated), `clock`
    (simulated seconds from the start to the end of the round), `note` (says so where no client answered).

    Args:
        history: of the federation.
        devices, steps, deadline, late: as they were given to `device_mod`.

    Raises:
        InputError: as `History.trainings`, or a wrong deadline.
    """
    import pandas as pd  # takes a third of a second

    check_deadline(deadline, late)
    history.trainings()  # one for each client in a round, or it raises
    asked = history.clients.query("phase == 'train'")
    rows: list[dict[str, Any]] = []
    clock = 0.0
    for server_round, messages in asked.groupby("round"):
        answers = [
            devices.answer(client, server_round, steps[client], deadline=deadline, late=late)
            for client in messages["client"]
        ]
        statuses = [answer.status for answer in answers]
        seconds = round_seconds(answers, deadline)
        clock += seconds
        answered = bool({"in time", "partial"} & set(statuses))
        rows.append(
            {"round": server_round, "asked": len(answers)}
            | {status: statuses.count(status) for status in ("in time", "partial", "late", "away")}
            | {
                "seconds": seconds,
                "clock": clock,
                "note": "" if answered else "nobody answered: the model stays as it was",
            }
        )
    columns = ("round", "asked", "in time", "partial", "late", "away", "seconds", "clock", "note")
    return pd.DataFrame(rows, columns=columns).set_index("round")
