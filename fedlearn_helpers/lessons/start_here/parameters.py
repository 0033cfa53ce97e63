"""The parameters of notebook 00: what each may be."""

from typing import Annotated

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    LessonParameters,
    Rate,
)


class StartParameters(LessonParameters):
    """Parameters of notebook 00."""

    dataset: DatasetName
    num_clients: Annotated[int, Field(ge=2, le=50)]
    images_per_client: Annotated[int, Field(ge=10, le=200)]  # 50 clients use all embedded images then
    image_rounds: Count
    image_learning_rate: Rate
    num_rounds: Count
    local_steps: Count
    learning_rate: Annotated[float, Field(ge=0.001, le=0.25, allow_inf_nan=False)]  # above it the toy diverges


check_parameters = StartParameters.check
