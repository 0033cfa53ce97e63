"""Secure aggregation in the app: the same as in `federate`, and a server that gets masked numbers alone."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from app_runs import DEFAULTS, FLOWER_APP, run
from flwr.clientapp import ClientApp
from workbook_app import task
from workbook_app.client_app import app as client_app
from workbook_app.secure import secure_aggregation
from workbook_app.settings import read_run_config

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.deployment import run_on_ray
from fedlearn_helpers.deployment.outgoing import looks_masked
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.privacy.secure_aggregation import FixedPoint, Member

SECURE = {"secure-aggregation": True, "num-server-rounds": 2, "batch-size": 12, "partition": "dirichlet:1.0"}
PLAIN = SECURE | {"secure-aggregation": False}
MEANS = ("fedavg", "fedprox", "fedadam")


def equal(arrays, others):
    return list(arrays) == list(others) and all((arrays[name].numpy() == others[name].numpy()).all() for name in arrays)


@pytest.mark.parametrize("num_clients", [2, 3])
def test_it_is_the_secure_federation_of_the_notebooks(noise, num_clients):
    config = read_run_config(DEFAULTS | SECURE)
    transport = secure_aggregation(config, num_clients)
    assert transport.threshold == 2 and transport.bits == 32 - num_clients // 2 - num_clients // 3
    shards = task.new_shards(config, num_clients)
    given = {"num_rounds": 2, "local_config": LocalConfig(batch_size=12), "seed": 0, "workers": 1, "label": None}
    expected = federate("fedavg", task.load_images("fashion"), shards, transport=transport, **given)
    history = run(SECURE, num_clients=num_clients)
    assert equal(history.arrays, expected.model)
    assert tuple(metrics["accuracy"] for metrics in history.server_metrics.values()) == expected.test_accuracy


@pytest.mark.parametrize("name", ["fedavg", "fedprox"])  # FedAdam's step magnifies a difference near 0
def test_the_model_is_that_of_plain_federated_averaging_within_the_stated_resolution(noise, name):
    changes = {"algorithm": name, "num-server-rounds": 1}
    config = read_run_config(DEFAULTS | SECURE | changes)
    transport, sizes = secure_aggregation(config, 3), [len(shard.train) for shard in task.new_shards(config, 3)]
    step = transport.bound / (2 ** (transport.bits - 1) - 1)
    most = step / 2 * 3 * transport.most_examples / sum(sizes)
    assert most < 1e-6
    secure, plain = (run(mode | changes, num_clients=3).arrays for mode in (SECURE, PLAIN))
    rounding = 4 * np.finfo(np.float32).eps  # of a float32 mean
    for key, array in plain.items():
        assert np.abs(secure[key].numpy() - array.numpy()).max() <= most + rounding
    assert not equal(secure, plain)


def test_the_server_gets_masked_numbers_and_their_sum_alone(noise, tmp_path):
    path = tmp_path / "results.json"
    history = run(SECURE | {"results-path": str(path), "fraction-evaluate": 0.0}, num_clients=2)
    seen = [entry["received"] for entry in json.loads(path.read_text())["rounds"][1:]]
    for received in seen:
        assert [(one["client"], one["record"], one["type"]) for one in received] == [
            (0, "masked", "uint32"),
            (1, "masked", "uint32"),
        ]
        assert all(max(one["first"]) > 2**24 for one in received)  # without a mask, they would be near 0 or 2**32
    trained = [entry["train"] for entry in json.loads(path.read_text())["rounds"][1:]]
    assert all((one["asked"], one["answered"], one["needed"]) == (2, 2, 2) for one in trained)
    assert "loss" not in trained[0] and history.clients.query("phase == 'train'")["round"].tolist().count(1) == 8


def test_in_plain_runs_nothing_is_said_of_it(noise, tmp_path):
    path = tmp_path / "results.json"
    run(PLAIN | {"results-path": str(path)}, num_clients=2)
    assert all("received" not in entry for entry in json.loads(path.read_text())["rounds"])


@pytest.mark.parametrize("stage", ["share", "train", "reveal"])
def test_a_round_without_enough_answers_changes_nothing_and_one_with_enough_goes_on(noise, tmp_path, stage):
    failing = ClientApp()
    failing.query()(client_app)

    @failing.train()
    def train(message, context):
        request = message.content.config_records["secure-aggregation"]
        if context.node_config["partition-id"] == 1 and request["stage"] == stage:
            raise OSError("disk full")
        return client_app(message, context)

    path = tmp_path / "results.json"
    changes = SECURE | {"results-path": str(path), "fraction-evaluate": 0.0, "num-server-rounds": 1}
    with pytest.warns(UserWarning, match="the model stays as it was"):
        run(changes, num_clients=2, clients=failing, on_error="reply")
    entry = json.loads(path.read_text())["rounds"][1]
    assert entry["server"] == json.loads(path.read_text())["rounds"][0]["server"]
    with_three = run(changes, num_clients=3, clients=failing, on_error="reply")
    entry = json.loads(path.read_text())["rounds"][1]
    assert entry["clients"]["train"] == 3 and entry["failures"]["train"] == (0 if stage == "reveal" else 1)
    assert not equal(with_three.arrays, run(changes, num_clients=3).arrays) or stage == "reveal"


def test_the_line_that_notebook_10a_adds_takes_the_masks_off(noise):
    """And the run goes on as if nothing were wrong."""
    curious = ClientApp()
    curious.query()(client_app)

    @curious.train()
    def train(message, context):
        reply = client_app(message, context)
        reply.content.update({f"my-{name}": one for name, one in context.state.items()})
        if reply.content.array_records:
            seen.append(reply.content)
        return reply

    seen = []
    changes = SECURE | {"num-server-rounds": 1, "fraction-evaluate": 0.0}
    assert equal(run(changes, num_clients=2, clients=curious).arrays, run(changes, num_clients=2).arrays)
    assert len(seen) == 2
    for content in seen:
        masked = content.array_records["masked"]["masked"].numpy()
        assert looks_masked(masked)
        member = Member.from_state(dict(content.config_records["my-secure-aggregation"]))
        member.step = "receive"
        masks = member.mask(np.zeros(len(masked), np.uint32))
        assert not looks_masked(masked - masks)
        update = FixedPoint(16.0, 31).decode((masked - masks)[:-1])
        assert 0 < np.abs(update).max() < 1  # in the clear


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_refused_by_name_or_its_run_is_that_of_the_notebooks(noise, name):
    changes = SECURE | {"algorithm": name, "num-server-rounds": 2}
    config = read_run_config(DEFAULTS | changes)
    given = {"num_rounds": 2, "local_config": LocalConfig(batch_size=12), "seed": 0, "workers": 1, "label": None}
    transport = secure_aggregation(config, 2)
    images, shards = task.load_images("fashion"), task.new_shards(config, 2)
    try:
        expected = federate(name, images, shards, transport=transport, **given)
    except InputError:
        with pytest.raises(InputError, match=f"^secure-aggregation must be false with algorithm '{name}': Secure"):
            run(changes, num_clients=2)
        assert name not in MEANS
    else:
        assert equal(run(changes, num_clients=2).arrays, expected.model)


def test_half_of_the_clients_are_enough(noise):
    changes = SECURE | {"fraction-train": 0.5}
    assert secure_aggregation(read_run_config(DEFAULTS | changes), 4).threshold == 2
    assert not equal(run(changes).arrays, run(SECURE).arrays)


def test_a_run_goes_on_from_a_checkpoint(noise, tmp_path):
    lasting = SECURE | {"checkpoint-path": str(tmp_path / "checkpoint")}
    run(lasting | {"num-server-rounds": 1}, num_clients=2)
    assert equal(run(lasting, num_clients=2).arrays, run(SECURE, num_clients=2).arrays)
    with pytest.raises(InputError, match="secure-aggregation"):
        run(lasting | {"secure-aggregation": False}, num_clients=2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min-clients": 1}, "min-clients must be at least 2 with secure-aggregation"),
        (
            {"algorithm": "fedper", "client-states-path": "/tmp/states"},
            "client-states-path and checkpoint-path must be empty with secure-aggregation and FedPer",
        ),
        ({"algorithm": "ditto", "checkpoint-path": "/tmp/file"}, "must be empty with secure-aggregation and Ditto"),
        ({"secure-aggregation": 1}, "secure-aggregation must be True or False"),
    ],
)
def test_what_cannot_work_is_refused_by_name(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read_run_config(DEFAULTS | SECURE | changes)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'flwr[simulation]'")
def test_on_ray_it_is_what_it_is_here(tmp_path):
    path = tmp_path / "results.json"
    changes = SECURE | {"num-server-rounds": 1, "max-images": 200, "partition": "iid", "fraction-evaluate": 0.0}
    run(changes | {"results-path": str(path)}, num_clients=2)
    here = json.loads(path.read_text())["rounds"]
    there = run_on_ray(FLOWER_APP, run_config=changes, num_supernodes=2)["rounds"]
    assert [entry["server"]["accuracy"] for entry in there] == [entry["server"]["accuracy"] for entry in here]
    assert [one["record"] for one in there[1]["received"]] == ["masked", "masked"]
    assert there[1]["received"] != here[1]["received"]  # other masks
