"""Measure the speed and the memory of a federation, against the bare training steps, Flower's own engine and BlazeFL.

    FEDLEARN_DATA=folder python benchmarks/run.py [--quick]

`benchmarks/README.md` says what is measured and how to read it.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import gpu_check
import sections
from contest.arena import HERE, Arena
from contest.data import ALL_EXAMPLES, NoData, provide_data
from figure import draw
from sections import BLAZEFL_PYTHON, Probes, Size
from tables import Table, csv_text, document, machine_facts, markdown, write_atomically

_NOTEBOOKS = sorted((HERE.parent / "notebooks").glob("[0-9w][0-9]_*.ipynb"))
_TIMEOUT = 3600.0  # seconds for each process

FULL = Size(
    rounds=10,
    clients=10,
    examples=ALL_EXAMPLES,
    repeats=2,
    scales=((10, 10), (100, 100), (1000, 100), (1000, 1000), (10_000, 100)),
    message_rounds={"cnn": 50, "resnet18": 5},
    notebooks=_NOTEBOOKS,
)
QUICK = Size(
    rounds=3,
    clients=4,
    examples=800,
    repeats=1,
    scales=((10, 10), (100, 100), (10_000, 100)),
    message_rounds={"cnn": 5, "resnet18": 2},
    notebooks=_NOTEBOOKS[:1],
)


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs: three minutes")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for the tables and the figure")
    return parser.parse_args(arguments)


def measure_all(size: Size) -> tuple[dict[str, Table], list[str]]:
    """Run all parts and return their tables, and what failed."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        provide_data(folder / "data", size.examples)
        probes = Probes(folder, _TIMEOUT)
        floor = probes.run("imports alone", "floor")
        floor_mb = floor[0].peak_pss_mb if floor else None
        arena = Arena(folder, rounds=size.rounds, clients=size.clients, timeout=_TIMEOUT)
        tables = {}
        tables["contest"], failures = sections.contest(arena, size, floor_mb, lambda line: print(line, flush=True))
        for key, measure in (("messages", sections.messages), ("scale", sections.scale)):
            tables[key] = measure(probes, size)
            print(markdown(tables[key]), flush=True)
        tables["start-up"] = sections.start_up(probes, size.repeats + 1)
        tables["notebooks"] = sections.notebooks(probes, size)
    return {"aims": sections.targets(tables)} | tables, failures + probes.failures


def _versions_of_blazefl() -> str:
    code = (
        "import platform; from importlib.metadata import version; "
        "print('Python', platform.python_version(), *(f'{name} {version(name)}' for name in ('blazefl', 'torch')))"
    )
    if not BLAZEFL_PYTHON.exists():
        return "missing: it needs Python 3.12 or 3.13"
    return subprocess.run([BLAZEFL_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _stop(signal_number: int, frame: object) -> None:
    """End as on Ctrl-C, so that the processes below are ended first."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the benchmark; return 0 if everything finished."""
    arguments = read_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    facts = {"command": " ".join(["python", "benchmarks/run.py", *sys.argv[1:]])} | machine_facts()
    facts["environment of BlazeFL"] = _versions_of_blazefl()
    try:
        tables, failures = measure_all(QUICK if arguments.quick else FULL)
        facts["CUDA"], failures_on_gpu = gpu_check.measure_speed(arguments.output, quick=arguments.quick)
    except NoData as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130
    facts["failed"] = "; ".join(failures + failures_on_gpu) or "nothing"
    for key in ("contest", "aims"):
        print("\n" + markdown(tables[key]))
    write_atomically(arguments.output / "benchmarks.png", draw(tables))
    write_atomically(arguments.output / "benchmarks.csv", csv_text(list(tables.values()), facts).encode())
    write_atomically(arguments.output / "benchmarks.md", document(list(tables.values()), facts).encode())
    print(f"Written to {arguments.output}.")
    return 1 if failures + failures_on_gpu else 0


if __name__ == "__main__":
    sys.exit(main())
