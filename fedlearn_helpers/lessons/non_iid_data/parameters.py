"""The parameters of notebook 04: what each may be."""

from typing import Annotated

from pydantic import AfterValidator, Field

from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    LessonParameters,
    Rate,
    Workers,
)
from fedlearn_helpers.partition import PARTITIONS


def _known_rule(value: str) -> str:
    *others, last = map(repr, PARTITIONS)
    if value not in PARTITIONS:
        raise ValueError(f"must be {', '.join(others)} or {last}")
    return value


class NonIidParameters(LessonParameters):
    """Parameters of notebook 04."""

    dataset: DatasetName
    num_clients: Annotated[int, Field(ge=2)]  # differences between clients need two
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    partition: Annotated[str, AfterValidator(_known_rule)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    classes_per_client: Count
    min_size: Annotated[int, Field(ge=2)]  # one image to train on, one to measure on
    max_images: Annotated[int, Field(ge=500)]
    num_seeds: Count
    workers: Workers
    device: Device


check_parameters = NonIidParameters.check
