"""Values as bytes come back bit for bit, and nothing that could run code is written or read."""

import json
import math
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedlearn_helpers.simulation.encoding import decode, encode

RECORDS = RecordDict(
    {
        "z": ArrayRecord({"b": Array(np.arange(6.0).reshape(2, 3)), "a": Array(np.zeros(0, np.float16))}),
        "metrics": MetricRecord({"loss": 0.1 + 0.2, "per-class": [1, 2, 3], "none": []}),
        "config": ConfigRecord({"round": 3, "name": "ü\n", "raw": b"\x00\xff\n", "many": [b"a", b""], "on": True}),
    }
)


def again(value):
    return decode(b"".join(encode(value)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        -0.0,
        5e-324,
        math.inf,
        "ü \ud800 \n",
        b"",
        b"\n\x00",
        [],
        (1, (2,), [3]),
        {1: "a", (2, 3): {"b": None}, "1": 2.0},
        OrderedDict(b=1, a=2),
        {1, 2},
        frozenset({"x"}),
        RECORDS,
        RecordDict(),
        [ArrayRecord(), MetricRecord(), ConfigRecord()],
    ],
)
def test_plain_values_and_records_come_back_equal_and_of_the_same_type(value):
    found = again(value)
    assert found == value and type(found) is type(value) and repr(found) == repr(value)
    if hasattr(value, "items"):
        assert list(found) == list(value), "in the same order"


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3)),
        np.array(3, np.uint8),
        np.array(["ab", "c"]),
        np.array([math.nan, -0.0]),
        np.float64(0.1),
        np.int32(7),
        np.bool_(True),
    ],
)
def test_arrays_and_their_numbers_keep_dtype_shape_and_bits(value):
    found = again(value)
    assert type(found) is type(value) and found.dtype == value.dtype and found.shape == value.shape
    assert found.tobytes() == value.tobytes()
    assert isinstance(value, np.generic) or found.flags.f_contiguous == value.flags.f_contiguous
    assert isinstance(value, np.generic) or found.flags.writeable


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_tensors_come_back(dtype, shape):
    tensor = torch.arange(math.prod(shape)).reshape(shape).to(dtype) if shape else torch.tensor(1, dtype=dtype)
    found = again({"v": tensor})["v"]
    assert found.dtype == dtype and torch.equal(found, tensor)
    found.zero_()


def test_the_states_of_random_generators_come_back():
    assert np.array_equal(again(torch.get_rng_state()), torch.get_rng_state())
    kind, numbers, *rest = again(np.random.get_state())
    assert (kind, *rest) == (np.random.get_state()[0], *np.random.get_state()[2:])
    assert np.array_equal(numbers, np.random.get_state()[1])


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("code was run",))


@pytest.mark.parametrize(
    "value",
    [
        Exploding(),
        [Exploding()],
        np.array([Exploding()], dtype=object),
        lambda: None,
        torch.nn.Linear(1, 1),
        torch.nn.Parameter(torch.zeros(1)),
        torch.zeros(1, dtype=torch.bfloat16),
        np.random.default_rng(0),
        type("Numbers", (list,), {})(),
        np.ma.array([1], mask=[True]),
    ],
)
def test_anything_else_is_refused_when_it_is_written(value):
    with pytest.raises(TypeError):
        encode(value)


def npy_of_objects():
    import io

    file = io.BytesIO()
    np.save(file, np.array([Exploding()], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b"[1, []]\nmore",
        b'[["bytes", 0], [9]]\nshort',
        b'[["Exploding", []], []]\n',
        b'[["bytes", 3], []]\n',
        pickle.dumps(Exploding()),
        pickle.dumps(Exploding(), 0),
        json.dumps([["array", 0], [len(npy_of_objects())]]).encode() + b"\n" + npy_of_objects(),
    ],
)
def test_other_bytes_are_an_error_and_run_nothing(data):
    with pytest.raises(ValueError, match="^these bytes are damaged or of something else"):
        decode(data)
