"""A run that was stopped goes on, and ends with the bits of one that was not; what cannot go on is refused by name."""

import errno
import json
import os
import random
import shutil

import pytest
from app_runs import NUM_CLIENTS, run
from flwr.app import RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from workbook_app import client_app as client_module
from workbook_app import server_app as server_module
from workbook_app.client_app import app as client_app
from workbook_app.server_app import app as server_app
from workbook_app.states import StateFile

from fedlearn_helpers.algorithms import ALGORITHMS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.encoding import seal
from fedlearn_helpers.simulation.position import client_of, training_round

ROUNDS = {"num-server-rounds": 3, "batch-size": 12}


@pytest.fixture
def kept(noise, tmp_path):
    """Run-config in which server and clients keep what they need to go on."""
    return ROUNDS | {"checkpoint-path": str(tmp_path / "run"), "client-states-path": str(tmp_path / "states")}


def around(before_training):
    """The app's clients; before each of them trains, something happens."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        before_training(client_of(context), training_round(message.content), context)
        return client_app(message, context)

    app.evaluate()(client_app)
    app.query()(client_app)
    return app


def stopped(changes, *, server_round=2, client=2):
    """Run until a client fails in the middle of a round, in which others have trained."""

    def stop(number, at, context):
        if (number, at) == (client, server_round):
            raise RuntimeError("no more power")

    with pytest.raises(RuntimeError, match="no more power"):
        run(changes, clients=around(stop))


def equal(history, other):
    arrays, others = history.arrays, other.arrays
    return list(arrays) == list(others) and all((arrays[name].numpy() == others[name].numpy()).all() for name in arrays)


def state_files(changes):
    folder = changes["client-states-path"]
    return {name: os.path.join(folder, name) for name in (sorted(os.listdir(folder)) if os.path.isdir(folder) else [])}


@pytest.mark.parametrize("name", ["fedavg", "fedadam", "scaffold", "fedper"])
def test_a_run_that_was_stopped_in_the_middle_of_a_round_ends_with_the_same_bits(kept, tmp_path, name):
    changes = {"algorithm": name}
    kept, results = kept | changes | {"results-path": str(tmp_path / "results.json")}, []
    without_stop = run(ROUNDS | changes | {"results-path": str(tmp_path / "without_stop.json")})
    stopped(kept)
    assert bool(state_files(kept)) == ALGORITHMS[name].keeps_state
    history = run(kept)
    assert equal(history, without_stop)
    assert history.aggregated == without_stop.aggregated
    assert history.clients["round"].unique().tolist() == [0, 2, 3], "round 0 is the question who is there"
    for file in ("results.json", "without_stop.json"):
        content = json.loads((tmp_path / file).read_text())
        results.append((content["status"], content["rounds"]))
    assert results[0] == results[1]


def test_a_run_can_be_stopped_again_and_again_and_made_longer(kept):
    changes = {"algorithm": "scaffold", "fraction-train": 0.5, "num-server-rounds": 5, "seed": 1}
    without_stop = run(ROUNDS | changes)
    kept = kept | changes
    run(kept | {"num-server-rounds": 2})
    trained = [client for client in without_stop.clients.query("phase == 'train' and round == 4")["client"]]
    stopped(kept, server_round=4, client=trained[-1])
    run(kept | {"num-server-rounds": 4, "fraction-evaluate": 0.0})
    assert equal(run(kept), without_stop)
    assert equal(run(kept), without_stop), "and once more, with nothing left to do"


def test_with_fresh_client_states_it_would_be_another_model(kept, monkeypatch):
    kept = kept | {"algorithm": "scaffold"}
    without_stop = run(ROUNDS | {"algorithm": "scaffold"})
    run(kept | {"num-server-rounds": 1})
    shutil.rmtree(kept["client-states-path"])
    monkeypatch.setattr(server_module, "check_states", lambda *_: None)
    asked = []
    forgetful = client_module._state

    def state(message, context, memory, server_round):
        asked.append(server_round)
        return RecordDict() if server_round == 2 else forgetful(message, context, memory, server_round)

    monkeypatch.setattr(client_module, "_state", state)
    assert not equal(run(kept), without_stop) and 2 in asked


def test_several_processes_keep_the_same_states(kept):
    kept = kept | {"algorithm": "scaffold"}
    run(kept | {"num-server-rounds": 2}, workers=2)
    assert equal(run(kept, workers=2), run(ROUNDS | {"algorithm": "scaffold"}))


class OtherNodes:
    """A grid whose nodes have other ids, and answer in another order."""

    def __init__(self, grid, seed):
        self._grid, shuffled = grid, random.Random(seed)
        ids = grid.get_node_ids()
        self._others = dict(zip(shuffled.sample(range(2**62), len(ids)), ids, strict=True))

    def get_node_ids(self):
        return sorted(self._others)

    def send_and_receive(self, messages, *, timeout=None):
        messages = list(messages)
        names = {own: other for other, own in self._others.items()}
        for message in messages:
            message.metadata.dst_node_id = self._others[message.metadata.dst_node_id]
        replies = list(self._grid.send_and_receive(messages, timeout=timeout))
        for reply in replies:
            vars(reply.metadata)["_src_node_id"] = names[reply.metadata.src_node_id]
        return replies[::-1]


def on_other_nodes(seed):
    app = ServerApp()

    @app.main()
    def main(grid, context):
        server_app(OtherNodes(grid, seed), context)

    return app


@pytest.mark.parametrize("name", ["fedavgm", "scaffold", "ifca"])
def test_other_nodes_give_the_same_bytes_of_a_checkpoint_and_can_go_on(kept, tmp_path, name):
    kept = kept | {"algorithm": name, "fraction-train": 0.5}
    run(kept)
    (tmp_path / "run").rename(tmp_path / "other")
    kept |= {"client-states-path": str(tmp_path / "other states")}
    run(kept | {"num-server-rounds": 1}, server=on_other_nodes(1))
    run(kept, server=on_other_nodes(2))
    assert (tmp_path / "run").read_bytes() == (tmp_path / "other").read_bytes()


# Refused --------------------------------------------------------------------------------------


def refused(changes, **options):
    def never(*_):
        pytest.fail("it trained")

    with pytest.raises((InputError, RuntimeError)) as caught:
        run(changes, clients=around(never), **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"algorithm": "fedprox"}, "algorithm is 'fedavg', not 'fedprox'"),
        ({"seed": 5}, "seed is 0, not 5"),
        ({"partition": "dirichlet:1.0"}, "partition is 'iid', not 'dirichlet:1.0'"),
        ({"momentum": 0.5}, "momentum is 0.0, not 0.5"),
        ({"fraction-train": 0.5}, "fraction-train is 1.0, not 0.5"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(kept, change, found):
    run(kept | {"num-server-rounds": 1})
    path = kept["checkpoint-path"]
    assert refused(kept | change) == f"checkpoint-path must be of the same run, and in {path} {found}"


def test_what_decides_nothing_may_change_and_other_numbers_of_clients_or_rounds_may_not(kept, tmp_path):
    run(kept)
    path = kept["checkpoint-path"]
    run(kept | {"fraction-evaluate": 0.5, "model-path": str(tmp_path / "model.npz")})
    assert refused(kept, num_clients=3) == (
        f"checkpoint-path must be of the same run, and in {path} num-supernodes is {NUM_CLIENTS}, not 3"
    )
    assert refused(kept | {"num-server-rounds": 2}) == f"num-server-rounds must be >= 3, the rounds in {path}, got 2"


@pytest.fixture
def scaffold(kept):
    """A run of SCAFFOLD that was stopped after its first round."""
    kept = kept | {"algorithm": "scaffold"}
    run(kept | {"num-server-rounds": 1})
    return kept


def test_a_client_without_its_state_is_refused_by_name(scaffold):
    os.unlink(state_files(scaffold)["client-2.state"])
    sentence = "client-states-path must have the state that client 2 kept in round 1, got none"
    assert refused(scaffold) == sentence


def test_states_of_another_run_or_version_are_refused(scaffold):
    os.unlink(scaffold["checkpoint-path"])
    file = state_files(scaffold)["client-0.state"]
    sentence = f"client-states-path must be of the same run, and in {file} seed is 0, not 7"
    assert refused(scaffold | {"seed": 7}) == sentence
    for content in (b"", b"text\n", seal(b"fedlearn client states 0\n", {})):
        with open(file, "wb") as damaged:
            damaged.write(content)
        assert refused(scaffold).startswith("client-states-path must be a folder of an earlier run, and ")


def test_every_damaged_byte_of_a_state_is_noticed(scaffold):
    file = state_files(scaffold)["client-0.state"]
    with open(file, "rb") as good:
        whole = good.read()
    for place in {0, 10, 30, 90, 100, len(whole) // 2, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with open(file, "wb") as bad:
            bad.write(damaged)
        assert refused(scaffold).endswith("client-0.state is damaged or of another version")


def test_the_checkpoint_of_an_older_round_is_refused_where_states_are_newer(scaffold, tmp_path):
    shutil.copy(scaffold["checkpoint-path"], tmp_path / "old")
    run(scaffold)
    shutil.copy(tmp_path / "old", scaffold["checkpoint-path"])
    assert refused(scaffold) == "client-states-path must have the state that client 0 kept in round 1, got none"


def test_a_run_from_the_start_begins_with_fresh_states(scaffold):
    os.unlink(scaffold["checkpoint-path"])
    assert equal(run(scaffold), run(ROUNDS | {"algorithm": "scaffold"}))


def test_the_last_two_states_are_kept_and_the_one_before_a_round_is_found(tmp_path):
    def file():
        return StateFile(tmp_path, 0, {"seed": 0})

    def state(number):
        return RecordDict({str(number): client_module.ConfigRecord({"number": number})})

    assert file().before(9) == (0, {})
    for number in (2, 3, 6):
        file().keep(number, state(number))
        assert file().before(number + 1) == file().before(number + 5) == (number, state(number))
    assert file().rounds == [3, 6]
    assert [file().before(number)[0] for number in (4, 5, 6, 7)] == [3, 3, 3, 6]
    with pytest.raises(InputError, match="must have the state before round 3, and .* than that of round 3$"):
        file().before(3)
    assert file().before(2) == (0, {}), "it first trained in round 2"
    file().keep(6, state(60))
    assert file().before(7) == (6, state(60)) and file().rounds == [3, 6], "the round was repeated"


def test_a_client_that_loses_what_flower_remembers_is_left_out_by_name(noise, tmp_path):
    """Such as with a SuperNode that is started anew."""

    def forget(client, server_round, context):
        if (client, server_round) == (1, 2):
            context.state.clear()

    path = tmp_path / "results.json"
    run(
        ROUNDS | {"algorithm": "scaffold", "results-path": str(path), "num-server-rounds": 2},
        clients=around(forget),
        on_error="reply",
    )
    last = json.loads(path.read_text())["rounds"][2]
    assert last["trained"] == [0, 2, 3]
    sentence = "client 1 must have the state that it kept in round 1, and has none"
    assert last["errors"][0].startswith(f"client 1 in round 2, phase 'train': InputError: {sentence}")


# Where nothing can be written ------------------------------------------------------------------


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_the_run_in_one_sentence_and_leaves_the_round_before(kept, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    run(kept | {"num-server-rounds": 1})
    whole = (tmp_path / "run").read_bytes()
    monkeypatch.setattr("fedlearn_helpers.experiments.checkpoint.write_whole", full)
    with pytest.raises(InputError) as caught:
        run(kept | {"results-path": str(path)})
    assert str(caught.value) == (
        f"checkpoint-path must be a file that can be written, got '{tmp_path / 'run'}': "
        "OSError: [Errno 28] No space left on device"
    )
    results = json.loads(path.read_text())
    assert (results["status"], results["error"]) == ("failed", f"InputError: {caught.value}")
    assert (tmp_path / "run").read_bytes() == whole
    monkeypatch.undo()


def test_a_disk_that_is_full_for_results_too_says_what_ended_the_run(kept, tmp_path, monkeypatch):
    def fill(client, server_round, context):
        monkeypatch.setattr("os.replace", full)

    with pytest.raises(InputError, match="^checkpoint-path must be a file that can be written, .* No space left"):
        run(kept | {"results-path": str(tmp_path / "results.json")}, clients=around(fill))
    monkeypatch.undo()
    assert json.loads((tmp_path / "results.json").read_text())["status"] == "running"


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("checkpoint-path", "must be a file that can be written"),
        ("model-path", "must be a file that can be written"),
        ("client-states-path", "must be a folder to write into"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused_before_training(kept, tmp_path, key, rule):
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "new")
    assert f"{key} {rule}, got {path!r}" in refused(kept | {"algorithm": "scaffold", key: path})


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_refused(kept, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    sentence = refused(kept | {"checkpoint-path": str(folder / "run")})
    assert sentence == f"checkpoint-path must be a file that can be written, got '{folder / 'run'}'"
