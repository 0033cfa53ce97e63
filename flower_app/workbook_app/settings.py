"""The run-config: what `flwr run --run-config` may set, checked before anything is computed."""

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Rate, Seed, Share, check_parameters
from fedlearn_helpers.partition.registry import PATTERNS, parse_partition
from workbook_app.strategy import STRATEGIES


def _among(known: Iterable[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"must be {' or '.join(repr(name) for name in known)}")
        return value

    return AfterValidator(check)


def _known_partition(value: str) -> str:
    try:
        parse_partition(value)
    except InputError:
        raise ValueError(f"must be one of {PATTERNS}, numbers > 0") from None
    return value


def _file_or_nothing(value: str) -> str:
    if value and (not os.path.isabs(value) or os.path.isdir(value)):
        raise ValueError("must be the absolute path of a file, or empty")
    return value


class RunConfig(BaseModel):
    """Strict: `"10"` is not a number. Named like the keys, with underscores in place of dashes."""

    model_config = ConfigDict(strict=True, frozen=True)

    dataset: DatasetName
    partition: Annotated[str, AfterValidator(_known_partition)]
    num_server_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    fraction_train: Share
    min_clients: Count
    strategy: Annotated[str, _among(STRATEGIES)]
    seed: Seed
    results_path: Annotated[str, AfterValidator(_file_or_nothing)]


def read_run_config(run_config: Mapping[str, Any]) -> RunConfig:
    """Check the run-config of a context.

    Raises:
        InputError: one sentence with every value that cannot work.
    """
    try:
        return RunConfig(**check_parameters(RunConfig, {_variable(key): value for key, value in run_config.items()}))
    except InputError as error:
        sentence = str(error)
    for name in RunConfig.model_fields:
        sentence = sentence.replace(name, name.replace("_", "-"))
    raise InputError(sentence)


def _variable(key: str) -> str:
    return key.replace("-", "_")
