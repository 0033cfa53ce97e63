"""Turns what happened while a submission was executed into a grade for each of its exercises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbook_tools.editions.graded.cells import ExerciseCells
from workbook_tools.grading.submission import Merged, is_answer

Status = Literal[
    "correct",
    "wrong",
    "not attempted",
    "timed out",
    "crashed",
    "used the network",
    "unreadable",
    "not executed",
    "not collected",
]
_SAID: Mapping[str, Status] = {"not yet": "wrong"}  # verdicts that are called otherwise here
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Grade:
    """What came of one exercise of one submission.

    Attributes:
        submission: its path below the folder of submissions.
        exercise: such as "04.2"; empty if the submission cannot be read or executed, or was not collected.
        name: of the exercise.
        status: what came of it.
        message: what the check said, or what went wrong.
        remarks: about the submission as a whole.
        isolation: how it was kept from the network.
    """

    submission: str
    exercise: str
    name: str
    status: Status
    message: str
    remarks: str = ""
    isolation: str = ""


@dataclass(frozen=True)
class Execution:
    """What happened while a submission was executed.

    Attributes:
        events: in their order, each with `what` and facts, as `graded.isolation` writes them.
        too_late: that its time was up; empty if it came to its end.
        last_words: the last line that the executing program wrote.
    """

    events: Sequence[Event]
    too_late: str
    last_words: str

    def all(self, what: str) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.events if event["what"] == what]


def judge(name: str, merged: Merged, execution: Execution, isolation: str) -> list[Grade]:
    """Return a grade for every exercise of a submission."""
    number = merged.original.name[:2]
    remarks = _remarks(merged, execution, number)
    return [
        Grade(
            name,
            f"{number}.{exercise.number}",
            exercise.name,
            *_status(exercise, merged, execution, number),
            remarks,
            isolation,
        )
        for exercise in merged.exercises
    ]


def _status(exercise: ExerciseCells, merged: Merged, execution: Execution, number: str) -> tuple[Status, str]:
    """Return an exercise's status and message.

    Where its cells asked for the network, nothing else counts. Where there is a verdict, errors do not count: a trial
    call may fail behind a right answer.
    """
    cells = (exercise.stub, exercise.check)
    if targets := [event["target"] for event in execution.all("network") if event["cell"] in cells]:
        return "used the network", f"asked for {', '.join(targets)}"
    errors = [event["error"] for event in execution.all("error") if event["cell"] in cells]
    if verdicts := [event for event in execution.all("verdict") if event["name"] == exercise.name]:
        status, message = verdicts[-1]["status"], verdicts[-1]["message"]
        if exercise.name in merged.missing:
            return "not attempted", "the cell of this exercise is missing"
        if status != "crashed":
            return _SAID.get(status, status), "" if status == "not attempted" else message
        errors = [*errors, message]
    if errors:
        return "crashed", errors[0]
    last = next((event["cell"] for event in reversed(execution.events) if event["what"] == "started"), None)
    if last is None:
        return "not executed", f"no kernel came up: {execution.too_late or execution.last_words}"
    where = _described(last, merged, number)
    if execution.too_late:
        return "timed out", f"{execution.too_late} in {where}"
    if execution.all("died"):
        return "crashed", f"the kernel died in {where}"
    if not execution.all("finished"):
        return "not executed", f"it was ended in {where}: {execution.last_words}"
    return "crashed", "the check gave no verdict"


def _described(cell: str, merged: Merged, number: str) -> str:
    for exercise in merged.exercises:
        if cell in (exercise.stub, exercise.check):
            return f"exercise {number}.{exercise.number}"
    added = any(cell == of.id and is_answer(of) for of in merged.notebook.cells)
    return "a cell that was added" if added else f"the cell {cell!r} of the notebook"


def _remarks(merged: Merged, execution: Execution, number: str) -> str:
    """Say what else a reader of the grades should know."""
    own = {cell for exercise in merged.exercises for cell in (exercise.stub, exercise.check)}
    graded = {verdict["name"] for verdict in execution.all("verdict")}
    tolerated = {exercise.stub for exercise in merged.exercises if exercise.name in graded}
    remarks = [merged.doubt] if merged.doubt else []
    if merged.changed:
        remarks.append(f"cells of the workbook were changed, and executed unchanged: {', '.join(merged.changed)}")
    remarks += [
        f"{_described(event['cell'], merged, number)} used the network: {event['target']}"
        for event in execution.all("network")
        if event["cell"] not in own
    ]
    remarks += [
        f"{_described(event['cell'], merged, number)} raised {event['error']}"
        for event in execution.all("error")
        if event["cell"] not in own or event["cell"] in tolerated
    ]
    return "; ".join(remarks)
