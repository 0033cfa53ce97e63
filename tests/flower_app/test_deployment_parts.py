"""Parts of a deployment that need no federation: what Flower's answers mean, and whether there can be one here."""

import os
import socket
import sys
from pathlib import Path

import pytest

from fedlearn_helpers.deployment import Deployment, RunStatus, possible, why_not
from fedlearn_helpers.deployment.listings import failures_in, runs_in
from fedlearn_helpers.deployment.programs import Node
from fedlearn_helpers.errors import InputError

LOG = Path("run-1.log")
NOT_POSIX = "Flower's programs are started and ended with the means of Linux and macOS, which this machine lacks"


@pytest.mark.skipif(os.name != "posix", reason=NOT_POSIX)
def test_without_flowers_programs_their_names_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr(possible.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "flwr").write_text("#!/bin/sh\n")
    (tmp_path / "flwr").chmod(0o755)
    sentence = "Flower's programs are missing here: flower-superlink, flower-supernode; pip install flwr brings them"
    assert why_not() == sentence
    with pytest.raises(InputError) as caught:
        Deployment(tmp_path / "new")
    assert str(caught.value) == sentence and not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name != "posix", reason=NOT_POSIX)
def test_without_ports_that_is_said(monkeypatch):
    monkeypatch.setattr(possible.shutil, "which", lambda name, path=None: f"/bin/{name}")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert why_not() == "programs on this machine may not talk over a port of 127.0.0.1 (Permission denied)"


def test_on_windows_that_is_said(monkeypatch):
    monkeypatch.setattr(possible.os, "name", "nt")
    reason = why_not()
    monkeypatch.undo()
    assert reason == NOT_POSIX


def ended(*, status="finished:completed", details="", results=None, failures=0):
    return RunStatus(1, status, details, results, failures, LOG)


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (ended(results={"status": "completed", "rounds": []}), None),
        (ended(), "the ServerApp wrote no results"),
        (ended(status="finished:failed", details="no heartbeat"), "the run is finished:failed: no heartbeat"),
        (ended(status="finished:stopped"), "the run is finished:stopped"),
        (
            ended(status="finished:failed", results={"status": "failed", "error": "KeyError: 1"}),
            "the run is finished:failed (KeyError: 1)",
        ),
        (ended(results={"status": "running", "error": None}), "the ServerApp's results are 'running'"),
        (
            ended(results={"status": "completed", "rounds": [{"errors": list("abcd")}]}, failures=4),
            "messages to clients that failed: 4; a; b; c",
        ),
    ],
)
def test_the_first_problem_of_a_run(run, problem):
    assert run.problem == problem


def test_failures_are_counted_over_rounds_and_phases():
    rounds = [{"failures": {}}, {"failures": {"train": 1, "evaluate": 2}}, {"failures": {"train": 3}}, {}]
    assert failures_in({"rounds": rounds}) == 6
    assert failures_in(None) == failures_in({}) == 0


def test_a_run_that_still_runs_is_not_over_although_its_listing_says_finished_at():
    run = {"run-id": "5", "status": "running", "status-details": "N/A", "elapsed": 1.5, "finished-at": "N/A"}
    (listed,) = runs_in({"runs": [run | {"network-traffic": {"inbound-bytes": 1, "outbound-bytes": 2}}]})
    assert (listed.run_id, listed.is_over, listed.details, listed.received, listed.sent) == (5, False, "", 1, 2)


REFUSED = r"\033[91mERROR\033[0m : Exit Code: 305\nit said: [code: 2004] Failed to activate.\nterminated gracefully.\n"


@pytest.mark.skipif(os.name != "posix", reason=NOT_POSIX)
def test_the_reason_of_a_refusal_is_neither_the_last_line_nor_coloured(tmp_path):
    node = Node("node-0", ["printf", REFUSED], log=tmp_path / "node-0.log", env=os.environ)
    refusal = node.refusal(timeout=10)
    assert (refusal.exit_code, refusal.reason) == (305, "it said: [code: 2004] Failed to activate.")
    assert repr(node) == "<node-0: ended with 0, log node-0.log>"
    node.stop()


@pytest.mark.skipif(os.name != "posix", reason=NOT_POSIX)
def test_a_node_that_ended_without_a_reason_shows_its_log(tmp_path):
    node = Node("node-0", [sys.executable, "-c", "print('bye')"], log=tmp_path / "node-0.log", env=os.environ)
    with pytest.raises(
        RuntimeError, match=r"^node-0 ended with 0 and gave no reason\nThe last lines of node-0\.log:\nbye"
    ):
        node.refusal(timeout=30)
    node.stop()
