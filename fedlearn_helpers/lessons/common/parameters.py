"""The parameters of the notebooks: what each may be, checked before anything else runs."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedlearn_helpers.data import KNOWN_DATASETS
from fedlearn_helpers.errors import InputError


def _known_dataset(value: str) -> str:
    if value not in KNOWN_DATASETS and not (value and os.path.isdir(os.path.expanduser(value))):
        known = ", ".join(repr(name) for name in KNOWN_DATASETS)
        raise ValueError(f"must be {known} or the path of a folder of images")
    return value


def _folder_or_new(value: str) -> str:
    folder = Path(os.path.expanduser(value))
    for path in (folder, *folder.parents):
        if os.path.exists(path) and not os.path.isdir(path):  # unlike Path's, they never raise
            raise ValueError("must be a folder, or a path where one can be made")
    return value


def _each(value: str, check: Callable[[str], object]) -> str:
    """Return a text with commas between its names, if each of them passes the check."""
    for name in split_names(value):
        try:
            check(name)
        except InputError as error:
            raise ValueError(f"has one that cannot be used ({error})") from None
    return value


def _known_strategies(value: str) -> str:
    from fedlearn_helpers.algorithms import METHODS  # only notebook 05 needs it

    names = set(METHODS) if value == "all" else set(split_names(value))
    if "fedavg" not in names or names - set(METHODS):
        raise ValueError(f"must be 'all', or fedavg and others out of {', '.join(METHODS)}, with commas between them")
    return value


def _known_partitions(value: str) -> str:
    from fedlearn_helpers.partition import parse_partition

    if not split_names(value):
        raise ValueError("must name at least one partition, such as iid,dirichlet:0.1")
    return _each(value, parse_partition)


def _known_personalizations(value: str) -> str:
    from fedlearn_helpers.algorithms.personal_registry import PERSONALIZATIONS  # only notebook 06 needs it

    names = set(PERSONALIZATIONS) if value == "all" else set(split_names(value))
    if not {"global", "finetune"} <= names or names - set(PERSONALIZATIONS):
        known = ", ".join(PERSONALIZATIONS)
        raise ValueError(f"must be 'all', or global, finetune and others out of {known}, with commas between them")
    return value


def _known_situations(value: str) -> str:
    from fedlearn_helpers.experiments.scenarios import check_situation

    return _each(value, check_situation)


def _one_situation(value: str) -> str:
    if len(split_names(value)) != 1:
        raise ValueError("must be one situation, such as pathological:2")
    return _known_situations(value)


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas between them, without spaces; "a, b" gives ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


DatasetName = Annotated[str, AfterValidator(_known_dataset)]
OutputFolder = Annotated[str, Field(min_length=1), AfterValidator(_folder_or_new)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Parameters(BaseModel):
    """Strict: `"10"` is not a number, so that the notebook's own variable is what was checked."""

    model_config = ConfigDict(strict=True, frozen=True)

    seed: Seed
    output_dir: OutputFolder


class StartParameters(_Parameters):
    """Parameters of notebook 00."""

    num_rounds: Count
    local_steps: Count
    learning_rate: Annotated[float, Field(ge=0.001, le=0.25, allow_inf_nan=False)]  # above it the toy diverges


class CentralizedParameters(_Parameters):
    """Parameters of notebook 01."""

    dataset: DatasetName
    num_clients: Count
    epochs: Count
    batch_size: Count
    learning_rate: Rate
    device: Literal["auto", "cpu", "cuda"]


class FederatedParameters(_Parameters):
    """Parameters of notebook 02."""

    dataset: DatasetName
    num_clients: Count
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    fraction_train: Share
    min_clients: Count
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    device: Literal["auto", "cpu", "cuda"]

    @model_validator(mode="after")
    def _enough_clients(self) -> Self:
        if self.min_clients > self.num_clients:
            raise InputError(f"min_clients must be <= num_clients ({self.num_clients}), got {self.min_clients}")
        return self


class ClientsParameters(_Parameters):
    """Parameters of notebook 03; the deadline counts in multiples of what a typical fast device needs."""

    dataset: DatasetName
    max_images: Annotated[int, Field(ge=100)]
    num_clients: Annotated[int, Field(ge=2)]  # a fast device and a slow one
    clients_per_round: Count
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    slow_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    slow_factor: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]
    availability: Share
    deadline: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    mu: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    device: Literal["auto", "cpu", "cuda"]

    @model_validator(mode="after")
    def _enough_clients(self) -> Self:
        if self.clients_per_round > self.num_clients:
            raise InputError(
                f"clients_per_round must be <= num_clients ({self.num_clients}), got {self.clients_per_round}"
            )
        if not 1 <= round(self.slow_share * self.num_clients) <= self.num_clients - 1:
            raise InputError(
                f"slow_share must leave at least one fast and one slow device among {self.num_clients}, "
                f"got {self.slow_share}"
            )
        return self


class NonIidParameters(_Parameters):
    """Parameters of notebook 04."""

    dataset: DatasetName
    num_clients: Annotated[int, Field(ge=2)]  # differences between clients need two
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    partition: Literal["iid", "dirichlet", "pathological", "quantity"]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    classes_per_client: Count
    min_size: Annotated[int, Field(ge=2)]  # one image to train on, one to measure on
    max_images: Annotated[int, Field(ge=500)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    device: Literal["auto", "cpu", "cuda"]


class StrategiesParameters(_Parameters):
    """Parameters of notebook 05."""

    dataset: DatasetName
    strategies: Annotated[str, AfterValidator(_known_strategies)]
    partitions: Annotated[str, AfterValidator(_known_partitions)]
    num_seeds: Annotated[int, Field(ge=2)]  # a spread needs two
    num_clients: Annotated[int, Field(ge=2)]
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    model: Literal["mlp", "cnn"]
    max_images: Annotated[int, Field(ge=100)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    device: Literal["auto", "cpu", "cuda"]


class PersonalizationParameters(_Parameters):
    """Parameters of notebook 06."""

    dataset: DatasetName
    methods: Annotated[str, AfterValidator(_known_personalizations)]
    skewed: Annotated[str, AfterValidator(_one_situation)]
    alike: Annotated[str, AfterValidator(_one_situation)]
    others: Annotated[str, AfterValidator(_known_situations)]
    num_seeds: Count
    num_clients: Annotated[int, Field(ge=2)]
    num_newcomers: Count
    num_rounds: Count
    local_epochs: Count
    adaptation_epochs: Count
    batch_size: Count
    learning_rate: Rate
    model: Literal["mlp", "cnn"]
    max_images: Annotated[int, Field(ge=100)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    device: Literal["auto", "cpu", "cuda"]


def check_parameters(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a notebook's parameters; return them as a dict, in the order of the model.

    Args:
        model: what the notebook's parameters may be.
        values: the notebook's variables, such as `globals()`; names the model lacks are ignored.

    Raises:
        InputError: one sentence with every parameter that cannot work.
    """
    try:
        return model.model_validate({name: values[name] for name in model.model_fields if name in values}).model_dump()
    except ValidationError as error:
        problems: dict[str, str] = {}
        for problem in error.errors():
            problems.setdefault(_name(problem), _sentence(problem))
        raise InputError("; ".join(problems.values())) from None


def _name(problem: Mapping[str, Any]) -> str:
    return str(problem["loc"][0]) if problem["loc"] else ""


_RULES = {
    "missing": "must be set",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "literal_error": "must be {expected}",
}


def _sentence(problem: Mapping[str, Any]) -> str:
    context = problem.get("ctx", {})
    if not problem["loc"]:  # a rule over several parameters, which names them itself
        return str(context["error"])
    name = _name(problem)
    if name == "workers":
        rule = "must be 'auto' or a whole number >= 1"
    elif problem["type"] == "value_error":
        rule = str(context["error"])
    else:
        limits = {key: _plain(value) for key, value in context.items()}
        rule = _RULES.get(problem["type"], problem["msg"]).format(**limits)
    got = "nothing" if problem["type"] == "missing" else repr(problem["input"])
    return f"{name} {rule}, got {got}"


def _plain(limit: Any) -> Any:
    """Return a whole number without its point: the limit of a rate reads `> 0`, not `> 0.0`."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit
