"""What the records say: tables, and for every target whether it was met."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tables import Column, Table, Value

from gpu.names import EAGER, EQUAL_TO, LIMIT, OURS, PROCESSOR
from gpu.records import Record

PASS, FAIL, UNMEASURED = "pass", "**fail**", "not measured"
_SECONDS_OF_TALK, _TIMES_LIMIT, _TIMES_EAGER, _POINTS = 5.0, 1.5, 5.0, 1.0


@dataclass(frozen=True)
class Verdict:
    """One target and what came of it."""

    section: str
    what: str
    measured: Value
    aim: str
    verdict: str


def verdicts(records: Sequence[Record], sections: Sequence[str], *, on_gpu: bool) -> list[Verdict]:
    """Judge what was measured.

    Args:
        records: of all jobs so far.
        sections: those that were asked for; of others there is no verdict.
        on_gpu: whether a GPU was there. Without one, speed has no verdict.
    """
    found: list[Verdict] = []
    for section in sections:
        of_section = [record for record in records if record.section == section]
        judge = _JUDGES.get(section)
        if judge and of_section:
            found += judge(of_section, on_gpu)
        found += [
            Verdict(section, record.what, record.problem, "runs", FAIL)
            for record in of_section
            if record.problem and not record.problem.startswith(UNMEASURED)
        ]
    return found


def _talk(records: Sequence[Record], on_gpu: bool) -> list[Verdict]:
    seconds = {record.what: record.numbers.get("seconds") for record in records}
    ours = seconds.get(OURS) if on_gpu else None
    return [
        _at_most("talk", "seconds, evaluation included", ours, _SECONDS_OF_TALK),
        _at_most("talk", "÷ limit", _ratio(ours, seconds.get(LIMIT)), _TIMES_LIMIT),
        _at_least("talk", "as before ÷ ours", _ratio(seconds.get(EAGER), ours), _TIMES_EAGER),
    ]


def _bits(records: Sequence[Record], on_gpu: bool) -> list[Verdict]:
    digests = {record.what: record.text for record in records}
    found = []
    for name, digest in digests.items():
        federation, _, which = name.rpartition(": ")
        for other in EQUAL_TO.get(which, ()):
            again = digests.get(f"{federation}: {other}")
            found.append(_is_so("bits", f"{federation}, {other}", None if again is None else again == digest))
    return found


def _strategies(records: Sequence[Record], on_gpu: bool) -> list[Verdict]:
    accuracy = {record.what: record.numbers.get("accuracy") for record in records}
    found = []
    for record in records:
        name, _, how = record.what.rpartition(": ")
        if how == OURS and not record.problem:
            here, there = accuracy[record.what], accuracy.get(f"{name}: {PROCESSOR}")
            apart = None if here is None or there is None else 100 * abs(here - there)
            found.append(_at_most("strategies", f"{name}: points between device and processor", apart, _POINTS))
            found.append(_is_so("strategies", f"{name}: two runs", bool(record.numbers["equal"])))
    return found


def _notebooks(records: Sequence[Record], on_gpu: bool) -> list[Verdict]:
    best: dict[str, Record] = {}
    for record in records:
        known = best.get(record.what)
        if not record.problem and (known is None or record.numbers["seconds"] < known.numbers["seconds"]):
            best[record.what] = record
    found = []
    for name, record in best.items():
        seconds, reference, at_once = (record.numbers[key] for key in ("seconds", "reference", "at_once"))
        alone = any(record.what == name and record.numbers["at_once"] == 1 for record in records)
        verdict = PASS if seconds <= reference else FAIL if alone else f"undecided: {at_once:.0f} at once"
        aim = f"at most {reference:g}, on two cores of another machine"
        found.append(Verdict("notebooks", f"{name}, s", seconds, aim, verdict if on_gpu else UNMEASURED))
    return found


def _tests(records: Sequence[Record], on_gpu: bool) -> list[Verdict]:
    found = []
    for record in records:
        if "exit_code" in record.numbers:
            verdict = FAIL if record.numbers["exit_code"] else PASS
            found.append(Verdict("tests", record.what, record.text, "all pass", verdict))
        elif record.problem and record.problem.startswith(UNMEASURED):
            found.append(Verdict("tests", record.what, record.problem, "all pass", UNMEASURED))
    return found


def _at_most(section: str, what: str, value: float | None, aim: float) -> Verdict:
    return Verdict(section, what, value, f"at most {aim:g}", _verdict(value, lambda number: number <= aim))


def _at_least(section: str, what: str, value: float | None, aim: float) -> Verdict:
    return Verdict(section, what, value, f"at least {aim:g}", _verdict(value, lambda number: number >= aim))


def _is_so(section: str, what: str, equal: bool | None) -> Verdict:
    said = None if equal is None else "equal" if equal else "different"
    return Verdict(section, what, said, "equal bits", UNMEASURED if equal is None else PASS if equal else FAIL)


def _verdict(value: float | None, holds: Callable[[float], bool]) -> str:
    return UNMEASURED if value is None else PASS if holds(value) else FAIL


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper and lower else None


_JUDGES: dict[str, Callable[[Sequence[Record], bool], list[Verdict]]] = {
    "talk": _talk,
    "bits": _bits,
    "strategies": _strategies,
    "notebooks": _notebooks,
    "tests": _tests,
}


def verdict_table(found: Sequence[Verdict]) -> Table:
    """Return all verdicts as a table."""
    columns = [Column("section"), Column("what"), Column("measured", 2), Column("aim"), Column("verdict")]
    rows = [[entry.section, entry.what, entry.measured, entry.aim, entry.verdict] for entry in found]
    return Table("Targets", "Without a GPU, speed is not judged.", columns, rows)


def talk_table(records: Sequence[Record]) -> Table:
    """Return the talk's experiment, each way in a row."""
    by_way = {record.what: record for record in records if record.section == "talk" and not record.problem}
    seconds = {
        how: by_way[how].numbers["seconds"] if how in by_way else None for how in (LIMIT, OURS, EAGER, PROCESSOR)
    }
    rows: list[list[Value]] = []
    for how, value in seconds.items():
        record = by_way.get(how)
        ms = 1000 * value / record.numbers["steps"] if record and value else None
        accuracy = record.numbers.get("accuracy") if record else None
        ratios = [_ratio(value, seconds[LIMIT]), _ratio(value, seconds[OURS])]
        rows.append([how, value, ms, *ratios, accuracy, record.text if record else UNMEASURED])
    columns = [
        Column("how"),
        Column("seconds", 2),
        Column("ms a step", 3),
        Column("÷ limit", 2, "×"),
        Column("÷ this project", 2, "×"),
        Column("test accuracy", 4),
        Column("remark"),
    ]
    note = (
        "Ten clients with 4,000 images of 3x32x32 each, ten rounds of one epoch in batches of 32 with Adam. In each "
        "round every client measures the model on 1,000 images and the server on 10,000. Made-up images: the accuracy "
        "only shows that all do the same work. Start of the process and loading of the data are not in the seconds."
    )
    return Table("The talk's experiment", note, columns, rows)


def scale_table(records: Sequence[Record]) -> Table:
    """Return the scales, each with all ways in a row."""
    by_work: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.section == "scale" and not record.problem:
            work, _, how = record.what.partition(": ")
            by_work.setdefault(work, {})[how] = record
    ways = (LIMIT, OURS, EAGER, PROCESSOR)
    rows = [
        [work] + [of_work[how].numbers[number] if how in of_work else None for number in _NUMBERS for how in ways]
        for work, of_work in by_work.items()
    ]
    short = ("limit", "ours", "as before", "processor")
    columns = [Column("work"), *(Column(f"{unit}, {how}", 2) for unit in _NUMBERS.values() for how in short)]
    note = (
        "Batches of 32, one epoch a round, the server measures after each round; 40,000 images among the clients of "
        "the CNN (62,006 parameters), 6,400 among those of the ResNet-18 (11 million) that take part. A step includes "
        "its share of all that a round takes. Where clients have few images, messages are most of it."
    )
    return Table("From ten clients to a thousand", note, columns, rows)


_NUMBERS = {"ms_a_step": "ms a step", "seconds_a_round": "s a round"}


def auto_table(records: Sequence[Record]) -> Table:
    """Return what "auto" should know: a step on the device, and in several processes."""
    rows: list[list[Value]] = [
        [record.what, record.numbers.get("ms_a_step"), record.problem or record.text]
        for record in records
        if record.section == "auto"
    ]
    note = "Batches of 32. With several processes, the time in which all of them together take one step."
    return Table("A step here and there", note, [Column("what"), Column("ms a step", 3), Column("remark")], rows)


def other_table(records: Sequence[Record]) -> Table:
    """Return the numbers of the sections that have no table of their own."""
    rows: list[list[Value]] = [
        [record.section, record.what, ", ".join(f"{name} {value:.4g}" for name, value in record.numbers.items())]
        + [record.problem or record.text]
        for record in records
        if record.section in ("bits", "strategies", "notebooks", "tests")
    ]
    columns = [Column("section"), Column("what"), Column("numbers"), Column("remark")]
    return Table("All numbers", "As they were measured.", columns, rows)
