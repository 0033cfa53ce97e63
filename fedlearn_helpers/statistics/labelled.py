"""A site's rows with a label of two classes, as the questions about them need them."""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError


@dataclass(frozen=True)
class LabelledRows:
    """What one site has. No rows at all is allowed.

    Attributes:
        values: (n, d) real numbers; NaN where a value is missing.
        labels: (n,) 0 or 1.

    Raises:
        InputError: other shapes, infinite values, or other labels.
    """

    values: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        values, labels = np.asarray(self.values), np.asarray(self.labels)
        if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "iuf":
            raise InputError(
                f"values must be real numbers with a row per example and at least one column, "
                f"got {values.dtype} of shape {values.shape}"
            )
        if labels.shape != (len(values),):
            raise InputError(f"labels must be one per row ({len(values)}), got shape {labels.shape}")
        if np.isinf(values).any():
            raise InputError("values must be finite, or NaN where they are missing, got an infinite one")
        if not (known := np.isin(labels, (0, 1))).all():
            raise InputError(f"labels must be 0 or 1, got {labels[~known][0]}")
        object.__setattr__(self, "values", values.astype(np.float64))
        object.__setattr__(self, "labels", labels.astype(np.int64))
