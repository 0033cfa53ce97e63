"""The check for machines with a GPU: what it judges, and that all its jobs run, here on the processor."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import gpu_check
from gpu import eager, verdicts
from gpu.jobs import JOBS
from gpu.limit import captured_step, new_adam
from gpu.names import EAGER, LIMIT, OURS, PROCESSOR
from gpu.records import Record, Recorder, read
from gpu.verdicts import FAIL, PASS, UNMEASURED
from gpu.work import TALK, Place, new_model

from fedlearn_helpers.algorithms.registry import STRATEGIES
from fedlearn_helpers.training import evaluate, train


def judged(records, *, on_gpu=True):
    sections = dict.fromkeys(record.section for record in records)
    return {entry.what: entry.verdict for entry in verdicts.verdicts(records, list(sections), on_gpu=on_gpu)}


def talk(ours=4.5, limit=3.4, before=28.0):
    seconds = {OURS: ours, LIMIT: limit, EAGER: before, PROCESSOR: 14.0}
    return [Record("talk", how, {"seconds": value, "steps": 12_500}) for how, value in seconds.items()]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({}, [PASS, PASS, PASS]),
        ({"ours": 5.01, "limit": 5.0}, [FAIL, PASS, PASS]),
        ({"limit": 2.9}, [PASS, FAIL, PASS]),
        ({"before": 22.0}, [PASS, PASS, FAIL]),
    ],
)
def test_speed_of_the_talks_experiment(measured, expected):
    assert list(judged(talk(**measured)).values()) == expected


def test_speed_is_not_judged_without_a_gpu():
    assert set(judged(talk(), on_gpu=False).values()) == {UNMEASURED}


def test_what_is_missing_is_not_measured():
    assert judged(talk()[:1]) == {
        "seconds, evaluation included": PASS,
        "÷ limit": UNMEASURED,
        "as before ÷ ours": UNMEASURED,
    }


def test_bits():
    first, again = "FedAvg: first run", "FedAvg: after other federations"
    records = [Record("bits", first, text="a"), Record("bits", again, text="a")]
    assert judged(records) == {"FedAvg, after other federations": PASS, "FedAvg, in another process": UNMEASURED}
    records.append(Record("bits", "FedAvg: in another process", text="b"))
    assert judged(records)["FedAvg, in another process"] == FAIL


@pytest.mark.parametrize(
    ("here", "there", "equal", "expected"),
    [(0.701, 0.71, 1, [PASS, PASS]), (0.70, 0.72, 1, [FAIL, PASS]), (0.70, 0.70, 0, [PASS, FAIL])],
)
def test_strategies(here, there, equal, expected):
    records = [
        Record("strategies", f"fedavg: {OURS}", {"accuracy": here, "equal": equal}),
        Record("strategies", f"fedavg: {PROCESSOR}", {"accuracy": there}),
    ]
    assert list(judged(records).values()) == expected


def test_notebooks_that_took_longer_at_once_are_judged_alone():
    def record(seconds, at_once):
        return Record("notebooks", "02", {"seconds": seconds, "reference": 50.0, "at_once": at_once})

    assert judged([record(40.0, 4)]) == {"02, s": PASS}
    assert judged([record(60.0, 4)]) == {"02, s": "undecided: 4 at once"}
    assert judged([record(60.0, 4), record(45.0, 1)]) == {"02, s": PASS}
    assert judged([record(60.0, 4), record(55.0, 1)]) == {"02, s": FAIL}


def test_what_fails_is_a_row_and_what_is_not_there_is_none():
    assert judged([Record("scale", "scale_ours", problem="stopped after 80 s")]) == {"scale_ours": FAIL}
    assert judged([Record("tests", "pytest -m gpu", problem=f"{UNMEASURED}: no file")]) == {"pytest -m gpu": UNMEASURED}
    assert judged([Record("tests", "pytest -m gpu", {"exit_code": 1}, "1 failed")]) == {"pytest -m gpu": FAIL}


def test_tables_have_a_row_for_each_way_and_each_work():
    table = verdicts.talk_table(talk())
    assert [row[0] for row in table.rows] == [LIMIT, OURS, EAGER, PROCESSOR]
    assert table.cell(OURS, "÷ limit") == pytest.approx(4.5 / 3.4)
    assert table.cell(OURS, "ms a step") == pytest.approx(0.36)
    assert verdicts.talk_table([]).cell(OURS, "seconds") is None
    numbers = {"ms_a_step": 0.3, "seconds_a_round": 0.4}
    records = [Record("scale", f"cnn, 10 clients: {how}", numbers) for how in (LIMIT, OURS)]
    table = verdicts.scale_table(records)
    assert table.cell("cnn, 10 clients", "ms a step, ours") == 0.3
    assert table.cell("cnn, 10 clients", "s a round, processor") is None


def test_the_benchmarks_page_has_the_cards_name():
    records = [Record("facts", "card", text="NVIDIA H100"), Record("facts", "cores", text="16")]
    assert gpu_check.speed_page(records) is None
    assert gpu_check.speed_page(talk()) is None, "without a card there is no page about one"
    page = gpu_check.speed_page([*records, *talk()])
    assert page.startswith("# Speed on one NVIDIA H100\n") and page.endswith("- card: NVIDIA H100\n- cores: 16\n")
    assert "## The talk's experiment" in page and "From ten clients" not in page


@pytest.mark.slow
def test_the_benchmark_says_where_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said, failed = gpu_check.measure_speed(tmp_path, quick=True)
    assert said.startswith("not measured") and not failed and not list(tmp_path.iterdir())


def test_the_benchmark_keeps_the_page_and_what_failed(tmp_path, monkeypatch):
    def run_sections(sections, output, *, device, quick):
        assert (device, quick) == ("cuda", True)
        (output / gpu_check.SPEED_PAGE).write_text("a page")
        return [Record("scale", OURS, problem="stopped")]

    card = subprocess.CompletedProcess([], 0, stdout="NVIDIA H100\n")
    monkeypatch.setattr(gpu_check.subprocess, "run", lambda *arguments, **options: card)
    monkeypatch.setattr(gpu_check, "run_sections", run_sections)
    assert gpu_check.measure_speed(tmp_path, quick=True) == ("NVIDIA H100: see gpu.md", [f"{OURS}: stopped"])
    assert (tmp_path / "gpu.md").read_text() == "a page"


def test_its_pins_are_the_projects():
    root = Path(gpu_check.__file__).parents[1]
    lines = (root / "benchmarks" / "requirements-gpu.txt").read_text().splitlines()
    of_project = {line.partition(";")[0].strip() for line in (root / "requirements.txt").read_text().splitlines()}
    assert {line for line in lines if not line.startswith("#")} <= of_project


def test_records_survive_a_process_that_is_stopped(tmp_path):
    path = tmp_path / "records"
    recorder = Recorder(path, "talk")
    recorder.write(OURS, seconds=4.5)
    with recorder.attempt(EAGER):
        raise RuntimeError("out of memory\nand more")
    with path.open("a") as file:
        file.write('{"section": "ta')
    assert read(path) == [
        Record("talk", OURS, {"seconds": 4.5}),
        Record("talk", EAGER, problem="RuntimeError: out of memory"),
    ]


def test_a_job_that_takes_too_long_is_stopped_and_the_next_one_runs(tmp_path, monkeypatch):
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    quick = [sys.executable, "-c", "raise SystemExit('no such card')"]

    def start(job, section, records, folder, device, quickly):
        with (folder / job.name).open("wb") as log:
            command = slow if job.name == "slow" else quick
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    jobs = ((gpu_check.Job("slow", 0.2), gpu_check.Job("failing", 30)),)
    monkeypatch.setattr(gpu_check, "SECTIONS", {"talk": jobs})
    monkeypatch.setattr(gpu_check, "_start", start)
    records = gpu_check.run_sections(["talk"], tmp_path, device="cuda", quick=True)
    assert [(record.what, record.problem) for record in records] == [
        ("slow", "stopped after 0.2 s: it printed nothing"),
        ("failing", "exit code 1: no such card"),
    ]
    kept = json.loads((tmp_path / "gpu_check.json").read_text())
    assert [entry["verdict"] for entry in kept["verdicts"]] == [UNMEASURED] * 3 + [FAIL] * 2


def test_what_it_is_compared_with_takes_the_same_steps():
    dataset = replace(Place("cpu", quick=True).of(TALK), clients=1).dataset()
    images, labels, indices = dataset.train_images, dataset.train_labels, torch.arange(64)
    weights, losses = [], []
    for function in (train, eager.train):
        model = new_model("cnn")
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        losses.append(function(model, images, labels, indices, optimizer, epochs=1, batch_size=32, seed=0))
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    model = new_model("cnn")
    step = captured_step(model, new_adam(model, 1e-3), images, labels, 32)
    for batch in indices[torch.randperm(64, generator=torch.Generator().manual_seed(0))].split(32):
        step(batch)
    weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert torch.equal(weights[0], weights[1]) and losses[0] == losses[1]
    assert torch.allclose(weights[0], weights[2], atol=1e-6)
    model.eval()
    ours, before = evaluate(model, images, labels), eager.evaluate(model, images, labels)
    assert ours.accuracy == before.accuracy and torch.equal(ours.predictions, before.predictions)


@pytest.mark.slow
@pytest.mark.parametrize("section", sorted({*gpu_check.SECTIONS} - {"tests", "notebooks", "facts"}))
def test_jobs_run_on_the_processor(section, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("FEDLEARN_CACHE", str(tmp_path / "cache"))
    path, place = tmp_path / "records", Place("cpu", quick=True)
    for job in gpu_check._jobs(section):
        JOBS[job.name](place, Recorder(path, section))
    records = read(path)
    assert records and not [record for record in records if record.problem]
    found = verdicts.verdicts(records, [section], on_gpu=False)
    assert {entry.verdict for entry in found} <= {PASS, UNMEASURED}
    assert len(found) == {"talk": 3, "bits": 6, "strategies": 2 * len(STRATEGIES)}.get(section, 0)


@pytest.mark.slow
def test_the_command_writes_its_tables(tmp_path):
    command = [sys.executable, gpu_check.__file__, "--quick", "--device", "cpu", "--output", tmp_path]
    run = subprocess.run([*command, "--sections", "facts,auto"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    text = (tmp_path / "gpu_check.md").read_text()
    assert "## A step here and there" in text and "- cores: " in text
    assert "== auto_processor" in (tmp_path / "gpu_check.log").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"gpu_check.json", "gpu_check.md", "gpu_check.log"}
    run = subprocess.run([*command, "--sections", "tlk"], capture_output=True, text=True)
    assert run.returncode == 2 and "sections must be among facts, talk" in run.stderr and "got tlk" in run.stderr
