"""The parameters of the third wrap-up: what each may be."""

from typing import Annotated

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Device, LessonParameters, Rate, Workers


class WrapUpParameters(LessonParameters):
    """Parameters of the third wrap-up."""

    dataset: DatasetName
    num_clients: Annotated[int, Field(ge=3)]
    num_images: Annotated[int, Field(ge=150)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    num_rounds: Count
    batch_size: Count
    learning_rate: Rate
    workers: Workers
    device: Device


check_parameters = WrapUpParameters.check
