"""Check on a machine with a GPU that the workbook is fast there, and gives the same bits each time.

    python benchmarks/gpu_check.py --output folder [--sections facts,talk,bits] [--quick] [--device cpu]

Prints what passed and what failed, and writes it into the folder after every section. `benchmarks/README.md` says what
is measured.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPEED_PAGE = "gpu.md"
NOTEBOOKS = "notebooks"  # a section that takes as long as half of the others: only when asked for
_LOG = 20_000  # characters of what a job has printed
sys.path.insert(0, str(HERE))

from gpu import verdicts  # noqa: E402
from gpu.records import Record, Recorder, read  # noqa: E402
from tables import Table, markdown, write_atomically  # noqa: E402


@dataclass(frozen=True)
class Job:
    """A process of the check.

    Attributes:
        name: in `gpu/jobs.py`.
        limit: seconds after which it is stopped.
        on_processor: whether it must not see the GPU.
    """

    name: str
    limit: float
    on_processor: bool = False


# Jobs of one tuple run one after the other, so that they do not disturb each other's times; those of several at once.
SECTIONS: dict[str, tuple[tuple[Job, ...], ...]] = {
    "facts": ((Job("facts", 60),),),
    "talk": ((Job("talk_peers", 80), Job("talk_ours", 80), Job("talk_processor", 80, on_processor=True)),),
    "bits": ((Job("bits", 90),), (Job("bits_again", 90),)),
    "strategies": ((Job("strategies", 150),), (Job("strategies_processor", 150, on_processor=True),)),
    "tests": ((Job("gpu_tests", 120),),),
    "auto": ((Job("auto", 60), Job("auto_processor", 60, on_processor=True)),),
    "scale": ((Job("scale_peers", 80), Job("scale_ours", 100), Job("scale_processor", 80, on_processor=True)),),
    NOTEBOOKS: ((Job("run_notebooks", 200),),),
}


def run_sections(sections: Sequence[str], output: Path, *, device: str, quick: bool) -> list[Record]:
    """Run sections and write what they give after each; return all records."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "gpu_check.log").unlink(missing_ok=True)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as name:
        records = Path(name) / "records"
        for section in sections:
            start = time.perf_counter()
            _run_section(section, records, Path(name), device=device, quick=quick)
            with (output / "gpu_check.log").open("a") as log:
                log.writelines(f"== {job.name}\n{_end_of(Path(name) / job.name)}\n" for job in _jobs(section))
            seconds[section] = time.perf_counter() - start
            found = read(records)
            judged = verdicts.verdicts(found, sections, on_gpu=device == "cuda")
            _write(output, found, judged, seconds)
            if device == "cuda" and (page := speed_page(found)):
                write_atomically(output / SPEED_PAGE, page.encode())
            print(markdown(verdicts.verdict_table([entry for entry in judged if entry.section == section])), flush=True)
        return read(records)


def _run_section(section: str, records: Path, folder: Path, *, device: str, quick: bool) -> None:
    """Run the jobs of a section; rows of jobs at once, those of a row in turn."""
    rows = [list(row) for row in SECTIONS[section]]
    running: list[tuple[Job, subprocess.Popen[bytes], float, list[Job]]] = []
    try:
        while rows or running:
            while rows:
                if row := rows.pop():
                    job, *later = row
                    running.append((job, _start(job, section, records, folder, device, quick), time.monotonic(), later))
            time.sleep(0.1)
            for entry in list(running):
                job, process, begun, later = entry
                problem = None
                if process.poll() is None:
                    if time.monotonic() - begun < job.limit:
                        continue
                    problem = f"stopped after {job.limit:g} s"
                elif process.returncode:
                    problem = f"exit code {process.returncode}"
                running.remove(entry)
                _end(process)
                if problem:
                    Recorder(records, section).write(job.name, problem=f"{problem}: {_last_line(folder / job.name)}")
                rows.append(later)
    finally:
        for _, process, _, _ in running:
            _end(process)


def _start(job: Job, section: str, records: Path, folder: Path, device: str, quick: bool) -> "subprocess.Popen[bytes]":
    paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "FEDLEARN_CACHE": str(folder / "cache"),
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if job.on_processor or device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "gpu.jobs", job.name, "--section", section, "--device", device]
    command += ["--records", str(records), *(["--quick"] if quick else [])]
    with (folder / job.name).open("wb") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a job and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _jobs(section: str) -> list[Job]:
    return [job for row in SECTIONS[section] for job in row]


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG:] if log.exists() else "not begun"


def _last_line(log: Path) -> str:
    return (_end_of(log).strip().splitlines() or ["it printed nothing"])[-1][:200]


def _write(output: Path, records: list[Record], judged: list[verdicts.Verdict], seconds: dict[str, float]) -> None:
    content = {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "verdicts": [asdict(entry) for entry in judged],
        "records": [asdict(record) for record in records],
    }
    write_atomically(output / "gpu_check.json", (json.dumps(content, indent=1) + "\n").encode())
    took = "".join(f"- {name}: {value:.0f} s\n" for name, value in seconds.items())
    tables = [verdicts.verdict_table(judged), *_speed_tables(records)]
    tables += [verdicts.auto_table(records), verdicts.other_table(records)]
    text = _document("GPU check", "benchmarks/gpu_check.py", [table for table in tables if table.rows], records)
    write_atomically(output / "gpu_check.md", f"{text}\n## Time of the sections\n\n{took}".encode())


def speed_page(records: Sequence[Record]) -> str | None:
    """Return the page of the benchmark about the card, or None if nothing was timed on one."""
    card = next((record.text for record in records if (record.section, record.what) == ("facts", "card")), None)
    tables = _speed_tables(records)
    if card is None or not tables:
        return None
    return _document(f"Speed on one {card}", "benchmarks/run.py` or `benchmarks/gpu_check.py", tables, records)


def _speed_tables(records: Sequence[Record]) -> list[Table]:
    measured = {record.section for record in records}
    makers = {"talk": verdicts.talk_table, "scale": verdicts.scale_table}
    return [make(records) for section, make in makers.items() if section in measured]


def _document(title: str, program: str, tables: Sequence[Table], records: Sequence[Record]) -> str:
    """Return tables as a page, with the facts about the machine."""
    parts = [f"## {table.title}\n\n{table.note}\n\n{markdown(table)}" for table in tables]
    facts = "".join(f"- {record.what}: {record.text}\n" for record in records if record.section == "facts")
    head = f"# {title}\n\nWritten by `{program}`. Compare only numbers of one run with each other.\n"
    return "\n".join([head, *parts, "## The machine\n", facts])


def measure_speed(output: Path, *, quick: bool) -> tuple[str, list[str]]:
    """Write the benchmark's page about the GPU, where there is one.

    Returns:
        What there is to say about it in one line, and what failed.
    """
    look = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    card = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout.strip()
    if not card:
        return "not measured: PyTorch sees no CUDA device here", []
    with tempfile.TemporaryDirectory() as folder:
        records = run_sections(("facts", "talk", "scale"), Path(folder), device="cuda", quick=quick)
        if (page := Path(folder) / SPEED_PAGE).exists():
            write_atomically(output / SPEED_PAGE, page.read_bytes())
    return f"{card}: see {SPEED_PAGE}", [f"{entry.what}: {entry.problem}" for entry in records if entry.problem]


def main() -> int:
    """Run the check; return 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE.parent / "build" / "gpu", help="folder for the tables")
    usual = ",".join(section for section in SECTIONS if section != NOTEBOOKS)
    parser.add_argument("--sections", default=usual, help=f"among {','.join(SECTIONS)}, in this order")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to see that all runs")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    sections = arguments.sections.split(",")
    if unknown := [section for section in sections if section not in SECTIONS]:
        parser.error(f"sections must be among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    start = time.perf_counter()
    records = run_sections(sections, arguments.output, device=arguments.device, quick=arguments.quick)
    judged = verdicts.verdicts(records, sections, on_gpu=arguments.device == "cuda")
    failed = sum(entry.verdict == verdicts.FAIL for entry in judged)
    table = markdown(verdicts.verdict_table(judged))
    print(f"{table}\n{failed} of {len(judged)} failed, in {time.perf_counter() - start:.0f} s; see {arguments.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
