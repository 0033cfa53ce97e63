"""What every lesson is tested for. A lesson's test file hands over its data, and adds what is its own:

class TestNewLesson(LessonTests):
    lesson = Lesson(notebook="13_new_lesson", small={"num_rounds": 1}, ...)
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import papermill
import pytest
from in_browser import answer, cell
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from places import NOTEBOOKS
from shown_code import same_code

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.claims import Claim, Variant
from fedlearn_helpers.lessons.common.exercise import Exercise, Verdict
from fedlearn_helpers.lessons.common.parameters import LessonParameters
from fedlearn_helpers.lessons.common.recall import Recall


@dataclass(frozen=True)
class Typed:
    """An exercise that is answered in the browser.

    Attributes:
        exercise: its name.
        wrong: code of a wrong answer, what stands to the right of `=`.
        sentence: part of what the check says to it.
        right: code of a right answer.
    """

    exercise: str
    wrong: str
    sentence: str
    right: str


@dataclass(frozen=True)
class Lesson:
    """What is to be known of a lesson to test it.

    Attributes:
        notebook: its name without the ending; what follows the number is the lesson's folder.
        small: parameters with which it runs quickly.
        metrics: names that results.json must have then.
        bad: parameters that cannot work, with a part of the sentence that they get.
        wrong: by exercise, wrong answers with a part of the sentence that they get; at least three sentences each.
        given: by exercise, what the check gets from the notebook besides the answer, if anything.
        names: what solutions use of the notebook, if anything.
        shown: what the notebook defines in a cell and the package has, too, with its module.
        in_browser: one exercise to answer in a browser.
    """

    notebook: str
    small: Mapping[str, Any]
    metrics: set[str]
    bad: Sequence[tuple[Mapping[str, Any], str]]
    wrong: Mapping[str, Sequence[tuple[Any, str]]]
    in_browser: Typed
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, ModuleType] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The name of the lesson's folder in the package."""
        return self.notebook[3:]

    @property
    def path(self) -> Path:
        """Where the notebook is."""
        return NOTEBOOKS / f"{self.notebook}.ipynb"

    @property
    def model(self) -> type[LessonParameters]:
        """What the notebook's parameters may be: the class whose method `check_parameters` is."""
        return part_of(self.folder, "parameters").check_parameters.__self__

    @property
    def exercises(self) -> dict[str, Exercise]:
        """The lesson's exercises by the variables that hold them."""
        module = part_of(self.folder, "exercises")
        return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}

    @property
    def defaults(self) -> dict[str, Any]:
        """The values in the cell of parameters."""
        declared = papermill.inspect_notebook(str(self.path))
        return {name: ast.literal_eval(facts["default"]) for name, facts in declared.items()}

    @property
    def recall(self) -> Recall | None:
        """The lesson's recall questions, if it has any."""
        return getattr(part_of(self.folder, "recall"), "recall", None) if self._has("recall") else None

    @property
    def claims(self) -> Sequence[Claim]:
        """The lesson's claims, if it has any."""
        return part_of(self.folder, "claims").CLAIMS if self._has("claims") else ()

    @property
    def variants(self) -> Sequence[Variant]:
        """The other settings in which the claims are tried."""
        return part_of(self.folder, "claims").VARIANTS if self._has("claims") else ()

    def _has(self, part: str) -> bool:
        return importlib.util.find_spec(f"fedlearn_helpers.lessons.{self.folder}.{part}") is not None

    def run_cells(self, *ids: str, **names: Any) -> dict[str, Any]:
        """Run cells of the notebook that define functions, with these names, and return all names."""
        sources = {one.id: one.source for one in cells_of(self.path)}
        for name in ids:
            exec(sources[name], names)
        return names

    def check(self, exercise: Exercise, answered: Any) -> Verdict:
        """Check an answer as the notebook does."""
        return exercise.check(answered, **self.given.get(exercise.name, {}))

    def refused_at_once(self, parameters: Mapping[str, Any]) -> str | None:
        """Return what the notebook's first check says about parameters; None if only a later cell can tell."""
        try:
            self.model.check(self.defaults | parameters)
        except InputError as error:
            return str(error)
        return None

    def worth_a_run(self) -> list[tuple[Mapping[str, Any], str]]:
        """Return one bad entry that the first check refuses, and all that only a later cell can refuse."""
        seen, chosen = False, []
        for bad, sentence in self.bad:
            at_once = self.refused_at_once(bad) is not None
            if not (at_once and seen):
                chosen.append((bad, sentence))
            seen = seen or at_once
        return chosen


def part_of(folder: str, part: str) -> ModuleType:
    """Return a module of a lesson, such as its `exercises`."""
    return importlib.import_module(f"fedlearn_helpers.lessons.{folder}.{part}")


@functools.cache
def all_lessons() -> dict[str, Lesson]:
    """Return the lessons by notebook, as the test files beside this one describe them."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9w][0-9]_*.ipynb")):
        if Path(__file__).with_name(f"test_{path.stem[3:]}.py").exists():
            members = vars(importlib.import_module(f"test_{path.stem[3:]}")).values()
            (found[path.stem],) = (member.lesson for member in members if hasattr(member, "lesson"))
    return found


@functools.cache
def cells_of(path: Path) -> list[NotebookNode]:
    """Return the cells of a notebook."""
    return nbformat.read(path, as_version=4).cells


def code_of(path: Path) -> str:
    """Return the code of a notebook."""
    return "\n".join(cell.source for cell in cells_of(path) if cell.cell_type == "code")


def text_of(path: Path) -> str:
    """Return the text of a notebook."""
    return "\n".join(cell.source for cell in cells_of(path) if cell.cell_type == "markdown")


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Say whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def call_of(check: NotebookNode) -> tuple[str, str, set[str]]:
    """Return of a cell tagged `check`: the exercise, the variable with the answer, what else is handed over."""
    call = next(node for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Call))
    module, exercise, method = ast.unparse(call.func).split(".")
    assert (module, method) == ("exercises", "check")
    (variable,) = call.args
    return exercise, ast.unparse(variable), {keyword.arg for keyword in call.keywords}


def checks_of(path: Path) -> dict[str, tuple[str, set[str]]]:
    """Return by exercise the variable that its check gets, and what else the notebook hands over."""
    calls = (call_of(cell) for cell in cells_of(path) if has_tag(cell, "check"))
    return {exercise: (variable, given) for exercise, variable, given in calls}


def execute(lesson: Lesson, folder: Path, *, source: Path | None = None, **parameters: Any) -> dict[str, Any]:
    """Run a notebook, or another version of it, in `folder` and return its results.json."""
    output_dir = folder / "results"
    papermill.execute_notebook(
        str(source or lesson.path),
        str(folder / lesson.path.name),
        parameters={"output_dir": str(output_dir)} | parameters,
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=300,
        cwd=str(folder),
    )
    return json.loads((output_dir / "results.json").read_text())


def pages_of(executed: Path, tag: str = "") -> list[str]:
    """Return the HTML that cells of a notebook that was run have left, those with a tag if one is given."""
    return [
        output["data"]["text/html"]
        for cell in nbformat.read(executed, as_version=4).cells
        if cell.cell_type == "code" and (not tag or has_tag(cell, tag))
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]


def with_solutions(lesson: Lesson) -> NotebookNode:
    """Return the notebook with every check a second time, on the solution; then the stub again, for what follows."""
    notebook = nbformat.read(lesson.path, as_version=4)
    cells = notebook.cells[:1]
    for stub, after in itertools.pairwise(notebook.cells):
        cells.append(after)
        if has_tag(stub, "exercise"):
            solution = lesson.exercises[call_of(after)[0]].solution_source
            cells += [_added(solution), _added(after.source, SOLVED), _added(stub.source)]
    notebook.cells = cells
    return notebook


def _added(source: str, *tags: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


SOLVED = "solved"  # the tag of a check on the solution


def verdicts(executed: Path, tag: str = "check") -> list[str]:
    """Return what the checks in a notebook that was run say."""
    found = [re.search(r'data-status="([^"]+)"', page)[1] for page in pages_of(executed, tag)]
    assert len(found) >= 3
    return found


def is_sentence(alt: str) -> bool:
    """Say whether an image's alt text says enough."""
    return len(alt) > 40 and alt.rstrip().endswith((".", "!"))


def is_end(text: str) -> bool:
    """Say whether a text ends as a sentence does."""
    return text.rstrip().endswith((".", "!", "?", ".)"))


class LessonTests:
    """What every lesson must pass. `bad`, `bad_run`, `exercise` and `wrong` come from the lesson."""

    lesson: Lesson

    # Parameters

    def test_bad_parameters_get_one_sentence(self, bad):
        values, sentence = bad
        said = self.lesson.refused_at_once(values)
        assert said is None or sentence in said

    def test_default_parameters_are_valid(self):
        assert self.lesson.model.check(self.lesson.defaults) == self.lesson.defaults

    def test_checked_parameters_come_in_the_models_order(self):
        shuffled = dict(sorted(self.lesson.defaults.items()))
        assert list(self.lesson.model.check(shuffled | {"np": object()})) == list(self.lesson.model.model_fields)

    def test_a_missing_parameter_is_named(self):
        for name in self.lesson.defaults:
            others = {key: value for key, value in self.lesson.defaults.items() if key != name}
            with pytest.raises(InputError, match=f"^{name} must be .*, got nothing$"):
                self.lesson.model.check(others)

    # Exercises

    def test_there_are_three_kinds_of_exercises(self):
        assert {exercise.kind for exercise in self.lesson.exercises.values()} == {"predict", "code", "explore"}

    def test_the_notebook_checks_every_exercise_with_what_is_given_here(self):
        given = {name: given for name, (_, given) in checks_of(self.lesson.path).items()}
        assert given == {name: set(self.lesson.given.get(name, {})) for name in self.lesson.exercises}

    def test_exercises_have_a_variable_each(self):
        """Else a check that is run again looks at another exercise's answer."""
        variables = [variable for variable, _ in checks_of(self.lesson.path).values()]
        assert len(set(variables)) == len(variables)

    def test_an_exercises_name_is_its_variable(self, exercise):
        assert self.lesson.exercises[exercise.name] is exercise

    def test_the_solution_is_correct(self, exercise):
        variable, _ = checks_of(self.lesson.path)[exercise.name]
        names = {**self.lesson.names, **self.lesson.given.get(exercise.name, {})}
        exec(exercise.solution_source, names)
        verdict = self.lesson.check(exercise, names[variable])
        assert verdict.status == "correct", verdict
        assert len(verdict.message) > 40

    def test_the_stub_is_not_attempted(self, exercise):
        stubs = [..., lambda *_, **__: ...] if inspect.isfunction(exercise.solution_code) else [...]
        for stub in stubs:
            verdict = self.lesson.check(exercise, stub)
            assert verdict.status == "not attempted"
            assert f"exercises.{exercise.name}.hint()" in verdict.message

    def test_a_wrong_answer_is_told_what_is_wrong(self, wrong):
        exercise, answered, sentence = wrong
        verdict = self.lesson.check(exercise, answered)
        assert verdict.status == "not yet"
        assert sentence in verdict.message

    def test_at_least_three_mistakes_are_known(self, exercise):
        assert len({sentence for _, sentence in self.lesson.wrong[exercise.name]}) >= 3

    def test_the_solution_is_shown_as_code(self, exercise, capsys):
        exercise.solution()
        variable, _ = checks_of(self.lesson.path)[exercise.name]
        assert re.search(rf"\b{variable}\b", exercise.solution_source)

    # Recall questions

    def test_there_are_ten_recall_questions_of_which_two_are_of_earlier_notebooks(self):
        if recall := self.lesson.recall:
            number = self.lesson.notebook[:2]
            earlier = [question.of for question in recall.questions if question.of]
            assert len(recall.questions) == len({question.text for question in recall.questions}) == 10
            assert all(re.fullmatch(r"\d\d", of) and of < number for of in earlier)
            assert len(earlier) == (0 if number == "00" else 2)

    def test_every_recall_question_has_one_right_option_and_reasons_for_all(self):
        for question in self.lesson.recall.questions if self.lesson.recall else ():
            assert 3 <= len(question.options) <= 4, question.text
            assert [option.right for option in question.options].count(True) == 1, question.text
            for texts in ([option.text for option in question.options], [option.reason for option in question.options]):
                assert len({text.strip().lower() for text in texts}) == len(texts), question.text
            for option in question.options:
                assert option.text.strip() and len(option.reason) > 20 and is_end(option.reason), option

    def test_the_right_option_stands_at_different_places(self):
        if recall := self.lesson.recall:
            places = Counter(question.options.index(question.answer) for question in recall.questions)
            assert len(places) >= 3 and max(places.values()) <= 5, places

    # Claims

    def test_claims_name_cells_of_the_notebook_and_variants_that_can_run(self):
        ids = {cell["id"] for cell in cells_of(self.lesson.path)}
        variants = [variant.name for variant in self.lesson.variants]
        assert len(set(variants)) == len(variants)
        for claim in self.lesson.claims:
            assert claim.cell in ids, claim.cell
            assert len(claim.says) > 20 and is_end(claim.says) and claim.unit
            assert set(claim.only) <= set(variants), claim.says
        for variant in self.lesson.variants:
            assert variant.parameters.keys() <= self.lesson.defaults.keys(), variant.name
            self.lesson.model.check(self.lesson.defaults | variant.parameters)

    # Code

    def test_what_the_notebook_shows_is_what_the_package_runs(self):
        for name, module in self.lesson.shown.items():
            assert same_code(code_of(self.lesson.path), module, name), name

    # Runs

    @pytest.mark.notebook
    def test_runs_with_small_parameters_and_every_check_says_what_was_attempted(self, tmp_path):
        source = tmp_path / "with_solutions.ipynb"
        nbformat.write(with_solutions(self.lesson), source)
        results = execute(self.lesson, tmp_path, source=source, **self.lesson.small)
        assert results["notebook"] == self.lesson.notebook
        assert self.lesson.small.items() <= results["parameters"].items()
        assert self.lesson.metrics <= set(results["metrics"])
        executed = tmp_path / self.lesson.path.name
        assert set(verdicts(executed)) == {"not attempted"}
        assert verdicts(executed, SOLVED) == ["correct"] * len(self.lesson.exercises)
        images = [image for page in pages_of(executed) for image in re.findall(r"<img [^>]*>", page)]
        alts = [(re.search(r'alt="([^"]*)"', image) or ["", ""])[1] for image in images]
        assert alts
        assert [alt for alt in alts if not is_sentence(alt)] == []
        assert self.lesson.recall is None or any("fedlearn-recall" in page for page in pages_of(executed))
        for claim in self.lesson.claims:
            margins = list(claim.margins(results["metrics"]))
            assert margins and all(math.isfinite(margin) for margin in margins), claim.says

    @pytest.mark.notebook
    def test_bad_parameters_end_before_training_with_one_sentence(self, bad_run, tmp_path):
        values, sentence = bad_run
        with pytest.raises(PapermillExecutionError) as caught:
            execute(self.lesson, tmp_path, **values)
        assert caught.value.ename == "InputError"
        assert sentence in caught.value.evalue
        assert len(caught.value.traceback) == 1, "a learner sees the sentence, not the code that found the mistake"
        assert not (tmp_path / "results").exists()

    # In a browser

    @pytest.mark.browser
    def test_an_exercise_answered_wrongly_then_rightly_says_so(self, opened, expect):
        typed = self.lesson.in_browser
        variable, _ = checks_of(self.lesson.path)[typed.exercise]
        page = opened(self.lesson.notebook)
        verdict = cell(page, f"{typed.exercise}.check").locator(".fedlearn-check")
        expect(verdict).to_have_attribute("data-status", "not attempted")
        answer(page, f"{variable} =", f"{variable} = {typed.wrong}")
        expect(verdict).to_have_attribute("data-status", "not yet")
        expect(verdict).to_contain_text(typed.sentence)
        answer(page, f"{variable} =", f"{variable} = {typed.right}")
        expect(verdict).to_have_attribute("data-status", "correct")
