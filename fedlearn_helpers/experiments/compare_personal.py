"""Personalization methods x situations x seeds: one row per client, and what to conclude from them."""

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
from fedlearn_helpers.algorithms.personal_registry import complete_personal_settings
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments.personalize import personalize
from fedlearn_helpers.experiments.reference_lines import reference_lines
from fedlearn_helpers.experiments.runs import Rows, check_plan, run_all
from fedlearn_helpers.experiments.scenarios import Situation, check_situation, make_situation
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS
from fedlearn_helpers.simulation.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

ALONE, POOLED, GLOBAL = "local only", "centralized", "global"
_REFERENCE = "reference lines"  # stands for the method in a run that trains both
NORMALIZED = " + BatchNorm"  # behind a method's name: with the normalized model


@dataclass(frozen=True)
class PersonalComparison:
    """What is compared: every method in every situation with every seed, and the reference lines beside them.

    Attributes:
        methods: keys of `PERSONALIZATIONS`; with `NORMALIZED` behind it, a method trains the model with BatchNorm.
        situations: as `make_situation` reads them, such as "pathological:2".
        seeds: each decides who has what, the first model and the order of images.
        num_clients, num_newcomers, num_rounds: of every federation.
        recipe: how clients train.
        adaptation_epochs: as in `personalize`.
        model: a key of `MODELS`.
        settings: by method, what differs from its default settings.
        max_images, validation_fraction: as in `make_situation`.

    Raises:
        InputError: an unknown name, a value out of range, or an empty list.
    """

    methods: Sequence[str]
    situations: Sequence[str]
    seeds: Sequence[int]
    num_clients: int = 12
    num_newcomers: int = 3
    num_rounds: int = 10
    recipe: Recipe = Recipe()
    adaptation_epochs: int = 1
    model: str = "mlp"
    settings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_images: int | None = None
    validation_fraction: float = 0.25

    def __post_init__(self) -> None:
        least = {"num_clients": 1, "num_newcomers": 0, "num_rounds": 1, "adaptation_epochs": 1}
        check_plan(self, lists=("methods", "situations", "seeds"), least=least)
        for method in {*self.methods, *self.settings}:
            complete_personal_settings(method.removesuffix(NORMALIZED), self.settings.get(method))
        for situation in self.situations:
            check_situation(situation)


@dataclass(frozen=True)
class _Run:
    method: str
    situation: str
    seed: int


def compare_personal(
    comparison: PersonalComparison,
    dataset: ImageDataset,
    *,
    folder: Path | str | None = None,
    workers: Workers = "auto",
    label: str | None = "Runs",
) -> pd.DataFrame:
    """Run a comparison and return its table.

    Runs are independent and spread over workers. Each is the same as a call of `personalize` with its seed.

    Args:
        comparison: what to run.
        dataset: all images, on the device to compute on.
        folder: where every finished run is kept; one that is in it already is not repeated. None keeps nothing.
        workers: as in `simulate`.
        label: what the progress line counts; None for no such line.

    Returns:
        One row per method, situation, seed and client; "local only" and "centralized" (a model of all members' images
        together) are among the methods. Columns: `method`, `situation`, `seed`, `client`, `newcomer` (whether it took
        no part in training), `accuracy` (of the client's model on its own validation images), `test_accuracy` (of the
        same model on the test images, which have all classes), `megabytes` (sent in the whole federation).

    Raises:
        InputError: a situation that cannot be made, or a folder with other runs.
    """
    runs = [
        _Run(*names) for names in product((_REFERENCE, *comparison.methods), comparison.situations, comparison.seeds)
    ]
    situations = {
        (situation, seed): make_situation(
            situation,
            dataset,
            num_clients=comparison.num_clients,
            num_newcomers=comparison.num_newcomers,
            max_images=comparison.max_images,
            validation_fraction=comparison.validation_fraction,
            seed=seed,
        )
        for situation, seed in product(comparison.situations, comparison.seeds)
    }
    done = run_all(
        runs,
        lambda run: _rows(comparison, situations[run.situation, run.seed], run),
        facts=lambda run: _facts(comparison, dataset.name, run),
        folder=folder,
        workers=workers,
        label=label,
    )
    return _table(runs, done)


def _facts(plan: PersonalComparison, dataset: str, run: _Run) -> dict[str, Any]:
    """Return all that decides what a run gives."""
    facts = {name: value for name, value in asdict(plan).items() if name not in ("methods", "situations", "seeds")}
    own = {}
    if run.method != _REFERENCE:
        own = complete_personal_settings(run.method.removesuffix(NORMALIZED), plan.settings.get(run.method))
    return asdict(run) | {"dataset": dataset} | facts | {"settings": own}


def _rows(plan: PersonalComparison, situation: Situation, run: _Run) -> Rows:
    """Train, and return one row per client, newcomers last; for the reference lines two such lists."""
    torch.set_num_threads(1)  # whatever the process: the same bits, and no more threads than workers
    dataset, members, newcomers = situation.dataset, situation.members, situation.newcomers
    models = NORMALIZED_MODELS if run.method.endswith(NORMALIZED) else MODELS
    model = models[plan.model](dataset.image_shape, dataset.num_classes, run.seed)
    model.to(dataset.train_images.device)
    if run.method == _REFERENCE:
        lines = reference_lines(
            dataset,
            members,
            newcomers=newcomers,
            epochs=plan.num_rounds * plan.recipe.local_epochs,
            batch_size=plan.recipe.batch_size,
            learning_rate=plan.recipe.learning_rate,
            seed=run.seed,
            workers=1,
            model=model,
            optimizer=partial(torch.optim.SGD, momentum=plan.recipe.momentum, weight_decay=plan.recipe.weight_decay),
            label=None,
        )
        everywhere = [lines.centralized_test] * len(lines.local_test)
        return [
            *_per_client(lines.local_validation, lines.local_test, len(members), 0.0),
            *_per_client(lines.centralized_validation, everywhere, len(members), 0.0),
        ]
    outcome = personalize(
        run.method.removesuffix(NORMALIZED),
        dataset,
        members,
        newcomers=newcomers,
        num_rounds=plan.num_rounds,
        recipe=plan.recipe,
        settings=plan.settings.get(run.method),
        adaptation_epochs=plan.adaptation_epochs,
        seed=run.seed,
        workers=1,
        model=model,
        label=None,
    )
    sent = sum(entry.bytes_down + entry.bytes_up for entry in outcome.history.exchanges if entry.phase == "train") / 1e6
    own, test = (
        np.concatenate([getattr(outcome.members, name), getattr(outcome.newcomers, name)]) for name in ("own", "test")
    )
    return _per_client(own, test, len(members), sent)


def _per_client(own: Sequence[float], test: Sequence[float], members: int, sent: float) -> Rows:
    return [
        {
            "client": client,
            "newcomer": int(client >= members),
            "accuracy": float(accuracy),
            "test_accuracy": float(on_test),
            "megabytes": sent,
        }
        for client, (accuracy, on_test) in enumerate(zip(own, test, strict=True))
    ]


def _table(runs: Sequence[_Run], done: Mapping[_Run, Rows]) -> pd.DataFrame:
    import pandas as pd  # a third of a second

    rows = []
    for run in runs:
        numbers = done[run]
        names = [run.method]
        if run.method == _REFERENCE:
            names = [ALONE, POOLED]
        clients = len(numbers) // len(names)
        for place, row in enumerate(numbers):
            rows.append(asdict(run) | {"method": names[place // clients]} | row)
    return pd.DataFrame(rows).astype({"client": int, "newcomer": bool})


def summarize_personal(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each method gives its clients, one row per situation and method.

    Args:
        table: from `compare_personal`.

    Returns:
        Columns, over the members of all seeds: `mean` and `std` accuracy, `worst_tenth` (mean of the worst 10 % of
        members, at least one a seed), `better_than_alone` and `better_than_global` (shares of members whose accuracy is
        strictly higher; the second compares with FedAvg on the same kind of model), `newcomers` (mean accuracy of
        clients that took no part; nan without any), `test` (mean accuracy of members' models on all classes). Rows in
        the table's order.
    """
    import pandas as pd

    keys = ["situation", "seed", "client"]
    members = table[~table["newcomer"]]
    accuracy = members.set_index(["method", *keys])["accuracy"]
    rows = []
    for (situation, method), own in members.groupby(["situation", "method"], sort=False):
        mine = own.set_index(keys)["accuracy"]
        base = GLOBAL + (NORMALIZED if method.endswith(NORMALIZED) else "")
        others = {"alone": ALONE, "global": base}
        better = {
            f"better_than_{name}": float((mine > accuracy[other].reindex(mine.index)).mean())
            for name, other in others.items()
            if other in accuracy.index.get_level_values("method")
        }
        late = table[table["newcomer"] & (table["situation"] == situation) & (table["method"] == method)]
        rows.append(
            {"situation": situation, "method": method, "mean": mine.mean(), "std": mine.std(ddof=0)}
            | {"worst_tenth": mine.groupby("seed").apply(_worst_tenth).mean()}
            | better
            | {"newcomers": late["accuracy"].mean(), "test": own["test_accuracy"].mean()}
        )
    return pd.DataFrame(rows).set_index(["situation", "method"])


def _worst_tenth(accuracy: pd.Series) -> float:
    return float(np.sort(accuracy)[: max(1, len(accuracy) // 10)].mean())
