"""Public functions with arguments that cannot work: an error that names the argument, at once and before training.

`True` and `False` are not among the wrong numbers: to Python they are 1 and 0.
"""

import importlib
import math
import re
import time
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from argument_gaps import GAPS, REASON
from noise import noise_images, shards

from fedlearn_helpers import algorithms, availability, data, experiments, metrics, models, partition, seeds
from fedlearn_helpers import simulation as simulations
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.simulation import History

NO_NUMBERS = {"none": None, "text": "4", "empty": "", "list": [], "array": np.ones(2), "object": object()}
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
NOT_WHOLE = {**NO_NUMBERS, **NOT_FINITE, "fraction": 2.5}
WRONG = {
    "count": {**NOT_WHOLE, "zero": 0, "negative": -1},
    "count or none": {
        **{name: value for name, value in NOT_WHOLE.items() if name != "none"},
        "zero": 0,
        "negative": -1,
    },
    "count, 0 too": {**NOT_WHOLE, "negative": -1},
    "count within the data": {**NOT_WHOLE, "zero": 0, "negative": -1, "huge": 10**30},
    "seed": {**NOT_WHOLE, "negative": -1},
    "above 0": {**NO_NUMBERS, **NOT_FINITE, "zero": 0, "negative": -0.5},
    "above 0, or none": {
        **{name: value for name, value in NO_NUMBERS.items() if name != "none"},
        "nan": math.nan,
        "zero": 0,
        "negative": -0.5,
    },
    "at least 0": {**NO_NUMBERS, **NOT_FINITE, "negative": -0.5},
    "at least 1": {**NO_NUMBERS, **NOT_FINITE, "zero": 0, "half": 0.5},
    "share": {**NO_NUMBERS, **NOT_FINITE, "zero": 0, "negative": -0.5, "above 1": 1.5},
    "share, 0 too": {**NO_NUMBERS, **NOT_FINITE, "negative": -0.5, "above 1": 1.5},
    "share below 1": {**NO_NUMBERS, **NOT_FINITE, "zero": 0, "negative": -0.5, "one": 1},
    "momentum": {**NO_NUMBERS, **NOT_FINITE, "negative": -0.5, "one": 1},
    "name": {"none": None, "empty": "", "unknown": "nobody", "number": 3, "list": [], "list of one": ["fedavg"]},
    "dataset": {
        "none": None,
        "empty": "",
        "unknown": "nobody",
        "number": 3,
        "list": [],
        "path": "/nowhere",
        "nul": "\0",
    },
    "scenario": {"none": None, "empty": "", "unknown": "nobody", "number": 3, "list": [], "no number": "dirichlet:x"},
    "workers": {"zero": 0, "negative": -1, "fraction": 1.5, "text": "many", "none": None, "list": []},
    "on_error": {"unknown": "ignore", "none": None, "number": 0, "list": []},
    "late": {"unknown": "wait", "none": None, "number": 0, "list": []},
    "file": {
        "folder": ".",
        "no folder": "/proc/new/file",
        "below a file": "file/x",
        "nul": "\0",
        "number": 3,
        "list": [],
    },
    "folder": {
        "file": "file",
        "no folder": "/proc/new",
        "below a file": "file/x",
        "nul": "\0",
        "number": 3,
        "list": [],
    },
    "labels": {"none": None, "text": "abc", "number": 3, "square": np.zeros((2, 2), int), "nan": np.full(48, math.nan)},
    "image_shape": {"none": None, "text": "abc", "two": (1, 16), "zero": (1, 0, 16), "negative": (-1, 16, 16)},
    "weights": {
        "none": None,
        "nan": [math.nan, 1.0],
        "inf": [math.inf, 1.0],
        "negative": [-1.0, 2.0],
        "zero": [0.0, 0.0],
    },
    "steps": {"none": None, "few": [1], "zero": [0, 1, 1], "fraction": [1.5, 1, 1], "text": ["a", "b", "c"]},
    "settings": {
        "unknown": {"nobody": 1},
        "nan": {"mu": math.nan},
        "text": {"mu": "x"},
        "none": {"mu": None},
        "list": [1],
    },
    "names": {"none": None, "empty": [], "unknown": ["nobody"], "numbers": [3]},
    "scenarios": {"none": None, "empty": [], "unknown": ["nobody"], "numbers": [3], "no number": ["dirichlet:x"]},
    "seeds": {"none": None, "empty": [], "negative": [-1], "text": ["0"], "fraction": [0.5]},
}
LABELS = np.arange(48) % 3
PARTS = [np.arange(0, 24), np.arange(24, 48)]
TENSORS = {"w": torch.ones(2)}
DEVICES = availability.draw_devices(3, slow_share=0.5, slow_factor=2.0, seed=0)
CALLED = {  # an argument that the message calls otherwise
    "num_classes_each": "classes_per_client",
    "text": "partition|scenario",
    "settings": "settings|mu of fedprox",
    "steps": "steps|devices",
    "algorithms": "algorithm",
    "scenarios": "partition|scenario",
    "name": "name|dataset|partition|algorithm",
}


def images():
    return noise_images(80, 8)


def config(**options):
    return LocalConfig(**{"local_epochs": 1, "batch_size": 8, "learning_rate": 0.1} | options)


def federation(**options):
    chosen = {"algorithm": "fedavg", "num_rounds": 1, "seed": 0, "workers": 1, "label": None}
    chosen |= {"local_config": config(), "model": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 3))}
    chosen |= options
    return experiments.federate(chosen.pop("algorithm"), images(), shards((20, 20)), **chosen)


def lines(**options):
    chosen = {"epochs": 1, "batch_size": 8, "learning_rate": 0.1, "seed": 0, "workers": 1, "label": None} | options
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 3))
    return experiments.reference_lines(images(), shards((20, 20)), model=model, **chosen)


def comparison(**options):
    chosen = {"algorithms": ["fedavg"], "scenarios": ["iid"], "seeds": [0], "num_clients": 2, "num_rounds": 1}
    return experiments.Comparison(**chosen | {"model": "mlp", "local_config": config()} | options)


def simulation(**options):
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp

    server_app = ServerApp()
    server_app.main()(lambda grid, context: None)
    return simulations.simulate(server_app, ClientApp(), **{"num_clients": 2, "seed": 0, "label": None} | options)


def scenario(text="iid", **options):
    return experiments.make_scenario(text, images(), **{"num_clients": 2, "seed": 0} | options)


def client_app(**options):
    chosen = {"local_epochs": 1, "batch_size": 8, "learning_rate": 0.1, "seed": 0} | options
    return experiments.make_client_app(images(), shards((20, 20)), torch.nn.Linear(1, 1), **chosen)


def seeded(**options):
    with seeds.seeded(**options):
        pass


def draw(**options):
    chosen = {"num_clients": 3, "slow_share": 0.5, "slow_factor": 2.0, "availability": 0.9} | options
    return availability.draw_devices(chosen.pop("num_clients"), **{"seed": 0} | chosen)


def devices(**options):
    chosen = {name: np.ones(3) for name in ("seconds_per_step", "seconds_per_transfer", "availability")}
    for name, value in options.items():
        options[name] = np.array([value, 1, 1], dtype=object) if name in chosen else value
    return availability.Devices(**chosen | {"seed": 0} | options)


FUNCTIONS = {  # by name: what is called, and by argument the kind of what is wrong
    "algorithms.LocalConfig": (
        config,
        {"local_epochs": "count", "batch_size": "count", "learning_rate": "above 0", "momentum": "momentum"}
        | {"weight_decay": "at least 0"},
    ),
    "algorithms.find_algorithm": (lambda name: algorithms.find_algorithm(name), {"name": "name"}),
    "algorithms.new_strategy": (
        lambda algorithm="fedprox", settings=None: algorithms.new_strategy(algorithm, config(), settings),
        {"algorithm": "name", "settings": "settings"},
    ),
    "algorithms.weighted_mean": (
        lambda weights: algorithms.weighted_mean([TENSORS, TENSORS], weights),
        {"weights": "weights"},
    ),
    "availability.Devices": (
        devices,
        {"seconds_per_step": "above 0", "seconds_per_transfer": "at least 0", "availability": "share, 0 too"}
        | {"seed": "seed"},
    ),
    "availability.draw_devices": (
        draw,
        {"num_clients": "count", "slow_share": "share, 0 too", "slow_factor": "at least 1", "seed": "seed"}
        | {"availability": "share, 0 too", "seconds_per_step": "above 0", "seconds_per_transfer": "at least 0"},
    ),
    "availability.device_mod": (
        lambda steps=(1, 1, 1), **options: availability.device_mod(DEVICES, steps, **options),
        {"steps": "steps", "deadline": "above 0, or none", "late": "late"},
    ),
    "availability.timeline": (
        lambda **options: availability.timeline(History(), DEVICES, (1, 1, 1), **options),
        {"deadline": "above 0, or none", "late": "late"},
    ),
    "data.load_dataset": (lambda name: data.load_dataset(name), {"name": "dataset"}),
    "experiments.Comparison": (
        comparison,
        {"algorithms": "names", "scenarios": "scenarios", "seeds": "seeds", "num_clients": "count"}
        | {"num_unseen": "count, 0 too", "num_rounds": "count", "fraction_train": "share", "model": "name"}
        | {"adaptation_epochs": "count", "max_images": "count or none", "validation_fraction": "share below 1"},
    ),
    "experiments.compare": (
        lambda **options: experiments.compare(comparison(), images(), label=None, **{"workers": 1} | options),
        {"folder": "folder", "workers": "workers"},
    ),
    "experiments.federate": (
        federation,
        {"algorithm": "name", "num_rounds": "count", "adaptation_epochs": "count", "fraction_train": "share"}
        | {"seed": "seed", "workers": "workers", "on_error": "on_error", "checkpoint": "file"},
    ),
    "experiments.make_client_app": (
        client_app,
        {"local_epochs": "count", "batch_size": "count", "learning_rate": "above 0", "seed": "seed"},
    ),
    "experiments.make_scenario": (
        scenario,
        {"text": "scenario", "num_clients": "count within the data", "num_unseen": "count, 0 too", "seed": "seed"}
        | {"max_images": "count or none", "validation_fraction": "share below 1", "trim_for": "count or none"},
    ),
    "experiments.reference_lines": (
        lines,
        {"epochs": "count", "batch_size": "count", "learning_rate": "above 0", "seed": "seed", "workers": "workers"},
    ),
    "experiments.run_in_parallel": (
        lambda count=2, **options: experiments.run_in_parallel(
            lambda number: {"n": number}, count, **{"seed": 0, "workers": 1, "label": None} | options
        ),
        {"count": "count", "seed": "seed", "workers": "workers"},
    ),
    "metrics.accuracy_per_class": (
        lambda labels=LABELS, num_classes=3: metrics.accuracy_per_class(labels, LABELS, num_classes),
        {"labels": "labels", "num_classes": "count"},
    ),
    "metrics.confusion_matrix": (
        lambda labels=LABELS, num_classes=3: metrics.confusion_matrix(labels, LABELS, num_classes),
        {"labels": "labels", "num_classes": "count"},
    ),
    "metrics.weighted_average": (
        lambda weights: metrics.weighted_average([{"loss": 1.0}, {"loss": 2.0}], weights),
        {"weights": "weights"},
    ),
    "models.new_cnn": (
        lambda image_shape=(1, 16, 16), num_classes=3, seed=0: models.new_cnn(image_shape, num_classes, seed),
        {"image_shape": "image_shape", "num_classes": "count", "seed": "seed"},
    ),
    "models.new_mlp": (
        lambda image_shape=(1, 16, 16), num_classes=3, seed=0: models.new_mlp(image_shape, num_classes, seed),
        {"image_shape": "image_shape", "num_classes": "count", "seed": "seed"},
    ),
    "partition.by_group": (
        lambda group_ids: partition.by_group(group_ids),
        {"group_ids": "labels"},
    ),
    "partition.class_counts": (
        lambda labels=LABELS, num_classes=3: partition.class_counts(labels, PARTS, num_classes),
        {"labels": "labels", "num_classes": "count"},
    ),
    "partition.classes_per_client": (
        lambda labels=LABELS, num_clients=3, num_classes_each=2, seed=0: partition.classes_per_client(
            labels, num_clients, num_classes_each=num_classes_each, seed=seed
        ),
        {"labels": "labels", "num_clients": "count within the data", "num_classes_each": "count within the data"}
        | {"seed": "seed"},
    ),
    "partition.dirichlet": (
        lambda labels=LABELS, num_clients=3, alpha=1.0, seed=0, min_size=1: partition.dirichlet(
            labels, num_clients, alpha=alpha, seed=seed, min_size=min_size
        ),
        {"labels": "labels", "num_clients": "count within the data", "alpha": "above 0", "seed": "seed"}
        | {"min_size": "count within the data"},
    ),
    "partition.feature_skew": (
        lambda kind="noise", strength=1.0, seed=0: partition.feature_skew(
            images().train_images, PARTS, kind=kind, strength=strength, seed=seed
        ),
        {"kind": "name", "strength": "at least 0", "seed": "seed"},
    ),
    "partition.iid": (
        lambda num_examples=48, num_clients=3, seed=0: partition.iid(num_examples, num_clients, seed=seed),
        {"num_examples": "count", "num_clients": "count within the data", "seed": "seed"},
    ),
    "partition.make_partition": (
        lambda name="dirichlet", num_clients=3, min_size=1, seed=0, alpha=1.0: partition.make_partition(
            name, LABELS, num_clients, min_size=min_size, seed=seed, alpha=alpha
        ),
        {"name": "name", "num_clients": "count within the data", "min_size": "count within the data"}
        | {"seed": "seed", "alpha": "above 0"},
    ),
    "partition.parse_partition": (lambda text: partition.parse_partition(text), {"text": "scenario"}),
    "partition.quantity_skew": (
        lambda num_examples=48, num_clients=3, alpha=1.0, seed=0, min_size=1: partition.quantity_skew(
            num_examples, num_clients, alpha=alpha, seed=seed, min_size=min_size
        ),
        {"num_examples": "count", "num_clients": "count within the data", "alpha": "above 0", "seed": "seed"}
        | {"min_size": "count within the data"},
    ),
    "partition.split_train_validation": (
        lambda validation_fraction=0.2, seed=0: partition.split_train_validation(
            PARTS, validation_fraction=validation_fraction, seed=seed
        ),
        {"validation_fraction": "share below 1", "seed": "seed"},
    ),
    "partition.trim_last_batch": (
        lambda batch_size=8, seed=0: partition.trim_last_batch(shards((20, 20)), batch_size=batch_size, seed=seed),
        {"batch_size": "count", "seed": "seed"},
    ),
    "seeds.derive_seed": (lambda seed: seeds.derive_seed(seed, "x"), {"seed": "seed"}),
    "seeds.seeded": (seeded, {"seed": "seed"}),
    "simulation.simulate": (
        simulation,
        {"num_clients": "count", "seed": "seed", "workers": "workers", "on_error": "on_error"}
        | {"state_folder": "folder"},
    ),
}


def cases():
    for name, (function, arguments) in FUNCTIONS.items():
        for argument, kind in arguments.items():
            gaps = GAPS.get(f"{name}({argument})", "").split(", ")
            for what, value in WRONG[kind].items():
                marks = [pytest.mark.xfail(strict=True, reason=REASON)] if what in gaps else []
                yield pytest.param(function, argument, value, id=f"{name}({argument})-{what}", marks=marks)


class Trained(BaseException):
    """A client has trained."""


@pytest.fixture
def untrained(tmp_path, monkeypatch):
    def train(*_, **__):
        raise Trained

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    for module in ("algorithms.local", "experiments.reference_lines", "experiments.basic_client"):
        monkeypatch.setattr(importlib.import_module(f"fedlearn_helpers.{module}"), "train", train)
    return SimpleNamespace(left=lambda: sorted(path.name for path in tmp_path.rglob("*")))


@pytest.mark.parametrize(("function", "argument", "value"), list(cases()))
def test_a_wrong_value_is_an_error_that_names_the_argument(untrained, function, argument, value):
    begun = time.perf_counter()
    with pytest.raises((ValueError, TypeError)) as caught:
        function(**{argument: value})
    assert time.perf_counter() - begun < 5
    message = str(caught.value)
    assert re.search(CALLED.get(argument, argument), message)
    assert "\n" not in message
    assert untrained.left() == ["file"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_a_wrong_value_there_is_no_error(untrained, name):
    function, arguments = FUNCTIONS[name]
    right = {
        "name": "fashion" if name.startswith("data") else "fedavg",
        "seed": 0,
        "weights": [1.0, 2.0],
        "text": "iid",
    }
    right |= {"group_ids": LABELS}
    required = {
        argument: right[argument]
        for argument in arguments
        if argument in right and not (argument == "name" and "make_partition" in name)
    }
    try:
        function(**required)
    except Trained:
        pass


def test_numbers_of_other_kinds_are_right(untrained):
    config(local_epochs=np.int64(2), batch_size=np.uint8(8), learning_rate=np.float32(0.1), momentum=0)
    comparison(fraction_train=1, num_rounds=np.int32(1), algorithms=np.array(["fedavg"]))
    client_app(local_epochs=np.int64(1), learning_rate=Fraction(1, 10))
    scenario(num_clients=np.int64(2), validation_fraction=np.float64(0.5))
    assert [len(part) for part in partition.iid(np.int64(4), 2, seed=0)] == [2, 2]
    algorithms.new_strategy("fedprox", config(), {"mu": np.float32(0.5)})


def test_finished_runs_are_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    def compared():
        return experiments.compare(comparison(), images(), folder=tmp_path, workers=1, label=None).runs

    before = compared()

    def fail(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fedlearn_helpers.experiments.runs.try_writing", fail)
    assert compared().equals(before)
    next(tmp_path.glob("*.json")).unlink()
    with pytest.raises(ValueError, match="^folder must be one that can be made and written, got .*denied$"):
        compared()
