"""`fedlearn data`: which data sets are on this machine, and how to get one ahead of an offline lab."""

import sys
from typing import Annotated

import typer

from workbook_tools.commands.arguments import errors_in_one_line


def data(
    fetch: Annotated[
        list[str] | None,
        typer.Option(
            help="Get this data set into the cache: cifar10, fashion-mnist, mnist, or the path of a folder of images. "
            "May be given several times."
        ),
    ] = None,
) -> None:
    """List and verify the data sets on this machine; the exit code is 1 if one is damaged.

    Looked for in the folder FEDLEARN_DATA, then in the cache, FEDLEARN_CACHE. A copy of a cache works on other
    machines, without a network.

    Example: fedlearn data --fetch cifar10 --fetch mnist
    """
    from fedlearn_helpers.data import KNOWN_DATASETS, load_dataset
    from fedlearn_helpers.data.cache import cache_folder, entries
    from fedlearn_helpers.data.load import local_folder

    with errors_in_one_line():
        for name in fetch or []:
            print(load_dataset(name))
        local = {name: local_folder(name) for name in KNOWN_DATASETS}
        print(f"Cache: {cache_folder()}")
        kept = entries()
    for entry in kept:
        state = (
            f"verified. {entry.origin}" if entry.intact else f"DAMAGED; it is made anew when it is needed: {entry.path}"
        )
        print(f"  {entry.name:<14} {entry.size / 1e6:8.1f} MB  {state}")
    if not kept:
        print("  nothing yet")
    print("Data sets:")
    intact = {entry.name for entry in kept if entry.intact}
    for name, folder in local.items():
        if name == "fashion":
            where = "comes with the package"
        elif folder is not None:
            where = f"in FEDLEARN_DATA: {folder}"
        elif name in intact:
            where = "in the cache: works without a network"
        else:
            where = f"not here; fedlearn data --fetch {name} downloads it"
        print(f"  {name:<14} {where}")
    if any(not entry.intact for entry in kept):
        sys.exit(1)
