"""The jobs of the check, each a process: python -m gpu.jobs JOB --section NAME --device cuda --records FILE [--quick].

A job writes a record for all that it has measured, and judges nothing; `verdicts.py` does.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from tables import cpu_model

from gpu import notebooks, sameness, speed
from gpu.records import Recorder
from gpu.work import Place

ROOT = Path(__file__).resolve().parents[2]
_TESTS = "tests/core/test_gpu.py"


def facts(place: Place, recorder: Recorder) -> None:
    """What the numbers depend on besides the code."""
    recorder.write("cores", str(len(os.sched_getaffinity(0))))
    recorder.write("CPU", cpu_model())
    recorder.write("versions", f"Python {platform.python_version()}, torch {torch.__version__}, flwr {version('flwr')}")
    with recorder.attempt("card"):
        if torch.cuda.is_available():
            recorder.write("card", torch.cuda.get_device_name())
            recorder.write("CUDA, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")
            query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
            said = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip()
            recorder.write("driver, memory", said or "nvidia-smi says nothing")


def gpu_tests(place: Place, recorder: Recorder) -> None:
    """The tests that need a GPU, and which of them failed."""
    if not (ROOT / _TESTS).exists():
        recorder.write("pytest -m gpu", problem=f"not measured: there is no {_TESTS}")
        return
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rfE", "-p", "no:cacheprovider", _TESTS]
    command.append("--noconftest")  # it is about processes and browsers, and needs what may be missing here
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(result.stdout, result.stderr, flush=True)
    lines = result.stdout.strip().splitlines() or ["pytest printed nothing"]
    if result.returncode == 0 and "passed" not in lines[-1]:
        recorder.write("pytest -m gpu", problem=f"not measured: {lines[-1]}")
        return
    recorder.write("pytest -m gpu", lines[-1], exit_code=result.returncode)
    for line in lines:
        if line.startswith(("FAILED ", "ERROR ")):
            recorder.write(line.split(" - ")[0].rpartition("::")[2], problem=line.partition(" - ")[2] or line)


JOBS: dict[str, Callable[[Place, Recorder], None]] = {
    function.__name__: function
    for function in (
        facts,
        speed.talk_peers,
        speed.talk_ours,
        speed.talk_processor,
        speed.scale_peers,
        speed.scale_ours,
        speed.scale_processor,
        sameness.bits,
        sameness.bits_again,
        sameness.strategies,
        sameness.strategies_processor,
        speed.auto,
        speed.auto_processor,
        gpu_tests,
    )
} | {"run_notebooks": lambda place, recorder: notebooks.run_all(place.device, place.quick, recorder)}


def main() -> None:
    """Do one job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--section", required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    recorder = Recorder(arguments.records, arguments.section)
    with recorder.attempt(arguments.job):
        JOBS[arguments.job](Place(arguments.device, arguments.quick), recorder)


if __name__ == "__main__":
    main()
