"""The parameters of notebook 08: what each may be."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    LessonParameters,
    Rate,
    Share,
    Workers,
)


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be an even number: each image is in the training set of half of the models")
    return value


class PrivacyParameters(LessonParameters):
    """Parameters of notebook 08."""

    dataset: DatasetName
    num_pictures: Annotated[int, Field(ge=2, le=8)]
    largest_batch: Annotated[int, Field(ge=2, le=8)]
    attack_steps: Annotated[int, Field(ge=20)]
    num_members: Annotated[int, Field(ge=20)]
    member_epochs: Count
    num_shadows: Annotated[int, Field(ge=4), AfterValidator(_even)]
    num_clients: Annotated[int, Field(ge=20)]
    images_per_client: Count
    num_rounds: Count
    sampling_rate: Share
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    noise_multiplier: Annotated[float, Field(ge=0.3, le=100, allow_inf_nan=False)]
    learning_rate: Rate
    delta: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    num_seeds: Count
    workers: Workers

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.sampling_rate * self.num_clients < 1:
            raise InputError(
                f"sampling_rate must be at least 1 / num_clients ({1 / self.num_clients:g}), so that a round has a "
                f"client, got {self.sampling_rate}"
            )
        return self


def check_images(count: int, num_clients: int, images_per_client: int, num_members: int) -> None:
    """Raise an InputError if there are too few training images for the clients of section 5, or for section 3."""
    if count < num_clients * images_per_client:
        raise InputError(
            f"images_per_client must be at most {count // num_clients} for num_clients {num_clients}, since there are "
            f"{count} training images, got {images_per_client}"
        )
    if count < 2 * num_members:
        raise InputError(
            f"num_members must be at most {count // 2}, half of the {count} training images, got {num_members}"
        )


check_parameters = PrivacyParameters.check
