"""What the columns of a table mean, which all sites agree on before anything else: names, units, ranges."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from fedlearn_helpers.errors import InputError, check_number, check_one_of

Kind = Literal["number", "category", "yes-no"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: as it stands in the header; kept in Unicode's form NFC, which is the same on every system.
        kind: "number", "category" (a code, whose size means nothing), or "yes-no" (1 or 0).
        meaning: what it says of a patient; for a category, what its codes mean.
        unit: of a number, such as "mg/dl"; empty where there is none.
        lowest, highest: of a number, in its unit: what is plausible, both included.
        allowed: the codes of a category.
        zero_means_missing: whether 0 stands for a missing value, as for a blood pressure; not for yes-no.
        other_units: of a number, units in which a site may have measured, each with its factor, > 0: value x factor is
            in `unit`.

    Raises:
        InputError: a column that cannot be, such as a category without codes.
    """

    name: str
    kind: Kind
    meaning: str = ""
    unit: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    allowed: tuple[float, ...] = ()
    zero_means_missing: bool = False
    other_units: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name != self.name.strip():
            raise InputError(f"name of a column must be a text without spaces around it, got {self.name!r}")
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
        check_one_of(f"kind of column {self.name!r}", self.kind, get_args(Kind))
        if not self.lowest <= self.highest:  # also where one is NaN
            raise InputError(f"lowest of column {self.name!r} must be <= {self.highest}, got {self.lowest}")
        without_limits = self.lowest == -math.inf and self.highest == math.inf and not self.other_units
        if self.kind != "number" and not without_limits:
            raise InputError(
                f"lowest, highest and other_units of column {self.name!r} must be left out, since it is no number, got "
                f"kind {self.kind!r}"
            )
        for unit, factor in self.other_units:
            check_number(f"factor of {unit!r} of column {self.name!r}", factor, "a number > 0", lambda n: n > 0)
        if self.kind == "yes-no" and self.zero_means_missing:
            raise InputError(f"zero_means_missing of column {self.name!r} must be False, since 0 means no")
        if (self.kind == "category") != bool(self.allowed) or len(set(self.allowed)) < len(self.allowed):
            raise InputError(
                f"allowed of column {self.name!r} must be the codes of a category, each once, and empty for "
                f"another kind, got {self.allowed!r} for kind {self.kind!r}"
            )
        if not all(math.isfinite(code) for code in self.allowed):
            raise InputError(f"allowed of column {self.name!r} must be finite numbers, got {self.allowed!r}")

    @property
    def limits(self) -> str:
        """What is allowed, in words, such as "50 to 700 mg/dl"."""
        if self.kind == "yes-no":
            return "0 or 1"
        if self.kind == "category":
            return f"one of {', '.join(f'{code:g}' for code in self.allowed)}"
        unit = f" {self.unit}" if self.unit else ""
        if math.isfinite(self.lowest) and math.isfinite(self.highest):
            return f"{self.lowest:g} to {self.highest:g}{unit}"
        if math.isfinite(self.lowest):
            return f">= {self.lowest:g}{unit}"
        return f"<= {self.highest:g}{unit}" if math.isfinite(self.highest) else f"a finite number{unit}"

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return for each value whether it is allowed, same shape, bool; a missing one (NaN) is not."""
        if self.kind == "number":
            return np.isfinite(values) & (values >= self.lowest) & (values <= self.highest)
        return np.isin(values, (0, 1) if self.kind == "yes-no" else self.allowed)


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order.

    Attributes:
        columns: those to learn from.
        label: what is to be learned, 1 or 0.

    Raises:
        InputError: no columns, two of one name, or a label that is not yes-no.
    """

    columns: tuple[Column, ...]
    label: Column

    def __post_init__(self) -> None:
        if not self.columns:
            raise InputError("columns must have at least one column to learn from, got none")
        names = [*self.names, self.label.name]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"columns must have names of their own, got {twice[0]!r} twice")
        if self.label.kind != "yes-no":
            raise InputError(f"label must be of kind 'yes-no', got {self.label.kind!r} for {self.label.name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns to learn from."""
        return tuple(column.name for column in self.columns)

    def position(self, name: str) -> int:
        """Return the position of a column to learn from; raise an InputError if there is none of this name."""
        check_one_of("column", name, self.names)
        return self.names.index(name)

    def only(self, names: Sequence[str]) -> "Schema":
        """Return the schema of some of the columns, in the order of `names`; raise an InputError if one is unknown."""
        return replace(self, columns=tuple(self.columns[self.position(name)] for name in names))

    def without_zeros(self, values: np.ndarray) -> np.ndarray:
        """Return a copy of values (n, d) with NaN for each 0 in a column where it means missing."""
        zero_means_missing = np.array([column.zero_means_missing for column in self.columns])
        return np.where((values == 0) & zero_means_missing, np.nan, values)


HEART = Schema(
    columns=(
        Column("age", "number", "age", "years", 18, 110, other_units=(("days", 1 / 365.25), ("months", 1 / 12))),
        Column("sex", "yes-no", "whether male"),
        Column(
            "cp", "category", "chest pain: 1 typical angina, 2 atypical angina, 3 another pain, 4 none",
            allowed=(1, 2, 3, 4),
        ),
        Column(
            "trestbps", "number", "blood pressure at rest, when admitted", "mm Hg", 60, 260,
            zero_means_missing=True, other_units=(("kPa", 7.50062), ("cm Hg", 10)),
        ),
        Column(
            "chol", "number", "cholesterol in serum", "mg/dl", 50, 700,
            zero_means_missing=True, other_units=(("mmol/l", 38.67), ("g/l", 100)),
        ),
        Column("fbs", "yes-no", "whether blood sugar, fasting, is above 120 mg/dl"),
        Column(
            "restecg", "category",
            "electrocardiogram at rest: 0 normal, 1 ST-T wave abnormality, 2 left ventricular hypertrophy",
            allowed=(0, 1, 2),
        ),
        Column("thalach", "number", "highest heart rate of an exercise test", "beats/min", 40, 250),
        Column("exang", "yes-no", "whether exercise brings angina"),
        Column("oldpeak", "number", "ST depression by exercise, relative to rest; below 0 an elevation", "mm", -5, 10),
        Column(
            "slope", "category", "ST segment at the peak of exercise: 1 up, 2 flat, 3 down", allowed=(1, 2, 3)
        ),
        Column("ca", "number", "large vessels that fluoroscopy shows coloured", "vessels", 0, 3),
        Column(
            "thal", "category", "thallium scan of the heart: 3 normal, 6 a fixed defect, 7 a reversible defect",
            allowed=(3, 6, 7),
        ),
    ),
    label=Column("disease", "yes-no", "whether a coronary artery is narrowed by more than half (num > 0)"),
)  # fmt: skip
"""UCI Heart Disease: 13 columns to learn from, and the label."""
