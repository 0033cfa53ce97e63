"""A real federation on this machine: what comes out of it, who is turned away, and that nothing of it is left.

One deployment serves most tests. It has been through a power cut of its SuperLink before the first of them.
"""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from fedlearn_helpers.deployment import Deployment, make_credentials, why_not
from fedlearn_helpers.deployment.ports import is_free
from fedlearn_helpers.errors import InputError

ROOT = Path(__file__).parents[2]
SMALL_APP = Path(__file__).with_name("small_app")
MARK = "MARK_OF_THE_DEPLOYMENT_TESTS"
LOSS_TOLERANCE = 1e-6  # relative; as for the other engines in test_flower_app.py

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


def marked(mark):
    """The processes that were started, by whatever, with a mark in their environment."""
    found = {}
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        if (process.info["environ"] or {}).get(MARK) == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[process.pid] = " ".join(process.info["cmdline"] or [])[:200]
    return found


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return SimpleNamespace(ours=make_credentials(folder / "ours", 2), others=make_credentials(folder / "others", 1))


@pytest.fixture(scope="module")
def federation(tmp_path_factory, keys):
    """A SuperLink that was killed in mid-run, and started again on its database, and two nodes."""
    os.environ[MARK] = "module"
    folder = tmp_path_factory.mktemp("deployment")
    with Deployment(folder, credentials=keys.ours) as federation:
        federation.start_link()
        federation.partners = [federation.start_node(number, num_partitions=2) for number in range(2)]
        federation.wait_for_nodes(2)
        federation.nodes_before = federation.nodes()
        federation.lost_run = federation.start_run(SMALL_APP, {"seconds": 5.0})
        wait_for(lambda: all("Receiving: train" in node.log.read_text() for node in federation.partners))
        federation.kill_link()
        federation.start_link()
        federation.wait_for_nodes(2)
        yield federation
    del os.environ[MARK]
    assert marked("module") == {}
    assert is_free(federation.port)
    no_private_key_in(folder, keys)


def no_private_key_in(folder, keys):
    """Look for every line of every private key in all that the federation wrote."""
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"Starting Flower SuperLink" in written and b"node-config" not in written
    private = [*keys.ours.nodes, keys.ours.key, *keys.others.nodes, keys.others.key]
    lines = {line for path in private for line in path.read_bytes().splitlines() if not line.startswith(b"---")}
    common = {
        line for line in lines if sum(line in path.read_bytes() for path in private) > 1
    }  # what all keys begin with
    assert len(lines - common) > 10
    assert not [line for line in lines - common if line in written]


# Runs -------------------------------------------------------------------------------------


def test_a_run_gives_what_the_server_app_wrote(federation):
    run = federation.run(SMALL_APP, {"num-server-rounds": 2}, timeout=120)
    assert (run.status, run.details, run.failures, run.problem) == ("finished:completed", "", 0, None)
    assert [entry["of"] for entry in run.results["rounds"]] == [[0, 1], [0, 1]]
    assert "Using SuperLink" in run.log.read_text()
    listed = federation.runs()[0]
    assert (listed.run_id, listed.status) == (run.run_id, "finished:completed")
    assert listed.seconds > 0 and listed.received > 0 and listed.sent > 0


def test_a_client_that_fails_is_an_error_although_flower_calls_the_run_completed(federation):
    changes = {"failing-client": 1}
    with pytest.raises(RuntimeError) as caught:
        federation.run(SMALL_APP, changes, timeout=120)
    first, second, *_ = str(caught.value).splitlines()
    assert first.startswith("messages to clients that failed: 1; ") and "disk full" in str(caught.value)
    assert re.fullmatch(r"The last lines of run-\d+\.log:", second)


def test_failures_that_are_expected_come_back_as_data(federation):
    run = federation.run(SMALL_APP, {"failing-client": 0}, timeout=120, failures_expected=True)
    assert (run.status, run.failures) == ("finished:completed", 1)
    assert run.results["rounds"][0]["of"] == [1]


def test_a_server_app_that_fails_is_an_error_although_flwr_run_exits_with_0(federation):
    with pytest.raises(RuntimeError) as caught:
        federation.run(SMALL_APP, {"server-fails": True}, timeout=120)
    first = str(caught.value).splitlines()[0]
    assert first.startswith("the run is finished:failed: ") and "no model" in first


def test_a_run_that_takes_too_long_is_stopped(federation):
    run_id = federation.start_run(SMALL_APP, {"seconds": 0.0, "num-clients": 3})
    with pytest.raises(RuntimeError, match="^the run did not end within 2 seconds\n"):
        federation.wait(run_id, timeout=2)
    assert [run.status for run in federation.runs() if run.run_id == run_id] == ["finished:stopped"]


def test_the_workbooks_app_gives_what_this_process_gives(federation, tmp_path):
    import tomllib

    from workbook_app.client_app import app as client_app
    from workbook_app.server_app import app as server_app

    from fedlearn_helpers.simulation import simulate

    app = ROOT / "flower_app"
    defaults = tomllib.loads((app / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
    changes = {"num-server-rounds": 1, "batch-size": 200, "seed": 3}
    results = federation.run(app, changes, timeout=300).results["rounds"]
    path = tmp_path / "results.json"
    config = defaults | changes | {"results-path": str(path)}
    simulate(server_app, client_app, num_clients=2, seed=3, run_config=config)
    expected = json.loads(path.read_text())["rounds"]
    for phase, number in (("server", 0), ("train", 1), ("evaluate", 1), ("server", 1)):
        assert results[number][phase] == pytest.approx(expected[number][phase], rel=LOSS_TOLERANCE), phase
    assert results[1]["server"]["accuracy"] == expected[1]["server"]["accuracy"] != results[0]["server"]["accuracy"]


# Who is turned away -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def intruders(federation, keys):
    """One with a key that the SuperLink was not told, one without, one in plain text, one that trusts another."""
    options = {
        "other key": {"key": keys.others.nodes[0]},
        "no key": {"key": None},
        "plain": {"plain": True},
        "other authority": {"root": keys.others.ca},
    }
    return {name: federation.start_node(0, num_partitions=2, retries=1, **changes) for name, changes in options.items()}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other key", "2004"),
        ("no key", "2001"),
        ("plain", "could not establish a connection"),
        ("other authority", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_an_intruder_is_turned_away(intruders, name, reason):
    refusal = intruders[name].refusal(timeout=60)
    assert refusal.exit_code == 305
    assert reason in refusal.reason and "\n" not in refusal.reason


def test_the_nodes_are_the_same_two_after_all_that(federation, intruders):
    for intruder in intruders.values():
        intruder.refusal()
    assert {node.node_id for node in federation.nodes() if node.status == "online"} == {
        node.node_id for node in federation.nodes_before
    }


def test_a_node_that_runs_is_not_refused(federation):
    with pytest.raises(RuntimeError, match=r"^node-0 has not been refused within 0\.5 seconds\n"):
        federation.partners[0].refusal(timeout=0.5)


# What is lost on the way ------------------------------------------------------------------


def test_a_run_goes_on_without_a_node_that_is_lost(federation):
    """Flower takes a node for lost when it has been silent for a minute."""
    lost = federation.partners[1]
    run_id = federation.start_run(SMALL_APP, {"num-server-rounds": 2, "seconds": 3.0})
    messages = lost.log.read_text().count("Receiving: train")
    wait_for(lambda: lost.log.read_text().count("Receiving: train") > messages)
    lost.kill()
    assert lost.exit_code == -signal.SIGKILL
    run = federation.wait(run_id, timeout=200, failures_expected=True)
    assert (run.status, run.failures) == ("finished:completed", 2)
    assert [entry["of"] for entry in run.results["rounds"]] == [[0], [0]]
    federation.partners[1] = federation.start_node(1, num_partitions=2)
    federation.wait_for_nodes(2)
    assert {node.node_id for node in federation.nodes()} >= {node.node_id for node in federation.nodes_before}


def test_the_run_in_which_the_superlink_was_lost_has_failed(federation):
    """Flower says so when the ServerApp has been silent for a minute."""
    run = federation.wait(federation.lost_run, timeout=100, failures_expected=True)
    assert run.status == "finished:failed"
    assert run.results["status"] == "running"
    assert run.problem.startswith("the run is finished:failed: ")


# Mistakes ---------------------------------------------------------------------------------


def test_a_port_that_is_in_use_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        sentence = f"port must be free, and another program listens on it, got {port}"
        with pytest.raises(InputError) as caught:
            Deployment(tmp_path / "new", port=port)
        assert str(caught.value) == sentence and not (tmp_path / "new").exists()
    with Deployment(tmp_path / "new", port=port) as federation, socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(InputError) as caught:
            federation.start_link()
        assert str(caught.value) == sentence


def test_a_superlink_that_does_not_start_shows_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(Deployment, "_for_link", lambda self: ["--no-such-option"])
    with Deployment(tmp_path) as federation:
        with pytest.raises(RuntimeError) as caught:
            federation.start_link()
    assert str(caught.value).startswith("the SuperLink did not start\nThe last lines of link.log:")
    assert "--no-such-option" in str(caught.value)


def test_a_superlink_that_does_not_answer_in_time_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "slow link")
    with Deployment(tmp_path) as federation:
        with pytest.raises(RuntimeError, match="^the SuperLink did not start\n"):
            federation.start_link(timeout=0.05)
        assert marked("slow link") == {}


def test_nothing_is_started_with_credentials_that_cannot_work(tmp_path, keys):
    credentials = make_credentials(tmp_path / "keys", 1)
    credentials.key.chmod(0o644)
    with pytest.raises(InputError, match="^a private key must be readable by its owner alone"):
        Deployment(tmp_path / "new", credentials=credentials)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda f: f.start_node(2, num_partitions=2), "partition_id must be <= 1, got 2"),
        (lambda f: f.start_node(0, num_partitions=0), "num_partitions must be a whole number >= 1, got 0"),
        (lambda f: f.start_node(0, num_partitions=1, retries=0), "retries must be a whole number >= 1, got 0"),
        (lambda f: f.start_node(2, num_partitions=3), "partition_id must have a key, and there are 2, got 2"),
        (lambda f: f.start_link(), "the SuperLink must be started once, and it runs already"),
        (lambda f: f.wait(7, timeout=1), "run_id must be a run of this deployment, got 7"),
        (lambda f: f.wait_for_nodes(0), "count must be a whole number >= 1, got 0"),
        (
            lambda f: f.run(SMALL_APP, {}, timeout=float("nan")),
            "timeout must be a finite number of seconds > 0, got nan",
        ),
        (lambda f: f.start_run(SMALL_APP, {"results-path": "/x"}), "run_config must not have results-path, got '/x'"),
        (
            lambda f: f.start_run(Path("/nowhere"), {}),
            "app must be a folder with a pyproject.toml, got '/nowhere'",
        ),
    ],
)
def test_arguments_are_checked(federation, call, sentence):
    with pytest.raises(InputError) as caught:
        call(federation)
    assert str(caught.value) == sentence


def test_a_superlink_must_be_there_and_a_deployment_open(tmp_path):
    with Deployment(tmp_path) as federation:
        with pytest.raises(InputError, match="^the SuperLink must run for this, call start_link first$"):
            federation.nodes()
    with pytest.raises(InputError, match="^a deployment must not have been closed"):
        federation.start_link()
    with pytest.raises(InputError, match="^folder must be new or empty, got"):
        Deployment(tmp_path)


def test_nodes_that_do_not_come_are_counted(federation):
    with pytest.raises(RuntimeError, match="^of 3 nodes, 2 are connected after 1 seconds"):
        federation.wait_for_nodes(3, timeout=1)


# Nothing is left --------------------------------------------------------------------------


def test_a_deployment_that_nobody_holds_any_more_ends(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "nobody")
    federation = Deployment(tmp_path, database=False)
    federation.start_link()
    port = federation.port
    assert any("superlink" in command for command in marked("nobody").values())
    del federation
    gc.collect()
    assert marked("nobody") == {} and is_free(port)


PROGRAM = """
import signal
import sys
from pathlib import Path
from fedlearn_helpers.deployment import Deployment

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore interrupts
federation = Deployment(Path(sys.argv[1]))
federation.start_link()
federation.start_node(0, num_partitions=1)
federation.wait_for_nodes(1)
run_id = federation.start_run(Path(sys.argv[2]), {"num-clients": 1, "seconds": 600.0})
print(federation.port, flush=True)
federation.wait(run_id, timeout=600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_is_left_of_a_deployment_whose_process_is_interrupted_or_killed(tmp_path, how):
    environment = os.environ | {MARK: how.name}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "new"), str(SMALL_APP)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        port = int(holder.stdout.readline())
        wait_for(lambda: any("clientapp" in line for line in marked(how.name).values()))
        time.sleep(1)
        holder.send_signal(how)
        assert holder.wait(60) != 0
        said = holder.stderr.read().decode()
    assert ("KeyboardInterrupt" in said) == (how == signal.SIGINT)
    wait_for(lambda: not marked(how.name), 30 if how != signal.SIGINT else 1)
    assert is_free(port)
