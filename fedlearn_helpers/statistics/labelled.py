"""A site's rows and labels of two classes, checked before a question about both is answered."""

import numpy as np

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.columns import Site


def labelled_rows(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Return a site's values, float64 (n, d) with nan where one is missing, and labels, int64 (n,). n may be 0.

    Raises:
        InputError: arrays of other shapes, values of another dtype, infinite values, or labels other than 0 and 1.
    """
    values, labels = np.asarray(site.values), np.asarray(site.labels)
    if values.dtype != np.float64 or values.ndim != 2 or values.shape[1] == 0:
        raise InputError(f"values must be an array of float64 and shape (n, d), got {values.dtype} {values.shape}")
    if labels.shape != (len(values),):
        raise InputError(f"labels must be one for each of {len(values)} rows, got shape {labels.shape}")
    if np.isinf(values).any():
        raise InputError("values must be finite, or nan where they are missing, got an infinite one")
    if len(wrong := labels[~np.isin(labels, (0, 1))]):
        raise InputError(f"labels must be 0 or 1, got {wrong[0]}")
    return values, labels.astype(np.int64)
