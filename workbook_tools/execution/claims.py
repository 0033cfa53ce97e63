"""What notebooks claim, tried again: with other seeds, and in other settings. A page says what came of it.

Runs are kept as those of a sweep: stopped and started again, only what is missing is run.
"""

import importlib
import importlib.util
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedlearn_helpers.errors import InputError, one_line
from fedlearn_helpers.lessons.common import contents
from fedlearn_helpers.lessons.common.claims import Claim, Variant
from workbook_tools.execution.notebooks import LESSONS, default_parameters
from workbook_tools.execution.reading import read_notebook
from workbook_tools.execution.sweeps import OK, Finished, Sweep, perform

DEFAULT = Variant("the notebook's own")
SEEDS, SEEDS_OF_VARIANTS, NUM_SEEDS_OF_VARIANTS = 5, 2, 3
SHARE_THAT_HOLDS = 0.8
_NUM_SEEDS = "num_seeds"  # a notebook with this parameter runs several seeds itself
_INTRODUCTION = """# Claims

Each sentence of a notebook that a run could contradict, tried again with other seeds and in other settings.

```
fedlearn claims          # runs what is missing, and writes this page
```

A *margin* is by how much a claim holds with one seed: for "A is above B" it is A − B. The tables have its mean ±
standard deviation over the seeds, and with how many of them it is above 0. A claim holds in a setting if the mean is
above 0, and the margin with four of five seeds at least (with all, where there are fewer). What does not hold is
**bold**. The notebook's own setting is tried with five seeds, others with two or three.
"""


@dataclass(frozen=True)
class Lesson:
    """A notebook with its claims.

    Attributes:
        notebook: the file.
        claims, variants: of its lesson.
    """

    notebook: Path
    claims: Sequence[Claim]
    variants: Sequence[Variant]

    def settings(self) -> list[Variant]:
        """Return the notebook's own setting, and the others."""
        return [DEFAULT, *self.variants]

    def sweep(self, setting: Variant) -> Sweep:
        """Return the runs of a setting."""
        own, is_default = default_parameters(self.notebook), setting == DEFAULT
        values = dict(setting.parameters)
        first = values.pop("seed", own.get("seed", 0))
        count = SEEDS if is_default else SEEDS_OF_VARIANTS
        if _NUM_SEEDS in own:
            values.setdefault(_NUM_SEEDS, SEEDS if is_default else NUM_SEEDS_OF_VARIANTS)
            count = 1
        return Sweep(self.notebook, {name: [value] for name, value in values.items()}, range(first, first + count))


@dataclass(frozen=True)
class Outcome:
    """What came of a claim in one setting.

    Attributes:
        margins: one number a seed; empty if they could not be computed.
        problem: why not, in one line.
    """

    margins: Sequence[float]
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether the claim holds there."""
        if not self.margins:
            return False
        above = sum(margin > 0 for margin in self.margins) / len(self.margins)
        return statistics.fmean(self.margins) > 0 and above >= SHARE_THAT_HOLDS


def lesson_of(notebook: Path) -> Lesson | None:
    """Return a notebook's claims, or None if its lesson has none.

    Raises:
        InputError: a claim of a cell that the notebook lacks, or of a variant that there is not.
    """
    name = f"{LESSONS}.{notebook.stem[3:]}.claims"
    if importlib.util.find_spec(name) is None:
        return None
    module = importlib.import_module(name)
    lesson = Lesson(notebook, module.CLAIMS, getattr(module, "VARIANTS", ()))
    ids = {cell.id for cell in read_notebook(notebook).cells}
    names = {variant.name for variant in lesson.variants}
    for claim in lesson.claims:
        if claim.cell not in ids:
            raise InputError(f"a claim's cell must be one of {notebook.name}, got {claim.cell!r}")
        if unknown := set(claim.only) - names:
            raise InputError(f"a claim must be only of variants of its lesson, got {', '.join(sorted(unknown))}")
    return lesson


def try_claims(
    lesson: Lesson,
    settings: Sequence[Variant],
    folder: Path,
    in_parallel: int,
    on_finished: Callable[[str, Finished, float], None],
) -> list[dict[str, Outcome]]:
    """Run a lesson's notebook in settings; return what came of each claim, by the setting's name.

    A claim that is only of some variants has no outcome in others; in the notebook's own setting each has one.

    Args:
        lesson: whose claims.
        settings: some of `lesson.settings()`.
        folder: where runs are kept.
        in_parallel: how many runs go on at a time, >= 1.
        on_finished: gets the setting's name, what came of a run and its seconds as soon as it has ended.

    Raises:
        InputError: a setting that cannot work; nothing has run then.
    """
    sweeps = {setting.name: lesson.sweep(setting) for setting in settings}
    for sweep in sweeps.values():
        sweep.check()
    outcomes: list[dict[str, Outcome]] = [{} for _ in lesson.claims]
    for name, sweep in sweeps.items():

        def tell(_: object, finished: Finished, seconds: float, name: str = name) -> None:
            on_finished(name, finished, seconds)

        finished = perform(sweep, folder, in_parallel, tell)
        for claim, found in zip(lesson.claims, outcomes, strict=True):
            if name == DEFAULT.name or not claim.only or name in claim.only:
                found[name] = outcome_of(claim, finished)
    return outcomes


def outcome_of(claim: Claim, finished: Sequence[Finished]) -> Outcome:
    """Return what came of a claim in the runs of one setting."""
    margins: list[float] = []
    for run in finished:
        if run.status != OK:
            return Outcome((), run.status)
        try:
            margins += [float(margin) for margin in claim.margins(run.metrics)]
        except Exception as error:  # a lesson's code, on metrics of any shape
            return Outcome((), one_line(error))
    return Outcome(margins, "" if margins else "no margins")


def broken(claim: Claim, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the settings in which a claim does not hold, but for the variants that its `fails` names."""
    known = [name for name in outcomes if name != DEFAULT.name and name in claim.fails]
    return [name for name, outcome in outcomes.items() if not outcome.holds and name not in known]


def section_of(lesson: Lesson, outcomes: Sequence[Mapping[str, Outcome]]) -> tuple[str, str]:
    """Return a notebook's heading and table, in Markdown."""
    titles = {entry.name: entry.title for entry in contents.entries()}
    heading = f"{lesson.notebook.stem[:2]} {titles[lesson.notebook.stem]}"
    variants = [variant for variant in lesson.variants if any(variant.name in found for found in outcomes)]
    head = ["claim", "cell", "margin", "seeds that hold", *(variant.name for variant in variants), "fails"]
    lines = [_row(head), _row(["---"] * len(head))]
    for claim, found in zip(lesson.claims, outcomes, strict=True):
        others = [_with_seeds(claim, found[one.name]) if one.name in found else "–" for one in variants]
        own = found[DEFAULT.name]
        cells = [claim.says, _link(lesson.notebook, claim.cell), _margin(claim, own), _seeds(own), *others, claim.fails]
        lines.append(_row(cells))
    text = "\n".join(lines)
    if variants:
        described = (f"*{variant.name}*: {_described(variant.parameters)}" for variant in variants)
        text += f"\n\nOther settings: {'; '.join(described)}."
    return heading, text


def page_of(sections: Mapping[str, str], before: str = "") -> str:
    """Return the page.

    Args:
        sections: tables by heading.
        before: the page as it was: sections that are not among the new ones stay.
    """
    kept = dict(re.findall(r"^## ([^\n]+)\n\n(.+?)(?=\n\n## |\s*\Z)", before, re.MULTILINE | re.DOTALL))
    parts = [f"## {heading}\n\n{text}" for heading, text in sorted((kept | dict(sections)).items())]
    return "\n\n".join([_INTRODUCTION.strip(), *parts]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _margin(claim: Claim, outcome: Outcome) -> str:
    """Return mean and standard deviation, with the unit."""
    if not outcome.margins:
        return f"**failed: {outcome.problem}**"
    factor = 100 if claim.unit == "points" else 1
    numbers = [factor * margin for margin in outcome.margins]
    digits = ".1f" if claim.unit == "points" else ".3g"
    text = f"{statistics.fmean(numbers):+{digits}}"
    if len(numbers) > 1:
        text += f" ± {statistics.stdev(numbers):{digits}}"
    text = f"{text} {claim.unit}".replace("-", "−")
    return text if outcome.holds else f"**{text}**"


def _seeds(outcome: Outcome) -> str:
    return f"{sum(margin > 0 for margin in outcome.margins)} of {len(outcome.margins)}" if outcome.margins else "–"


def _with_seeds(claim: Claim, outcome: Outcome) -> str:
    return f"{_margin(claim, outcome)}, {_seeds(outcome)}"


def _described(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"`{name} = {value!r}`" for name, value in parameters.items()) or "no other parameters"


def _link(notebook: Path, cell: str) -> str:
    """Return a link to the section that a cell is in: places between headings have no address on the site."""
    heading = ""
    for one in read_notebook(notebook).cells:
        if one.cell_type == "markdown":
            heading = next(iter(re.findall(r"^#{1,3} (.+)$", one.source, re.MULTILINE)), heading)
        if one.id == cell:
            break
    anchor = f"#{heading.strip().replace(' ', '-')}" if heading else ""
    return f"[{cell}](<../notebooks/{notebook.name}{anchor}>)"
