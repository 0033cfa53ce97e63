"""The folder both contestants read CIFAR-10 from: links to the original files, or a smaller copy of them."""

import os
from pathlib import Path

import pyarrow.parquet

from fedlearn_helpers.data.sources import find_parquet

ALL_EXAMPLES = 50_000
_TEST_SHARE = 5  # CIFAR-10 has one test image per five training images; a smaller copy keeps that


class NoData(Exception):
    """CIFAR-10 is not where it should be; the message is one sentence for the user."""


def provide_data(target: Path, examples: int) -> None:
    """Make `target/cifar10` with the first `examples` training images and a fifth as many test images.

    Raises:
        NoData: no parquet files, or fewer training images than asked for.
    """
    train, test = _find_files()
    folder = target / "cifar10"
    folder.mkdir(parents=True)
    available = pyarrow.parquet.read_metadata(train).num_rows
    if examples > available:
        raise NoData(f"--examples must be at most {available}, the number of training images in {train}.")
    for source, rows in ((train, examples), (test, examples // _TEST_SHARE)):
        link = folder / source.name
        if examples == available:
            link.symlink_to(source.resolve())
        else:
            pyarrow.parquet.write_table(pyarrow.parquet.read_table(source).slice(0, rows), link)


def _find_files() -> tuple[Path, Path]:
    if not (root := os.environ.get("FEDLEARN_DATA")):
        raise NoData(
            "FEDLEARN_DATA is not set: it must name the folder in which cifar10/ holds the data set's parquet files, "
            "train-*.parquet and test-*.parquet, as they are on the Hub (uoft-cs/cifar10)."
        )
    if not (files := find_parquet(Path(root).expanduser() / "cifar10")):
        raise NoData(f"FEDLEARN_DATA={root} has no cifar10/ with train-*.parquet and test-*.parquet in it.")
    return files[0], files[1]
