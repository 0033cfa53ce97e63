"""Every parameter of every notebook with every kind of value: within what its comment allows, or one sentence."""

import functools
import math
import os
import time

import numpy as np
import papermill
import pytest
import yaml
from lesson import all_lessons, execute
from papermill.exceptions import PapermillExecutionError
from test_form import limits_in_words

from fedlearn_helpers.algorithms import PERSONALIZATIONS, STRATEGIES
from fedlearn_helpers.data import KNOWN_DATASETS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import PARTITIONS

VALUES = {
    "zero": 0,
    "zero point zero": 0.0,
    "one": 1,
    "negative": -1,
    "negative fraction": -0.5,
    "fraction": 2.5,
    "whole float": 4.0,
    "huge": 10**30,
    "huge float": 1e308,
    "tiny float": 5e-324,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "none": None,
    "true": True,
    "false": False,
    "complex": 1j,
    "text": "four",
    "empty": "",
    "spaces": "  ",
    "comma": ",",
    "number as text": "4",
    "1e-3 as text": "1e-3",
    "nan as text": "nan",
    "line break": "a\nb",
    "null byte": "nul\0",
    "surrogate": "\udcff",
    "long": "x" * 5000,
    "unknown name": "fedavg,no_such_thing",
    "unknown rule": "dirichlet:x",
    "path": "/nowhere/at/all",
    "path that cannot be written": "/proc/results",
    "bytes": b"4",
    "list": [],
    "list of numbers": [1, 2],
    "list of names": ["fedavg"],
    "dict": {},
    "tuple": (1,),
    "numpy int": np.int64(3),
    "numpy float": np.float32(0.5),
    "array": np.zeros((3, 3)),
    "object": object(),
}
TEXTS = {  # texts that a parameter may be
    "model": {"mlp", "cnn"},
    "device": {"auto", "cpu", "cuda"},
    "workers": {"auto"},
    "partition": set(PARTITIONS),
    "dataset": set(KNOWN_DATASETS),
    "strategies": {"all", *STRATEGIES},
    "methods": {"all", *PERSONALIZATIONS},
    "partitions": set(),
    "learning_rates": set(),
    "skewed": set(),
    "alike": set(),
    "others": {"", "  ", ","},
    "servers": {"auto", "none"},
    "sites": {"heart"},
    "leave_out": {"", "  ", ","},
    "scenario": {"keyboard", "watch", "bank"},
}
# What the comment says of these has no number.
RULE_OVER_TWO = ("clients_per_round", "min_clients", "slow_share", "buffer_size", "sampling_rate", "num_attackers")
EVERY = [(name, parameter) for name, lesson in all_lessons().items() for parameter in lesson.model.model_fields]


@functools.cache
def declared(notebook):
    """Return of a notebook's parameters the defaults and the comments."""
    lesson = all_lessons()[notebook]
    comments = {name: facts["help"] for name, facts in papermill.inspect_notebook(str(lesson.path)).items()}
    return lesson.defaults, comments


def is_allowed(name, value, default, comment):
    """Say whether the comment allows a value, without asking the model."""
    if name == "workers":
        return value >= 1 if type(value) is int else isinstance(value, str) and value == "auto"
    if isinstance(default, str):
        if name == "output_dir":
            is_name = isinstance(value, str) and 0 < len(value) < 255 and value.isascii() and "\0" not in value
            return is_name and not value.startswith("/proc")
        if name == "hub_model":
            return isinstance(value, str)
        return isinstance(value, str) and value in TEXTS[name]
    if isinstance(default, bool):
        return isinstance(value, bool)
    kinds = (int,) if isinstance(default, int) else (int, float, np.number)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    limits = limits_in_words(comment)
    return (
        (isinstance(value, int) or math.isfinite(value))
        and value >= limits.get("minimum", -math.inf)
        and value > limits.get("exclusiveMinimum", -math.inf)
        and value <= limits.get("maximum", math.inf)
        and value < limits.get("exclusiveMaximum", math.inf)
    )


@pytest.mark.parametrize(("notebook", "name"), EVERY, ids=[f"{notebook[:2]}-{name}" for notebook, name in EVERY])
def test_a_value_is_within_the_comment_or_gets_one_sentence(notebook, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    defaults, comments = declared(notebook)
    check = all_lessons()[notebook].model.check
    for kind, value in VALUES.items():
        begun = time.perf_counter()
        try:
            check(defaults | {name: value})
            said = None
        except InputError as error:
            said = str(error)
        assert time.perf_counter() - begun < 1, kind
        allowed = is_allowed(name, value, defaults[name], comments[name])
        if said is None:
            assert allowed, f"{kind} was accepted: {comments[name]}"
            continue
        assert "\n" not in said and "\r" not in said, (kind, said)
        assert name in said and repr(value).replace("\n", " ") in said, (kind, said)
        assert " must " in said or " needs " in said or " has one that cannot be used" in said, (kind, said)
        assert " or several" not in said and "Input should" not in said, (kind, said)
        assert not allowed or name in RULE_OVER_TWO or name != said.partition(" ")[0], (kind, said)
    assert os.listdir(tmp_path) == []


def test_the_sentence_names_every_parameter_that_cannot_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for notebook in all_lessons():
        defaults, _ = declared(notebook)
        with pytest.raises(InputError) as caught:
            all_lessons()[notebook].model.check(dict.fromkeys(defaults))
        parts = str(caught.value).split("; ")
        assert [part.partition(" ")[0] for part in parts] == list(all_lessons()[notebook].model.model_fields)
        assert all(part.endswith(", got None") for part in parts)


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("notebook", "written", "sentence"),
    [
        ("00_start_here", "output_dir: /proc/results", "output_dir must be a folder that can be made and written into"),
        (
            "00_start_here",
            "num_rounds: null\nlearning_rate: 1e-3",
            "learning_rate must be a number (YAML wants 1.0e-3)",
        ),
        ("03_clients_that_come_and_go", "deadline: .nan", "deadline must be a finite number, got nan"),
        ("01_centralized_cnn", "dataset: /nowhere/at/all", "or the path of a folder of images, got '/nowhere/at/all'"),
    ],
)
def test_papermill_ends_in_the_first_cell(tmp_path, notebook, written, sentence):
    with pytest.raises(PapermillExecutionError) as caught:
        execute(all_lessons()[notebook], tmp_path, **yaml.safe_load(written))
    assert caught.value.ename == "InputError" and sentence in caught.value.evalue
    assert len(caught.value.traceback) == 1 and "\n" not in caught.value.evalue
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{notebook}.ipynb"]
