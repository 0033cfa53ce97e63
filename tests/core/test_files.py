"""Files are there completely or not at all."""

import json
import math
import os
import stat

import pytest

from fedlearn_helpers.files import without_nan, write_json, write_whole


@pytest.mark.parametrize("content", ["zwölf\r\n", b"\0\xff"])
def test_what_is_written_is_read_again_byte_by_byte(tmp_path, content):
    path = tmp_path / "new" / "file"
    for _ in range(2):  # the second time it replaces the first
        write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, "old")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_json_lacks_is_refused_or_null(tmp_path):
    path = tmp_path / "file.json"
    content = {"a": math.nan, "b": [1.5, -math.inf, "nan"], "c": {"d": (math.inf, None, 3)}}
    with pytest.raises(ValueError):
        write_json(path, content)
    assert not path.exists()
    write_json(path, without_nan(content))
    assert json.loads(path.read_text()) == {"a": None, "b": [1.5, None, "nan"], "c": {"d": [None, None, 3]}}
