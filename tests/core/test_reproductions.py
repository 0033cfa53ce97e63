"""Published experiments: they go on where they were stopped, and show what was published beside what was measured."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "reproductions"))

import niid_bench
import pandas as pd
import personalization
from niid_bench import Results, Run, run_all

from fedlearn_helpers.data import load_dataset

RUNS = [Run("fashion", 1, "fedavg", "iid", 0), Run("fashion", 1, "scaffold", "pathological:2", 0)]


@pytest.fixture(scope="module")
def dataset():
    whole, few = load_dataset("fashion"), slice(0, 300)
    return replace(
        whole,
        train_images=whole.train_images[few],
        train_labels=whole.train_labels[few],
        test_images=whole.test_images[few],
        test_labels=whole.test_labels[few],
    )


def rows(folder):
    with (folder / "niid_bench.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def two_parts(monkeypatch):
    """Keep a run after every round."""
    monkeypatch.setattr(niid_bench, "_PARTS", 2)


@pytest.mark.slow
def test_what_was_stopped_goes_on_with_the_same_numbers(dataset, tmp_path, monkeypatch, two_parts):
    assert run_all(RUNS, 2, dataset, Results(tmp_path / "whole"), tmp_path / "checkpoints", 1e9)

    advance, calls = niid_bench.advance, []

    def stop_at_the_fourth(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(niid_bench, "advance", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run_all(RUNS, 2, dataset, Results(tmp_path / "parts"), tmp_path / "checkpoints", 1e9)
    assert [row["rounds"] for row in rows(tmp_path / "parts")] == ["2", "1"]
    assert run_all(RUNS, 2, dataset, Results(tmp_path / "parts"), tmp_path / "checkpoints", 1e9)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert len(calls) == 5, "what was finished is not repeated"
    assert not list((tmp_path / "checkpoints").iterdir()), "finished runs leave no checkpoint"


def test_runs_of_several_programs_stand_in_one_table(tmp_path):
    one, other = Results(tmp_path), Results(tmp_path)
    one.keep(replace(RUNS[0], rounds=1, final=0.5, best=0.5))
    other.keep(replace(RUNS[1], rounds=1, final=0.4, best=0.4))
    one.keep(replace(RUNS[0], rounds=2, final=0.6, best=0.6))
    assert [(row["algorithm"], row["rounds"]) for row in rows(tmp_path)] == [("fedavg", "2"), ("scaffold", "1")]


def test_it_stops_when_the_time_is_up(dataset, tmp_path, monkeypatch, two_parts):
    monkeypatch.setattr(niid_bench, "advance", lambda run, rounds, *others: replace(run, rounds=rounds, final=0.5))
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(niid_bench.time, "monotonic", lambda: next(clock))
    assert not run_all(RUNS, 2, dataset, Results(tmp_path), tmp_path / "checkpoints", 25)
    assert [row["rounds"] for row in rows(tmp_path)] == ["1"], "the second round would end after the time"


def test_a_run_that_diverged_is_not_tried_again(dataset, tmp_path, monkeypatch):
    def diverge(*arguments, **options):
        raise niid_bench.FaultyReply("not finite")

    monkeypatch.setattr(niid_bench, "federate", diverge)
    assert run_all(RUNS[:1], 4, dataset, Results(tmp_path), tmp_path / "checkpoints", 1e9)
    assert [(row["rounds"], row["final"]) for row in rows(tmp_path)] == [("4", "")]
    assert "| diverged | diverged | 4 |" in (tmp_path / "niid_bench.md").read_text()
    monkeypatch.setattr(niid_bench, "advance", None)
    assert run_all(RUNS[:1], 4, dataset, Results(tmp_path), tmp_path / "checkpoints", 1e9)


def test_published_numbers_stand_beside_ours():
    runs = [Run("cifar10", 10, "fedavg", "dirichlet:0.5", seed, 50, 0.6, 0.6 + seed / 100) for seed in (0, 2)]
    line = niid_bench.markdown(runs).splitlines()[-1]
    assert line == ("| cifar10 | fedavg | Dirichlet 0.5 | 68.2 | 62.5 | 60.0 ± 0.0 | 61.0 ± 1.4 | 50 | 10 | 0, 2 |")
    for by_partition in niid_bench.PUBLISHED.values():
        assert sorted(by_partition) == sorted(niid_bench.PARTITIONS)


def test_pfllibs_numbers_stand_beside_ours():
    means = pd.DataFrame({"pathological:2": {"global": 0.5, "local only": 0.75}})
    table = personalization.table_of(means)
    assert table.loc["global", ["pathological:2", "PFLlib pathological:2"]].tolist() == [50.0, 80.4]
    assert table.loc["local only", "PFLlib pathological:2"] != table.loc["local only", "PFLlib pathological:2"]
    assert set(personalization.PUBLISHED["PFLlib dirichlet:0.1"]) <= set(personalization.METHODS)
