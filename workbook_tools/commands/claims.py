"""`fedlearn claims`: what the notebooks claim, tried again."""

import sys
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
    from workbook_tools.execution.sweeps import Finished


def claims(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    only_default: Annotated[bool, typer.Option("--only-default", help="Leave out the other settings.")] = False,
    workers: Annotated[str, typer.Option(help='Runs in parallel: "auto" (one per core) or a number.')] = "auto",
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("build/claims"),
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/claims.md"),
) -> None:
    """Try what the notebooks claim again, with five seeds and in other settings; write a page of tables.

    Finished runs are kept: stop it and start it again, and only what is
    missing is run. Notebooks that are not asked for keep their part of the
    page. The exit code is 1 if a claim does not hold, in a setting that it
    does not name itself.

    Example: fedlearn claims 01 02
    """
    with errors_in_one_line():
        from fedlearn_helpers.files import write_whole
        from workbook_tools.execution import claims as trying
        from workbook_tools.execution.notebooks import choose

        lessons = [lesson for path in choose(folder, notebooks or []) if (lesson := trying.lesson_of(path))]
        count = runs_in_parallel(workers)
        check_output(runs)
        check_output(output.parent)
        say_what_is_left_out(folder)
        sections, broken = {}, []
        for lesson in lessons:
            name = lesson.notebook.stem

            def tell(setting: str, outcome: "Finished", seconds: float, name: str = name) -> None:
                print(f"{name}, {setting}: {seconds:.0f} s, {outcome.status}", flush=True)

            settings = lesson.settings()[: 1 if only_default else None]
            outcomes = trying.try_claims(lesson, settings, runs, count, tell)
            heading, text = trying.section_of(lesson, outcomes)
            sections[heading] = text
            for claim, found in zip(lesson.claims, outcomes, strict=True):
                if where := trying.broken(claim, found):
                    broken.append(f"{name}, {claim.cell}: {claim.says} Not so in: {', '.join(where)}.")
            before = output.read_text(encoding="utf-8") if output.exists() else ""
            write_whole(output, trying.page_of(sections, before))
    print(f"{sum(len(lesson.claims) for lesson in lessons)} claims of {len(lessons)} notebooks; see {output}")
    if broken:
        sys.exit("\n".join(broken))
