"""The `fedlearn` command, on two notebooks of three cells."""

import errno
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import typer
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from fedlearn_helpers import deployment
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common import contents
from fedlearn_helpers.simulation.workers import cores
from workbook_tools.cli import app
from workbook_tools.commands.arguments import parse_value
from workbook_tools.commands.run import AT_ONCE, _begin, _headline
from workbook_tools.execution import pages
from workbook_tools.execution.apart import Apart

pytestmark = pytest.mark.slow

PARAMETERS = 'number: int = 1  # any number\noutput_dir: str = "out"  # folder'
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
RESULTS = """
import json, pathlib
pathlib.Path(output_dir).mkdir(parents=True, exist_ok=True)
metrics = {"doubled": number * 2, "curve": [1]}
pathlib.Path(output_dir, "results.json").write_text(json.dumps({"metrics": metrics, "seconds": 12.5}))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("00_start_here", "01_centralized_cnn"):
        cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell("assert number < 10")]
        notebook = new_notebook(cells=[*cells, new_code_cell(RESULTS)], metadata=KERNEL)
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["run", *arguments])


def test_runs_all_notebooks_and_writes_an_index(folder):
    result = run("-p", "number=4")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("00_start_here") and lines[0].endswith("ok")
    assert lines[1].startswith("01_centralized_cnn")
    index = (folder / "build" / "index.html").read_text()
    assert "doubled: 8" in index and "curve" not in index
    assert 'href="00_start_here.html"' in index and (folder / "build" / "00_start_here.html").exists()


def test_the_index_shows_a_few_numbers_and_folds_the_rest(folder):
    many = json.dumps({"metrics": {f"number_{place}": place for place in range(8)}})
    source = f"import pathlib\npathlib.Path(output_dir, 'results.json').write_text({many!r})"
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    notebook.cells.append(new_code_cell(source))
    nbformat.write(notebook, folder / "notebooks" / "00_start_here.ipynb")
    assert run("0").exit_code == 0
    index = (folder / "build" / "index.html").read_text()
    assert "number 5: 5<details><summary>2 more</summary>number 6: 6<br>number 7: 7</details></td>" in index
    assert pages.folded(["a", "b"], shown=2) == "a<br>b" and pages.folded([""]) == ""


def test_two_notebooks_run_at_once_and_one_where_times_are_measured(folder, monkeypatch):
    """Each writes a file and waits for the other's: alone it would wait for ever, so it gives up after a while."""
    monkeypatch.setattr("workbook_tools.commands.run.runs_in_parallel", lambda _: 2)
    meet = """
import pathlib, time, uuid
pathlib.Path("met").mkdir(exist_ok=True)
pathlib.Path("met", str(uuid.uuid4())).touch()
end = time.monotonic() + seconds
while len(list(pathlib.Path("met").iterdir())) < 2 and time.monotonic() < end:
    time.sleep(0.05)
assert len(list(pathlib.Path("met").iterdir())) == 2, "alone"
"""
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += "\nseconds: int = 60"
        notebook.cells.append(new_code_cell(meet))
        nbformat.write(notebook, path)
    result = run()
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.output.splitlines()[:2]] == ["00_start_here", "01_centralized_cnn"]
    shutil.rmtree(folder / "met")
    result = run("-p", "seconds=0", "--save-times")
    assert result.exit_code == 1
    assert result.output.count("FAILED") == 1 and "AssertionError: alone" in result.output


def test_of_two_threads_one_takes_notebooks_in_order_and_the_other_the_longest(monkeypatch):
    expected = {entry.name: entry.seconds for entry in contents.entries()}
    taken = {}

    def pretend(apart, path, executed, values):
        taken.setdefault(threading.get_ident(), []).append(path.stem)
        time.sleep(expected[path.stem] / 500)
        return None, expected[path.stem]

    monkeypatch.setattr("workbook_tools.commands.run._timed", pretend)
    with ThreadPoolExecutor(2) as pool:
        runs = [(Path(f"{name}.ipynb"), Path("out"), {}) for name in expected]
        begun = _begin(runs, SimpleNamespace(stopped=False), pool, 2)
        assert [future.result() for future in begun] == [(None, seconds) for seconds in expected.values()]
    in_order, by_length = sorted(taken.values(), key=lambda names: names[0])
    assert in_order == [name for name in expected if name in in_order] and in_order[0] == "00_start_here"
    assert by_length == sorted(by_length, key=expected.get, reverse=True) and len(by_length) > 2


def test_a_run_that_was_stopped_keeps_the_earlier_results_of_what_it_never_began(tmp_path):
    (tmp_path / "results.json").write_text("earlier")
    run = (tmp_path / "00_start_here.ipynb", tmp_path / "out.ipynb", {"output_dir": str(tmp_path)})
    apart = Apart()
    apart.stop()
    with ThreadPoolExecutor(2) as pool:
        begun = _begin([run], apart, pool, 2)
    assert not begun[0].done() and (tmp_path / "results.json").read_text() == "earlier"


def is_running(pid):
    """Say whether a process runs: one that has ended may still be in the table until its parent looks at it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_interrupted_run_leaves_nothing_running_and_nothing_half_written(folder):
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        begun = "import os, pathlib, time; pathlib.Path(f'{os.getpid()}.begun').touch(); time.sleep(600)"
        notebook.cells.insert(1, new_code_cell(begun))
        nbformat.write(notebook, path)
    running = subprocess.Popen(
        [sys.executable, "-m", "workbook_tools", "run"],
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    at_once = min(AT_ONCE, cores())
    end = time.monotonic() + 60
    while len(begun := list(folder.glob("*.begun"))) < at_once and time.monotonic() < end:
        time.sleep(0.1)
    assert len(begun) == at_once
    running.send_signal(signal.SIGINT)
    assert running.wait(60) != 0
    assert not [file for file in begun if is_running(int(file.stem))]
    assert list((folder / "build").glob("*.ipynb")) == list((folder / "build").glob(".unfinished*")) == []


def test_runs_the_chosen_one_only(folder):
    result = run("1")
    assert result.exit_code == 0
    assert (folder / "build" / "01_centralized_cnn.ipynb").exists() and not (
        folder / "build" / "00_start_here.ipynb"
    ).exists()


def test_the_index_keeps_what_ran_earlier(folder):
    assert run("0", "-p", "number=11").exit_code == 1
    assert run("1", "-p", "number=4").exit_code == 0
    index = (folder / "build" / "index.html").read_text()
    assert "failed: AssertionError" in index and "doubled: 8" in index
    assert run("0", "-p", "number=3").exit_code == 0
    index = (folder / "build" / "index.html").read_text()
    assert "failed" not in index and "doubled: 6" in index and "doubled: 8" in index


@pytest.mark.parametrize("name", ["00_mine", "00_start_here"])
def test_a_notebook_of_somebody_else_among_the_results_is_left_alone(folder, name):
    (folder / "build").mkdir()
    (folder / "build" / f"{name}.ipynb").write_bytes((folder / "notebooks" / "00_start_here.ipynb").read_bytes())
    assert run("1").exit_code == 0
    index = (folder / "build" / "index.html").read_text()
    assert "01_centralized_cnn" in index and name not in index


def unfinished(notebook):
    notebook.metadata.papermill = {"duration": None, "start_time": "2026-01-01"}
    return nbformat.writes(notebook)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda notebook: nbformat.writes(notebook)[:200], "NotJSONError"),
        (lambda notebook: "", "NotJSONError"),
        (lambda notebook: "[]", "must be a Jupyter notebook"),
        (unfinished, "it has not come to its end"),
    ],
    ids=["half", "empty", "foreign", "unfinished"],
)
def test_a_broken_notebook_among_the_results_is_one_row_of_the_index(folder, broken, said):
    (folder / "build" / "results" / "01_centralized_cnn").mkdir(parents=True)
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    (folder / "build" / "00_start_here.ipynb").write_text(broken(notebook))
    result = run("1", "-p", "number=4")
    assert result.exit_code == 0, result.output
    index = (folder / "build" / "index.html").read_text()
    assert "<td>00 Start here</td>" in index and said in index, "there is no page to link to"
    assert 'href="01_centralized_cnn.html"' in index and "doubled: 8" in index


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metrics": 3}', "{}"])
def test_results_that_cannot_be_read_are_named_in_the_index(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    assert _headline(tmp_path / "results.json") == "results.json cannot be read"


def test_copies_and_drafts_are_left_out_and_named(folder):
    for name in ("00_start_here-Copy1", "00_start_here (1)", "01_my_homework", "Untitled"):
        (folder / "notebooks" / f"{name}.ipynb").write_text("")
    result = run()
    assert result.exit_code == 0, result.output
    left = "00_start_here (1).ipynb, 00_start_here-Copy1.ipynb, 01_my_homework.ipynb, Untitled.ipynb"
    assert f"Left out, as the workbook's contents do not name them: {left}\n" in result.output
    assert "2 of 2 notebooks ran" in result.output


def test_a_disk_that_is_full_is_one_line(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workbook_tools.execution.notebooks.execute", full)
    result = run("0")
    assert result.exit_code == 1
    assert "OSError: [Errno 28] No space left on device" in result.output and "Traceback" not in result.output


def test_a_user_without_a_home_is_told_so_in_one_line(folder, monkeypatch):
    def homeless(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("workbook_tools.execution.notebooks.execute", homeless)
    result = run("0")
    assert result.exit_code == 1
    assert "InputError: HOME must be set to a folder, got nothing" in result.output


def test_a_default_that_is_an_expression_needs_no_value_to_run(folder):
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("= 1 ", "= 2 * max(1, 2) ")
    nbformat.write(notebook, folder / "notebooks" / "00_start_here.ipynb")
    result = run("0")
    assert result.exit_code == 0, result.output
    assert "doubled: 8" in (folder / "build" / "index.html").read_text()


def test_a_formula_that_no_page_can_show_is_a_failure_like_others(folder):
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    notebook.cells.append(new_markdown_cell(r"$w_t$ and $\nosuch$"))
    (folder / "build").mkdir()
    (folder / "build" / "00_start_here.html").write_text("of an earlier run")
    nbformat.write(notebook, folder / "notebooks" / "00_start_here.ipynb")
    result = run("-p", "number=4")
    assert result.exit_code == 1
    assert r"00_start_here.ipynb: a formula must be LaTeX that MathML has, got '\\nosuch'" in result.output
    assert "1 of 2 notebooks ran" in result.output
    assert not (folder / "build" / "00_start_here.html").exists()
    index = (folder / "build" / "index.html").read_text()
    assert (
        'href="01_centralized_cnn.html"' in index
        and "00 Start here" in index
        and 'href="00_start_here.html"' not in index
    )
    assert (folder / "build" / "results" / "00_start_here" / "results.json").exists()


def test_a_kernel_that_dies_is_a_failure_like_others(folder):
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    notebook.cells.append(new_code_cell("import os; os._exit(9)"))
    nbformat.write(notebook, folder / "notebooks" / "00_start_here.ipynb")
    result = run()
    assert result.exit_code == 1
    assert "the kernel died; perhaps there was too little memory" in result.output and "1 of 2" in result.output
    index = (folder / "build" / "index.html").read_text()
    assert "failed: DeadKernelError: the kernel died" in index and "doubled: 2" in index


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("010", 10),
        ("-2", -2),
        ("True", True),
        ("false", False),
        ("None", None),
        ("on", "on"),
        ("12:30", "12:30"),
        ("dirichlet:0.1", "dirichlet:0.1"),
        ("a: b", "a: b"),
        ("[1e-3, two]", [0.001, "two"]),
        ("'fedavg, scaffold'", "fedavg, scaffold"),
        ('"2024"', "2024"),
        ("[1, '1', True, 'True']", [1, "1", True, "True"]),
        ("{a: 1}", {"a": 1}),
        ("", ""),
    ],
)
def test_values_are_read_as_papermill_reads_them(text, value):
    found = parse_value("name", text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("command", ["run", "colab"])
def test_no_notebook_is_written_over(folder, command):
    before = (folder / "notebooks" / "00_start_here.ipynb").read_bytes()
    result = CliRunner().invoke(app, [command, "--output", str(folder / "notebooks")])
    assert result.exit_code == 1
    assert "output must be another folder than that of the notebooks, got" in result.output
    assert (folder / "notebooks" / "00_start_here.ipynb").read_bytes() == before


def test_a_failing_notebook_is_reported_and_the_rest_goes_on(folder):
    (folder / "build" / "results" / "00_start_here").mkdir(parents=True)
    old = folder / "build" / "results" / "00_start_here" / "results.json"
    old.write_text(json.dumps({"metrics": {"stale": 1}}))
    result = run("-p", "number=11")
    assert result.exit_code == 1
    assert result.output.count("FAILED") == 2
    index = (folder / "build" / "index.html").read_text()
    assert "AssertionError" in index and "stale" not in index


def test_on_request_the_first_failure_ends_the_run(folder):
    result = run("-p", "number=11", "--stop")
    assert result.exit_code == 1
    assert result.output.count("FAILED") == 1 and "0 of 2 notebooks ran" in result.output
    assert "01_centralized_cnn" not in (folder / "build" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-p", "number=[1"), "the value of number must be a number, a text or another YAML value, got '[1'"),
        (("-p", "nubmer=1"), "parameter must be one of number, output_dir, got 'nubmer'"),
        (("-p", "number"), "a parameter must look like name=value, got 'number'"),
        (("-p", "output_dir=x"), "parameter must not be 'output_dir' in fedlearn run, use --output"),
        (
            ("--output", "notebooks/00_start_here.ipynb"),
            "output must be a folder that can be made and written into (File",
        ),
        (("--output", "/proc/results"), "output must be a folder that can be made and written into (No such file"),
        (("07",), "notebooks must be among 00, 01, got 07"),
        (("--folder", "nowhere"), "folder must hold the notebooks, got 'nowhere' with none"),
        (("--folder", "drafts"), "got 'drafts' with none of the workbook's, but 00_mine.ipynb, Untitled.ipynb"),
        (("--folder", "broken"), "00_start_here.ipynb must be a Jupyter notebook, got NotJSONError: "),
        (("--folder", "empty"), "00_start_here.ipynb must be a Jupyter notebook, got NotJSONError: "),
    ],
)
def test_mistakes_end_with_one_sentence_before_anything_runs(folder, arguments, sentence):
    whole = (folder / "notebooks" / "00_start_here.ipynb").read_text()
    for path, text in {
        "drafts/00_mine.ipynb": whole,
        "drafts/Untitled.ipynb": "",
        "broken/00_start_here.ipynb": whole[:300],
        "empty/00_start_here.ipynb": "",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    result = run(*arguments)
    assert result.exit_code == 1
    assert sentence in result.output and len(result.output.splitlines()) == 1
    assert not (folder / "build").exists()


def test_measured_times_are_stored_on_request(folder, monkeypatch, tmp_path):
    file = tmp_path / "contents.json"
    entry = {"name": "00_start_here", "title": "First", "teaches": "nothing", "seconds": 999.0}
    file.write_text(json.dumps([entry]))
    monkeypatch.setattr(contents, "_FILE", file)
    assert run("00").exit_code == 0
    assert contents.entries()[0].seconds == 999.0
    assert run("00", "--save-times").exit_code == 0
    assert contents.entries()[0].seconds == 12.5, "of its cells, without the start of a kernel"


def test_it_is_also_a_module_and_every_command_has_an_example():
    def help_of(*command):
        arguments = [sys.executable, "-m", "workbook_tools", *command, "--help"]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout

    overview = help_of()
    assert "Usage: fedlearn" in overview
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert {"run", "sweep", "compare", "flower", "student", "grade", "data", "doctor"} <= set(names)
    for command in app.registered_commands:
        assert command.callback.__name__ in overview
        assert f"Example: fedlearn {command.callback.__name__}" in command.callback.__doc__


def test_help_explains_every_argument_and_option():
    for name, command in typer.main.get_command(app).commands.items():
        shown = " ".join(CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "1000"}).output.split())
        for parameter in command.params:
            written = parameter.help.partition("{")[0]  # what stands behind it comes from a registry
            assert written and " ".join(written.split()) in shown, (name, parameter.name)


def test_it_starts_without_what_a_broken_environment_may_lack():
    code = "import sys; sys.modules |= dict.fromkeys(['torch', 'flwr', 'pandas']); import workbook_tools.cli"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_minutes_are_rounded_up():
    assert [contents.Entry("n", "t", "x", seconds).minutes for seconds in (5, 60, 61, 119)] == [1, 1, 2, 2]


def test_the_map_links_the_other_notebooks_and_marks_this_one():
    table = contents.as_markdown(current="01_centralized_cnn")
    assert "[00 Start here](00_start_here.ipynb)" in table
    assert "(you are here)" in table and "(01_centralized_cnn.ipynb)" not in table


# fedlearn flower ---------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Replace the run of the app; return what it was asked for."""
    calls = []

    def run_on_ray(app, **options):
        calls.append((app, options))
        if options["num_supernodes"] < 1:
            raise InputError("num_supernodes must be a whole number >= 1, got 0")
        if options["timeout"] < 1:
            raise RuntimeError("the time is up\nlast line of the log")
        rounds = [{"round": 0, "failures": {}, "server": {"accuracy": 0.125, "loss": None}}]
        return {"status": "completed", "rounds": rounds}

    monkeypatch.setattr(deployment, "run_on_ray", run_on_ray)
    return calls


def test_flower_runs_the_app_and_writes_its_results(asked, tmp_path):
    file = tmp_path / "new" / "results.json"
    arguments = ["--clients", "3", "-p", "num-server-rounds=2", "-p", "dataset=mnist", "-p", "learning-rate=0.1"]
    result = CliRunner().invoke(app, ["flower", *arguments, "--cluster", "host:1", "--output", str(file)])
    assert result.exit_code == 0, result.output
    ((folder, options),) = asked
    assert folder.name == "flower_app"
    assert options["run_config"] == {"num-server-rounds": 2, "dataset": "mnist", "learning-rate": 0.1}
    assert (options["num_supernodes"], options["ray_address"]) == (3, "host:1")
    assert json.loads(file.read_text())["status"] == "completed"
    assert "round 0: server accuracy 0.125\n" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--clients", "0"], "InputError: num_supernodes must be a whole number >= 1, got 0"),
        (["--timeout", "0.5"], "RuntimeError: the time is up"),
        (["-p", "seed"], "InputError: a parameter must look like name=value, got 'seed'"),
    ],
)
def test_flower_says_what_went_wrong_and_writes_nothing(asked, arguments, sentence, tmp_path):
    file = tmp_path / "results.json"
    result = CliRunner().invoke(app, ["flower", *arguments, "--output", str(file)])
    assert result.exit_code == 1
    assert sentence in result.output
    assert not file.exists()
