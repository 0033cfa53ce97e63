"""The parameters of notebook 00: what each may be."""

from typing import Annotated

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import (
    Count,
    LessonParameters,
)


class StartParameters(LessonParameters):
    """Parameters of notebook 00."""

    num_rounds: Count
    local_steps: Count
    learning_rate: Annotated[float, Field(ge=0.001, le=0.25, allow_inf_nan=False)]  # above it the toy diverges


check_parameters = StartParameters.check
