"""`fedlearn sweep`: the same table in one go or in two, and failures that stop nothing."""

import os
import signal
import subprocess
import sys

import pandas as pd
import psutil
import pytest

pytestmark = pytest.mark.slow
PLAN = ["-p", "rate=0.5,1,2", "-p", "name='a,b'", "--seeds", "4"]


def sweep(*arguments):
    command = [sys.executable, "-m", "workbook_tools", "sweep", "00", *arguments]
    environment = os.environ | {"MARK_OF_THIS_TEST": "sweep"}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # where the tests themselves run in the background, interrupts are ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def processes_left():
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        environment = process.info["environ"] or {}
        if environment.get("MARK_OF_THIS_TEST") == "sweep" and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_interrupted_and_resumed_it_gives_the_same_table_as_in_one_go(workbook_without_exercises):
    workbook = workbook_without_exercises
    whole = sweep(*PLAN, "--output", "whole")
    printed, complaints = whole.communicate(timeout=300)
    assert whole.returncode == 0, printed + complaints
    assert printed.count(", ok") == 3

    stopped = sweep(*PLAN, "--output", "parts", "--workers", "1")
    assert stopped.stdout.readline().endswith("ok\n")
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=60)
    assert stopped.returncode not in (0, None)
    assert processes_left() == []
    kept = {path.name: path.stat().st_mtime_ns for path in (workbook / "parts" / "runs").iterdir()}
    assert 1 <= len(kept) < 3 and not (workbook / "parts" / "sweep.csv").exists()

    resumed = sweep(*PLAN, "--output", "parts")
    printed, complaints = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, printed + complaints
    assert printed.count(", ok") == 3 - len(kept)
    assert {name: (workbook / "parts" / "runs" / name).stat().st_mtime_ns for name in kept} == kept
    assert (workbook / "parts" / "sweep.csv").read_text() == (workbook / "whole" / "sweep.csv").read_text()

    table = pd.read_csv("whole/sweep.csv")
    assert table[["rate", "name", "seed"]].to_numpy().tolist() == [[0.5, "a,b", 4], [1.0, "a,b", 4], [2.0, "a,b", 4]]
    assert table["test_accuracy"].nunique() == 3 and table["curve"][2] == "[2, 4]"


def test_a_failed_run_is_reported_and_the_others_go_on(workbook_without_exercises):
    workbook = workbook_without_exercises
    run = sweep("-p", "rate=7,2", "--seeds", "0", "--output", "out")
    printed, complaints = run.communicate(timeout=300)
    assert run.returncode == 1
    assert "1 of 2 runs failed" in complaints and "Traceback" not in complaints
    asked = sweep("-p", "rate=2", "--seeds", "0", "--output", "out", "--metrics", "tset_accuracy")
    printed, complaints = asked.communicate(timeout=300)
    assert "metrics must be among test_accuracy, got tset_accuracy" in complaints and asked.returncode == 1
    assert ", ok" not in printed, "the run was kept"
    assert "1 runs of 00_start_here.ipynb, 0 of which failed" in (workbook / "out" / "sweep.html").read_text()
    (workbook / "out" / "sweep.html").unlink()
    run = sweep("-p", "rate=7,2", "--seeds", "0", "--output", "out")
    printed, complaints = run.communicate(timeout=300)
    table = pd.read_csv("out/sweep.csv")
    assert table["status"].tolist() == ["AssertionError: rate is too large", "ok"]
    assert table["test_accuracy"].isna().tolist() == [True, False]
    report = (workbook / "out" / "sweep.html").read_text()
    assert "rate=7, seed=0: AssertionError: rate is too large" in report
    assert '<img alt="' in report and "data:image/png;base64," in report
    (failed,) = (workbook / "out" / "runs").glob("failed_*")
    assert (failed / "notebook.ipynb").exists()
