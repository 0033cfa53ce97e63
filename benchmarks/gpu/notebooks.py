"""The notebooks as they are on a machine with a GPU, several at a time: each time is then an upper bound."""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fedlearn_helpers.lessons.common import contents
from gpu.records import Recorder

_FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
_AT_ONCE = 4  # more would wait for each other on one GPU
_SECONDS_FOR_REPEATS = 60.0
_LAST = "06_personalization"  # later ones do not train much, or need Flower's servers, which may be missing


def run_all(device: str, quick: bool, recorder: Recorder) -> None:
    """Execute all notebooks, those that take longest first, and those that took too long again, alone."""
    from workbook_tools.execution.apart import Apart  # papermill, which may be missing

    names = [entry.name for entry in contents.entries()]
    entries = sorted(contents.entries()[: names.index(_LAST) + 1], key=lambda entry: -entry.seconds)
    entries = entries[-1:] if quick else entries
    with tempfile.TemporaryDirectory() as folder, Apart() as apart:

        def execute(entry: contents.Entry) -> float:
            seconds, problem = _execute(apart, entry.name, device, Path(folder))
            recorder.write(entry.name, problem=problem, seconds=seconds, reference=entry.seconds, at_once=at_once)
            return 0.0 if problem else seconds

        at_once = min(_AT_ONCE, len(entries))
        with ThreadPoolExecutor(at_once) as pool:
            took = dict(zip((entry.name for entry in entries), pool.map(execute, entries), strict=True))
        at_once, begun = 1, time.perf_counter()
        for entry in reversed(entries):
            if took[entry.name] > entry.seconds and time.perf_counter() - begun < _SECONDS_FOR_REPEATS:
                execute(entry)


def _execute(apart, name: str, device: str, folder: Path) -> tuple[float, str | None]:
    """Return the seconds that a notebook's cells took, or its process where it failed, and what went wrong."""
    from workbook_tools.execution.notebooks import parameter_names

    path, output = _FOLDER / f"{name}.ipynb", folder / name
    chosen = {"device": "auto" if device == "cuda" else device}  # with "cuda" small networks would wait for messages
    values = {"output_dir": str(output)} | (chosen if "device" in parameter_names(path) else {})
    start = time.perf_counter()
    problem = apart.execute(path, folder / path.name, values, folder / f"{name}.log")
    seconds = time.perf_counter() - start
    results = output / "results.json"
    if problem is None and results.exists():
        seconds = json.loads(results.read_text())["seconds"]
    return seconds, problem
