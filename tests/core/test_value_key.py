"""Keys of values and functions: another one for whatever gives other numbers, the same one in another process."""

import functools
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from noise import noise_images, shards
from torch import nn
from torch.nn import functional as F

from fedlearn_helpers.data import Examples
from fedlearn_helpers.experiments.run_key import data_key, dataset_key, model_key
from fedlearn_helpers.experiments.value_key import function_key, value_key
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.tasks import Task

HERE = Path(__file__).parent


def made(code, **around):
    """Run code as a module of one's own would, and return what it calls `f`."""
    space = {"torch": torch, "__name__": "__main__", **around}
    exec(code, space)
    return space["f"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f = lambda x: max(x)", "f = lambda x: min(x)"),  # the same bytecode, with other names
        ("f = lambda x: torch.mean(x)", "f = lambda x: torch.median(x)"),
        ("f = lambda x: x + 1", "f = lambda x: x + 2"),
        ("f = lambda x: [y + 1 for y in x]", "f = lambda x: [y + 2 for y in x]"),
        ("f = lambda x: (lambda y: y + 1)(x)", "f = lambda x: (lambda y: y + 2)(x)"),
        ("def f(x, rate=1): return x", "def f(x, rate=2): return x"),
        ("def f(x, *, rate=1): return x", "def f(x, *, rate=2): return x"),
        ("RATE = 1\ndef f(x): return RATE * x", "RATE = 2\ndef f(x): return RATE * x"),
        ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x\ndef f(x): return g(x)"),
        ("R = 1\ndef g(x): return R\ndef f(x): return g(x)", "R = 2\ndef g(x): return R\ndef f(x): return g(x)"),
        ("class f:\n  def go(self): return 1", "class f:\n  def go(self): return 2"),
        ("class f:\n  rate = 1", "class f:\n  rate = 2"),
        ("class B:\n  def go(s): return 1\nclass f(B): pass", "class B:\n  def go(s): return 2\nclass f(B): pass"),
        ("class C:\n  def __call__(s): return 1\nf = C()", "class C:\n  def __call__(s): return 2\nf = C()"),
        ("class C:\n  def __init__(s, r): s.r = r\nf = C(1)", "class C:\n  def __init__(s, r): s.r = r\nf = C(2)"),
        ("class C:\n  def __init__(s, r): s.r = r\n  def m(s): pass\nf = C(1).m",
         "class C:\n  def __init__(s, r): s.r = r\n  def m(s): pass\nf = C(2).m"),
        ("class C:\n  __slots__ = 'r'\nf = C()\nf.r = 1", "class C:\n  __slots__ = 'r'\nf = C()\nf.r = 2"),
        ("T = torch.zeros(2)\ndef f(): return T", "T = torch.ones(2)\ndef f(): return T"),
    ],
)  # fmt: skip
def test_other_code_or_what_it_holds_is_another_key(one, other):
    assert value_key(made(one)) != value_key(made(other))
    assert value_key(made(one)) == value_key(made(one)), "control: the same code"


def test_what_a_function_counts_or_collects_is_no_part_of_its_key():
    counting = made("seen, total = [], 0\ndef f(x):\n  global total\n  total += 1\n  seen.append(x)\n")
    before = function_key(counting)
    counting(1)
    assert function_key(counting) == before


def test_functions_that_call_each_other_have_a_key():
    code = "def f(n): return n and g(n - {})\ndef g(n): return f(n)"
    assert function_key(made(code.format(1))) != function_key(made(code.format(2)))
    itself = []
    itself.append(itself)
    assert function_key(lambda: itself)


def generator(seed, drawn=0):
    found = np.random.default_rng(seed)
    found.random(drawn)
    return found


VALUES = [
    None, 0, 1, True, 1.0, -0.0, 0.0, "1", b"1", (1, 2), (1, (2,)), [1, 2], [2, 1], {1, 2}, frozenset({1, 2}),
    {"a": 1, "b": 2}, {"b": 2, "a": 1}, OrderedDict(a=1, b=2),
    torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.int32), torch.zeros(6), torch.ones(2, 3),
    torch.zeros(2, 3, dtype=torch.bfloat16), torch.zeros(0), torch.tensor(0.0), nn.Parameter(torch.zeros(2, 3)),
    np.zeros((2, 3)), np.zeros((3, 2)), np.float32(0), np.float64(0), np.array([None, 1]), np.array([None, 2]),
    generator(0), generator(1), generator(0, drawn=1), Path("a"), Path("b"), torch.float32, torch.device("cpu"),
    torch.relu, torch.tanh, F.relu, functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1),
    functools.partial(max, key=len), max, min, Exception, nn.Linear, nn, F,
]  # fmt: skip


def test_values_that_differ_have_keys_that_differ():
    keys = [value_key(value) for value in VALUES]
    assert len(set(keys)) == len(keys)
    assert [value_key(value) for value in VALUES] == keys


def test_what_hides_its_content_counts_by_its_type():
    assert value_key(threading.Lock()) == value_key(threading.Lock()) != value_key(threading.Event)


CODE = """
import functools, test_value_key as here
print(*[here.value_key(value) for value in here.VALUES], *map(here.function_key, (here.made, here.generator)))
print(here.function_key(lambda x: x in {"a", "b", "c"}), here.model_key(here.Net()), here.dataset_key(here.table()))
"""


@pytest.mark.slow
def test_keys_are_the_same_in_another_process():
    said = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", CODE]
        done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=True)
        said.append(done.stdout)
    assert said[0] == said[1] and len(said[0].split()) > len(VALUES)


# Models -----------------------------------------------------------------------------------


class Net(nn.Module):
    """A network of one's own."""

    def __init__(self, scale=1.0, activation=torch.relu):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layer = nn.Linear(3, 1)
        self.scale, self.activation = scale, activation
        self.register_buffer("hidden", torch.zeros(1), persistent=False)

    def forward(self, x):
        return self.scale * self.activation(self.layer(x))


def changed(change):
    model = Net()
    change(model)
    return model


def test_a_model_is_told_by_all_that_decides_what_it_gives():
    class Other(Net):
        def forward(self, x):
            return super().forward(x) ** 2

    models = [
        Net(),
        Net(scale=2.0),
        Net(activation=torch.tanh),
        Other(),
        changed(lambda model: model.layer.bias.data.add_(1e-7)),
        changed(lambda model: model.layer.bias.requires_grad_(False)),
        changed(lambda model: model.hidden.add_(1)),
        nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.1)),
        nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.2)),
    ]
    with torch.random.fork_rng():
        keys = [model_key(model) for model in models[:7]]
        assert len(set(keys)) == 7
        same = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.1))
        same.load_state_dict(models[7].state_dict())
        models[8].load_state_dict(models[7].state_dict())
        assert model_key(same) == model_key(models[7]) != model_key(models[8])


def test_a_model_that_was_used_and_put_into_another_mode_has_the_same_key():
    model = Net()
    before = model_key(model)
    model.eval()
    model(torch.ones(2, 3)).sum().backward()
    assert model_key(model) == before == model_key(Net())


# Data -------------------------------------------------------------------------------------


def table(scale=1.0, dtype=torch.float32):
    rows = (torch.arange(12).reshape(4, 3) * scale).to(dtype)
    task = Task("a table", lambda rows: rows, F.mse_loss, lambda outputs: (outputs, outputs), torch.eq)
    return Examples("rows", task, rows, rows[:, :1], rows, rows[:, :1])


def with_loss(loss):
    found = table()
    return Examples("rows", Task("a table", found.task.inputs, loss, found.task.predict, torch.eq), *parts_of(found))


def parts_of(data):
    return data.train_inputs, data.train_targets, data.test_inputs, data.test_targets


def relabelled(data, number):
    labels = data.train_labels.clone()
    labels[number] = (labels[number] + 1) % 3
    return type(data)(data.name, data.train_images, labels, data.test_images, data.test_labels, data.class_names, "")


def test_data_are_told_by_content_and_not_by_name():
    data = noise_images(20, 5)
    renamed = type(data)("other name", *(getattr(data, name) for name in (
        "train_images", "train_labels", "test_images", "test_labels", "class_names", "origin"
    )))  # fmt: skip
    assert dataset_key(renamed) == dataset_key(data) == dataset_key(noise_images(20, 5))
    pixel = noise_images(20, 5)
    pixel.train_images[3, 0, 2, 2] += 1
    of_test = noise_images(20, 5)
    of_test.test_images[0, 0, 0, 0] += 1
    more_classes = type(data)(*(getattr(data, name) for name in (
        "name", "train_images", "train_labels", "test_images", "test_labels"
    )), ("a", "b", "c", "d"), "")  # fmt: skip
    others = [pixel, of_test, relabelled(data, 19), more_classes, noise_images(19, 5), table()]
    assert len({dataset_key(other) for other in [data, *others]}) == 7


def test_examples_of_ones_own_are_told_by_numbers_types_shapes_and_task():
    flat = Examples("rows", table().task, *(part.reshape(-1, 1, part.shape[1]) for part in parts_of(table())))
    others = [table(), table(scale=2), table(dtype=torch.int32), with_loss(F.l1_loss), flat]
    assert len({dataset_key(other) for other in others}) == 5
    every = [Shard(np.arange(2), np.arange(2, 4))]
    assert len({data_key(other, every) for other in others}) == 5


def test_who_holds_which_example_is_told():
    data = noise_images(80, 5)
    one = shards((12, 20))
    others = [
        one,
        one[::-1],
        [Shard(one[0].train, one[0].validation)],
        [Shard(one[0].train[:-1], one[0].validation), one[1]],
        [Shard(one[0].train[:-1], np.append(one[0].train[-1:], one[0].validation)), one[1]],
        [Shard(one[0].train[::-1].copy(), one[0].validation), one[1]],
        [Shard(np.append(one[0].train[:-1], 40), one[0].validation), one[1]],
    ]
    assert len({data_key(data, other) for other in others}) == 7
    assert data_key(data, shards((12, 20))) == data_key(data, one)
    assert data_key(relabelled(data, 5), one) != data_key(data, one)
    assert data_key(relabelled(data, 60), one) == data_key(data, one), "nobody holds image 60"
