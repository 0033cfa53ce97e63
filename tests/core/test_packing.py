"""Packed records come out equal, share no object that can be changed, and no byte is copied."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedlearn_helpers.simulation.packing import dump, load, pack, unpack


@pytest.fixture
def content():
    return RecordDict(
        {
            "arrays": ArrayRecord({"weights": Array(np.arange(6.0).reshape(2, 3)), "bias": Array(np.zeros(0))}),
            "metrics": MetricRecord({"loss": 0.5, "per-class": [1, 2, 3]}),
            "config": ConfigRecord(
                {"server-round": 3, "name": "x", "raw": b"\x00\xff", "many": [b"a", b"bc"], "on": True}
            ),
        }
    )


def test_what_comes_out_is_what_went_in(content):
    assert unpack(pack(content)) == content
    assert unpack(pack(RecordDict())) == RecordDict()


def test_copies_share_nothing_that_can_be_changed(content):
    packed = pack(content)
    first, second = unpack(packed), unpack(packed)
    first["arrays"]["weights"].data = b""
    first["metrics"]["per-class"].append(4)
    first["config"]["many"].clear()
    del first["config"]["name"]
    first["more"] = MetricRecord({"loss": 1.0})
    assert second == content == unpack(packed)


def test_arrays_are_shared_not_copied(content):
    packed = pack(content)
    data = content["arrays"]["weights"].data
    assert any(data is array for array in packed.arrays)
    assert unpack(packed)["arrays"]["weights"].data is data
    assert data not in packed.frame


def test_the_same_bytes_twice_are_one_object_again():
    data = bytes(100)
    places = []
    frame = dump([data, data], lambda taken: places.append(taken) or len(places) - 1)
    first, second = load(frame, places.__getitem__)
    assert first is second is data


def test_bytes_that_are_not_set_aside_stay_inside():
    def never(place):
        raise AssertionError(place)

    assert load(dump({"raw": b"abc"}, lambda data: None), never) == {"raw": b"abc"}
