"""`fedlearn grade`: a table of what submitted notebooks have got right, or of what projects have."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbook_tools.commands.arguments import (
    check_output,
    errors_in_one_line,
    runs_in_parallel,
    say_what_is_left_out,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbook_tools.grading.handed_in import NotCollected
    from workbook_tools.grading.judgement import Grade

_PROJECTS, _PROJECTS_PAGE = "projects.csv", "projects.md"
_TABLE, _OVERVIEW, _REPORT = "grades.csv", "overview.csv", "grades.html"


def grade(
    submissions: Annotated[
        Path, typer.Argument(help="A folder with submitted notebooks, in sub-folders or zip files if you like.")
    ],
    time_limit: Annotated[float, typer.Option(help="Seconds after which a submission is ended.")] = 900,
    workers: Annotated[str, typer.Option(help='Submissions in parallel: "auto" (one per core) or a number.')] = "auto",
    folder: Annotated[Path, typer.Option(help="Where the workbook's notebooks are.")] = Path("notebooks"),
    output: Annotated[
        Path, typer.Option(help="Folder for the tables and the executed notebooks. What is graded in it is kept.")
    ] = Path("build/grades"),
    projects: Annotated[
        bool, typer.Option("--projects", help="The folder holds projects: count what can be counted, execute nothing.")
    ] = False,
) -> None:
    """Execute submitted notebooks and test their exercises; write a table, submission by exercise.

    Answers and added cells are taken from a submission, all else from the
    workbook, and the tests from the package installed here. Each runs in its
    own processes and folder, without network, and is ended when its time is up.
    It is not kept from reading your files: grade strangers' work under an
    account of its own.

    What lies in the folder and cannot be graded is named with the reason.

    Stop it and start it again, or add submissions, and only what is new is
    executed, and what had crashed or run out of time.

    With --projects the folder is one of projects (plan.json, results.json,
    conclusion.json), or is one: the counted part of their rubric is filled in.

    Example: fedlearn grade submissions --time-limit 600
    """
    if projects:
        return _grade_projects(submissions, output)
    with errors_in_one_line():
        from fedlearn_helpers.errors import InputError
        from workbook_tools.grading import grade as grading
        from workbook_tools.grading.collect import collect

        if not time_limit > 0:
            raise InputError(f"time_limit must be > 0 seconds, got {time_limit:g}")
        check_output(output)
        own = (grading.EXECUTED, grading.KEPT, _TABLE, _OVERVIEW, _REPORT)
        with collect(submissions, leave={(output / name).resolve() for name in own}) as found:
            notebooks = grading.originals(folder)
            count = runs_in_parallel(workers)
            say_what_is_left_out(folder)
            output.mkdir(parents=True, exist_ok=True)
            grades = grading.grade_all(
                found.notebooks,
                notebooks,
                output=output,
                seconds=time_limit,
                in_parallel=count,
                on_graded=_tell,
            )
        _write(grades, found.others, output)


def _grade_projects(submissions: Path, output: Path) -> None:
    with errors_in_one_line():
        from dataclasses import asdict

        import pandas as pd

        from fedlearn_helpers.files import write_whole
        from workbook_tools.grading.projects import in_short, mark_all, markdown_of

        check_output(output)
        lines = mark_all(submissions)
        table = pd.DataFrame([asdict(line) for line in lines]).astype({"points": "Int64"})
        write_whole(output / _PROJECTS, table.to_csv(index=False))
        write_whole(output / _PROJECTS_PAGE, markdown_of(lines))
    for name in dict.fromkeys(line.project for line in lines):
        mine = [line for line in lines if line.project == name]
        if not mine[0].criterion:
            print(f"{name}: not marked, {mine[0].reason}")
            continue
        print(f"{name}: {in_short(mine)}, plan {mine[0].code or 'none'}")
        for line in mine:
            if line.points is not None:
                print(f"  {line.criterion:17} {line.points:2} of {line.most:2}  {line.reason}")
    print(f"Written to {output / _PROJECTS} and {output / _PROJECTS_PAGE}.")


def _tell(grades: Sequence["Grade"]) -> None:
    print(f"{grades[0].submission}: {', '.join(f'{of.exercise} {of.status}'.strip() for of in grades)}", flush=True)
    if grades[0].remarks:
        print(f"  {grades[0].remarks}")


def _write(grades: Sequence["Grade"], others: Sequence["NotCollected"], output: Path) -> None:
    from dataclasses import asdict

    import pandas as pd

    from fedlearn_helpers.files import write_whole
    from workbook_tools.execution import pages
    from workbook_tools.grading.judgement import Grade

    not_collected = [Grade(one.name, "", "", "not collected", one.reason) for one in others]
    table = pd.DataFrame([asdict(one) for one in (*grades, *not_collected)])
    write_whole(output / _TABLE, table.to_csv(index=False))
    write_whole(output / _OVERVIEW, _overview(table).to_csv(index=False))
    body = "".join(_section(number, of_notebook) for number, of_notebook in table.groupby(table["exercise"].str[:2]))
    isolation = ", or ".join(html.escape(how) for how in table["isolation"].unique() if how)
    body += f"<p>Kept from the network by {isolation}.</p>" if isolation else ""
    write_whole(output / _REPORT, pages.page("Grades", body))
    kept = f"kept from the network by {isolation}" if isolation else "none of which could be executed"
    print(f"{table['submission'].nunique() - len(others)} submissions, {kept}.")
    print(f"Written to {output / _TABLE}, {output / _OVERVIEW} and {output / _REPORT}.")
    if others:
        print(f"{len(others)} not collected:")
        for one in others:
            print(f"  {one.name}: {one.reason}")


def _overview(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per submission: the status of each exercise, and how many are correct."""
    statuses = table.pivot(index="submission", columns="exercise", values="status").fillna("")
    return statuses.assign(correct=(statuses == "correct").sum(axis=1)).reset_index()


def _section(number: str, table: "pd.DataFrame") -> str:
    """Return the grades of one notebook as HTML, submission by exercise; no number is that of what was not graded."""
    from workbook_tools.execution import pages

    exercises = sorted(filter(None, set(table["exercise"])))
    rows = []
    for name, of_submission in table.groupby("submission", sort=False):
        cells = {
            one.exercise: f"<strong>{one.status}</strong>"
            + ("" if one.status == "correct" else f"<br>{html.escape(one.message)}")
            for one in of_submission.itertuples()
        }
        remarks = [cells[""]] if "" in cells else [html.escape(text) for text in of_submission["remarks"].unique()]
        rows.append((html.escape(name), *(cells.get(exercise, "") for exercise in exercises), "<br>".join(remarks)))
    title = f"Notebook {number}" if number else "Not graded"
    return f"<h2>{title}</h2>\n{pages.table(('Submission', *exercises, 'Remarks'), rows)}\n"
