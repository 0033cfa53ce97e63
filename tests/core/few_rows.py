"""Sites with rows of two classes, for tests: a table with missing values, spread over sites in several ways."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Rows:
    values: np.ndarray
    labels: np.ndarray

    def only(self, chosen):
        return Rows(self.values[chosen], self.labels[chosen])


def table(seed=0, count=200, features=4, missing=0.1):
    """Rows whose label depends on two columns and on whether a third is missing; few distinct values, so many ties."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (count, features)).astype(float)
    values[rng.random(values.shape) < missing] = np.nan
    score = np.nan_to_num(values[:, 0] - values[:, 1], nan=2.0) + 3 * np.isnan(values[:, 2])
    return Rows(values, (score + rng.normal(0, 2, count) > 0).astype(np.int64))


def spread(rows, seed=0, sites=4):
    """All rows over sites of different sizes: by the first column, so that they differ, and in random order."""
    rng = np.random.default_rng(seed)
    order = np.argsort(np.nan_to_num(rows.values[:, 0], nan=-1.0), kind="stable")
    cuts = np.sort(rng.integers(0, len(order) + 1, sites - 1))
    parts = [rows.only(rng.permutation(part)) for part in np.split(order, cuts)]
    return [parts[number] for number in rng.permutation(sites)]


def pooled(sites):
    return Rows(np.concatenate([site.values for site in sites]), np.concatenate([site.labels for site in sites]))
