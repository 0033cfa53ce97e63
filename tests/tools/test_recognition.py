"""Which notebook a submission is a copy of, and that answers count whatever became of other cells."""

import copy
import json
from pathlib import Path

import nbformat
import pytest

from fedlearn_helpers.errors import InputError
from workbook_tools.grading.grade import originals
from workbook_tools.grading.recognition import recognize
from workbook_tools.grading.submission import merge

FOLDER = Path(__file__).parents[2] / "notebooks"
ORIGINALS = originals(FOLDER)
ANSWER = 'prediction = "B"  # mine'
IMPORT = "from fedlearn_helpers.lessons.start_here import "


def notebook(lesson="start_here"):
    return nbformat.read(ORIGINALS[lesson], as_version=4)


def cell_of(of, name):
    return next(cell for cell in of.cells if cell.id == name)


def answered():
    handed_in = notebook()
    cell_of(handed_in, "exercise-two-records-answer").source = ANSWER
    return handed_in


def code(of):
    return [cell for cell in of.cells if cell.cell_type == "code"]


def imports(of):
    cell = cell_of(of, "check-parameters")
    assert IMPORT in cell.source
    return cell


def delete(of):
    of.cells.remove(imports(of))


def replace_import(by):
    def change(of):
        imports(of).source = by

    return change


def indent(of):
    imports(of).source = "\n".join(f"    {line}" for line in imports(of).source.splitlines())


def as_markdown(of):
    imports(of).cell_type = "markdown"


CHANGES = {
    "cell deleted": delete,
    "emptied": replace_import(""),
    "comment": replace_import("from fedlearn_helpers.lessons.start_here import exercises  # tests"),
    "other form": replace_import("import fedlearn_helpers.lessons.start_here.exercises as exercises"),
    "of 0.1, other form": replace_import("import fedlearn_helpers.exercises.start_here as exercises"),
    "under another name": replace_import("from fedlearn_helpers.lessons.start_here import exercises as ex"),
    "star": replace_import("from fedlearn_helpers.lessons.start_here import *"),
    "indented": indent,
    "no Python": replace_import("from fedlearn_helpers.lessons.start_here import ("),
    "markdown": as_markdown,
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_one_changed_cell_costs_no_points(tmp_path, change):
    handed_in = answered()
    change(handed_in)
    (tmp_path / "hand-in.ipynb").write_text(json.dumps(handed_in))
    merged = merge(tmp_path / "hand-in.ipynb", ORIGINALS, "token")
    assert merged.original == ORIGINALS["start_here"] and merged.doubt == ""
    assert cell_of(merged.notebook, "exercise-two-records-answer").source == ANSWER
    assert merged.missing == set()
    assert imports(merged.notebook).source == imports(notebook()).source, "ours is executed"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_and_line_ends_cost_no_points(tmp_path, encoding, end):
    handed_in = answered()
    for cell in handed_in.cells:
        cell.source = cell.source.replace("\n", end)
    text = json.dumps(handed_in, ensure_ascii=False, indent=1).replace("\n", end)
    (tmp_path / "x.ipynb").write_bytes(text.encode(encoding, errors="replace"))
    merged = merge(tmp_path / "x.ipynb", ORIGINALS, "token")
    assert cell_of(merged.notebook, "exercise-two-records-answer").source == ANSWER
    assert merged.missing == set() and merged.doubt == ""
    assert merged.changed == [] or encoding == "latin-1", "it has no arrows and no dashes"


@pytest.mark.slow
@pytest.mark.parametrize("lesson", ORIGINALS)
@pytest.mark.parametrize("place", ["id", "metadata", "none"])
def test_every_notebook_is_known_by_ids_and_without_them_by_its_checks(lesson, place):
    cells = code(notebook(lesson))
    for cell in cells:
        own = cell.pop("id")
        if place == "id":
            cell["id"] = own
        elif place == "metadata":
            cell.metadata["id"] = own
    found = recognize("x.ipynb", cells, ORIGINALS)
    assert (found.lesson, found.doubt) == (lesson, "")


@pytest.mark.parametrize(
    "form", ["ex.two_records.check(answer)", "# exercises.two_records.check(p", "two_records .check("]
)
def test_a_check_is_known_in_any_form(form):
    cells = [nbformat.v4.new_code_cell("%%time\n" + form)]
    assert recognize("04.ipynb", cells, ORIGINALS).lesson == "start_here", "it counts more than the file's name"


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("04.ipynb", "non_iid_data"),
        ("04 (1).ipynb", "non_iid_data"),
        ("Ada_Lovelace-04.IPYNB", "non_iid_data"),
        ("homework04.ipynb.txt", "non_iid_data"),
        ("Non-IID Data, 2024-03-02.ipynb", "non_iid_data"),
        ("00_start_here-Copy1.ipynb", "start_here"),
        ("2006_personalization.ipynb", "personalization"),
    ],
)
def test_where_nothing_else_tells_the_files_name_does(name, lesson):
    found = recognize(name, [nbformat.v4.new_code_cell("x = 1")], ORIGINALS)
    assert found.lesson == lesson
    assert found.doubt == f"taken for {ORIGINALS[lesson].name} by its file's name alone"


@pytest.mark.parametrize("name", ["one.ipynb", "2004.ipynb", "41.ipynb", "99_mine.ipynb", "project.ipynb"])
def test_what_nothing_tells_is_one_sentence(name):
    with pytest.raises(InputError, match=f"^{name} must be one of the workbook's notebooks, got no cell"):
        recognize(name, [nbformat.v4.new_code_cell("x = 1", id="parameters")], ORIGINALS)


def test_of_two_notebooks_in_one_the_larger_part_counts_and_the_other_is_named(tmp_path):
    handed_in, other = answered(), notebook("federated_averaging")
    handed_in.cells += copy.deepcopy(other.cells[:12])
    (tmp_path / "02.ipynb").write_text(json.dumps(handed_in))
    merged = merge(tmp_path / "02.ipynb", ORIGINALS, "token")
    assert merged.original == ORIGINALS["start_here"]
    assert merged.doubt == "taken for 00_start_here.ipynb, though it has cells of 02_federated_averaging.ipynb"
    assert cell_of(merged.notebook, "exercise-two-records-answer").source == ANSWER


def test_cells_that_were_pasted_from_another_notebook_are_named_too():
    cells = code(notebook()) + [nbformat.v4.new_code_cell("exercises.models_sent.check(prediction)")]
    found = recognize("x.ipynb", cells, ORIGINALS)
    assert found.lesson == "start_here" and "02_federated_averaging.ipynb" in found.doubt
