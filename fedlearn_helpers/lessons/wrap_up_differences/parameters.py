"""The parameters of the second wrap-up: what each may be."""

from typing import Annotated

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Device, LessonParameters, Rate, Workers


class WrapUpParameters(LessonParameters):
    """Parameters of the second wrap-up."""

    dataset: DatasetName
    num_clients: Annotated[int, Field(ge=4)]
    num_images: Annotated[int, Field(ge=200)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    num_rounds: Count
    num_seeds: Count
    batch_size: Count
    learning_rate: Rate
    workers: Workers
    device: Device


check_parameters = WrapUpParameters.check
