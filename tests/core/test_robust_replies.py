"""One client's reply that cannot be used never gets into the model in silence, whatever the algorithm or the defence.

The run names the client and stops, or goes on as if that client had failed.
"""

import functools
import math

import pytest
import torch
from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp import strategy
from noise import changing, fail, federation, noise_images, weights_of

from fedlearn_helpers.algorithms import ALGORITHMS
from fedlearn_helpers.algorithms.scaffold import CHANGE
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp
from fedlearn_helpers.robustness.bulyan import Bulyan
from fedlearn_helpers.robustness.detection import Exclusion, distances_to_median
from fedlearn_helpers.robustness.geometric_median import geometric_median
from fedlearn_helpers.robustness.krum import Krum
from fedlearn_helpers.robustness.median import coordinate_median
from fedlearn_helpers.robustness.multi_krum import MultiKrum
from fedlearn_helpers.robustness.norm_clipping import CLIPPED_FEDAVG
from fedlearn_helpers.robustness.trimmed_mean import TrimmedMean
from fedlearn_helpers.simulation.replies import FaultyReply

OPTIONS = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
DEFENCES = {
    "median": coordinate_median,
    "geometric median": geometric_median,
    "trimmed mean": TrimmedMean(0),
    "exclusion": Exclusion(distances_to_median),
}
NEED_THREE = {"Krum": Krum(0), "MultiKrum": MultiKrum(0), "Bulyan": Bulyan(0)}
FLOWERS = ("FedAvg", "FedAvgM", "FedAdam", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum")
SERVERS = (
    {name: {"algorithm": name} for name in ALGORITHMS}
    | {"clipped": {"algorithm": CLIPPED_FEDAVG}}
    | {name: {"aggregator": aggregator} for name, aggregator in DEFENCES.items()}
    | {f"Flower's {name}": {"algorithm": functools.partial(getattr(strategy, name), **OPTIONS)} for name in FLOWERS}
)


@pytest.fixture(scope="module")
def images():
    return noise_images(80, 20)


def model_of(content):
    """Return the name and the tensors of the first arrays in a reply."""
    name = next(iter(content.array_records))
    return name, content.array_records[name].to_torch_state_dict()


def put(value):
    def change(content):
        name, state = model_of(content)
        next(tensor for tensor in state.values() if tensor.is_floating_point()).view(-1)[0] = value
        content[name] = ArrayRecord(state)

    return change


def other_shape(content):
    name, state = model_of(content)
    key = next(iter(state))
    content[name] = ArrayRecord(state | {key: state[key].flatten()[:7]})


def missing_key(content):
    name, state = model_of(content)
    content[name] = ArrayRecord(dict(list(state.items())[1:]))


def added_key(content):
    name, state = model_of(content)
    content[name] = ArrayRecord(state | {"more": torch.zeros(1)})


def no_examples(content):
    content["metrics"]["num-examples"] = 0


def no_arrays(content):
    del content[model_of(content)[0]]


def empty_arrays(content):
    content[model_of(content)[0]] = ArrayRecord()


def no_metrics(content):
    del content["metrics"]


def nothing(content):
    for name in list(content):
        del content[name]


def second_arrays(content):
    content["more"] = ArrayRecord({"more": torch.zeros(1)})


def second_metrics(content):
    content["more"] = MetricRecord({"more": 1.0})


def added_metric(content):
    content["metrics"]["more"] = 1.0


def first_metric(change):
    """Change the first metric that is not the number of examples."""

    def change_it(content):
        metrics = content["metrics"]
        change(metrics, next(name for name in metrics if name != "num-examples"))

    return change_it


FAULTS = {
    "nan": put(math.nan),
    "infinity": put(math.inf),
    "shape": other_shape,
    "missing key": missing_key,
    "added key": added_key,
    "zero examples": no_examples,
    "no arrays": no_arrays,
    "empty arrays": empty_arrays,
    "no metrics": no_metrics,
    "nothing": nothing,
    "second arrays": second_arrays,
    "second metrics": second_metrics,
    "added metric": added_metric,
    "missing metric": first_metric(lambda metrics, name: metrics.pop(name)),
    "list as metric": first_metric(lambda metrics, name: metrics.update({name: [1.0, 2.0]})),
    "nan as metric": first_metric(lambda metrics, name: metrics.update({name: math.nan})),
}


QUICK = ("missing key", "zero examples")  # all take seconds, and so many of them many
EACH = [fault if fault in QUICK else pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS]


def run(images, server, change, on_error):
    new = NORMALIZED_MODELS["mlp"] if server == {"algorithm": "fedbn"} else new_mlp
    model = new(images.image_shape, images.num_classes, 0)
    return federation(images, 2, model=model, mods=[changing(change)], on_error=on_error, **server)


@pytest.fixture(scope="module")
def failed(images):
    """Return the model of a federation in which client 1 fails in round 2; each is computed once."""
    return functools.cache(lambda name: weights_of(run(images, SERVERS[name], fail, "reply")))


@pytest.mark.slow
@pytest.mark.parametrize("fault", EACH)
@pytest.mark.parametrize("name", SERVERS)
def test_the_round_goes_on_without_the_client_and_names_it(images, failed, name, fault):
    result = run(images, SERVERS[name], FAULTS[fault], "reply")
    (error,) = result.history.failures["error"]
    assert error.startswith("FaultyReply: the reply of client 1 in round 2 cannot be used: ")
    model = weights_of(result)
    assert all(torch.equal(tensor, failed(name)[key]) for key, tensor in model.items())


@pytest.mark.parametrize("fault", ["nan", pytest.param("zero examples", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SERVERS)
def test_or_it_stops_and_names_it(images, name, fault):
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2 cannot be used: "):
        run(images, SERVERS[name], FAULTS[fault], "raise")


@pytest.mark.parametrize("name", NEED_THREE)
def test_a_defence_that_then_has_too_few_says_so(images, name):
    with pytest.raises(Exception, match=f"^{name} needs n .* got n = 2"):
        run(images, {"aggregator": NEED_THREE[name]}, put(math.nan), "reply")
    with pytest.raises(FaultyReply, match="^the reply of client 1 in round 2"):
        run(images, {"aggregator": NEED_THREE[name]}, put(math.nan), "raise")


def test_scaffolds_second_record_is_looked_at_too(images):
    def spoil(change):
        def spoiled(content):
            rest = {name: content.pop(name) for name in list(content.array_records) if name != CHANGE}
            change(content)
            for name, record in rest.items():
                content[name] = record

        return spoiled

    for fault in ("nan", "shape", "missing key", "added key", "no arrays", "empty arrays"):
        with pytest.raises(FaultyReply, match=f"^the reply of client 1 in round 2 cannot be used: '{CHANGE}' "):
            run(images, {"algorithm": "scaffold"}, spoil(FAULTS[fault]), "raise")


@pytest.mark.slow
def test_a_reply_that_is_left_alone_passes_everywhere(images):
    """Control: with the same mod, and no fault."""
    for server in (*SERVERS.values(), *({"aggregator": aggregator} for aggregator in NEED_THREE.values())):
        assert run(images, server, lambda content: None, "raise").history.failures.empty
