"""The notebooks' parameters: one sentence for every mistake."""

import math

import pytest

from fedlearn_helpers.errors import DataUnavailableError, InputError
from fedlearn_helpers.lessons.common.parameters import (
    CentralizedParameters,
    FederatedParameters,
    StartParameters,
    check_parameters,
)

VALID = {
    StartParameters: {"seed": 0, "output_dir": "results", "num_rounds": 5, "local_steps": 3, "learning_rate": 0.1},
    CentralizedParameters: {
        "seed": 0,
        "output_dir": "results",
        "dataset": "fashion",
        "num_clients": 10,
        "epochs": 2,
        "batch_size": 32,
        "learning_rate": 0.1,
        "device": "auto",
    },
    FederatedParameters: {
        "seed": 0,
        "output_dir": "results",
        "dataset": "fashion",
        "num_clients": 10,
        "num_rounds": 3,
        "local_epochs": 1,
        "batch_size": 32,
        "learning_rate": 0.1,
        "fraction_train": 0.5,
        "min_clients": 2,
        "workers": "auto",
        "device": "auto",
    },
}

WHOLE, AT_LEAST_1 = "must be a whole number", "must be >= 1"
COUNT = [(0, AT_LEAST_1), (-1, AT_LEAST_1), ("four", WHOLE), ("4", WHOLE), (2.5, WHOLE), (2.0, WHOLE), (True, WHOLE)]
COUNT += [(None, WHOLE)]
RATE = [(math.nan, "must be a finite number"), (math.inf, "must be a finite number"), ("x", "must be a number")]
RATE += [(True, "must be a number"), (None, "must be a number")]
POSITIVE = [(0, "must be > 0"), (-0.1, "must be > 0")]
KNOWN = "must be 'fashion', 'cifar10', 'fashion-mnist', 'mnist' or the path of a folder of images"
WORKERS = "must be 'auto' or a whole number >= 1"
RULES = {
    "seed": [(-1, "must be >= 0"), (2**32, "must be < 4294967296"), (0.5, WHOLE), ("0", WHOLE), (False, WHOLE)],
    "output_dir": [("", "must not be empty"), (3, "must be text"), (None, "must be text")],
    "dataset": [
        ("cifar100", KNOWN),
        ("", KNOWN),
        ("~nobody-by-this-name", KNOWN),
        ("x" * 5000, KNOWN),
        (7, "must be text"),
    ],
    "num_clients": COUNT,
    "num_rounds": COUNT,
    "local_steps": COUNT,
    "local_epochs": COUNT,
    "epochs": COUNT,
    "batch_size": COUNT,
    "min_clients": COUNT,
    "learning_rate": [*RATE, *POSITIVE, (10.1, "must be <= 10")],
    "fraction_train": [*RATE, *POSITIVE, (1.5, "must be <= 1")],
    "workers": [(0, WORKERS), (-2, WORKERS), ("many", WORKERS), ("2", WORKERS), (1.5, WORKERS), (True, WORKERS)],
    "device": [("tpu", "must be 'auto', 'cpu' or 'cuda'"), (0, "must be 'auto', 'cpu' or 'cuda'")],
}
# The toy of notebook 00 diverges with steps that other models can take.
RULES_OF = {
    StartParameters: RULES | {"learning_rate": [*RATE, (0, "must be >="), (-0.1, "must be >="), (10.1, "must be <=")]},
    CentralizedParameters: RULES,
    FederatedParameters: RULES,
}
CASES = [
    pytest.param(model, name, value, rule, id=f"{model.__name__}-{name}-{str(value)[:12]}")
    for model, valid in VALID.items()
    for name in valid
    for value, rule in RULES_OF[model][name]
]
MODELS = pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)


def message_of(model, values):
    with pytest.raises(InputError) as caught:
        check_parameters(model, values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("model", "name", "value", "rule"), CASES)
def test_mistake_names_argument_rule_and_value(model, name, value, rule):
    message = message_of(model, VALID[model] | {name: value})
    assert message.startswith(f"{name} {rule}") and message.endswith(f", got {value!r}")
    assert message.count(", got ") == 1, "one mistake, one sentence"


@MODELS
def test_valid_parameters_come_back_in_the_models_order(model):
    values = VALID[model]
    shuffled = dict(sorted(values.items()))
    checked = check_parameters(model, shuffled | {"torch": object(), "_private": 1})
    assert checked == values
    assert list(checked) == list(model.model_fields)


@MODELS
def test_missing_parameter(model):
    for name in VALID[model]:
        values = {key: value for key, value in VALID[model].items() if key != name}
        rule = WORKERS if name == "workers" else "must be set"
        assert message_of(model, values) == f"{name} {rule}, got nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2**32 - 1},
        {"num_clients": 1, "min_clients": 1},
        {"min_clients": 10},
        {"learning_rate": 1},
        {"learning_rate": 10.0},
        {"fraction_train": 1.0},
        {"fraction_train": 1e-9},
        {"workers": 1},
        {"workers": 64},
        {"device": "cuda"},
        {"dataset": "cifar10"},
        {"dataset": "fashion-mnist"},
        {"dataset": "mnist"},
    ],
    ids=str,
)
def test_limits_are_allowed(change):
    values = VALID[FederatedParameters] | change
    assert check_parameters(FederatedParameters, values) == values


def test_two_mistakes_give_two_sentences():
    message = message_of(FederatedParameters, VALID[FederatedParameters] | {"num_rounds": 0, "device": "tpu"})
    assert message == "num_rounds must be >= 1, got 0; device must be 'auto', 'cpu' or 'cuda', got 'tpu'"


def test_more_clients_wanted_than_there_are():
    message = message_of(FederatedParameters, VALID[FederatedParameters] | {"num_clients": 3, "min_clients": 4})
    assert message == "min_clients must be <= num_clients (3), got 4"


def test_output_dir_that_is_a_file_or_below_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    for path in (str(file), str(file / "below" / "deeper")):
        message = message_of(StartParameters, VALID[StartParameters] | {"output_dir": path})
        assert message == f"output_dir must be a folder, or a path where one can be made, got {path!r}"


def test_output_dir_that_exists_or_can_be_made(tmp_path):
    for path in (str(tmp_path), str(tmp_path / "a" / "b"), "."):
        values = VALID[StartParameters] | {"output_dir": path}
        assert check_parameters(StartParameters, values) == values
    assert list(tmp_path.iterdir()) == []


def test_dataset_may_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for path in (str(tmp_path), f"~/{tmp_path.name}"):
        values = VALID[CentralizedParameters] | {"dataset": path}
        assert check_parameters(CentralizedParameters, values) == values
    (tmp_path / "file").write_text("x")
    assert KNOWN in message_of(
        CentralizedParameters, VALID[CentralizedParameters] | {"dataset": str(tmp_path / "file")}
    )


@pytest.mark.parametrize("kind", [InputError, DataUnavailableError])
def test_a_notebook_shows_the_error_as_one_line(kind):
    error = kind("seed must be >= 0, got -1")
    assert error._render_traceback_() == [f"{kind.__name__}: seed must be >= 0, got -1"]
    assert isinstance(error, ValueError)


def test_the_error_hides_where_it_came_from():
    with pytest.raises(InputError) as caught:
        check_parameters(StartParameters, {})
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
