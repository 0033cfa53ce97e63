"""The parameters of notebook 07: what each may be."""

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
    Workers,
    check_images_for,
)

_IMAGES_OF_A_CLIENT = 20  # section 8 has twice the clients, and deals them classes unevenly


class CommunicationParameters(LessonParameters):
    """Parameters of notebook 07."""

    dataset: DatasetName
    model: Literal["mlp", "cnn"]
    max_images: Images
    num_clients: Annotated[int, Field(ge=4)]  # half of them slow, and a buffer of fewer than all
    num_rounds: Count
    batch_size: Count
    learning_rate: Rate
    fedsgd_rate: Rate
    kilobytes_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    slow_factor: Annotated[float, Field(ge=1, le=50, allow_inf_nan=False)]
    buffer_size: Count
    num_seeds: Count
    workers: Workers
    device: Device

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.buffer_size >= self.num_clients:
            raise InputError(
                f"buffer_size must be < num_clients ({self.num_clients}), half of the clients of section 8, "
                f"got {self.buffer_size}"
            )
        check_images(self.max_images, self.num_clients)
        return self


def check_images(count: int, num_clients: int) -> None:
    """Raise an InputError if there are too few training images for so many clients."""
    check_images_for(num_clients, count, _IMAGES_OF_A_CLIENT)


check_parameters = CommunicationParameters.check
