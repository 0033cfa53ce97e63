"""Strategies x partitions x seeds: one table, made run by run, which goes on where it was interrupted."""

from __future__ import annotations  # the table's type is imported when the first table is made

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fedlearn_helpers.algorithms.local import Recipe
from fedlearn_helpers.algorithms.registry import complete_settings
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.federate import federate
from fedlearn_helpers.experiments.reference_lines import reference_lines
from fedlearn_helpers.experiments.runs import Rows, check_plan, run_all
from fedlearn_helpers.models import MODELS
from fedlearn_helpers.partition import Shard, make_partition, parse_partition, split_train_validation
from fedlearn_helpers.partition.heterogeneity import class_counts, heterogeneity
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

REFERENCES = ("local only", "centralized")
_REFERENCE = "reference lines"  # stands for the strategy in a run that trains both


@dataclass(frozen=True)
class Comparison:
    """What is compared: every strategy on every partition with every seed, and the reference lines beside them.

    Attributes:
        strategies: keys of `METHODS`.
        partitions: as `parse_partition` reads them, such as "iid" or "dirichlet:0.1".
        seeds: each decides partition, first model and the order of images.
        num_clients, num_rounds, fraction_train: of every federation.
        recipe: how clients train.
        model: a key of `MODELS`.
        settings: by strategy, what differs from its default settings.
        max_images: of the training images, so many are used; None means all.
        validation_fraction: share of each client's images that it keeps for validation, in (0, 1).
        with_references: whether local-only and centralized training are run, too.

    Raises:
        InputError: an unknown name, a value out of range, or an empty list.
    """

    strategies: Sequence[str]
    partitions: Sequence[str]
    seeds: Sequence[int]
    num_clients: int = 10
    num_rounds: int = 10
    fraction_train: float = 1.0
    recipe: Recipe = Recipe()
    model: str = "cnn"
    settings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_images: int | None = None
    validation_fraction: float = 0.2
    with_references: bool = True

    def __post_init__(self) -> None:
        check_plan(self, lists=("strategies", "partitions", "seeds"), least={"num_clients": 1, "num_rounds": 1})
        if not 0 < self.fraction_train <= 1:
            raise InputError(f"fraction_train must be > 0 and <= 1, got {self.fraction_train}")
        for strategy in {*self.strategies, *self.settings}:
            complete_settings(strategy, self.settings.get(strategy))
        for partition in self.partitions:
            parse_partition(partition)


def compare(
    comparison: Comparison,
    dataset: ImageDataset,
    *,
    folder: Path | str | None = None,
    workers: Workers = "auto",
    label: str | None = "Runs",
) -> pd.DataFrame:
    """Run a comparison and return its table.

    Runs are independent and spread over workers. Each is the same as a call of `federate` with its seed.

    Args:
        comparison: what to run.
        dataset: all images, on the device to compute on.
        folder: where every finished run is kept as a JSON file. Runs that are in it already are not repeated, so that a
            comparison that was interrupted goes on. None keeps nothing.
        workers: as in `simulate`.
        label: what the progress line counts; None for no such line.

    Returns:
        One row per strategy (and reference line), partition and seed. Columns: `strategy`, `partition`, `seed`,
        `test_accuracy` (of the final model; "local only": the mean of the clients' models), `best_test_accuracy` (of
        all rounds; empty for reference lines), `mean_client_accuracy` and `worst_client_accuracy` (on the clients' own
        validation images), `heterogeneity` (mean total variation distance), `megabytes` sent.

    Raises:
        InputError: a partition that cannot be made, or a folder with the results of another comparison.
    """
    strategies = (*([_REFERENCE] if comparison.with_references else []), *comparison.strategies)
    runs = [_Run(*names) for names in product(strategies, comparison.partitions, comparison.seeds)]
    shards = {
        (partition, seed): make_shards(comparison, dataset, partition, seed)
        for partition, seed in product(comparison.partitions, comparison.seeds)
    }
    done = run_all(
        runs,
        lambda run: _rows(comparison, dataset, shards[run.partition, run.seed], run),
        facts=lambda run: _facts(comparison, dataset.name, run),
        folder=folder,
        workers=workers,
        label=label,
    )
    return _table(runs, done, {of: _distance(dataset, of_run) for of, of_run in shards.items()})


def _distance(dataset: ImageDataset, shards: Sequence[Shard]) -> float:
    """Return the clients' mean total variation distance to everybody's mixture of classes."""
    labels = dataset.train_labels.cpu().numpy()
    counts = class_counts(labels, [shard.train for shard in shards], dataset.num_classes)
    return heterogeneity(counts).mean_total_variation


@dataclass(frozen=True)
class _Run:
    strategy: str
    partition: str
    seed: int


def _facts(plan: Comparison, dataset: str, run: _Run) -> dict[str, Any]:
    """Return all that decides what a run gives."""
    own = {} if run.strategy == _REFERENCE else complete_settings(run.strategy, plan.settings.get(run.strategy))
    return asdict(run) | {
        "dataset": dataset,
        "num_clients": plan.num_clients,
        "num_rounds": plan.num_rounds,
        "fraction_train": plan.fraction_train,
        "recipe": asdict(plan.recipe),
        "model": plan.model,
        "max_images": plan.max_images,
        "validation_fraction": plan.validation_fraction,
        "settings": own,
    }


def make_shards(comparison: Comparison, dataset: ImageDataset, partition: str, seed: int) -> list[Shard]:
    """Return what each client holds in the runs of a comparison on one partition with one seed.

    Raises:
        InputError: the partition cannot be made.
    """
    labels = dataset.train_labels.cpu().numpy()
    chosen = np.arange(len(labels))
    if comparison.max_images is not None and comparison.max_images < len(labels):
        rng = np.random.default_rng(derive_seed(seed, "chosen images"))
        chosen = np.sort(rng.permutation(len(labels))[: comparison.max_images])
    parts = make_partition(
        labels=labels[chosen], num_clients=comparison.num_clients, seed=seed, **parse_partition(partition)
    )
    return split_train_validation(
        [chosen[part] for part in parts], validation_fraction=comparison.validation_fraction, seed=seed, labels=labels
    )


def _rows(comparison: Comparison, dataset: ImageDataset, shards: Sequence[Shard], run: _Run) -> Rows:
    """Train, and return the numbers of the run's rows in the table: one, or two for the reference lines."""
    torch.set_num_threads(1)  # whatever the process: the same bits, and no more threads than workers
    recipe = comparison.recipe
    model = MODELS[comparison.model](dataset.image_shape, dataset.num_classes, run.seed)
    model.to(dataset.train_images.device)
    if run.strategy == _REFERENCE:
        lines = reference_lines(
            dataset,
            shards,
            epochs=comparison.num_rounds * recipe.local_epochs,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            seed=run.seed,
            workers=1,
            model=model,
            optimizer=partial(torch.optim.SGD, momentum=recipe.momentum, weight_decay=recipe.weight_decay),
            label=None,
        )
        return [
            _row(lines.local_test_mean, lines.local_validation),
            _row(lines.centralized_test, lines.centralized_validation),
        ]
    outcome = federate(
        run.strategy,
        dataset,
        shards,
        num_rounds=comparison.num_rounds,
        recipe=recipe,
        settings=comparison.settings.get(run.strategy),
        fraction_train=comparison.fraction_train,
        seed=run.seed,
        workers=1,
        model=model,
        label=None,
    )
    sent = (outcome.history.bytes_down + outcome.history.bytes_up) / 1e6
    best = max(outcome.test_accuracy[1:])
    return [_row(outcome.test_accuracy[-1], outcome.client_accuracy) | {"best_test_accuracy": best, "megabytes": sent}]


def _row(test_accuracy: float, client_accuracy: Sequence[float]) -> dict[str, float]:
    return {
        "test_accuracy": test_accuracy,
        "mean_client_accuracy": float(np.mean(client_accuracy)),
        "worst_client_accuracy": float(np.min(client_accuracy)),
    }


def _table(
    runs: Sequence[_Run], done: Mapping[_Run, list[dict[str, float]]], distances: Mapping[tuple[str, int], float]
) -> pd.DataFrame:
    import pandas as pd  # a third of a second

    rows = []
    for run in runs:
        names = REFERENCES if run.strategy == _REFERENCE else (run.strategy,)
        for name, numbers in zip(names, done[run], strict=True):
            distance = distances[run.partition, run.seed]
            rows.append(asdict(run) | {"strategy": name} | numbers | {"heterogeneity": distance})
    columns = ["test_accuracy", "best_test_accuracy", "mean_client_accuracy", "worst_client_accuracy"]
    return pd.DataFrame(rows)[["strategy", "partition", "seed", *columns, "heterogeneity", "megabytes"]]


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation over seeds, one row per strategy and partition.

    Args:
        table: from `compare`.

    Returns:
        Columns: `test_accuracy`, `best_test_accuracy`, `mean_client_accuracy`, `worst_client_accuracy`, each as mean
        and standard deviation (0 for a single seed), and `seeds`, how many there are. Rows in the table's order.
    """
    names = [name for name in table.columns if name.endswith("accuracy")]
    groups = table.groupby(["partition", "strategy"], sort=False)
    summary = groups[names].agg(["mean", "std"])
    summary.columns = [name if kind == "mean" else f"{name}_std" for name, kind in summary.columns]
    alone = groups.size() == 1  # one value has no standard deviation
    summary.loc[alone] = summary[alone].fillna({f"{name}_std": 0.0 for name in names})
    return summary.assign(seeds=groups.size())
