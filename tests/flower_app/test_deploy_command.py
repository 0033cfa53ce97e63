"""`fedlearn deploy`, the files for several machines and for Docker, and Flower's options in all of them."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sysconfig
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from fedlearn_helpers.deployment import Deployment, Node, make_credentials, why_not
from fedlearn_helpers.deployment import deployment as module
from fedlearn_helpers.deployment.processes import OwnProcesses, free_port
from fedlearn_helpers.errors import InputError
from workbook_tools import flower
from workbook_tools.cli import app
from workbook_tools.flower import several_machines

ROOT = Path(__file__).parents[2]
SMALL_APP = Path(__file__).with_name("small_app")
COMPOSE_FILES = sorted((ROOT / "docker").glob("compose.*.yaml"))
SCRIPTS = sysconfig.get_path("scripts")

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


# Flower's options -------------------------------------------------------------------------


@cache
def options_in_help(*words):
    """The options that a program of Flower has."""
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    shown = subprocess.run([f"{SCRIPTS}/{words[0]}", *words[1:], "--help"], capture_output=True, env=environment)
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown.stdout.decode()))


def unknown_options(command):
    """The options of a command that its program does not have, with the program's name."""
    words = [command[0]]
    if words == ["flwr"]:
        words += command[1:3] if command[1] in ("supernode",) else command[1:2]
    options = {word.partition("=")[0] for word in command if word.startswith("--")}
    return [(*words, option) for option in sorted(options - options_in_help(*words))]


def test_an_option_that_there_is_not_would_be_found():
    assert unknown_options(["flower-supernode", "--insecure", "--no-such=1"]) == [("flower-supernode", "--no-such")]
    assert unknown_options(["flwr", "supernode", "list", "--stream"]) == [("flwr", "supernode", "list", "--stream")]


def test_a_deployment_passes_options_that_flower_has(tmp_path, monkeypatch):
    """Everything is called once, on stand-ins that answer what is asked."""
    commands = []
    start = OwnProcesses.start
    run = {"run-id": "7", "status": "finished:completed", "status-details": "N/A", "elapsed": 1}
    run["network-traffic"] = {"inbound-bytes": 1, "outbound-bytes": 2}
    answer = json.dumps({"run-id": "7", "runs": [run], "nodes": [{"node-id": "1", "status": "online"}]})

    def stand_in(self, command, *, log, env=None):
        commands.append(list(command))
        instead = ["printf", "%s", answer] if command[0] == "flwr" else ["sleep", "100"]
        return start(self, instead, log=log, env=env)

    monkeypatch.setattr(OwnProcesses, "start", stand_in)
    monkeypatch.setattr(module, "is_healthy", lambda *_: True)
    monkeypatch.setattr(Node, "is_connected", lambda *_: True)
    keys = make_credentials(tmp_path / "keys", 1)
    for name, credentials in (("with", keys), ("without", None)):
        with Deployment(tmp_path / name, credentials=credentials) as federation:
            federation.start_link()
            federation.start_node(0, num_partitions=1, retries=1)
            federation.wait_for_nodes(1)
            federation.wait(federation.start_run(SMALL_APP, {}), timeout=10, failures_expected=True)
            federation.stop_run(7)
            assert [run.run_id for run in federation.runs()] == [7]
    assert {tuple(command[:2]) for command in commands if command[0] == "flwr"} == {
        ("flwr", "run"), ("flwr", "ls"), ("flwr", "log"), ("flwr", "stop"), ("flwr", "supernode"),
    }  # fmt: skip
    assert {command[0] for command in commands} == {"flwr", "flower-superlink", "flower-supernode"}
    assert sum((unknown_options(command) for command in commands), []) == []


# Docker -----------------------------------------------------------------------------------


def services(path):
    return yaml.safe_load(path.read_text())["services"]


def test_there_is_a_compose_file_for_each_role():
    assert [list(services(path)) for path in COMPOSE_FILES] == [["supernode"], ["superlink"]]


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_files_follow_the_official_schema(path):
    schema = json.loads((Path(__file__).with_name("compose_spec") / "compose_spec.json").read_text())
    content = yaml.safe_load(path.read_text())
    official = jsonschema.Draft201909Validator(schema)
    official.validate(content)
    (service,) = content["services"].values()
    service["comand"] = []
    with pytest.raises(jsonschema.ValidationError):
        official.validate(content)


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_files_pass_options_that_flower_has(path):
    ((role, service),) = services(path).items()
    assert unknown_options([f"flower-{role}", *service["command"]]) == []
    assert service["build"]["args"] == {"ROLE": role}
    assert (path.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_containers_find_the_files_that_are_made(path, tmp_path):
    several_machines.write_machines(tmp_path / "made", server="localhost", num_nodes=1)
    ((role, service),) = services(path).items()
    folder = {"superlink": "server", "supernode": "node0"}[role]
    mounted = service["volumes"][0].split(":")[-2]
    wanted = {word for part in service["command"] for word in re.findall(rf"{mounted}/(\S+)", part)}
    wanted = {name.split("$")[0] + "0" if "$" in name else name for name in wanted}
    assert wanted and wanted <= {file.name for file in (tmp_path / "made" / folder).iterdir()}


def test_the_image_is_that_of_the_version_that_is_tested():
    pinned = re.search(r"^flwr==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    assert f"FROM flwr/${{ROLE}}:{pinned}-py3" in (ROOT / "docker" / "Dockerfile").read_text()


# Several machines -------------------------------------------------------------------------


def commands_in(text):
    """The commands of the instructions, by the line that introduces them."""
    found, title = {}, ""
    for line in text.splitlines():
        if line.startswith("    "):
            found[title].append(line.strip())
        elif line:
            found[title := line] = []
    return found


def test_every_machine_gets_its_own_files_alone(tmp_path):
    several_machines.write_machines(tmp_path / "made", server="fed.example", num_nodes=2)
    machines = [path for path in (tmp_path / "made").iterdir() if path.is_dir()]
    files = {path.name: {file.name for file in path.iterdir()} for path in machines}
    assert files == {
        "server": {"ca.crt", "server.pem", "server.key", "node0.pub", "node1.pub"},
        "node0": {"ca.crt", "node0"},
        "node1": {"ca.crt", "node1"},
    }
    for folder in (tmp_path / "made", *machines):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        private = [file for file in folder.iterdir() if file.is_file() and file.name != "README.txt"]
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in private)


def test_instructions_pass_options_that_flower_has(tmp_path):
    text = several_machines.write_machines(tmp_path / "made", server="fed.example", num_nodes=3)
    assert (tmp_path / "made" / "README.txt").read_text() == text
    commands = [shlex.split(line) for lines in commands_in(text).values() for line in lines]
    commands = [command for command in commands if command[0].startswith("fl")]
    assert len(commands) == 1 + 3 + 3 + 3
    assert sum((unknown_options(command) for command in commands), []) == []
    assert text.count("fed.example:8000") == 3


@pytest.mark.slow
def test_instructions_bring_a_federation_up(tmp_path, monkeypatch):
    """The lines are typed as they stand there, on one machine that plays all of them."""
    monkeypatch.setattr(several_machines, "PORT", free_port())
    text = several_machines.write_machines(tmp_path / "made", server="localhost", num_nodes=1)
    shutil.copytree(SMALL_APP, tmp_path / "made" / "flower_app")
    terminals = iter(commands_in(text).values())
    environment, link, setup, node, last = (list(lines) for lines in terminals)
    results = tmp_path / "results.json"
    run = f"""flwr run flower_app federation --stream --run-config "num-clients=1 results-path='{results}'" """
    with OwnProcesses() as processes:

        def type_in(lines, name):
            script = "\n".join(["set -e", f"cd {shlex.quote(str(tmp_path / 'made'))}", *lines])
            return processes.start(["bash", "-c", script], log=tmp_path / f"{name}.log")

        def again_until(lines, name, holds):
            deadline = time.monotonic() + 120
            while type_in(lines, name).wait() != 0 or not holds((tmp_path / f"{name}.log").read_text()):
                assert time.monotonic() < deadline, (tmp_path / f"{name}.log").read_text()
                time.sleep(0.5)

        type_in([*environment, *link], "link")
        again_until([*environment, *setup], "setup", lambda said: True)
        # With a port of its own: other nodes may run on this machine.
        type_in([*node[:-1], f"{node[-1]} --port {free_port()}"], "node")
        again_until([*environment, last[0]], "list", lambda said: "online" in said)
        assert "flwr run flower_app federation --stream" in last[1]
        assert type_in([*environment, run], "run").wait(120) == 0
    assert json.loads(results.read_text())["status"] == "completed"


# The command ------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Replace the run of the app; return what it was asked for."""
    calls = []

    def deploy_app(app, **options):
        calls.append(SimpleNamespace(app=app, **options))
        if options["num_nodes"] < 1:
            raise InputError("nodes must be a whole number >= 1, got 0")
        if options["timeout"] < 1:
            raise RuntimeError("messages to clients that failed: 1; disk full\nlast line of the log")
        return {"status": "completed", "rounds": [{"round": 1, "failures": {}, "server": {"accuracy": 0.5}}]}

    monkeypatch.setattr(flower, "deploy_app", deploy_app)
    return calls


def test_it_runs_the_app_prints_rounds_and_writes_results(asked, tmp_path):
    file = tmp_path / "new" / "results.json"
    result = CliRunner().invoke(app, ["deploy", "--nodes", "3", "-p", "seed=2", "--output", str(file)])
    assert result.exit_code == 0, result.output
    (call,) = asked
    assert (call.app.name, call.run_config, call.num_nodes) == ("flower_app", {"seed": 2}, 3)
    assert "round 1: server accuracy 0.500\n" in result.output
    assert json.loads(file.read_text())["status"] == "completed"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--nodes", "0"], "InputError: nodes must be a whole number >= 1, got 0"),
        (["--timeout", "0.5"], "RuntimeError: messages to clients that failed: 1; disk full"),
        (["-p", "seed"], "InputError: a parameter must look like name=value, got 'seed'"),
    ],
)
def test_it_says_what_went_wrong_and_exits_with_1(asked, arguments, sentence, tmp_path):
    file = tmp_path / "results.json"
    result = CliRunner().invoke(app, ["deploy", *arguments, "--output", str(file)])
    assert result.exit_code == 1 and sentence in result.output and not file.exists()


def test_for_several_machines_it_prints_what_to_type_and_starts_nothing(asked, tmp_path):
    folder = tmp_path / "new" / "machines"
    command = ["deploy", "--server", "10.0.0.7", "--machines", str(folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert result.output.startswith((folder / "README.txt").read_text()) and "10.0.0.7:8000" in result.output
    assert asked == []
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1 and "InputError: folder must be new or empty" in again.output


@pytest.mark.slow
def test_it_runs_an_app_for_real(tmp_path):
    file = tmp_path / "results.json"
    arguments = ["--nodes", "1", "-p", "num-clients=1", "--folder", str(SMALL_APP), "--output", str(file)]
    result = CliRunner().invoke(app, ["deploy", *arguments])
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text())["rounds"] == [{"round": 1, "failures": {"train": 0}, "errors": [], "of": [0]}]
