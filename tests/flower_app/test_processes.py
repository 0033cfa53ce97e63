"""Processes of one's own end with the block that started them, whatever they and it do."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from fedlearn_helpers.deployment.processes import OwnProcesses, free_port, last_lines

DAEMON = "setsid sleep 1000 & exit 0"
CHILD_WITHOUT_ENVIRONMENT = "env -i sleep 1000 & wait"
DEAF = "trap '' TERM; while true; do sleep 0.1; done"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these tests write shell for Linux")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("fedlearn_helpers.deployment.processes._GRACE", 0.5)


def sleepers(since):
    """The processes that tests of this file started, and that still run."""
    commands = (
        ["sleep", "1000"],
        ["bash", "-c", DAEMON],
        ["bash", "-c", CHILD_WITHOUT_ENVIRONMENT],
        ["bash", "-c", DEAF],
    )
    found = []
    for process in psutil.process_iter(["cmdline", "create_time", "status"]):
        info = process.info
        if info["cmdline"] in commands and info["create_time"] >= since and info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("script", [DAEMON, CHILD_WITHOUT_ENVIRONMENT])
def test_whatever_was_started_ends_even_at_an_interrupt(script, tmp_path):
    since = time.time() - 1
    with pytest.raises(KeyboardInterrupt), OwnProcesses() as processes:
        processes.start(["bash", "-c", script], log=tmp_path / "log")
        wait_for(lambda: any(process.cmdline()[0] == "sleep" for process in sleepers(since)))
        raise KeyboardInterrupt
    assert sleepers(since) == []


def test_what_does_not_end_when_asked_is_killed(tmp_path):
    since = time.time() - 1
    with OwnProcesses() as processes:
        deaf = processes.start(["bash", "-c", DEAF], log=tmp_path / "log")
        wait_for(lambda: sleepers(since))
    assert deaf.returncode == -signal.SIGKILL
    assert sleepers(since) == []


def test_others_are_left_alone(tmp_path):
    other = subprocess.Popen(["sleep", "1000"])
    try:
        with OwnProcesses() as processes:
            processes.start(["sleep", "1000"], log=tmp_path / "log")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_they_end_when_this_process_is_killed(tmp_path):
    program = f"""
import pathlib, time
from fedlearn_helpers.deployment.processes import OwnProcesses
OwnProcesses().start(["sleep", "1000"], log=pathlib.Path({str(tmp_path / "log")!r}))
time.sleep(1000)
"""
    since = time.time() - 1
    starter = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: sleepers(since), 60)
    starter.kill()
    starter.wait()
    wait_for(lambda: not sleepers(since))


def test_a_log_is_shown_without_colours_and_from_its_end(tmp_path):
    log = tmp_path / "some.log"
    with OwnProcesses() as processes:
        command = ["printf", r"one\n\n\033[92mtwo\033[0m\nthree\n"]
        assert processes.start(command, log=log, env={"PATH": os.environ["PATH"]}).wait() == 0
    assert last_lines(log, 2) == "The last lines of some.log:\ntwo\nthree"


def test_a_free_port_can_be_listened_on():
    assert 1024 <= free_port() <= 65535


def test_they_outlive_the_thread_that_started_them(tmp_path):
    with OwnProcesses() as processes, ThreadPoolExecutor(1) as pool:
        process = pool.submit(processes.start, ["sleep", "1000"], log=tmp_path / "log").result()
        pool.shutdown()
        time.sleep(0.5)
        assert process.poll() is None


def test_nobody_watches_when_nothing_is_left_to_watch(tmp_path):
    def watchers():
        children = [process.cmdline() for process in psutil.Process().children()]
        return [command for command in children if "looks_without_finding" in " ".join(command)]

    with OwnProcesses() as first, OwnProcesses() as second:
        first.start(["sleep", "1000"], log=tmp_path / "log")
        second.start(["sleep", "1000"], log=tmp_path / "log")
        assert len(watchers()) == 1
        first.stop()
        assert len(watchers()) == 1
    assert watchers() == []


def test_killed_ones_are_not_asked_first(tmp_path):
    with OwnProcesses() as processes:
        asked = tmp_path / "asked"
        script = f"trap 'touch {asked}; exit 0' TERM; touch {tmp_path / 'ready'}; while true; do sleep 0.1; done"
        process = processes.start(["bash", "-c", script], log=tmp_path / "log")
        wait_for((tmp_path / "ready").exists)
        processes.kill()
    assert process.returncode == -signal.SIGKILL and not asked.exists()
