"""The parameters of notebook 02: what each may be."""

from typing import Self

from pydantic import model_validator

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


class FederatedParameters(LessonParameters):
    """Parameters of notebook 02."""

    dataset: DatasetName
    num_clients: Count
    max_images: Images
    num_rounds: Count
    local_epochs: Count
    batch_size: Count
    learning_rate: Rate
    patience: Count
    fraction_train: Share
    min_clients: Count
    workers: Workers
    device: Device

    @model_validator(mode="after")
    def _enough_clients(self) -> Self:
        if self.min_clients > self.num_clients:
            raise InputError(f"min_clients must be <= num_clients ({self.num_clients}), got {self.min_clients}")
        return self


check_parameters = FederatedParameters.check
