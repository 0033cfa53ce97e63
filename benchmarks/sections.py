"""The parts of the benchmark: each runs its processes and returns a table."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest.arena import HERE, Arena, Contestant, make_environment, measure_with_status
from contest.entry import Entry
from contest.measure import Measurement
from tables import Column, Table, Value

LIMIT, LIMIT_AND_EVALUATION = "limit: the steps alone", "the steps and the evaluations"
OURS, FLOWER, BLAZEFL = "simulate, workers={}", "Flower quickstart, run_simulation", "BlazeFL, one thread per core"
OURS_AUTO = OURS.format("auto")
BLAZEFL_PYTHON = HERE.parent / ".venv-blazefl" / "bin" / "python"
_SAME_CLIENTS = ("1,000 of 1,000", "100 of 1,000")  # as much to train on, ten times as many messages
_MB_OF_DATA = 60_000 * 3 * 32 * 32 / 1e6  # CIFAR-10 as uint8

CONTESTANTS = (
    Contestant(LIMIT, "contest.limit"),
    Contestant(LIMIT_AND_EVALUATION, "contest.limit", ("--evaluate",)),
    Contestant(OURS.format(1), "contest.ours", ("--workers", "1")),
    Contestant(OURS.format(2), "contest.ours", ("--workers", "2")),
    Contestant(OURS_AUTO, "contest.ours", ("--workers", "auto")),
    Contestant(BLAZEFL, "contest.blazefl_peer", python=BLAZEFL_PYTHON),
    Contestant(FLOWER, "contest.flower_peer"),
)


@dataclass(frozen=True)
class Size:
    """How large the benchmark is.

    Attributes:
        rounds, clients, examples: of the contest.
        repeats: runs of each contestant, of which the fastest counts.
        scales: clients and how many of them take part in a round.
        message_rounds: rounds of the messages' probe, by model.
        notebooks: which to execute.
    """

    rounds: int
    clients: int
    examples: int
    repeats: int
    scales: Sequence[tuple[int, int]]
    message_rounds: dict[str, int]
    notebooks: Sequence[Path]


class Probes:
    """Runs probe processes in a folder, and collects what failed."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self._environment, self._log, self._timeout = make_environment(folder), folder / "log.txt", timeout
        self.failures: list[str] = []

    def run(self, name: str, module: str, *arguments: str) -> tuple[Measurement, dict[str, Any]] | None:
        """Return the measurement and the result of a probe, or None if it failed."""
        command = [sys.executable, "-m", f"probes.{module}", *arguments]
        run = measure_with_status(command, self._environment, self._log, self._timeout, name, lambda: "running")
        if run.failure:
            self.failures.append(f"{name}: {run.failure}")
            return None
        return run, json.loads(self._log.read_text().splitlines()[-1])


def contest(arena: Arena, size: Size, floor_mb: float | None, show: Callable[[str], None]) -> tuple[Table, list[str]]:
    """Run the same experiment in all ways, and return the table and what failed."""
    best: dict[str, Entry] = {}
    for _ in range(size.repeats):
        for contestant in CONTESTANTS:
            entry = arena.run(contestant)
            show(f"{entry.name}: {entry.failure or f'{entry.seconds:.1f} s'}")
            known = best.get(entry.name)
            if known is None or known.failure or (not entry.failure and entry.seconds < known.seconds):
                best[entry.name] = entry
    columns = [
        Column("contestant"),
        Column("seconds", 1),
        Column("÷ limit", 2, "×"),
        Column("Flower ÷ this", 2, "×"),
        Column("start-up s", 1),
        Column("s a round", 2),
        Column("a round ÷ limit", 2, "×"),
        Column("Flower ÷ this, a round", 2, "×"),
        Column("peak memory MB", 0),
        Column("processes", 0),
        Column("MB a process besides imports and data", 0),
        Column("test accuracy", 4),
        Column("validation accuracy", 4),
        Column("data preparation s", 1),
    ]
    limit, flower = best[LIMIT], best[FLOWER]
    rows = [_contest_row(best[contestant.name], limit, flower, floor_mb) for contestant in CONTESTANTS]
    note = (
        f"{size.rounds} rounds, {size.clients} clients, {size.examples:,} training images; of {size.repeats} run(s) of "
        "each contestant, in turn, the fastest."
    )
    table = Table("One federation, CIFAR-10", note, columns, rows)
    return table, [f"{entry.name}: {entry.failure}" for entry in best.values() if entry.failure]


def _contest_row(entry: Entry, limit: Entry, flower: Entry, floor_mb: float | None) -> list[Value]:
    run = entry.run if not entry.failure else None
    above = None
    if run and floor_mb is not None:
        above = (run.peak_pss_mb - floor_mb - _MB_OF_DATA) / run.peak_processes
    return [
        entry.name,
        entry.seconds,
        _ratio(entry.seconds, limit.seconds),
        _ratio(flower.seconds, entry.seconds),
        entry.start_up,
        entry.seconds_per_round,
        _ratio(entry.seconds_per_round, limit.seconds_per_round),
        _ratio(flower.seconds_per_round, entry.seconds_per_round),
        run.peak_pss_mb if run else None,
        run.peak_processes if run else None,
        above,
        entry.progress.test_accuracy,
        entry.progress.validation_accuracy,
        entry.preparation,
    ]


def messages(probes: Probes, size: Size) -> Table:
    """Return the cost of messages without training."""
    rows = []
    for model, rounds in size.message_rounds.items():
        for workers in ("1", "2"):
            name = f"{model}, workers={workers}"
            result = probes.run(name, "messages", "--model", model, "--workers", workers, "--rounds", str(rounds))
            if result:
                _, values = result
                count = values["messages"]
                rows.append(
                    [
                        name,
                        values["parameters"],
                        count,
                        1000 * values["seconds"] / count,
                        1000 * values["clients"] / count,
                    ]
                )
    columns = [
        Column("model"),
        Column("parameters"),
        Column("messages"),
        Column("ms a message", 2),
        Column("of which in the client's code, ms", 2),
    ]
    note = (
        "Ten clients that load the model and send it back, and do nothing else; half of the messages ask for training, "
        "half for an evaluation. Wall time, averaging on the server included. With two workers, two clients' own times "
        "overlap."
    )
    return Table("A message without training", note, columns, rows)


def scale(probes: Probes, size: Size) -> Table:
    """Return time and memory for many clients."""
    rows = []
    for clients, participants in size.scales:
        name = f"{participants:,} of {clients:,}"
        arguments = ["--clients", str(clients), "--participants", str(participants)]
        if result := probes.run(name, "scale", *arguments):
            run, values = result
            besides = values["seconds"] - values["training"] - values["evaluation"]
            rows.append(
                [
                    name,
                    clients,
                    values["messages"],
                    values["seconds"],
                    values["training"],
                    besides,
                    1000 * besides / values["messages"],
                    run.peak_pss_mb,
                ]
            )
    columns = [
        Column("clients in a round"),
        Column("clients"),
        Column("messages"),
        Column("seconds", 2),
        Column("of which training s", 2),
        Column("besides training and evaluation s", 2),
        Column("besides, ms a message", 2),
        Column("peak memory MB"),
    ]
    note = (
        "Ten rounds on the embedded 10,000 images, shared out equally: real training, one process, an evaluation of "
        "2,000 test images after every round. Start-up of the process is not in the seconds."
    )
    return Table("From ten clients to ten thousand", note, columns, rows)


def start_up(probes: Probes, repeats: int) -> Table:
    """Return how long imports and the first round take."""
    runs = [result[1] for _ in range(repeats) if (result := probes.run("start-up", "startup"))]
    rows = [[name, min(run[name] for run in runs)] for name in runs[0]] if runs else []
    note = (
        f"Fastest of {repeats} fresh processes. The first round is that of ten clients on the embedded data, in one "
        "worker per core, with PyTorch's first optimizer, which imports for two seconds."
    )
    return Table("Start-up", note, [Column("what"), Column("seconds", 2)], rows)


def notebooks(probes: Probes, size: Size) -> Table:
    """Return how long each notebook takes."""
    rows: list[list[Value]] = []
    for path in size.notebooks:
        if result := probes.run(path.stem, "notebook", str(path)):
            rows.append([path.stem, result[1]["seconds"]])
    if len(rows) == len(size.notebooks):
        rows.append(["all", sum(row[1] for row in rows)])
    note = "Executed with papermill on their default data, kernel start included."
    return Table("Notebooks", note, [Column("notebook"), Column("seconds", 1)], rows)


def targets(tables: dict[str, Table]) -> Table:
    """Return what was aimed at and what was measured."""

    def of_contest(column: str) -> Value:
        return tables["contest"].cell(OURS_AUTO, column)

    blazefl = tables["contest"].cell(BLAZEFL, "seconds")
    many, few = (tables["scale"].cell(name, "peak memory MB") for name in ("100 of 10,000", "100 of 100"))
    all_of, some_of = (tables["scale"].cell(name, "besides, ms a message") for name in _SAME_CLIENTS)
    aims = [
        ("wall time ÷ limit", of_contest("÷ limit"), 1.2, "at most"),
        ("Flower's quickstart ÷ ours", of_contest("Flower ÷ this"), 3.5, "at least"),
        ("BlazeFL ÷ ours", _ratio(blazefl, of_contest("seconds")), 1.0, "at least"),
        ("ms a message, 62,006 parameters, 1 worker", _message(tables, 1), 2.0, "at most"),
        ("ms a message, 62,006 parameters, 2 workers", _message(tables, 2), 2.0, "at most"),
        (
            "s besides training, 10 rounds of 100 among 10,000 clients",
            tables["scale"].cell("100 of 10,000", "besides training and evaluation s"),
            60.0,
            "at most",
        ),
        (
            "ms a message with 1,000 clients: all of them in a round ÷ 100 of them",
            _ratio(all_of, some_of),
            1.2,
            "at most",
        ),
        ("memory with 10,000 clients ÷ with 100, 100 of them in a round", _ratio(many, few), 1.1, "at most"),
        (
            "MB a process besides imports and data",
            of_contest("MB a process besides imports and data"),
            150.0,
            "at most",
        ),
        ("import fedlearn_helpers, s", tables["start-up"].cell("import fedlearn_helpers", "seconds"), 0.3, "at most"),
        ("all notebooks, s", tables["notebooks"].cell("all", "seconds"), 900.0, "at most"),
    ]
    rows = [[name, value, f"{kind} {aim:g}", _verdict(value, aim, kind)] for name, value, aim, kind in aims]
    columns = [Column("what"), Column("measured", 2), Column("aim"), Column("met")]
    return Table("Aims", f"Ours is `{OURS_AUTO}`.", columns, rows)


def _message(tables: dict[str, Table], workers: int) -> Value:
    return tables["messages"].cell(f"cnn, workers={workers}", "ms a message")


def _verdict(value: float | None, aim: float, kind: str) -> str:
    if value is None:
        return "not measured"
    return "yes" if (value <= aim if kind == "at most" else value >= aim) else "**no**"


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper and lower else None
