"""`fedlearn colab`: notebooks that a learner uploads to Google Colab, one file each."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fedlearn_helpers.errors import InputError


def colab(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Numbers, such as 00 02; all of them if none.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the notebooks are.")] = Path("notebooks"),
    output: Annotated[Path, typer.Option(help="Where the editions go.")] = Path("build/colab"),
) -> None:
    """Write editions of the notebooks that need no other file: for Google Colab, or any notebook server.

    Their first cell installs what is missing and leaves alone what is there; the next ones bring the package.

    Example: fedlearn colab 00 02
    """
    from fedlearn_helpers.colab import write_edition

    try:
        paths = _choose(folder, notebooks or [])
    except InputError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    for path in paths:
        edition = write_edition(path, output)
        print(f"{edition}: {edition.stat().st_size / 1000:,.0f} kB")


def _choose(folder: Path, numbers: list[str]) -> list[Path]:
    paths = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not paths:
        raise InputError(f"folder must hold the notebooks, got {str(folder)!r} with none")
    wanted = [number.zfill(2) for number in numbers] or list(paths)
    if unknown := [number for number in wanted if number not in paths]:
        raise InputError(f"notebooks must be among {', '.join(paths)}, got {', '.join(unknown)}")
    return [paths[number] for number in wanted]
