"""Clients' states on disk: the same as in memory."""

import os
import pickle
import stat

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.packing import pack, unpack
from fedlearn_helpers.simulation.states import StatesOnDisk


def state(number):
    return RecordDict(
        {"arrays": ArrayRecord({"control": Array(np.full(3, number))}), "metrics": MetricRecord({"turns": number})}
    )


def test_it_is_a_dictionary(tmp_path):
    states = StatesOnDisk(tmp_path / "new" / "folder")
    assert (len(states), list(states), states.get(7)) == (0, [], None)
    states[7], states[12] = pack(state(1)), pack(state(2))
    states[7] = pack(state(3))
    assert unpack(states[7]) == state(3)
    assert sorted(states) == [7, 12]
    assert states.pop(12, None) is not None
    assert states.pop(12, None) is None
    with pytest.raises(KeyError):
        states[12]
    with pytest.raises(KeyError):
        del states[12]
    assert os.listdir(tmp_path / "new" / "folder") == ["7.state"]


def test_files_hold_data_and_no_pickles(tmp_path):
    states = StatesOnDisk(tmp_path)
    states[7] = pack(state(1))
    content = (tmp_path / "7.state").read_bytes()
    assert content.startswith(b"[[") and b"flwr" not in content
    (tmp_path / "7.state").write_bytes(pickle.dumps(state(1)))
    with pytest.raises(ValueError, match="damaged or of something else"):
        states[7]


def test_an_interrupt_while_writing_leaves_the_state_of_before(tmp_path, monkeypatch):
    states = StatesOnDisk(tmp_path)
    states[7] = pack(state(1))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fedlearn_helpers.simulation.states.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        states[7] = pack(state(2))
    assert unpack(states[7]) == state(1)
    assert list(states) == [7]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    StatesOnDisk(tmp_path)[7] = pack(state(1))
    with pytest.raises(InputError, match=r"^state_folder must be empty, got '.*' with '7.state' in it$"):
        StatesOnDisk(tmp_path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="^state_folder must be a folder that can be made, got "):
        StatesOnDisk(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(InputError, match="^state_folder must be a folder that can be made, got "):
        StatesOnDisk(tmp_path / "new")
