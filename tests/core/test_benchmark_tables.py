"""The benchmark's tables say what was measured, and do not say what was not."""

import csv
import io
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import sections
from tables import Column, Table, csv_text, document, markdown


@pytest.fixture
def table():
    columns = [Column("name"), Column("seconds", 1), Column("ratio", 2, "×")]
    return Table("A title", "A note.", columns, [["first", 1234.56, 1.0], ["second", None, "text"]])


def test_markdown(table):
    assert markdown(table).splitlines() == [
        "| name   | seconds | ratio |",
        "| ------ | ------: | ----: |",
        "| first  | 1,234.6 | 1.00× |",
        "| second |       – |  text |",
    ]


def test_csv_has_every_number(table):
    rows = list(csv.DictReader(io.StringIO(csv_text([table], {"cores": "2"}))))
    assert [(row["row"], row["column"], row["value"]) for row in rows] == [
        ("first", "seconds", "1234.56"),
        ("first", "ratio", "1"),
        ("second", "seconds", ""),
        ("second", "ratio", "text"),
        ("cores", "", "2"),
    ]


def test_the_document_has_all_tables_and_facts(table):
    text = document([table], {"cores": "2"})
    assert "## A title\n\nA note.\n\n| name " in text and text.endswith("- cores: 2\n")


def test_what_did_not_run_is_none(table):
    assert table.cell("first", "seconds") == 1234.56
    assert table.cell("second", "seconds") is None
    assert table.cell("third", "seconds") is None


@pytest.mark.parametrize(
    ("value", "kind", "verdict"),
    [
        (1.2, "at most", "yes"),
        (1.21, "at most", "**no**"),
        (1.2, "at least", "yes"),
        (1.19, "at least", "**no**"),
        (None, "at most", "not measured"),
    ],
)
def test_verdicts(value, kind, verdict):
    assert sections._verdict(value, 1.2, kind) == verdict
