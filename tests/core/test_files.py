"""Files are there completely or not at all."""

import errno
import json
import math
import os
import stat
from pathlib import Path

import pytest

from fedlearn_helpers.files import try_writing, without_nan, write_json, write_whole


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


def test_trying_leaves_a_folder_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept").write_text("x")
    for folder in ("there", "there/new", "new/and/deeper", ".", "there/../other"):
        try_writing(Path(folder))
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "kept"]


def test_a_folder_into_which_others_have_written_by_then_stays(tmp_path, monkeypatch):
    replace = os.replace

    def replace_and_add(source, target):
        replace(source, target)
        Path(target).with_name("of somebody else").write_text("x")

    monkeypatch.setattr(os, "replace", replace_and_add)
    try_writing(tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["of somebody else"]


@pytest.mark.parametrize("function", ["chmod", "replace"])
def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, monkeypatch, function):
    def fail(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="Read-only file system"):
        try_writing(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/results", "file", "file/below", "dangling", "n\0ul", "x" * 5000])
def test_places_where_nothing_can_be_written(tmp_path, place):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises((OSError, ValueError)):
        try_writing(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]
