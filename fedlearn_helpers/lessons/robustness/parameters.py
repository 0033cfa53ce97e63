"""The parameters of notebook 09: what each may be."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Images,
    LessonParameters,
    Rate,
    Workers,
    check_images_for,
)

_IMAGES_OF_A_CLIENT = 10  # fewer leave some without an image to validate on


class RobustnessParameters(LessonParameters):
    """Parameters of notebook 09."""

    dataset: DatasetName
    max_images: Images
    num_clients: Annotated[int, Field(ge=11)]
    num_attackers: Annotated[int, Field(ge=2)]  # whose updates have a standard deviation
    classes_per_client: Count
    num_rounds: Count
    batch_size: Count
    learning_rate: Rate
    num_seeds: Count
    workers: Workers

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = (self.num_clients - 3) // 4
        if self.num_attackers > most:
            raise InputError(
                f"num_attackers must be at most {most} for num_clients {self.num_clients}, since Bulyan needs "
                f"4 times as many clients plus 3, got {self.num_attackers}"
            )
        return self


def check_images(count: int, num_clients: int) -> None:
    """Raise an InputError if there are too few training images for so many clients."""
    check_images_for(num_clients, count, _IMAGES_OF_A_CLIENT)


check_parameters = RobustnessParameters.check
