"""UCI Heart Disease: patients of four hospitals, which come with the package (CC BY 4.0, see the NOTICE beside them).

Janosi, Steinbrunn, Pfisterer and Detrano, 1989, https://doi.org/10.24432/C52P4X
"""

from pathlib import Path

import numpy as np

from fedlearn_helpers.tables.schema import HEART
from fedlearn_helpers.tables.site import SiteTable

FILES = {
    "Cleveland": "processed.cleveland.data",
    "Hungary": "processed.hungarian.data",
    "Switzerland": "processed.switzerland.data",
    "VA Long Beach": "processed.va.data",
}
NOTICE = "NOTICE.txt"  # goes wherever the files go
EMBEDDED = Path(__file__).parent / "embedded" / "heart_disease"


def load_heart(*, keep_zeros: bool = False) -> list[SiteTable]:
    """Return the four hospitals: Cleveland (303 patients), Hungary (294), Switzerland (123), VA Long Beach (200).

    The label is 1 where the files' last column, a grade from 0 to 4, is above 0.

    Args:
        keep_zeros: whether a cholesterol or a blood pressure of 0 stays a number, as in the files, and is not taken
            for missing. In Switzerland every cholesterol is 0.
    """
    return [_read(site, EMBEDDED / file, keep_zeros) for site, file in FILES.items()]


def _read(site: str, path: Path, keep_zeros: bool) -> SiteTable:
    lines = path.read_text(encoding="utf-8").split()
    table = np.array([[np.nan if cell == "?" else float(cell) for cell in line.split(",")] for line in lines])
    values, grades = table[:, :-1], table[:, -1]
    return SiteTable(site, HEART, values if keep_zeros else HEART.without_zeros(values), grades > 0)
