"""Natural groups: one client per hospital, writer or country that the data come from."""

import numpy as np

from fedlearn_helpers.errors import InputError


def by_group(group_ids: np.ndarray) -> list[np.ndarray]:
    """Return one part per group.

    Args:
        group_ids: (n,) the group of each example: numbers or texts.

    Returns:
        One sorted array of indices per group, in the order of the sorted ids.

    Raises:
        InputError: no examples, or not one id per example.
    """
    group_ids = np.asarray(group_ids)
    if group_ids.ndim != 1 or len(group_ids) == 0:
        raise InputError(f"group_ids must hold one group per example, got an array of shape {group_ids.shape}")
    if group_ids.dtype.kind == "f" and np.isnan(group_ids).any():
        raise InputError("group_ids must hold one group per example, got nan")
    _, group = np.unique(group_ids, return_inverse=True)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group))[:-1])
