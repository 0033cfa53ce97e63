"""Two roles: the gate of a hospital, the hash and the approvals, and the two notebooks in kernels side by side."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from hashlib import sha256
from io import BytesIO
from types import SimpleNamespace

import nbformat
import numpy as np
import papermill
import psutil
import pytest
from app_runs import FLOWER_APP, run
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from places import NOTEBOOKS

from fedlearn_helpers.deployment import Approvals, Exchange, Hospital, build_app, changed_lines, gate, read_app, why_not
from fedlearn_helpers.deployment.app_bundle import bundle_of
from fedlearn_helpers.deployment.outgoing import describe, looks_masked, read_sent, write_down
from fedlearn_helpers.deployment.ports import is_free
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import check_parameters
from fedlearn_helpers.lessons.deployment.pair import HospitalParameters, ServerParameters

PAIR = {path.name: path for path in sorted((NOTEBOOKS / "pair").glob("*.ipynb"))}
MODELS = {"10a_server.ipynb": ServerParameters, "10b_hospital.ipynb": HospitalParameters}
MARK = "MARK_OF_THE_PAIR_TEST"


@pytest.fixture(scope="module")
def app():
    return build_app(FLOWER_APP)


# The app and its hash ---------------------------------------------------------------------


def test_the_hash_is_that_of_flwr_build(app, tmp_path):
    """Run twice, in another process and another folder: the same bytes."""
    copy = shutil.copytree(FLOWER_APP, tmp_path / "a-copy", ignore=shutil.ignore_patterns("__pycache__"))
    command = "from flwr.cli.app import app; app()"  # which takes no folder with an underscore, as `flwr run` does
    subprocess.run([sys.executable, "-c", command, "build", "--app", str(copy)], cwd=tmp_path, check=True, timeout=120)
    (built,) = tmp_path.glob("*.fab")
    assert built.read_bytes() == app.content
    assert read_app(built).hash == app.hash == sha256(app.content).hexdigest()
    assert built.name.endswith(f".{app.hash[:8]}.fab")
    assert app.name == "fedlearn/workbook-app 0.1.0" and app.settings["secure-aggregation"] is False
    assert (FLOWER_APP / "workbook_app" / "client_app.py").read_text() == app.text("workbook_app/client_app.py")


def with_files(app, changes, *, repeated=(), list_them=True):
    """The same app with other files, and a list that fits to them or not."""
    files = {**app.files, **changes}
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in [*files.items(), *repeated]:
            archive.writestr(name, data)
        listed = files if list_them else app.files
        lines = [f"{name},{sha256(data).hexdigest()},{8 * len(data)}" for name, data in listed.items()]
        archive.writestr(".info/CONTENT", "\n".join(lines))
    return buffer.getvalue()


def test_one_changed_letter_is_another_hash_and_one_changed_line(app):
    path = "workbook_app/client_app.py"
    other = bundle_of(with_files(app, {path: app.files[path].replace(b"return reply", b"return  reply")}))
    assert other.hash != app.hash
    lines = [line for line in changed_lines(app, other).splitlines() if re.match(r"[-+] ", line)]
    assert lines == ["-    return reply", "+    return  reply"]
    assert changed_lines(app, app) == ""


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_bundle_that_might_run_as_another_one_than_is_read_is_refused(app):
    path, evil = "workbook_app/client_app.py", b"import os\n"
    assert bundle_of(with_files(app, {})).files == app.files
    for content, sentence in (
        (with_files(app, {}, repeated=[(path, evil)]), "each file once"),
        (with_files(app, {path: evil}, list_them=False), "with these hashes"),
        (with_files(app, {"../evil.py": evil}), "inside of it"),
        (b"PK", "must be a .fab"),
    ):
        with pytest.raises(InputError, match=sentence):
            bundle_of(content)
    with pytest.raises(InputError, match="must have a pyproject.toml"):
        build_app(NOTEBOOKS)


# Approvals --------------------------------------------------------------------------------


def test_approved_is_one_hash_with_certain_settings_until_it_is_withdrawn(app, tmp_path):
    approvals = Approvals(tmp_path / "approved.json")
    assert approvals.hashes() == () and app.hash in approvals.refusal(app.hash)
    approvals.approve(app, settings={"secure-aggregation": True})
    assert approvals.hashes() == (app.hash,) and approvals.path.stat().st_mode & 0o077 == 0
    fits = app.settings | {"secure-aggregation": True}
    assert approvals.refusal(app.hash, fits) is None and approvals.refusal(app.hash) is None
    assert "secure-aggregation = True alone, got False" in approvals.refusal(app.hash, app.settings)
    assert "got 1" in approvals.refusal(app.hash, fits | {"secure-aggregation": 1})
    assert "not approved" in approvals.refusal(app.hash[:-1] + "x", fits)
    approvals.withdraw(app.hash)
    assert "not approved" in approvals.refusal(app.hash, fits)
    with pytest.raises(InputError, match="must be approved"):
        approvals.withdraw(app.hash)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"approved": []}', '{"approved": {"HASH": {}}}', "\0"])
def test_a_damaged_file_approves_nothing(app, tmp_path, content):
    path = tmp_path / "approved.json"
    path.write_text(content.replace("HASH", app.hash))
    assert "cannot be used" in Approvals(path).refusal(app.hash)
    with pytest.raises(InputError, match="cannot be used"):
        Approvals(path).approve(app)


@pytest.mark.parametrize("settings", [{"secure": True}, {"secure-aggregation": 1}, {"max-images": True}])
def test_only_settings_of_the_app_can_be_asked_for(app, tmp_path, settings):
    with pytest.raises(InputError, match="^settings must be the app's"):
        Approvals(tmp_path / "approved.json").approve(app, settings=settings)


# What leaves ------------------------------------------------------------------------------


def reply_of(kind="train", error=None):
    metadata = SimpleNamespace(run_id=7, message_type=kind, group_id="3")
    return SimpleNamespace(metadata=metadata, has_error=lambda: error is not None, error=error)


def test_a_reply_is_described_from_outside(tmp_path):
    arrays = ArrayRecord({"w": Array(np.array([[3.0, 0.0], [0.0, 4.0]], np.float32))})
    metrics, config = MetricRecord({"loss": 0.5, "list": [1, 2]}), ConfigRecord({"data": b"secret", "text": "x" * 100})
    sent = describe(reply_of(), RecordDict({"arrays": arrays, "metrics": metrics, "config": config}), 123)
    assert (sent.run_id, sent.kind, sent.round, sent.records) == (7, "train", "3", ("arrays", "metrics", "config"))
    assert (sent.numbers, sent.bytes, sent.norm, sent.masked, sent.error) == (7, 123, 5.0, False, None)
    assert sent.values["metrics.loss"] == 0.5 and sent.values["config.data"] == "6 bytes"
    assert len(sent.values["config.text"]) == 61
    refused = describe(reply_of(error=Error(1, "no disk")), None, 9)
    assert (refused.error, refused.records, refused.masked) == ("no disk", (), None)
    path = tmp_path / "log"
    assert read_sent(path) == ()
    for one in (sent, refused):
        write_down(path, one)
    assert read_sent(path) == (sent, refused)
    path.write_text("{}\n")
    with pytest.raises(InputError, match="^line 1 of the log is damaged"):
        read_sent(path)


@pytest.mark.parametrize("seed", range(20))
def test_masked_numbers_are_told_from_others(seed):
    draws = np.random.default_rng(seed)
    uniform = draws.integers(2**32, size=5000, dtype=np.uint32)
    assert looks_masked(uniform)
    update = np.rint(draws.normal(size=5000) * 1e6).astype(np.int64).astype(np.uint32)  # encoded, and not masked
    assert not looks_masked(update)
    assert not looks_masked(uniform % 2**31) and not looks_masked(uniform[:999])
    assert not looks_masked(uniform.astype(np.float32)) and not looks_masked(uniform.astype(np.int64))


# The gate ---------------------------------------------------------------------------------


def test_flower_is_as_the_gate_knows_it(monkeypatch):
    """If this fails after an upgrade of Flower: read `start_client_internal.py` again, and the gate."""
    assert gate.unlike_what_is_wrapped() == []
    source = open(gate.supernode.__file__).read()
    assert "fab = get_fab(run_info.fab_hash, run_id)" in source and "state.store_fab(fab)" in source
    assert "ids_obj_to_send, session_id = send(message, object_tree, clientapp_runtime)" in source
    monkeypatch.setattr(gate.supernode, "_push_messages", lambda state: None)
    monkeypatch.delattr(gate.supernode, "_insert_message")
    assert [sentence.split()[0] for sentence in gate.unlike_what_is_wrapped()] == ["_push_messages", "_insert_message"]
    with pytest.raises(SystemExit, match="no node is started"):
        gate.main(["--approved", "a", "--log", "b", "--"])


class Offering:
    """What a SuperNode knows and gets: one message after the other, of one run of one app."""

    def __init__(self, app, *, announced=None, settings=None):
        self.app, self.announced = app, announced or app.hash
        self.run = SimpleNamespace(fab_hash=self.announced, override_config=settings or {})
        self.known, self.ran, self.inserted = None, [], []
        self.message = Message(RecordDict(), dst_node_id=5, message_type="train")
        self.message.metadata.__dict__["_run_id"] = 7

    def pull(self, *, state, object_store, receive, get_run, get_fab):
        if receive() is None:
            return None
        if state.get_run(7) is None:
            run = get_run(7)
            state.content = get_fab(run.fab_hash, 7).content
            self.known = run
        self.ran.append(7)
        return 7

    def turn(self, gated):
        return gated(
            state=SimpleNamespace(get_run=lambda run_id: self.known),
            object_store=None,
            receive=lambda: (self.message, None),
            get_run=lambda run_id: self.run,
            get_fab=lambda fab_hash, run_id: SimpleNamespace(content=self.app.content, hash_str=self.announced),
        )


def passes(app, approvals, tmp_path, turns=1, between=lambda: None, **changes):
    """How many messages reached the app, and with what the others were answered."""
    offering = Offering(app, **changes)
    gated = gate.Gate(approvals, tmp_path / "log").pulling(
        offering.pull, lambda reply, state, store: offering.inserted.append(reply.error.reason)
    )
    for _ in range(turns):
        offering.turn(gated)
        between()
    return len(offering.ran), offering.inserted


@pytest.fixture
def task_identity(monkeypatch):
    from flwr.supercore.task_identity import TaskIdentity

    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 7)


def test_the_gate_lets_approved_apps_pass_and_no_others(app, tmp_path, task_identity):
    approvals = Approvals(tmp_path / "approved.json")
    ran, answers = passes(app, approvals, tmp_path)
    assert ran == 0 and answers == [f"the app with hash {app.hash} is not approved here"]
    approvals.approve(app, settings={"secure-aggregation": True})
    assert passes(app, approvals, tmp_path, settings={"secure-aggregation": True}, turns=2) == (2, [])
    ran, answers = passes(app, approvals, tmp_path)
    assert ran == 0 and "secure-aggregation = True alone, got False" in answers[0]
    ran, answers = passes(app, approvals, tmp_path, announced="0" * 64, settings={"secure-aggregation": True})
    assert ran == 0 and "was announced with another one" in answers[0]
    evil = bundle_of(with_files(app, {"workbook_app/client_app.py": b"import os\n"}))
    ran, answers = passes(evil, approvals, tmp_path, announced=app.hash, settings={"secure-aggregation": True})
    assert ran == 0 and evil.hash in answers[0] and app.hash not in answers[0]


def test_an_approval_that_is_withdrawn_ends_a_run_at_its_next_message(app, tmp_path, task_identity):
    approvals = Approvals(tmp_path / "approved.json")
    approvals.approve(app)
    withdraw = iter([lambda: None, lambda: approvals.withdraw(app.hash), lambda: None])
    ran, answers = passes(app, approvals, tmp_path, turns=3, between=lambda: next(withdraw)())
    assert ran == 2 and len(answers) == 1 and app.hash in answers[0]


def test_what_cannot_be_read_does_not_leave(tmp_path):
    left = []

    def push(*, state, object_store, send, push_object):
        send(reply_of(), SimpleNamespace(object_id="a", children=[]), 1.0)

    gated = gate.Gate(Approvals(tmp_path / "approved.json"), tmp_path / "log").pushing(push)
    for content in (None, b"rubbish"):
        with pytest.raises(Exception):  # noqa: B017 - Flower's own
            gated(
                state=None,
                object_store=SimpleNamespace(get=lambda _, content=content: content),
                send=lambda *parts: left.append(parts),
                push_object=None,
            )
    assert left == []


# The exchange -----------------------------------------------------------------------------


def test_waiting_says_for_what_and_ends(tmp_path, capsys):
    exchange = Exchange(tmp_path / "new")
    with pytest.raises(RuntimeError, match="^b.json in .* did not appear within 1 seconds"):
        exchange.put("a.json", {"one": 1})
        exchange.wait_for("a.json", "b.json", timeout=1, still=lambda: "3 messages")
    assert re.fullmatch(r"waiting for b.json in .*new \(0 of 1 seconds; 3 messages\)\n", capsys.readouterr().out)
    assert exchange.take("a.json") == {"one": 1} and exchange.wait_for("a.json", timeout=1)[0].name == "a.json"
    (exchange.folder / "c.json").write_text('{"one"')
    with pytest.raises(InputError, match="^c.json must be a file of the other side"):
        exchange.take("c.json")
    (exchange.folder / "thesis.txt").write_text("mine")
    exchange.clear()
    assert [path.name for path in exchange.folder.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_hospital_keeps_its_private_key_and_refuses_what_cannot_be_a_server(tmp_path):
    with Hospital(tmp_path / "home") as home:
        private = home.public_key.with_suffix("")
        assert private.stat().st_mode & 0o077 == 0 and b"PRIVATE" in private.read_bytes()
        assert b"PRIVATE" not in home.public_key.read_bytes()
        for address in ("here", "here:", ":9", "here:x"):
            with pytest.raises(InputError, match="address must be host:port"):
                home.reaches(address, tmp_path)
        with pytest.raises(InputError, match="^ca must be"):
            home.start_node("127.0.0.1:1", tmp_path / "ca.crt", partition_id=0, num_partitions=1)


# The notebooks ----------------------------------------------------------------------------


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def test_there_are_two():
    assert list(PAIR) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_their_form(name):
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", PAIR[name]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = cells_of(PAIR[name])
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)
    assert ids[:3] == ["title", "opening", "parameters"] and 15 <= len(cells) <= 30
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert max(len(source.splitlines()) for source in code) <= 25
    for source in code:
        ast.parse(source)
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#:]+\.ipynb)\)", text):
        assert (PAIR[name].parent / target).exists(), target
    assert text.count("**What do you see?**") == text.count("<summary>Answer</summary>") >= 2


@pytest.mark.parametrize("name", MODELS)
def test_their_parameters_are_checked_and_their_comments_state_the_ranges(name):
    declared = papermill.inspect_notebook(str(PAIR[name]))
    schema = MODELS[name].model_json_schema()["properties"]
    assert set(declared) == set(schema)
    for key, facts in declared.items():
        assert facts["inferred_type_name"] != "None" and len(facts["help"]) > 10, key
        limits = {limit: schema[key][limit] for limit in ("minimum", "maximum") if limit in schema[key]}
        words = re.findall(r"from ([\d]+) to ([\d]+)|at least ([\d]+)", facts["help"])
        stated = [int(number) for one in words for number in one if number]
        assert stated == list(map(int, limits.values())), key
    values = {key: ast.literal_eval(facts["default"]) for key, facts in declared.items()}
    assert check_parameters(MODELS[name], values) == values
    with pytest.raises(InputError, match="patience must be >= 10"):
        check_parameters(MODELS[name], values | {"patience": 9})


def said(path):
    """What a notebook's cells printed and showed, by the cell's id."""
    found = {}
    for cell in cells_of(path):
        outputs = cell.get("outputs", [])
        texts = [output.get("text") or output.get("data", {}).get("text/html", "") for output in outputs]
        found[cell["id"]] = "".join(texts)
    return found


def marked():
    everyone = psutil.process_iter(["environ", "cmdline", "status"])
    return [
        process.info["cmdline"]
        for process in everyone
        if MARK in (process.info["environ"] or {}) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.slow
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_server_and_two_hospitals_in_three_kernels(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "1")
    exchange = tmp_path / "exchange"
    given = {"exchange_dir": str(exchange), "patience": 400}
    small = {"num_hospitals": 2, "max_images": 200, "num_rounds": 1}
    plays = {"server": ("10a_server.ipynb", given | small)}
    plays |= {f"hospital {number}": ("10b_hospital.ipynb", given | {"hospital": number}) for number in range(2)}
    errors = {}

    def play(role):
        name, parameters = plays[role]
        try:
            papermill.execute_notebook(
                str(PAIR[name]), str(tmp_path / f"{role}.ipynb"), parameters, progress_bar=False, cwd=str(tmp_path)
            )
        except Exception as error:
            errors[role] = str(error)[-2000:]

    threads = [threading.Thread(target=play, args=(role,)) for role in plays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == {}

    server = said(tmp_path / "server.ipynb")
    assert "All that came of trainings was masked: True" in server["sees-code"]
    assert server["sees-code"].count(">masked<") == 2
    same = {"max-images": 200, "num-server-rounds": 1, "fraction-evaluate": 0.0, "secure-aggregation": True}
    for number, metrics in run(same, num_clients=2).server_metrics.items():
        line = f"round {number}: accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}"
        assert line in server["run-code"]
    assert "finished:completed" in server["run-code"]
    offers = [json.loads((exchange / f"offer-{number}.json").read_text()) for number in (1, 2)]
    first, second = (offer["hash"] for offer in offers)
    assert first == build_app(FLOWER_APP).hash != second
    assert f"the app with hash {second} is not approved here" in server["refused-code"]
    assert json.loads((exchange / "run-2.json").read_text())["status"] == "finished:failed"
    assert server["end-code"].count("offline") == 2 and server["nodes-code"].count("online") == 2
    for number in range(2):
        hospital = said(tmp_path / f"hospital {number}.ipynb")
        assert "answers" in hospital["offer-code"] and first in hospital["read-code"]
        assert [name for name in ("query", "train", "evaluate") if name in hospital["left-code"]] == ["query", "train"]
        assert hospital["left-code"].count("masked</td>") == 0 and "[masked]" not in hospital["left-code"]
        assert "(&#x27;masked&#x27;,)" in hospital["left-code"] or "('masked',)" in hospital["left-code"]
        assert second in hospital["second-code"] and '+    reply.content.update({f"my-' in hospital["second-code"]
        assert re.search(rf"to query: the app with hash {second} is not approved here", hospital["refused-code"])
        assert f"['fedlearn.workbook-app.0.1.0.{first[:8]}']" in hospital["refused-code"]
        assert "ended with" in hospital["stop-code"]
        assert hospital["approve-code"].count(first) == 1 and server["keys-code"].count("SHA256:") == 2
        print_of_key = re.search(r"hospital-\d\.pub: (SHA256:\S+)", hospital["approve-code"])[1]
        assert print_of_key in server["keys-code"]
    public = b"".join(path.read_bytes() for path in exchange.iterdir() if path.suffix != ".fab")
    assert b"PRIVATE" not in public and public.count(b"ecdsa-sha2-nistp384") == 2
    assert is_free(int(offers[0]["address"].rpartition(":")[2]))
    assert [words for words in marked() if words and str(os.getpid()) not in words] == []
