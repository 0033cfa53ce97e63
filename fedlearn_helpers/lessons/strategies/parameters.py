"""The parameters of notebook 05: what each may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fedlearn_helpers.algorithms import STRATEGIES
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    Images,
    LessonParameters,
    Share,
    Workers,
    all_or_some,
    each,
    split_names,
)
from fedlearn_helpers.partition import parse_partition


def _known_strategies(value: str) -> str:
    return all_or_some(value, STRATEGIES, needed=("fedavg",))


def _known_partitions(value: str) -> str:
    if not split_names(value):
        raise ValueError("must name at least one partition, such as iid,dirichlet:0.1")
    return each(value, parse_partition)


def split_rates(text: str) -> list[float]:
    """Return the learning rates in a text with commas between them, in ascending order, each once."""
    return sorted({float(rate) for rate in split_names(text)})


def _known_rates(value: str) -> str:
    try:
        rates = split_rates(value)
    except ValueError:
        rates = []
    if len(rates) < 2 or not all(0 < rate <= 10 for rate in rates):
        raise ValueError("must be two numbers or more, > 0 and <= 10, with commas between them")
    return value


class StrategiesParameters(LessonParameters):
    """Parameters of notebook 05."""

    dataset: DatasetName
    strategies: Annotated[str, AfterValidator(_known_strategies)]
    partitions: Annotated[str, AfterValidator(_known_partitions)]
    learning_rates: Annotated[str, AfterValidator(_known_rates)]
    num_seeds: Annotated[int, Field(ge=2)]  # a spread needs two
    num_clients: Annotated[int, Field(ge=2)]
    num_rounds: Count
    fraction_train: Share
    local_epochs: Count
    batch_size: Count
    model: Literal["mlp", "cnn"]
    max_images: Images
    workers: Workers
    device: Device


check_parameters = StrategiesParameters.check
