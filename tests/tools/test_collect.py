"""What lies in a folder of submissions is collected, or named with the reason why not."""

import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from quick import quick_notebook
from typer.testing import CliRunner

from fedlearn_helpers.errors import InputError
from workbook_tools.cli import app
from workbook_tools.grading import archives, collect
from workbook_tools.grading import grade as grading

NOTEBOOK = nbformat.writes(quick_notebook())


def zipped(**files):
    """Return an archive with these files."""
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()


def put(folder, **files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def found(folder, leave=frozenset()):
    """Return the names of what is graded, and the reasons of the others by name."""
    with collect.collect(folder, leave) as all_of_it:
        for one in all_of_it.notebooks:
            assert one.path.is_file()
        return [one.name for one in all_of_it.notebooks], {one.name: one.reason for one in all_of_it.others}


@pytest.fixture
def one(tmp_path):
    """Return a folder with one submission that is as it should be."""
    put(tmp_path / "in", **{"ada/04.ipynb": NOTEBOOK})
    return tmp_path / "in"


@pytest.mark.parametrize(
    "name",
    [
        *("04.IPYNB", "04.Ipynb", "04.ipynb.txt", "04.ipynb.json", "04.ipynb.download", "04.ipynb_", "04 (1).ipynb"),
        *("04.json", "04.JSON", "04.txt", "04", "04.ipynb.bin", "=04.ipynb", "ä ö.ipynb", "x.ipynb.ipynb"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_notebook_is_one_whatever_its_name(one, name, encoding):
    put(one, **{f"ben/{name}": NOTEBOOK.encode(encoding), "cyd.zip": zipped(**{name: NOTEBOOK.encode(encoding)})})
    assert found(one) == (["ada/04.ipynb", f"ben/{name}", f"cyd.zip/{name}"], {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("04.py", "x = 1", "a Python program, no notebook"),
        ("04.PDF", "%PDF", "a page, no notebook"),
        ("04.ipynb.html", "<html>", "a page, no notebook"),
        ("04.ipynb.pdf", "%PDF", "a page, no notebook"),
        ("04.docx", zipped(x=""), "a text document, no notebook"),
        ("screen.png", b"\x89PNG", "a picture, no notebook"),
        ("homework.rar", b"Rar!", "an archive of a kind that is not opened, unlike .zip"),
        ("homework.tar.gz", b"\x1f\x8b", "an archive of a kind that is not opened, unlike .zip"),
        ("04.ipynb.gz", b"\x1f\x8b", "an archive of a kind that is not opened, unlike .zip"),
        ("04.ipynb.lnk", b"L", "a pointer to a file, not the file"),
        ("results.json", '{"metrics": {}}', "no notebook, by its name or by what is in it"),
        ("notes.txt", "notes", "no notebook, by its name or by what is in it"),
        ("empty.json", "", "no notebook, by its name or by what is in it"),
        ("deep.json", '{"a":' * 100_000, "no notebook, by its name or by what is in it"),
        (".04.ipynb", NOTEBOOK, "hidden"),
    ],
)
def test_what_is_no_notebook_is_named_with_the_reason(one, name, content, reason):
    put(one, **{name: content, f"ben/{name}": content, "cyd.zip": zipped(**{f"a/{name}": content})})
    assert found(one) == (["ada/04.ipynb"], {name: reason, f"ben/{name}": reason, f"cyd.zip/a/{name}": reason})


def test_what_is_called_a_notebook_is_collected_and_will_be_unreadable(one):
    put(one, **{"ben.ipynb": "these are notes", "cyd.ipynb": "", "dan.ipynb.txt": "<html>"})
    assert found(one) == (["ada/04.ipynb", "ben.ipynb", "cyd.ipynb", "dan.ipynb.txt"], {})


def test_links_are_named_and_not_followed(one, tmp_path):
    put(tmp_path, **{"elsewhere/secret.ipynb": NOTEBOOK})
    (one / "file.ipynb").symlink_to(tmp_path / "elsewhere" / "secret.ipynb")
    (one / "folder").symlink_to(tmp_path / "elsewhere")
    (one / "gone.ipynb").symlink_to(tmp_path / "nowhere")
    (one / "loop").symlink_to(one)
    link = "a link, which is not followed"
    assert found(one) == (["ada/04.ipynb"], dict.fromkeys(["file.ipynb", "folder", "gone.ipynb", "loop"], link))
    (tmp_path / "by link").symlink_to(one)
    assert found(tmp_path / "by link")[0] == ["ada/04.ipynb"], "the folder that was asked for may be one"


def test_what_cannot_be_read_is_named(one, monkeypatch):
    put(one, **{"ben/04.ipynb": NOTEBOOK, "cyd/04.ipynb": NOTEBOOK})
    os.mkfifo(one / "pipe.ipynb")
    scandir, opened = os.scandir, Path.open

    def refuse_folder(path):
        if not isinstance(path, int) and Path(path).name == "ben":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def refuse_file(self, *arguments, **options):
        if self.parent.name == "cyd":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(os, "scandir", refuse_folder)
    monkeypatch.setattr(Path, "open", refuse_file)
    assert found(one) == (
        ["ada/04.ipynb"],
        {
            "ben": "a folder that cannot be read (Permission denied)",
            "cyd/04.ipynb": "cannot be read (Permission denied)",
            "pipe.ipynb": "neither a file nor a folder",
        },
    )


def test_what_is_too_large_is_named(one, monkeypatch):
    monkeypatch.setattr(collect, "MOST_BYTES", len(NOTEBOOK))
    put(one, **{"ben.ipynb": NOTEBOOK + " "})
    assert found(one) == (["ada/04.ipynb"], {"ben.ipynb": "larger than 0 MB"})


def test_what_systems_keep_is_not_named_unless_there_is_nothing_else(one):
    litter = ("__MACOSX/._04.ipynb", ".ipynb_checkpoints/04-checkpoint.ipynb", ".DS_Store", "Thumbs.db", "._04.ipynb")
    put(one, **{f"{student}/{name}": "x" for name in litter for student in ("ada", "ben")})
    put(one, **{name: "x" for name in litter})
    (one / "cyd" / "deeper").mkdir(parents=True)
    nothing = "a folder with nothing in it that could be graded"
    assert found(one) == (["ada/04.ipynb"], {"ben": nothing, "cyd": nothing})


def test_folders_that_are_no_hand_in_are_named_once(one):
    put(one, **{f"ada/fedlearn_helpers/{number}.py": "x" for number in range(20)})
    put(one, **{"ada/.venv/x.ipynb": NOTEBOOK, "ada/env/pyvenv.cfg": "", "ada/env/lib/x.ipynb": NOTEBOOK})
    assert found(one)[1] == {
        "ada/.venv": "a hidden folder",
        "ada/env": "an environment of Python",
        "ada/fedlearn_helpers": "a copy of the workbook's package",
    }


def test_grading_may_write_into_or_above_the_folder_of_submissions(one):
    put(one, **{"executed/ada/04.ipynb": NOTEBOOK, "grades.csv": "x", "kept/1.json": NOTEBOOK})
    own = {(one / name).resolve() for name in ("executed", "grades.csv", "kept")}
    assert found(one, own) == (["ada/04.ipynb"], {})
    assert found(one)[0] == ["ada/04.ipynb", "executed/ada/04.ipynb", "kept/1.json"]
    (one / "grades").mkdir()
    assert found(one, own | {(one / "grades" / "kept").resolve()}) == (["ada/04.ipynb"], {})


def test_a_folder_without_notebooks_says_what_it_has(tmp_path):
    put(tmp_path / "in", **{"04.py": "x", "ada/homework.rar": "x"})
    with pytest.raises(InputError) as caught, collect.collect(tmp_path / "in"):
        pytest.fail("there is none")
    assert str(caught.value).endswith(
        "with none; not collected: 04.py (a Python program, no notebook); not collected: ada/homework.rar "
        "(an archive of a kind that is not opened, unlike .zip)"
    )


# Archives ----------------------------------------------------------------------------------


def member(name, *, mode=0o100644, content=NOTEBOOK):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, content


def archive_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in members:
            archive.writestr(info, content)


def test_an_archive_is_opened_whatever_its_name(one):
    put(one, **{"a.zip": zipped(**{"x/04": NOTEBOOK}), "b.ZIP": zipped(x=NOTEBOOK), "c.ipynb": zipped(x=NOTEBOOK)})
    assert found(one) == (["a.zip/x/04", "ada/04.ipynb", "b.ZIP/x", "c.ipynb/x"], {})


@pytest.mark.parametrize("name", ["../04.ipynb", "/etc/04.ipynb", "a/../../04.ipynb", "..\\04.ipynb", "C:\\04.ipynb"])
def test_paths_that_lead_out_of_an_archive_write_nothing(one, name):
    archive_of(one / "b.zip", member(name), member("good.ipynb"))
    before = {str(path) for path in one.parent.rglob("*")}
    notebooks, others = found(one)
    assert notebooks == ["ada/04.ipynb", "b.zip/good.ipynb"]
    assert list(others.values()) == ["its path leads out of the archive"]
    assert {str(path) for path in one.parent.rglob("*")} == before


def test_links_in_an_archive_are_named(one):
    archive_of(one / "b.zip", member("link.ipynb", mode=stat.S_IFLNK | 0o777, content="/etc/passwd"))
    assert found(one) == (["ada/04.ipynb"], {"b.zip/link.ipynb": "a link, which is not followed"})


def test_a_trap_is_not_unpacked(one, monkeypatch):
    archive_of(one / "b.zip", member("bomb.ipynb", content="0" * 5_000_000), member("good.ipynb"))
    read = zipfile.ZipExtFile.read
    sizes = []
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *all_: sizes.append(len(got := read(*all_))) or got)
    notebooks, others = found(one)
    assert notebooks == ["ada/04.ipynb", "b.zip/good.ipynb"]
    assert others == {"b.zip/bomb.ipynb": "packed to less than 1/200 of its size, as no notebook is"}
    assert sum(sizes) <= len(NOTEBOOK.encode())


def test_notebooks_with_long_outputs_are_no_trap(one):
    outputs = "".join(f"step {number}: loss {1 / (number + 1):.6f}\\n" for number in range(50_000))
    archive_of(one / "b.zip", member("04.ipynb", content=NOTEBOOK.replace('"title"', f'"{outputs}"', 1)))
    assert found(one)[0] == ["ada/04.ipynb", "b.zip/04.ipynb"]


def test_no_more_is_unpacked_than_there_is_room_for(one, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 2 * len(NOTEBOOK.encode()))
    archive_of(one / "b.zip", *(member(f"{number}.ipynb") for number in range(3)))
    notebooks, others = found(one)
    assert notebooks == ["ada/04.ipynb", "b.zip/0.ipynb", "b.zip/1.ipynb"]
    assert others == {"b.zip/2.ipynb": "more than 0 MB out of one archive"}


def test_an_archive_with_too_many_files_is_left_out(one, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_FILES", 3)
    archive_of(one / "b.zip", *(member(f"{number}.ipynb") for number in range(4)))
    assert found(one) == (["ada/04.ipynb"], {"b.zip": "an archive with more than 3 files"})


def test_an_archive_in_an_archive_is_named(one):
    put(one, **{"b.zip": zipped(**{"inner.zip": zipped(x=NOTEBOOK), "inner.ipynb": zipped(x=NOTEBOOK)})})
    reason = "an archive in an archive, which is not opened"
    assert found(one) == (["ada/04.ipynb"], {"b.zip/inner.zip": reason, "b.zip/inner.ipynb": reason})


def test_what_is_encrypted_is_named(one):
    content = bytearray(zipped(**{"04.ipynb": NOTEBOOK}))
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + place] |= 1
    put(one, **{"b.zip": bytes(content)})
    assert found(one) == (["ada/04.ipynb"], {"b.zip/04.ipynb": "encrypted"})


def test_what_is_damaged_is_named(one):
    whole = zipped(**{"04.ipynb": NOTEBOOK, "05.ipynb": NOTEBOOK + " "})
    spoilt = bytearray(whole)
    spoilt[60:80] = b"\0" * 20
    unknown = bytearray(whole)
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        unknown[unknown.index(mark) + place] = 99  # a way to pack that nobody knows
    put(one, **{"cut.zip": whole[: len(whole) // 2], "no.zip": "Rar!", "empty.zip": zipped()})
    put(one, **{"spoilt.zip": bytes(spoilt), "unknown.zip": bytes(unknown), "zero.zip": ""})
    notebooks, others = found(one)
    assert notebooks == ["ada/04.ipynb", "spoilt.zip/05.ipynb", "unknown.zip/05.ipynb"]
    for name in ("cut.zip", "no.zip", "zero.zip"):
        assert others.pop(name) == "an archive that cannot be opened (BadZipFile: File is not a zip file)"
    assert others.pop("empty.zip") == "an archive with nothing in it that could be graded"
    assert others.pop("spoilt.zip/04.ipynb").startswith("damaged (")
    assert others.pop("unknown.zip/04.ipynb").startswith("damaged (NotImplementedError")
    assert others == {}


def test_two_files_of_one_name_have_two(one):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive_of(one / "b.zip", member("04.ipynb"), member("04.ipynb"))
    assert found(one)[0] == ["ada/04.ipynb", "b.zip/04.ipynb", "b.zip/04.ipynb (2)"]


def test_many_files_of_an_archive_with_one_reason_are_one_entry(one):
    programs = {f"src/{number}.py": "x" for number in range(6)}
    package = {f"student/fedlearn_helpers/{number}.py": "x" for number in range(30)}
    put(one, **{"b.zip": zipped(**programs, **package, **{"04.ipynb": NOTEBOOK, "a.pdf": "x"})})
    assert found(one) == (
        ["ada/04.ipynb", "b.zip/04.ipynb"],
        {
            "b.zip/a.pdf": "a page, no notebook",
            "b.zip: 6 files": "a Python program, no notebook; one is src/0.py",
            "b.zip: 30 files": "part of a copy of the workbook's package; one is student/fedlearn_helpers/0.py",
        },
    )


def test_what_was_unpacked_is_private_and_removed_at_the_end(one):
    put(one, **{"b.zip": zipped(**{"04.ipynb": NOTEBOOK})})
    with collect.collect(one) as everything:
        copied = everything.notebooks[1].path
        place = next(path for path in copied.parents if path.parent == Path(tempfile.gettempdir()))
        assert place.stat().st_mode & 0o077 == 0 and copied.name == "04.ipynb"
    assert not place.exists()
    with pytest.raises(KeyboardInterrupt), collect.collect(one) as everything:
        copied = everything.notebooks[1].path
        raise KeyboardInterrupt
    assert not copied.exists()


# The command -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_tables_have_a_row_for_each_of_fourteen_folders(workbook, monkeypatch):
    names = ["04.ipynb"] * 5 + ["04.ipynb.txt", "00.IPYNB", "x.ipynb.json", "x.json", "x.zip", "x.py", "x.pdf", "x.rar"]
    contents = {"x.zip": zipped(**{"04.ipynb": NOTEBOOK})} | dict.fromkeys(["x.py", "x.pdf", "x.rar"], "x")
    put(workbook / "in", **{f"s{number:02}/{name}": contents.get(name, NOTEBOOK) for number, name in enumerate(names)})
    (workbook / "in" / "s13").mkdir()

    def grade_all(submissions, *_, **__):
        return [grading.Grade(one.name, "00.1", "two_records", "correct", "") for one in submissions]

    monkeypatch.setattr(grading, "grade_all", grade_all)
    result = CliRunner().invoke(app, ["grade", "in", "--output", "out"])
    assert result.exit_code == 0, result.output
    overview = pd.read_csv("out/overview.csv", dtype=str, keep_default_na=False)
    assert sorted({name.partition("/")[0] for name in overview["submission"]}) == [f"s{n:02}" for n in range(14)]
    table = pd.read_csv("out/grades.csv", dtype=str, keep_default_na=False)
    assert table["status"].tolist() == ["correct"] * 10 + ["not collected"] * 4
    assert table["message"].tolist()[-1] == "a folder with nothing in it that could be graded"
    assert "10 submissions, " in result.output
    assert result.output.splitlines()[-5:] == [
        "4 not collected:",
        "  s10/x.py: a Python program, no notebook",
        "  s11/x.pdf: a page, no notebook",
        "  s12/x.rar: an archive of a kind that is not opened, unlike .zip",
        "  s13: a folder with nothing in it that could be graded",
    ]
    page = Path("out/grades.html").read_text()
    assert "not collected" in page and "s12/x.rar" in page
