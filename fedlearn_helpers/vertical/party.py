"""What a party holds, and how it prepares its rows once it knows which patients both have."""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.vertical.logistic import check_columns, check_labels
from fedlearn_helpers.vertical.matching import check_ids


@dataclass(frozen=True)
class Party:
    """One party's table.

    Attributes:
        ids: one per row, none twice, in the party's own spelling.
        columns: (rows, d) finite numbers.
        labels: (rows,) 0 or 1 at the active party; None at the passive one.

    Raises:
        InputError: an attribute that does not fit.
    """

    ids: list[str]
    columns: np.ndarray
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_ids(self.ids)
        if len(check_columns(self.columns)) != len(self.ids):
            raise InputError(f"ids must have one entry per row ({len(self.columns)}), got {len(self.ids)}")
        if self.labels is not None:
            check_labels(self.labels, len(self.ids))

    def rows_of(self, ids: list[str]) -> np.ndarray:
        """Return the rows (n,) of these ids, which must be spelled as the party spells them."""
        row = {identifier: number for number, identifier in enumerate(self.ids)}
        return np.array([row[identifier] for identifier in ids], dtype=np.int64)

    def prepared(self, rows: np.ndarray, num_train: int) -> np.ndarray:
        """Return the columns (n, d) of these rows, each with mean 0 and standard deviation 1 on the first num_train.

        The active party has a column of ones before them, (n, d + 1). A column with one value alone becomes 0.
        """
        own = np.asarray(self.columns, dtype=np.float64)[rows]
        mean, deviation = own[:num_train].mean(axis=0), own[:num_train].std(axis=0)
        scaled = (own - mean) / np.where(deviation > 0, deviation, 1)
        return scaled if self.labels is None else np.hstack([np.ones((len(own), 1)), scaled])
