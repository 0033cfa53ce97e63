"""Sites with random rows: gaps, ties, an empty site, a column that one site has never measured."""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.statistics.columns import Number


@dataclass(frozen=True)
class MadeUpSite:
    name: str
    values: np.ndarray
    labels: np.ndarray


STEP = 0.01
NUMBERS = tuple(Number(place, f"column {place}", -1000, 1000, STEP) for place in range(4))


def made_up_sites(seed=0, sizes=(30, 17, 0, 1, 60)):
    """Columns: 0 normal, 1 with many ties, 2 one value alone, 3 never measured at the first site; 10 % missing."""
    rng = np.random.default_rng(seed)
    sites = []
    for number, size in enumerate(sizes):
        columns = [
            rng.normal(10 * number, 3, size),
            rng.integers(0, 4, size),
            np.full(size, 7.5),
            rng.normal(size=size),
        ]
        values = np.stack(columns, axis=1).astype(np.float64)
        values[rng.random(values.shape) < 0.1] = np.nan
        if number == 0:
            values[:, 3] = np.nan
        sites.append(MadeUpSite(f"site {number}", values, rng.integers(0, 2, size)))
    return sites


def pooled(sites, name="pooled"):
    values, labels = np.concatenate([one.values for one in sites]), np.concatenate([one.labels for one in sites])
    return MadeUpSite(name, values, labels)


def regrouped(sites, seed):
    """The same rows in another order, and at other sites."""
    rng = np.random.default_rng(seed)
    rows = pooled(sites)
    order = rng.permutation(len(rows.labels))
    parts = np.split(order, np.sort(rng.integers(0, len(order) + 1, rng.integers(0, 5))))
    return [MadeUpSite(f"part {k}", rows.values[part], rows.labels[part]) for k, part in enumerate(parts)]
