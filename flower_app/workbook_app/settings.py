"""The run-config: what `flwr run --run-config` may set, checked before anything is computed."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fedlearn_helpers.algorithms import ALGORITHMS, Algorithm, LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Rate, Seed, Share, check_parameters
from fedlearn_helpers.partition.registry import PATTERNS, parse_partition

_DECIDE_NOTHING = {  # about the model after a round
    "num_server_rounds",
    "fraction_evaluate",
    "results_path",
    "model_path",
    "checkpoint_path",
    "client_states_path",
}


def _known_algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise ValueError(f"must be {', '.join(map(repr, ALGORITHMS))}")
    return value


def _known_partition(value: str) -> str:
    try:
        parse_partition(value)
    except InputError:
        raise ValueError(f"must be one of {PATTERNS}, numbers > 0") from None
    return value


def _settings(value: str) -> str:
    try:
        numbers_by_name(value)
    except ValueError:
        raise ValueError("must be numbers by name, each once, such as 'alpha=0.5 learn-alpha=1', or empty") from None
    return value


def _file_or_nothing(value: str) -> str:
    if value and (not os.path.isabs(value) or os.path.isdir(value)):
        raise ValueError("must be the absolute path of a file, or empty")
    return value


def _folder_or_nothing(value: str) -> str:
    if value and (not os.path.isabs(value) or os.path.isfile(value)):
        raise ValueError("must be the absolute path of a folder, or empty")
    return value


def numbers_by_name(text: str) -> dict[str, float]:
    """Return the numbers in a text such as "alpha=0.5 learn-alpha=1".

    Raises:
        ValueError: it is no such text, or has a name twice.
    """
    pairs = [word.split("=") for word in text.split()]
    numbers = {name: float(number) for name, number in pairs}
    if len(numbers) < len(pairs) or "" in numbers:
        raise ValueError(text)
    return numbers


FileOrNothing = Annotated[str, AfterValidator(_file_or_nothing)]


class RunConfig(BaseModel):
    """Strict: `"10"` is not a number. Named like the keys, with underscores in place of dashes."""

    model_config = ConfigDict(strict=True, frozen=True)

    dataset: DatasetName
    partition: Annotated[str, AfterValidator(_known_partition)]
    max_images: Annotated[int, Field(ge=0)]
    algorithm: Annotated[str, AfterValidator(_known_algorithm)]
    settings: Annotated[str, AfterValidator(_settings)]
    num_server_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    momentum: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    fraction_train: Share
    fraction_evaluate: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    min_clients: Count
    secure_aggregation: bool
    seed: Seed
    results_path: FileOrNothing
    model_path: FileOrNothing
    checkpoint_path: FileOrNothing
    client_states_path: Annotated[str, AfterValidator(_folder_or_nothing)]

    @model_validator(mode="after")
    def _fits_the_algorithm(self) -> Self:
        try:
            self.all_settings()
        except InputError as error:
            raise ValueError(f"settings must be the algorithm's own: {error}") from None
        if (
            self.secure_aggregation
            and self.the_algorithm.keeps_state
            and (self.client_states_path or self.checkpoint_path)
        ):
            raise ValueError(
                f"client_states_path and checkpoint_path must be empty with secure_aggregation and "
                f"{self.the_algorithm.title}, since secrets within a round are not kept in files"
            )
        if self.checkpoint_path and self.the_algorithm.keeps_state and not self.client_states_path:
            raise ValueError(
                f"client_states_path must be a folder where there is a checkpoint_path, since clients of "
                f"{self.the_algorithm.title} keep a state from round to round, got ''"
            )
        if self.secure_aggregation and self.min_clients < 2:
            raise ValueError(
                f"min_clients must be at least 2 with secure_aggregation, since a sum of one hides nothing, "
                f"got {self.min_clients}"
            )
        return self

    @property
    def the_algorithm(self) -> Algorithm:
        """The algorithm itself."""
        return ALGORITHMS[self.algorithm]

    def all_settings(self) -> dict[str, float]:
        """Return the algorithm's settings: those given, and defaults for the others."""
        return self.the_algorithm.complete_settings(numbers_by_name(self.settings))

    def local_config(self) -> LocalConfig:
        """Return how clients train."""
        return LocalConfig(self.local_epochs, self.batch_size, self.learning_rate, self.momentum)

    def run_key(self, num_clients: int) -> dict[str, Any]:
        """Return what decides the model after a round, by key: what is kept of another run is refused."""
        values = {name: value for name, value in self.model_dump().items() if name not in _DECIDE_NOTHING}
        values |= {"settings": self.all_settings(), "num_supernodes": num_clients}
        return {_key(name): value for name, value in values.items()}


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
        sentence = re.sub(rf"\b{name}\b", _key(name), sentence)
    raise InputError(sentence)


def _variable(key: str) -> str:
    return key.replace("-", "_")


def _key(variable: str) -> str:
    return variable.replace("_", "-")
