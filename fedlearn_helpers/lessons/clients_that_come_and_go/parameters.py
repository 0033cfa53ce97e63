"""The parameters of notebook 03: what each may be."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    Images,
    LessonParameters,
    Rate,
    Share,
    Workers,
)


class ClientsParameters(LessonParameters):
    """Parameters of notebook 03; the deadline counts in multiples of what a typical fast device needs."""

    dataset: DatasetName
    model: Literal["mlp", "cnn"]
    max_images: Images
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
    num_seeds: Count
    workers: Workers
    device: Device

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


check_parameters = ClientsParameters.check
