"""All sites' rows as one data set, with a shard for each site: what `federate` takes."""

from collections.abc import Sequence

import numpy as np
import torch

from fedlearn_helpers.data.dataset import Examples
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.tables.site import as_labels
from fedlearn_helpers.tasks import TABLES

BySite = Sequence[np.ndarray]
"""One array for each site, in the same order everywhere."""


def as_dataset(
    inputs_by_site: BySite, labels_by_site: BySite, *, test: tuple[BySite, BySite], name: str = "tables"
) -> tuple[Examples, list[Shard]]:
    """Return all sites' rows, and which of them are whose.

    A site's own test rows are its shard's `validation`: there its accuracy is measured. All sites' test rows together
    are the data set's test examples, on which the server measures the model.

    Args:
        inputs_by_site: (n_k, features) of each site, to train on.
        labels_by_site: (n_k,) of each site, 1 or 0.
        test: inputs and labels of each site, to test on, in the same order.
        name: of the data set.

    Raises:
        InputError: no sites, not as many everywhere, a site without rows, other numbers of features, an input that is
            not finite, or a label that is not 0 or 1.
    """
    train_inputs, train_labels = _checked("inputs_by_site", inputs_by_site, labels_by_site)
    test_inputs, test_labels = _checked("test", *test)
    if len(train_inputs) != len(test_inputs):
        raise InputError(f"test must have rows of {len(train_inputs)} sites, got {len(test_inputs)}")
    widths = {array.shape[1] for array in (*train_inputs, *test_inputs)}
    if len(widths) > 1:
        raise InputError(f"inputs must have the same features at all sites, got {sorted(widths)} of them")
    trained = sum(map(len, train_inputs))
    begins, test_begins = (
        np.cumsum([start, *map(len, arrays)]) for start, arrays in ((0, train_inputs), (trained, test_inputs))
    )
    shards = [
        Shard(train=np.arange(*begins[site : site + 2]), validation=np.arange(*test_begins[site : site + 2]))
        for site in range(len(train_inputs))
    ]
    dataset = Examples(
        name,
        TABLES,
        train_inputs=torch.from_numpy(np.concatenate(train_inputs + test_inputs)),
        train_targets=torch.from_numpy(np.concatenate(train_labels + test_labels)),
        test_inputs=torch.from_numpy(np.concatenate(test_inputs)),
        test_targets=torch.from_numpy(np.concatenate(test_labels)),
    )
    return dataset, shards


def _checked(argument: str, inputs: BySite, labels: BySite) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise InputError(f"{argument} must have inputs and labels of each site, got {len(inputs)} and {len(labels)}")
    checked = []
    for site, (rows, targets) in enumerate(zip(inputs, labels, strict=True)):
        array = np.asarray(rows)
        if array.ndim != 2 or len(array) != len(targets) or array.size == 0 or array.dtype.kind not in "biuf":
            raise InputError(
                f"{argument} must be numbers of shape (n, features) with n labels, got shape {array.shape} and "
                f"{len(targets)} labels for site {site}"
            )
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InputError(f"{argument} must be finite, got {array[~np.isfinite(array)][0]} for site {site}")
        checked.append((array, as_labels(targets, f"site {site}")))
    return [array for array, _ in checked], [targets for _, targets in checked]
