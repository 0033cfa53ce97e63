"""Algorithms x scenarios x seeds: tables made run by run, which go on where they were interrupted."""

from __future__ import annotations  # the tables' type is imported when the first table is made

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from operator import le, length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.algorithms.registry import find_algorithm
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number
from fedlearn_helpers.experiments.federate import federate
from fedlearn_helpers.experiments.parallel import Numbers
from fedlearn_helpers.experiments.reference_lines import reference_lines
from fedlearn_helpers.experiments.run_key import dataset_key
from fedlearn_helpers.experiments.runs import run_all
from fedlearn_helpers.experiments.scenarios import Scenario, check_scenario, make_scenario
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS
from fedlearn_helpers.partition.counts import class_counts
from fedlearn_helpers.partition.heterogeneity import heterogeneity
from fedlearn_helpers.seeds import check_seed
from fedlearn_helpers.simulation.replies import FaultyReply
from fedlearn_helpers.simulation.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

LOCAL_ONLY, CENTRALIZED, GLOBAL = "local only", "centralized", "global"
_REFERENCE = "reference lines"  # stands for the algorithm in a run that trains both
NORMALIZED = " + BatchNorm"  # behind an algorithm's name: with the model that has BatchNorm


@dataclass(frozen=True)
class Comparison:
    """What is compared: every algorithm in every scenario with every seed, and the reference lines beside them.

    Attributes:
        algorithms: keys of `ALGORITHMS`; with `NORMALIZED` behind it, one trains the model with BatchNorm.
        scenarios: as `make_scenario` reads them, such as "iid", "dirichlet:0.1" or "turned:2".
        seeds: each decides who has what, the first model and the order of images.
        num_clients, num_unseen, num_rounds, fraction_train: of every federation.
        local_config: how clients train.
        adaptation_epochs: as in `federate`.
        model: a key of `MODELS`.
        settings: by algorithm, what differs from its default settings.
        max_images, validation_fraction: as in `make_scenario`.
        with_references: whether local-only and centralized training are run, too.
        trimmed: whether nobody's last batch of an epoch may be small: `trim_last_batch` for all clients, and for the
            pooled examples.

    Raises:
        InputError: an unknown name, a value out of range, or an empty list.
    """

    algorithms: Sequence[str]
    scenarios: Sequence[str]
    seeds: Sequence[int]
    num_clients: int = 10
    num_unseen: int = 0
    num_rounds: int = 10
    fraction_train: float = 1.0
    local_config: LocalConfig = LocalConfig()
    adaptation_epochs: int = 1
    model: str = "cnn"
    settings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_images: int | None = None
    validation_fraction: float = 0.2
    with_references: bool = True
    trimmed: bool = False

    def __post_init__(self) -> None:
        for name in ("algorithms", "scenarios", "seeds"):
            if length_hint(getattr(self, name)) == 0:
                given = getattr(self, name)
                raise InputError(f"{name} must name at least one, got {given if isinstance(given, int) else 'none'}")
        for name, limit in {"num_clients": 1, "num_unseen": 0, "num_rounds": 1, "adaptation_epochs": 1}.items():
            check_number(name, getattr(self, name), f">= {limit}", partial(le, limit))
            check_whole_number(name, getattr(self, name), limit)
        if self.max_images is not None:
            check_whole_number("max_images", self.max_images, 1)
        check_number("fraction_train", self.fraction_train, "> 0 and <= 1", lambda share: 0 < share <= 1)
        check_number("validation_fraction", self.validation_fraction, "> 0 and < 1", lambda share: 0 < share < 1)
        check_one_of("model", self.model, MODELS)
        object.__setattr__(self, "seeds", tuple(check_seed(seed, "seeds") for seed in self.seeds))
        for algorithm in (*self.algorithms, *self.settings):
            self.settings_of(algorithm)
        if idle := [algorithm for algorithm in self.settings if algorithm not in self.algorithms]:
            raise InputError(f"settings must be of algorithms that are compared, got some for {idle[0]!r}")
        for scenario in self.scenarios:
            check_scenario(scenario)

    def settings_of(self, algorithm: str) -> dict[str, float]:
        """Return all settings of an algorithm.

        Raises:
            InputError: an unknown algorithm or setting, or a value out of range.
        """
        name = algorithm.removesuffix(NORMALIZED) if isinstance(algorithm, str) else algorithm
        return find_algorithm(name).complete_settings(self.settings.get(algorithm))

    def scenario(self, text: str, dataset: ImageDataset, seed: int) -> Scenario:
        """Return who has what in the runs of one scenario with one seed.

        Raises:
            InputError: the scenario cannot be made.
        """
        return make_scenario(
            text,
            dataset,
            num_clients=self.num_clients,
            num_unseen=self.num_unseen,
            max_images=self.max_images,
            validation_fraction=self.validation_fraction,
            trim_for=self.local_config.batch_size if self.trimmed else None,
            seed=seed,
        )


@dataclass(frozen=True)
class ComparisonTables:
    """What came of a comparison; "local only" and "centralized" are among the algorithms.

    Attributes:
        runs: one row per algorithm, scenario and seed. Columns: `algorithm`, `scenario`, `seed`, `test_accuracy` (of
            the final model; the mean of the members' models where each has its own), `best_test_accuracy` (of all
            rounds; empty where there is no such number), `mean_client_accuracy` and `worst_client_accuracy` (of the
            members, on their own validation images), `heterogeneity` (the members' mean total variation distance),
            `megabytes` sent in training. A run that diverged has nan for accuracies.
        clients: one row per algorithm, scenario, seed and client. Columns: `algorithm`, `scenario`, `seed`, `client`,
            `unseen` (whether it took no part in training), `accuracy` (of the model that the client uses, on its own
            validation images), `test_accuracy` (of the same model, on the test images), `megabytes`.
        rounds: one row per algorithm, scenario, seed and round, the first model's with round 0; none for reference
            lines, runs that diverged, and algorithms with a model for each client. Columns: `algorithm`, `scenario`,
            `seed`, `round`, `test_accuracy`.
    """

    runs: pd.DataFrame
    clients: pd.DataFrame
    rounds: pd.DataFrame


@dataclass(frozen=True)
class _Run:
    algorithm: str
    scenario: str
    seed: int


def compare(
    comparison: Comparison,
    dataset: ImageDataset,
    *,
    folder: Path | str | None = None,
    workers: Workers = "auto",
    label: str | None = "Runs",
) -> ComparisonTables:
    """Run a comparison and return its tables.

    Runs are independent and spread over workers. Each is the same as a call of `federate` with its seed.

    Args:
        comparison: what to run.
        dataset: all images, on the device to compute on.
        folder: where every finished run is kept as a JSON file. Runs that are in it already are not repeated, so that a
            comparison that was interrupted goes on; those of other images are refused. None keeps nothing.
        workers: as in `simulate`.
        label: what the progress line counts; None for no such line.

    Raises:
        InputError: a scenario that cannot be made, or a folder with the results of another comparison.
    """
    algorithms = (*([_REFERENCE] if comparison.with_references else []), *comparison.algorithms)
    runs = [_Run(*names) for names in product(algorithms, comparison.scenarios, comparison.seeds)]
    scenarios = {
        (scenario, seed): comparison.scenario(scenario, dataset, seed)
        for scenario, seed in product(comparison.scenarios, comparison.seeds)
    }
    content = "" if folder is None else dataset_key(dataset)
    done = run_all(
        runs,
        lambda run: _numbers(comparison, scenarios[run.scenario, run.seed], run),
        key=lambda run: _key(comparison, dataset.name, content, run),
        folder=folder,
        workers=workers,
        label=label,
    )
    return _tables(
        comparison,
        {run: done[run] for run in runs},
        {names: _distance(scenario) for names, scenario in scenarios.items()},
    )


def _distance(scenario: Scenario) -> float:
    """Return the members' mean total variation distance to the mixture of classes of all of them."""
    labels = scenario.dataset.train_labels.cpu().numpy()
    counts = class_counts(labels, [shard.train for shard in scenario.members], scenario.dataset.num_classes)
    return heterogeneity(counts).mean_total_variation


def _key(plan: Comparison, dataset: str, content: str, run: _Run) -> dict[str, Any]:
    """Return all that decides what a run gives; who has which images follows from it."""
    lists = ("algorithms", "scenarios", "seeds", "settings", "with_references")
    common = {name: value for name, value in asdict(plan).items() if name not in lists}
    settings = {} if run.algorithm == _REFERENCE else plan.settings_of(run.algorithm)
    data = {"dataset": dataset, "content of the data": content}
    return asdict(run) | data | common | {"settings": settings}


def _numbers(plan: Comparison, scenario: Scenario, run: _Run) -> Numbers:
    """Train, and return numbers: of the run, and in lists of its clients, unseen ones last.

    Those of a run that diverged are nan, and the other runs go on.
    """
    torch.set_num_threads(1)  # whatever the process: the same bits, and no more threads than workers
    dataset = scenario.dataset
    models = NORMALIZED_MODELS if run.algorithm.endswith(NORMALIZED) else MODELS
    model = models[plan.model](dataset.image_shape, dataset.num_classes, run.seed)
    model.to(dataset.train_images.device)
    if run.algorithm == _REFERENCE:
        return _reference_numbers(plan, scenario, run.seed, model)
    try:
        result = federate(
            run.algorithm.removesuffix(NORMALIZED),
            dataset,
            scenario.members,
            unseen=scenario.unseen,
            num_rounds=plan.num_rounds,
            local_config=plan.local_config,
            settings=plan.settings.get(run.algorithm),
            adaptation_epochs=plan.adaptation_epochs,
            fraction_train=plan.fraction_train,
            seed=run.seed,
            workers=1,
            model=model,
            label=None,
        )
    except FaultyReply as fault:
        print(f"{run.algorithm} has no accuracy in {run.scenario} with seed {run.seed}: {fault}")
        of_clients = [math.nan] * (plan.num_clients + plan.num_unseen)
        return {"accuracy": of_clients, "client_test_accuracy": of_clients, "test_accuracy": math.nan}
    training = [entry for entry in result.history.exchanges if entry.phase == "train"]
    numbers = {
        "accuracy": [*result.members.own.tolist(), *result.unseen.own.tolist()],
        "client_test_accuracy": [*result.members.test.tolist(), *result.unseen.test.tolist()],
        "megabytes": sum(entry.bytes_down + entry.bytes_up for entry in training) / 1e6,
    }
    if not result.test_accuracy:
        return numbers | {"test_accuracy": float(result.members.test.mean())}
    return numbers | {
        "test_accuracy": result.test_accuracy[-1],
        "best_test_accuracy": max((value for value in result.test_accuracy[1:] if value == value), default=math.nan),
        "test_accuracy_by_round": list(result.test_accuracy),
    }


def _reference_numbers(plan: Comparison, scenario: Scenario, seed: int, model: nn.Module) -> Numbers:
    config = plan.local_config
    lines = reference_lines(
        scenario.dataset,
        scenario.members,
        unseen=scenario.unseen,
        epochs=plan.num_rounds * config.local_epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=seed,
        workers=1,
        model=model,
        optimizer=config.sgd,
        trim=plan.trimmed,
        label=None,
    )
    of_members = lines.local_test[: len(scenario.members)]
    return {
        f"{LOCAL_ONLY} accuracy": list(lines.local_validation),
        f"{LOCAL_ONLY} client_test_accuracy": list(lines.local_test),
        f"{LOCAL_ONLY} test_accuracy": float(np.mean(of_members)),
        f"{CENTRALIZED} accuracy": list(lines.centralized_validation),
        f"{CENTRALIZED} client_test_accuracy": [lines.centralized_test] * len(lines.local_test),
        f"{CENTRALIZED} test_accuracy": lines.centralized_test,
    }


def _tables(
    plan: Comparison, done: Mapping[_Run, Numbers], distances: Mapping[tuple[str, int], float]
) -> ComparisonTables:
    import pandas as pd  # a third of a second

    runs, clients, rounds = [], [], []
    for run, numbers in done.items():
        for name in (LOCAL_ONLY, CENTRALIZED) if run.algorithm == _REFERENCE else (run.algorithm,):
            prefix = f"{name} " if run.algorithm == _REFERENCE else ""
            own = numbers[f"{prefix}accuracy"]
            of_members = own[: plan.num_clients]
            names = asdict(run) | {"algorithm": name}
            runs.append(
                names
                | {
                    "test_accuracy": numbers[f"{prefix}test_accuracy"],
                    "best_test_accuracy": numbers.get(f"{prefix}best_test_accuracy", np.nan),
                    "mean_client_accuracy": float(np.mean(of_members)),
                    "worst_client_accuracy": float(np.min(of_members)),
                    "heterogeneity": distances[run.scenario, run.seed],
                    "megabytes": numbers.get("megabytes", np.nan),
                }
            )
            rounds += [
                names | {"round": number, "test_accuracy": accuracy}
                for number, accuracy in enumerate(numbers.get("test_accuracy_by_round", []))
            ]
            for client, (accuracy, on_test) in enumerate(
                zip(own, numbers[f"{prefix}client_test_accuracy"], strict=True)
            ):
                clients.append(
                    names
                    | {
                        "client": client,
                        "unseen": client >= plan.num_clients,
                        "accuracy": accuracy,
                        "test_accuracy": on_test,
                        "megabytes": numbers.get("megabytes", 0.0 if run.algorithm == _REFERENCE else np.nan),
                    }
                )
    by_round = pd.DataFrame(rounds, columns=["algorithm", "scenario", "seed", "round", "test_accuracy"])
    return ComparisonTables(pd.DataFrame(runs), pd.DataFrame(clients), by_round)


def summarize_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation over seeds, one row per algorithm and scenario.

    Args:
        runs: of `ComparisonTables`.

    Returns:
        Columns: `test_accuracy`, `best_test_accuracy`, `mean_client_accuracy`, `worst_client_accuracy`, each as mean
        and standard deviation (0 for a single seed), and `seeds`, how many there are. Both are nan where one of the
        seeds has no such number. Rows by `scenario` and `algorithm`, in the table's order.
    """
    names = [name for name in runs.columns if name.endswith("accuracy")]
    groups = runs.groupby(["scenario", "algorithm"], sort=False)
    summary = groups[names].agg(["mean", "std"])
    summary.columns = [name if kind == "mean" else f"{name}_std" for name, kind in summary.columns]
    alone = groups.size() == 1  # one value has no standard deviation
    summary.loc[alone] = summary[alone].fillna({f"{name}_std": 0.0 for name in names})
    missing = runs[names].isna().groupby([runs["scenario"], runs["algorithm"]], sort=False).any()
    for name in names:  # pandas would take the mean of the other seeds
        summary.loc[missing[name], [name, f"{name}_std"]] = np.nan
    return summary.assign(seeds=groups.size())


def summarize_clients(clients: pd.DataFrame) -> pd.DataFrame:
    """Return what each algorithm gives its clients, one row per scenario and algorithm.

    Args:
        clients: of `ComparisonTables`.

    Returns:
        Columns, over the members of all seeds: `mean` and `std` accuracy, `worst_tenth` (mean of the worst 10 % of
        members, at least one a seed), `better_than_alone` and `better_than_global` (shares of members whose accuracy is
        strictly higher; the second compares with FedAvg on the same kind of model), `unseen` (mean accuracy of clients
        that took no part; nan without any), `test` (mean accuracy of members' models on all classes). A mean over
        clients of which one has no accuracy is nan. Rows in the table's order.
    """
    import pandas as pd

    keys = ["scenario", "seed", "client"]
    members = clients[~clients["unseen"]]
    accuracy = members.set_index(["algorithm", *keys])["accuracy"]
    rows = []
    for (scenario, algorithm), own in members.groupby(["scenario", "algorithm"], sort=False):
        mine = own.set_index(keys)["accuracy"]
        base = GLOBAL + (NORMALIZED if algorithm.endswith(NORMALIZED) else "")
        others = {"alone": LOCAL_ONLY, "global": base}
        better = {
            f"better_than_{name}": float((mine > accuracy[other].reindex(mine.index)).mean())
            for name, other in others.items()
            if other in accuracy.index.get_level_values("algorithm")
        }
        strangers = clients[clients["unseen"] & (clients["scenario"] == scenario) & (clients["algorithm"] == algorithm)]
        rows.append(
            {"scenario": scenario, "algorithm": algorithm}
            | {"mean": mine.mean(skipna=False), "std": mine.std(ddof=0, skipna=False)}
            | {"worst_tenth": mine.groupby("seed").apply(_worst_tenth).mean(skipna=False)}
            | better
            | {"unseen": strangers["accuracy"].mean(skipna=False), "test": own["test_accuracy"].mean(skipna=False)}
        )
    return pd.DataFrame(rows).set_index(["scenario", "algorithm"])


def _worst_tenth(accuracy: pd.Series) -> float:
    if accuracy.isna().any():  # sorted, it would be the best
        return math.nan
    return float(np.sort(accuracy)[: max(1, len(accuracy) // 10)].mean())
