"""The claim cards: every command is one that runs today, and numbers are those of the pages that they name."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from fedlearn_helpers.decision import CARDS
from fedlearn_helpers.decision.cards import THIS_COMMAND
from workbook_tools import cli
from workbook_tools.commands.arguments import parse_parameters
from workbook_tools.execution.notebooks import choose, refuse_unknown

ROOT = Path(__file__).parents[2]
PROGRAM = typer.main.get_command(cli.app)
by_claim = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.claim[:40])


class Compared(Exception):
    """Raised in place of a comparison that would take minutes."""


def dry_run(command, monkeypatch):
    """Do all that a command does before it trains; return what it would run."""
    program, name, *arguments = shlex.split(command)
    assert program == "fedlearn"
    context = PROGRAM.commands[name].make_context(name, list(arguments))  # refuses unknown options
    if name == "compare":

        def stop(comparison, dataset, **options):
            raise Compared(comparison)

        monkeypatch.setattr("fedlearn_helpers.experiments.compare", stop)
        monkeypatch.setattr("workbook_tools.commands.compare.check_output", lambda output: None)
        with pytest.raises(Compared) as caught:
            PROGRAM.commands[name].invoke(context)
        return caught.value.args[0]
    assert name == "run"
    paths = choose(ROOT / "notebooks", context.params["notebooks"])
    parameters = parse_parameters(context.params["parameter"] or [])
    refuse_unknown(paths, list(parameters))
    for path in paths:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        (source,) = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
        values = {}
        exec(source, values)
        lesson = import_module(f"fedlearn_helpers.lessons.{path.stem.partition('_')[2]}.parameters")
        return lesson.check_parameters(values | parameters)


@by_claim
def test_the_command_can_run(card, monkeypatch):
    assert dry_run(card.command, monkeypatch)
    assert 0 < card.minutes <= 20


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("fedlearn compare --strategie fedavg", "No such option"),
        ("fedlearn compare --strategies fedbest", "strategy must be"),
        ("fedlearn compare -s fedprox.mu=-1 --strategies fedprox", "mu"),
        ("fedlearn run 07 -p seeds=5", "seeds"),
        ("fedlearn run 09 -p num_attackers=3", "num_attackers"),
        ("fedlearn run 77", "77"),
    ],
)
def test_a_command_that_cannot_run_is_found(command, error, monkeypatch, capsys):
    with pytest.raises(BaseException) as caught:  # noqa: B017 - click's, typer's, SystemExit or InputError
        dry_run(command, monkeypatch)
    assert not isinstance(caught.value, AssertionError)
    assert error in f"{getattr(caught.value, 'message', caught.value)} {capsys.readouterr()}"


@by_claim
def test_numbers_are_those_of_the_page_that_is_named(card):
    if card.evidence == THIS_COMMAND:
        return
    page = (ROOT / card.evidence).read_text(encoding="utf-8")
    numbers = re.findall(r"\d+(?:\.\d+)? ± \d+(?:\.\d+)?|\d+\.\d+", card.found)
    assert numbers
    assert [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", page)] == []


def test_there_are_twelve_and_each_has_a_source():
    assert len({card.claim for card in CARDS}) == len(CARDS) == 12
    for card in CARDS:
        assert "https://" in card.source and card.metric and card.expect and card.found
