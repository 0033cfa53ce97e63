"""A site's rows to train on, and those to test on."""

import numpy as np

from fedlearn_helpers.errors import InputError, check_number
from fedlearn_helpers.partition.split import split_train_validation
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.tables.site import SiteTable


def split_site(site: SiteTable, test_fraction: float, seed: int) -> tuple[SiteTable, SiteTable]:
    """Return a site's rows to train on and to test on, each in their order.

    Each class has its share of the rows to test on, rounded up or down. The split depends on the site's rows, its name
    and the seed: another site more or less changes nothing.

    Args:
        site: at least two rows.
        test_fraction: share of the rows to test on, in (0, 1); each part gets at least one row.
        seed: decides the split.

    Raises:
        InputError: an argument out of range, or a single row.
    """
    check_number("test_fraction", test_fraction, "> 0 and < 1", lambda share: 0 < share < 1)
    own_seed = derive_seed(seed, "split of a site", site.name)
    if len(site) < 2:
        raise InputError(f"site must have at least 2 rows, one to train on and one to test on, got 1 in {site.name!r}")
    everything = [np.arange(len(site))]
    parts = split_train_validation(
        everything, validation_fraction=test_fraction, seed=own_seed, labels=site.labels
    )[0]  # fmt: skip
    return site.rows(parts.train), site.rows(parts.validation)
