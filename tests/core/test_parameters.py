"""Parameters of notebooks: one sentence for every mistake. Each lesson's own are tested with the lesson."""

import errno
import math
import os

import numpy as np
import pytest
import yaml

from fedlearn_helpers.errors import DataUnavailableError, InputError
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    LessonParameters,
    Rate,
    Share,
    Workers,
    check_parameters,
)


class Parameters(LessonParameters):
    """One of each kind."""

    dataset: DatasetName
    num_rounds: Count
    learning_rate: Rate
    fraction_train: Share
    workers: Workers
    device: Device


VALID = {
    "seed": 0,
    "output_dir": "results",
    "dataset": "fashion",
    "num_rounds": 3,
    "learning_rate": 0.1,
    "fraction_train": 0.5,
    "workers": "auto",
    "device": "auto",
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
    "num_rounds": COUNT,
    "learning_rate": [*RATE, *POSITIVE, (10.1, "must be <= 10")],
    "fraction_train": [*RATE, *POSITIVE, (1.5, "must be <= 1")],
    "workers": [(0, WORKERS), (-2, WORKERS), ("many", WORKERS), ("2", WORKERS), (1.5, WORKERS), (True, WORKERS)],
    "device": [("tpu", "must be 'auto', 'cpu' or 'cuda'"), (0, "must be 'auto', 'cpu' or 'cuda'")],
}
CASES = [
    pytest.param(name, value, rule, id=f"{name}-{str(value)[:12]}") for name in VALID for value, rule in RULES[name]
]


def message_of(values):
    with pytest.raises(InputError) as caught:
        check_parameters(Parameters, values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("name", "value", "rule"), CASES)
def test_mistake_names_argument_rule_and_value(name, value, rule):
    message = message_of(VALID | {name: value})
    assert message.startswith(f"{name} {rule}") and message.endswith(f", got {value!r}")
    assert message.count(", got ") == 1, "one mistake, one sentence"


def test_valid_parameters_come_back_in_the_models_order():
    shuffled = dict(sorted(VALID.items()))
    for check in (Parameters.check, lambda values: check_parameters(Parameters, values)):
        checked = check(shuffled | {"torch": object(), "_private": 1})
        assert checked == VALID
        assert list(checked) == list(Parameters.model_fields)


def test_missing_parameter():
    for name in VALID:
        values = {key: value for key, value in VALID.items() if key != name}
        rule = WORKERS if name == "workers" else "must be set"
        assert message_of(values) == f"{name} {rule}, got nothing"


def test_output_dir_that_is_a_file_or_below_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    for path in (str(file), str(file / "below" / "deeper")):
        message = message_of(VALID | {"output_dir": path})
        assert message == f"output_dir must be a folder, or a path where one can be made, got {path!r}"


@pytest.mark.parametrize("path", ["/proc/results", "/proc/results/deeper", "nul\0", "x" * 5000])
def test_output_dir_where_nothing_can_be_made(path):
    message = message_of(VALID | {"output_dir": path})
    assert message.startswith("output_dir must be a folder that can be made and written into (")
    assert message.endswith(f"), got {path!r}")


@pytest.mark.parametrize(
    ("function", "code", "reason"),
    [
        ("mkdir", errno.EACCES, "Permission denied"),
        ("replace", errno.EROFS, "Read-only file system"),
        ("replace", errno.ENOSPC, "No space left on device"),
        ("chmod", errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_output_dir_on_a_system_that_refuses(tmp_path, monkeypatch, function, code, reason):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    path = str(tmp_path / "a" / "b")
    monkeypatch.setattr(os, function, refuse)
    message = message_of(VALID | {"output_dir": path})
    assert message == f"output_dir must be a folder that can be made and written into ({reason}), got {path!r}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "written", "rule"),
    [
        ("learning_rate", "1e-3", "must be a number (YAML wants 1.0e-3)"),
        ("learning_rate", "-1E-3", "must be a number (YAML wants -1.0e-3)"),
        ("learning_rate", "2.5e3", "must be a number (YAML wants 2.5e+3)"),
        ("learning_rate", "'0.1'", "must be a number (a number has no quotation marks)"),
        ("learning_rate", "1.e3", "must be a number (YAML wants 1.e+3)"),
        ("learning_rate", "yes", "must be a number (in YAML yes, no, on and off are no texts but True and False)"),
        ("learning_rate", "0,1", "must be a number"),
        ("learning_rate", "null", "must be a number"),
        ("learning_rate", "", "must be a number"),
        ("learning_rate", "1e-3 # rate", "must be a number (YAML wants 1.0e-3)"),
        ("num_rounds", "'4'", "must be a whole number (a number has no quotation marks)"),
        ("num_rounds", "1e1", "must be a whole number"),
        ("num_rounds", "~", "must be a whole number"),
        ("workers", "'2'", "must be 'auto' or a whole number >= 1 (a number has no quotation marks)"),
        ("device", "off", "must be 'auto', 'cpu' or 'cuda' (in YAML yes, no, on and off are no texts but True and F"),
        ("output_dir", "no", "must be text (in YAML yes, no, on and off are no texts but True and False)"),
        ("output_dir", "2026", "must be text"),
        ("output_dir", "2026-01-01", "must be text"),
    ],
)
def test_what_yaml_takes_for_something_else(name, written, rule):
    (value,) = yaml.safe_load(f"{name}: {written}").values()
    message = message_of(VALID | {name: value})
    assert message.startswith(f"{name} {rule}") and message.endswith(f", got {value!r}")
    if "wants" in rule:  # what it says does work
        assert isinstance(yaml.safe_load(rule.partition("wants ")[2].rstrip(")")), float)


def test_a_value_is_shown_on_one_line_whatever_it_is():
    for value in (np.zeros((3, 3)), 10**5000, {"a": [1] * 100}):
        assert message_of(VALID | {"output_dir": value}).startswith("output_dir must be text, got ")
    assert message_of(VALID | {"seed": 10**5000}) == "seed must be < 4294967296, got a number that is too long to print"


def test_output_dir_that_exists_or_can_be_made(tmp_path):
    for path in (str(tmp_path), str(tmp_path / "a" / "b"), "."):
        values = VALID | {"output_dir": path}
        assert check_parameters(Parameters, values) == values
    assert list(tmp_path.iterdir()) == []


def test_dataset_may_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for path in (str(tmp_path), f"~/{tmp_path.name}"):
        values = VALID | {"dataset": path}
        assert check_parameters(Parameters, values) == values
    (tmp_path / "file").write_text("x")
    assert KNOWN in message_of(VALID | {"dataset": str(tmp_path / "file")})


@pytest.mark.parametrize("kind", [InputError, DataUnavailableError])
def test_a_notebook_shows_the_error_as_one_line(kind):
    error = kind("seed must be >= 0, got -1")
    assert error._render_traceback_() == [f"{kind.__name__}: seed must be >= 0, got -1"]
    assert isinstance(error, ValueError)


def test_the_error_hides_where_it_came_from():
    with pytest.raises(InputError) as caught:
        check_parameters(Parameters, {})
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
