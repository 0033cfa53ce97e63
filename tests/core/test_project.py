"""A project's folder: written once, recorded run by run, checked; and projects side by side."""

import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pytest
from made_projects import CLIENTS, MAIN, SECOND, edit, forge, good_project, per_client, plan, poor_project, record_all

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import ComparisonTables
from fedlearn_helpers.project import Project, leaderboard, write_leaderboard
from fedlearn_helpers.project.checks import CHECKS
from fedlearn_helpers.project.reading import LARGEST_FILE, MOST_RECORDS, plan_digest, read_project

RUN = {"rounds": 10, "num_bytes": 1000}


def states(project):
    table = project.check()
    assert table["check"].tolist() == list(CHECKS) and set(table["state"]) <= {"done", "missing", "wrong"}
    assert all(10 < len(sentence) < 400 and "\n" not in sentence for sentence in table["sentence"])
    return dict(zip(table["check"], table["state"], strict=True))


def sentence_of(project, check):
    return project.check().set_index("check").loc[check, "sentence"]


def test_all_is_done_in_a_good_project(tmp_path):
    project = good_project(tmp_path)
    assert set(states(project).values()) == {"done"}, project.check()
    said = sentence_of(project, "differences")
    assert said == "scaffold less fedavg is +0.041 ± 0.001 over 3 seeds; predicted was +0.05"
    south = [np.mean([per_client(seed, gain * (0.04 + 0.001 * seed))["south"] for seed in range(3)]) for gain in (0, 1)]
    worst = f"worst off is 'south' with {south[0]:.4g} under fedavg and 'south' with {south[1]:.4g} under scaffold"
    assert sentence_of(project, "clients") == worst
    assert "there the claim is undecided" in sentence_of(project, "second setting")


def test_a_new_project_has_a_plan_and_nothing_else(tmp_path):
    found = states(Project(tmp_path / "new", plan()))
    assert found.pop("plan first") == "done" and set(found.values()) == {"missing"}


# The plan --------------------------------------------------------------------------------


def test_the_plan_is_written_once_and_opened_again(tmp_path):
    first = Project(tmp_path, plan())
    before = (tmp_path / "plan.json").read_bytes()
    for again in (Project(tmp_path, plan()), Project(str(tmp_path))):
        assert again.plan == first.plan and again.code == first.code and len(again.code) == 32
    assert (tmp_path / "plan.json").read_bytes() == before


def test_another_prediction_is_refused(tmp_path):
    Project(tmp_path, plan())
    with pytest.raises(
        InputError, match="^plan must be the one .* got another predicted_difference: 0.01 in place of 0.05"
    ):
        Project(tmp_path, plan(predicted_difference=0.01))
    assert Project(tmp_path).plan == plan()


def test_a_prediction_that_was_changed_in_the_file_is_found(tmp_path):
    project = good_project(tmp_path)
    edit(tmp_path / "plan.json", lambda content: content["plan"].update(predicted_difference=0.04))
    assert states(project)["plan first"] == "wrong"
    assert sentence_of(project, "plan first") == "plan.json was changed after it was written (and 1 more)"
    with pytest.raises(InputError, match="^the project's files must be as they were written: plan.json was changed"):
        Project(tmp_path)
    with pytest.raises(InputError, match="plan.json was changed"):
        project.record(MAIN, "fedavg", 9, per_client(9, 0), **RUN)


def test_a_plan_written_anew_does_not_fit_the_records(tmp_path):
    project = good_project(tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(InputError, match="^folder must have no results before its plan"):
        Project(tmp_path, plan(predicted_difference=0.04))
    Project(tmp_path / "other", plan(predicted_difference=0.04))
    os.replace(tmp_path / "other" / "plan.json", tmp_path / "plan.json")
    assert states(project)["plan first"] == "wrong"
    assert "results.json was recorded under another plan" in sentence_of(project, "plan first")


def test_a_plan_changed_with_both_of_its_hashes_does_not_fit_the_first_record(tmp_path):
    project = good_project(tmp_path)

    def change(content):
        content["plan"]["predicted_difference"] = 0.04
        content["sha256"] = plan_digest(plan(predicted_difference=0.04), content["written"])

    edit(tmp_path / "plan.json", change)
    sha256 = json.loads((tmp_path / "plan.json").read_text())["sha256"]
    edit(tmp_path / "results.json", lambda content: content.update(plan_sha256=sha256))
    assert states(project)["plan first"] == "wrong" and states(project)["numbers"] == "wrong"
    said = "record 1 does not follow from plan.json: the plan was changed after it, or that record was"
    assert sentence_of(project, "plan first") == said
    edit(tmp_path / "results.json", set_in_record(0, mean=0.9))
    assert sentence_of(project, "plan first") == said, "a first record that is broken for another reason shows no more"


def test_no_plan_at_all(tmp_path):
    with pytest.raises(InputError, match="^plan must be a Plan, got None, and there is no plan.json"):
        Project(tmp_path)


# Records ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"setting": "elsewhere"}, "^setting must be 'many kinds of wind', 'one kind of wind', got 'elsewhere'"),
        (
            {"algorithm": "fedprox"},
            "^algorithm must be 'fedavg', 'scaffold', 'local only', 'centralized', got 'fedprox'",
        ),
        ({"seed": -1}, "^seed must be a whole number >= 0"),
        ({"seed": 10**30}, "^seed must be at most"),
        ({"per_client": {}}, "^per_client must have a number for each client"),
        ({"per_client": 0.5}, "^per_client must have a number for each client"),
        ({"per_client": [0.5, math.nan]}, "^per_client of '1' must be a finite number"),
        ({"per_client": [0.5, math.inf]}, "^per_client of '1' must be a finite number"),
        ({"per_client": [0.5, "good"]}, "^per_client of '1' must be a finite number"),
        (
            {"per_client": {1: 0.1, "1": 0.9, 2: 0.5}},
            "^per_client must have names that differ as text, got .1, '1', 2.$",
        ),
        ({"per_client": {"Zürich": 0.1, "Zu\u0308rich": 0.9}}, "^per_client must have names that differ as text"),
        ({"per_client": {"=cmd": 1}}, "^a client of per_client must be a name"),
        ({"per_client": [0.5, 0.6]}, "^fedavg in .* must have the same clients as fedavg in .* seed 0"),
        ({"seed": 0, "per_client": dict.fromkeys(CLIENTS, 0.1)}, "with seed 0 is there already, with other numbers"),
        ({"rounds": 1.5}, "^rounds must be a whole number"),
        ({"num_bytes": -1}, "^bytes must be a whole number"),
        ({"seconds": math.nan}, "^seconds must be >= 0"),
    ],
)
def test_a_record_that_cannot_be_is_refused_and_nothing_is_written(tmp_path, changed, sentence):
    project = Project(tmp_path, plan())
    project.record(MAIN, "fedavg", 0, per_client(0, 0), **RUN)
    before = (tmp_path / "results.json").read_bytes()
    given = {"setting": MAIN, "algorithm": "fedavg", "seed": 1, "per_client": per_client(1, 0), "seconds": 1.0, **RUN}
    with pytest.raises(InputError, match=sentence):
        project.record(**(given | changed))
    assert (tmp_path / "results.json").read_bytes() == before
    project.record(**given)
    assert (tmp_path / "results.json").read_bytes() != before


def test_the_same_run_again_changes_nothing_and_arrays_are_taken(tmp_path):
    project = Project(tmp_path, plan())
    for seconds in (1.0, 2.0):
        project.record(MAIN, "fedavg", np.int64(3), np.array([0.1, 0.4], dtype=np.float32), seconds=seconds, **RUN)
    (row,) = json.loads((tmp_path / "results.json").read_text())["records"]
    assert row["per_client"] == {"0": pytest.approx(0.1), "1": pytest.approx(0.4)} and row["seed"] == 3
    assert row["mean"] == pytest.approx(0.25) and row["seconds"] == 1.0


def test_names_are_the_same_however_a_system_writes_an_umlaut(tmp_path):
    project = Project(tmp_path, plan(settings=("Zürich",), algorithms=("fedavg", "grün")))
    for setting, algorithm, client in (("Zürich", "grün", "Süd"), ("Zu\u0308rich", "gru\u0308n", "Su\u0308d")):
        project.record(setting, algorithm, 0, {client: 0.5}, **RUN)
    (record,) = read_project(tmp_path).records
    assert (record.setting, record.algorithm, *record.per_client) == ("Zürich", "grün", "Süd")


def tables(changed=lambda clients: None, rounds=10):
    """Both seeds of fedavg and of a reference line, which has no rounds; the third client took no part in training."""
    clients = pd.DataFrame(
        {"algorithm": algorithm, "scenario": MAIN, "seed": seed, "client": client, "unseen": client == 2}
        | {"accuracy": 0.1 * client + 0.01 * seed, "megabytes": 0.0 if algorithm == "local only" else 1.5}
        for algorithm in ("local only", "fedavg")
        for seed in (0, 1)
        for client in range(3)
    )
    changed(clients)
    by_round = pd.DataFrame(
        {"algorithm": "fedavg", "scenario": MAIN, "seed": seed, "round": number, "test_accuracy": 0.5}
        for seed in (0, 1)
        for number in range(rounds + (seed == 0 and rounds < 10) + 1)
    )
    return ComparisonTables(pd.DataFrame(), clients, by_round)


def test_tables_of_a_comparison_are_recorded_without_unseen_clients(tmp_path):
    project = Project(tmp_path, plan())
    project.record_tables(tables(), rounds=10)
    found = {(record.algorithm, record.seed): record for record in read_project(tmp_path).records}
    assert len(found) == 4 and set(found["fedavg", 1].per_client) == {"0", "1"}
    assert found["fedavg", 1].mean == pytest.approx(0.06)
    assert (found["fedavg", 0].rounds, found["fedavg", 0].bytes) == (10, 1_500_000)
    assert (found["local only", 0].rounds, found["local only", 0].bytes) == (0, 0)


@pytest.mark.parametrize("clients_without", [2, 1])
def test_a_run_that_diverged_is_left_out_and_named_and_the_others_are_recorded(tmp_path, capsys, clients_without):
    def diverge(clients):
        clients.loc[6 : 5 + clients_without, ["accuracy", "megabytes"]] = math.nan

    Project(tmp_path, plan()).record_tables(tables(diverge), rounds=10)
    kept = [(record.algorithm, record.seed) for record in read_project(tmp_path).records]
    assert kept == [("local only", 0), ("local only", 1), ("fedavg", 1)]
    said = f"fedavg in {MAIN!r} with seed 0 has no accuracy of {clients_without} of 2 clients"
    assert capsys.readouterr().out == f"Not recorded: {said}.\n"


def test_bytes_that_nobody_counted_are_not_taken_for_none(tmp_path):
    def uncounted(clients):
        clients.loc[6:8, "megabytes"] = math.nan

    with pytest.raises(
        InputError, match="^megabytes of fedavg in .* with seed 0 must be a finite number >= 0, got nan"
    ):
        Project(tmp_path, plan()).record_tables(tables(uncounted), rounds=10)
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("metric", [{"metric": "loss"}, {"higher_is_better": False, "predicted_difference": -0.05}])
def test_tables_have_accuracy_and_no_other_metric(tmp_path, metric):
    with pytest.raises(InputError, match="^tables must have the plan's metric, and they have accuracy, where higher"):
        Project(tmp_path / "a", plan(**metric)).record_tables(tables(), rounds=10)
    assert not (tmp_path / "a" / "results.json").exists()
    Project(tmp_path / "b", plan(metric="Balanced Accuracy")).record_tables(tables(), rounds=10)


@pytest.mark.parametrize(("ran", "told", "first_wrong"), [(10, 20, 10), (2, 10, 3), (2, 3, 2)])
def test_rounds_are_those_of_the_tables(tmp_path, ran, told, first_wrong):
    """Where fewer than ten ran, the run with seed 0 had one more."""
    with pytest.raises(InputError, match=f"^rounds must be {first_wrong}, as in the tables for fedavg .*, got {told}"):
        Project(tmp_path, plan()).record_tables(tables(rounds=ran), rounds=told)
    assert not (tmp_path / "results.json").exists()


def test_what_is_written_can_be_read_again(tmp_path, monkeypatch):
    for module in ("project", "reading"):
        monkeypatch.setattr(f"fedlearn_helpers.project.{module}.LARGEST_FILE", 5000)
    project = Project(tmp_path, plan())
    project.record(MAIN, "fedavg", 0, [0.5] * 130, **RUN)
    before = (tmp_path / "results.json").read_bytes()
    assert 2500 < len(before) < 5000
    with pytest.raises(InputError, match="^results.json must have at most 5000 bytes, and would have [56][0-9]{3}$"):
        project.record(MAIN, "fedavg", 1, [0.5] * 130, **RUN)
    assert (tmp_path / "results.json").read_bytes() == before and states(project)["numbers"] == "done"


def test_as_many_records_as_there_may_be_fit_with_fifty_clients(tmp_path):
    project = Project(tmp_path, plan())
    project.record(MAIN, "fedavg", 10_000, [1 / 3] * 50, rounds=1000, num_bytes=10**9, seconds=1234.5678)
    assert (tmp_path / "results.json").stat().st_size * MOST_RECORDS < LARGEST_FILE


def test_the_code_of_the_last_record_tells_later_what_was_there(tmp_path):
    """Removing records from the end is no fault of the file that is left."""
    project = good_project(tmp_path)
    told, code = sentence_of(project, "numbers"), read_project(tmp_path).last_code
    assert told.startswith("18 records, finite") and told.endswith(f": {code}") and len(code) == 32
    assert json.loads((tmp_path / "results.json").read_text())["records"][17]["sha256"].startswith(code)
    edit(tmp_path / "results.json", lambda content: content["records"].pop())
    assert "at its time 18, and now there are 17; conclude anew" in sentence_of(project, "conclusion")
    project.record(SECOND, "scaffold", 2, per_client(2, 0.3), **RUN)
    assert "at its time 18, and now there are 18; conclude anew" in sentence_of(project, "conclusion")
    now = sentence_of(project, "numbers")
    assert states(project)["numbers"] == "done" and now.startswith("18 records, finite") and code not in now


def test_two_who_record_at_the_same_time_lose_nothing(tmp_path):
    def record(algorithm):
        project = Project(tmp_path, plan())
        for seed in range(8):
            project.record(MAIN, algorithm, seed, per_client(seed, 0), **RUN)
        return project.code

    with ThreadPoolExecutor(4) as pool:
        codes = set(pool.map(record, ("fedavg", "scaffold", "local only", "centralized")))
    found = read_project(tmp_path)
    assert len(found.records) == 32 and not found.faults and codes == {found.code}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "results.json"]


def test_a_lock_that_was_left_behind_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("fedlearn_helpers.project.lock._SECONDS_TO_WAIT", 0.05)
    project = Project(tmp_path, plan())
    record = partial(project.record, MAIN, "fedavg", 0, per_client(0, 0), **RUN)
    lock = tmp_path / ".project.lock"
    lock.write_text(f"{os.getpid()}\nanother-machine\n")  # nobody can tell from here whether it still runs
    with pytest.raises(InputError, match="^folder must be written by one program at a time, got one with .*lock'"):
        record()
    lock.unlink()
    record()
    with pytest.raises(InputError, match="with other numbers"):
        project.record(MAIN, "fedavg", 0, per_client(0, 1), **RUN)
    assert not lock.exists() and len(read_project(tmp_path).records) == 1


def test_a_lock_whose_program_was_killed_is_taken_away(tmp_path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from fedlearn_helpers.project.lock import one_at_a_time\n"
        "with one_at_a_time(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    lock = tmp_path / ".project.lock"
    killed = subprocess.run([sys.executable, "-c", program, str(lock)])
    assert killed.returncode == -signal.SIGKILL and lock.exists()
    Project(tmp_path, plan()).record(MAIN, "fedavg", 0, per_client(0, 0), **RUN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "results.json"]


# Files that somebody has touched ------------------------------------------------------------


def set_in_record(number, **changed):
    return lambda content: content["records"][number].update(changed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_in_record(1, bytes=7), "record 2: centralized in .* was changed after it was recorded"),
        (set_in_record(1, mean=0.99), "record 2: centralized .* has the mean 0.99, and that of its clients is 0.75"),
        (set_in_record(1, mean=math.nan), "record 2: centralized .* has the mean nan"),
        (set_in_record(1, mean=10**400), "record 2: centralized .* has the mean 1000"),
        (
            set_in_record(1, per_client=dict.fromkeys(CLIENTS, math.nan)),
            "record 2: per_client of 'north' must be a finite",
        ),
        (
            set_in_record(1, per_client=dict.fromkeys(CLIENTS, True), mean=1.0),
            "record 2: per_client of 'north' must be a finite",
        ),
        (set_in_record(1, seed=0.5), "record 2: seed must be a whole number"),
        (set_in_record(1, setting="x" * 100_000), "record 2: setting must be a name"),
        (set_in_record(1, algorithm=["fedavg"]), "record 2: algorithm must be a name"),
        (set_in_record(1, seconds=10**4000), "record 2: seconds must be >= 0"),
        (set_in_record(1, recorded="yesterday"), "record 2: a time must look like"),
        (set_in_record(1, recorded="2026-02-31T00:00:00+00:00"), "record 2: a time must look like"),
        (set_in_record(1, sha256=None), "record 2: .* was changed.* [(]and 1 more[)]"),
        (set_in_record(1, more=1), "record 2: a record must have exactly setting"),
        (lambda content: content["records"].__setitem__(1, "x"), "record 2: a record must have exactly .*"),
        (
            lambda content: content["records"].pop(1),
            "record 2: .* was changed after it was recorded, or the record before",
        ),
        (
            lambda content: (content["records"].append(dict(content["records"][0])), forge(content)),
            "record 19: .* is there al",
        ),
        (lambda content: content.update(records=[0] * 2001), "results.json cannot be used: it must have at most 2000"),
        (lambda content: content.update(records=3), "results.json cannot be used: records must be a list"),
    ],
)
def test_records_that_were_changed_are_named_and_do_not_count(tmp_path, change, sentence):
    project = good_project(tmp_path)
    edit(tmp_path / "results.json", change)
    assert states(project)["numbers"] == "wrong"
    assert pd.Series([sentence_of(project, "numbers")]).str.match(sentence).all(), sentence_of(project, "numbers")


def test_a_mean_that_contradicts_its_clients_is_found_even_with_all_hashes_written_anew(tmp_path):
    project = good_project(tmp_path)
    edit(tmp_path / "results.json", lambda content: (set_in_record(3, mean=0.9)(content), forge(content)))
    assert "has the mean 0.9, and that of its clients is" in sentence_of(project, "numbers")
    assert len(read_project(tmp_path).records) == 17


def test_runs_older_than_the_plan_are_found(tmp_path):
    project = good_project(tmp_path)
    old = set_in_record(0, recorded="2020-01-01T00:00:00+00:00")
    edit(tmp_path / "results.json", lambda content: (old(content), forge(content)))
    assert states(project)["plan first"] == "wrong" and states(project)["numbers"] == "done"
    assert "record 1 (local only in 'many kinds of wind' with seed 0) is of 2020-01-01" in sentence_of(
        project, "plan first"
    )


def test_times_that_are_still_to_come_are_found(tmp_path):
    project = good_project(tmp_path)
    later = set_in_record(17, recorded="2099-01-01T00:00:00+00:00")
    edit(tmp_path / "results.json", lambda content: (later(content), forge(content)))
    assert states(project)["numbers"] == "wrong" and states(project)["plan first"] == "done"
    said = f"record 18: scaffold in {SECOND!r} with seed 2 is of 2099-01-01T00:00:00+00:00, which is still to come"
    assert sentence_of(project, "numbers") == said and len(read_project(tmp_path).records) == 17
    (tmp_path / "results.json").unlink()

    def change(content):
        content["written"] = "2099-01-01T00:00:00+00:00"
        content["sha256"] = plan_digest(plan(), content["written"])

    edit(tmp_path / "plan.json", change)
    assert sentence_of(project, "plan first") == "plan.json is of 2099-01-01T00:00:00+00:00, which is still to come"


def test_a_mark_that_an_editor_puts_first_changes_nothing(tmp_path):
    project = good_project(tmp_path)
    for path in tmp_path.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert set(states(project).values()) == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plan.json", "results.json", "conclusion.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"a": NaN}',
        b"[" * 200_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
    ]
    + [b" " * (LARGEST_FILE + 1)],
    ids=["empty", "half", "list", "nothing", "no text", "nan", "deep", "digits", "twice", "huge"],
)
def test_broken_files_are_named_in_one_sentence(tmp_path, name, content):
    project = good_project(tmp_path)
    (tmp_path / name).write_bytes(content)
    faults = read_project(tmp_path).faults_of(name)
    assert faults and faults[0].startswith(f"{name} cannot be used: it must ") or "is there twice" in faults[0]
    assert "wrong" in states(project).values()


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_plain_file_is_not_read(tmp_path, kind):
    project = good_project(tmp_path / "project")
    path = tmp_path / "project" / "results.json"
    os.replace(path, tmp_path / "elsewhere.json")
    {
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path / "elsewhere.json"),
        "pipe": lambda: os.mkfifo(path),
    }[kind]()
    assert states(project)["numbers"] == "wrong"
    assert "must be a plain file" in sentence_of(project, "numbers")


# Checks, each made to fail alone ----------------------------------------------------------------


def test_checks_of_a_poor_project(tmp_path):
    project = poor_project(tmp_path)
    assert states(project) == {
        "plan first": "wrong",
        "local only": "missing",
        "centralized": "missing",
        "seeds": "wrong",
        "differences": "missing",
        "clients": "missing",
        "budget": "wrong",
        "numbers": "done",
        "second setting": "missing",
        "conclusion": "wrong",
        "limits": "missing",
    }
    assert sentence_of(project, "seeds") == "3 seeds of each are needed, and fedavg has 0, scaffold has 1"
    assert "it says confirmed, on 0 paired seeds: 3 are needed" in sentence_of(project, "conclusion")


@pytest.mark.parametrize("gain", [0.04, -0.04])
@pytest.mark.parametrize("outcome", ["confirmed", "refuted", "undecided"])
def test_a_conclusion_agrees_with_the_numbers_or_is_wrong(tmp_path, gain, outcome):
    project = good_project(tmp_path, gain, outcome)
    right = outcome == ("confirmed" if gain > 0 else "refuted")
    assert states(project)["conclusion"] == ("done" if right else "wrong")
    assert {state for check, state in states(project).items() if check != "conclusion"} == {"done"}
    if not right:
        assert f"it says {outcome}, and by {gain + 0.001:+.4g}" in sentence_of(project, "conclusion")


def test_undecided_counts_where_nothing_is_clear_and_not_where_nothing_was_measured(tmp_path):
    assert states(good_project(tmp_path / "a", gain=-0.001, outcome="undecided"))["conclusion"] == "done"
    lazy = Project(tmp_path / "b", plan())
    record_all(lazy, 0.04, seeds=(0, 1))
    lazy.conclude("undecided", "Who could tell that?")
    assert states(lazy)["conclusion"] == "wrong" and states(lazy)["seeds"] == "wrong"
    assert sentence_of(lazy, "second setting").endswith("over 2 seeds: 3 seeds are needed")


def test_seeds_that_decide_nothing_are_noticed(tmp_path):
    project = Project(tmp_path, plan())
    for seed in range(3):
        for number, algorithm in enumerate(plan().algorithms):
            project.record(MAIN, algorithm, seed, per_client(0, 0.1 * number), **RUN)
    assert states(project)["differences"] == "wrong" and states(project)["seeds"] == "done"
    assert "the same with every seed" in sentence_of(project, "differences")


def test_seeds_of_one_of_the_two_are_named(tmp_path):
    """Seeds of scaffold that came out badly are left out."""
    project = good_project(tmp_path)
    for seed in range(3, 10):
        project.record(MAIN, "fedavg", seed, per_client(seed, 0), **RUN)
    project.record(SECOND, "scaffold", 4, per_client(4, 0), **RUN)
    assert states(project) == dict.fromkeys(CHECKS, "done") | {"conclusion": "wrong"}
    named = "predicted was +0.05; seeds 3, 4, 5, 6, 7 and 2 more with fedavg only: ask why"
    assert sentence_of(project, "differences").endswith(named)
    assert sentence_of(project, "second setting").endswith("undecided; seed 4 with scaffold only: ask why")


def test_a_copy_of_the_first_setting_is_no_second_one(tmp_path):
    project = Project(tmp_path, plan())
    for seed in range(3):
        for gain, algorithm in enumerate(plan().algorithms):
            numbers = per_client(seed, 0.01 * gain)
            project.record(MAIN, algorithm, seed, numbers, **RUN)
            others = dict(zip(("a", "b", "c"), reversed(numbers.values()), strict=True))
            project.record(SECOND, algorithm, 7 + seed, others, **RUN)
    assert states(project)["second setting"] == "wrong"
    assert sentence_of(project, "second setting") == f"{SECOND!r} has the numbers of {MAIN!r}, client by client"
    project.record(SECOND, "fedavg", 0, {"a": 0.1, "b": 0.2, "c": 0.3}, **RUN)
    assert states(project)["second setting"] == "done"


def test_one_client_is_not_every_client(tmp_path):
    project = Project(tmp_path, plan())
    project.record(MAIN, "fedavg", 0, {"all": 0.5}, **RUN)
    assert states(project)["clients"] == "wrong"


@pytest.mark.parametrize(
    ("unit", "rounds", "num_bytes", "state"),
    [
        ("rounds", 10, 5, "done"),
        ("rounds", 11, 5, "wrong"),
        ("rounds", 9, 5, "wrong"),
        ("bytes", 4, 100, "done"),
        ("bytes", 4, 81, "done"),  # 20.25 more would not fit
        ("bytes", 4, 80, "wrong"),
        ("bytes", 4, 101, "wrong"),
        ("bytes", 0, 100, "wrong"),
    ],
)
def test_the_budget_is_used_and_kept(tmp_path, unit, rounds, num_bytes, state):
    project = Project(tmp_path, plan(budget_unit=unit, budget=10 if unit == "rounds" else 100))
    project.record(MAIN, "centralized", 0, per_client(0, 0), rounds=0, num_bytes=0)
    assert states(project)["budget"] == "missing", "reference lines have none"
    project.record(MAIN, "fedavg", 0, per_client(0, 0), rounds=rounds, num_bytes=num_bytes)
    assert states(project)["budget"] == ("missing" if state == "done" else state), "half of a comparison"
    project.record(MAIN, "scaffold", 0, per_client(0, 0), rounds=rounds, num_bytes=num_bytes)
    assert states(project)["budget"] == state
    if state == "done":
        assert sentence_of(project, "budget").endswith("; what reference lines did is not counted")


def test_a_planned_algorithm_without_a_run_keeps_no_budget(tmp_path):
    project = Project(tmp_path, plan(algorithms=("fedavg", "scaffold", "fedprox")))
    record_all(project, 0.04)
    assert states(project)["budget"] == "missing"
    assert sentence_of(project, "budget") == f"no run of 'fedprox' is recorded in {MAIN!r}"
    for seed in range(3):
        project.record(MAIN, "fedprox", seed, per_client(seed, 0), **RUN)
    assert states(project)["budget"] == "done"


def test_where_less_is_better_the_worst_client_has_most(tmp_path):
    project = Project(tmp_path, plan(metric="loss", higher_is_better=False, predicted_difference=-0.1))
    record_all(project, -0.04)
    assert "worst off is 'north'" in sentence_of(project, "clients")
    project.conclude("confirmed", "The loss is lower with every seed.")
    assert states(project)["conclusion"] == "done" and states(project)["limits"] == "missing"
    with pytest.raises(InputError, match="^outcome must be 'confirmed', 'refuted', 'undecided', got 'proven'"):
        project.conclude("proven", "It is so, clearly.")


# Side by side ----------------------------------------------------------------------------------


def test_a_name_in_the_leaderboard_is_no_formula(tmp_path):
    Project(tmp_path / "=cmd()", plan())
    path = write_leaderboard([tmp_path / "=cmd()"], tmp_path / "board.csv")
    assert path.read_text().splitlines()[1].startswith("'=cmd(),accuracy,")


@pytest.mark.skipif(sys.platform != "linux", reason="others refuse such names")
def test_a_name_of_other_bytes_can_be_written(tmp_path):
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    Project(folder, plan())
    assert "M\\udcfcller,accuracy," in write_leaderboard([folder], tmp_path / "board.csv").read_text()


def test_leaderboard(tmp_path):
    good_project(tmp_path / "a")
    Project(tmp_path / "b", plan(metric="auc"))
    table = leaderboard([tmp_path / "a", tmp_path / "b"])
    assert table["name"].tolist() == ["a", "b"] and table["metric"].tolist() == ["accuracy", "auc"]
    means = [np.mean(list(per_client(seed, 0.04 + 0.001 * seed).values())) for seed in range(3)]
    first = table.iloc[0]
    assert first["mean"] == pytest.approx(np.mean(means)) and first["spread"] == pytest.approx(np.std(means, ddof=1))
    south = [per_client(seed, 0.04 + 0.001 * seed)["south"] for seed in range(3)]
    assert first["worst_client"] == pytest.approx(np.mean(south))
    assert first["bytes"] == 2000 and table["seeds"].tolist() == [3, 0] and math.isnan(table["mean"][1])
    path = write_leaderboard([tmp_path / "a"], tmp_path / "out" / "board.csv")
    assert path.read_text().splitlines()[0] == "name,metric,mean,spread,worst_client,bytes,seeds,faults"
    assert SECOND not in path.read_text() and len(path.read_text().splitlines()) == 2
    assert table["faults"].tolist() == [0, 0]
    edit(tmp_path / "a" / "results.json", set_in_record(4, mean=0.99))
    edit(tmp_path / "b" / "plan.json", lambda content: content["plan"].update(predicted_difference=0.01))
    assert leaderboard([tmp_path / "a", tmp_path / "b"])["faults"].tolist() == [1, 1]
    with pytest.raises(InputError, match="^folders must be folders of projects, got .*: there is no plan.json"):
        leaderboard([tmp_path])
