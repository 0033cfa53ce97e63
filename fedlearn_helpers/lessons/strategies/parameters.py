"""The parameters of notebook 05: what each may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fedlearn_helpers.algorithms import STRATEGIES
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    LessonParameters,
    Rate,
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


class StrategiesParameters(LessonParameters):
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
    workers: Workers
    device: Device


check_parameters = StrategiesParameters.check
