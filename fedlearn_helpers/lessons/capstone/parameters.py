"""The parameters of notebook 12: what each may be."""

from typing import Annotated, Literal

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import Count, LessonParameters, Workers


class CapstoneParameters(LessonParameters):
    """Parameters of notebook 12."""

    scenario: Literal["keyboard", "watch", "bank"]
    rounds: Annotated[int, Field(ge=0)]
    num_seeds: Annotated[int, Field(ge=2)]  # between which there is a spread
    rank: Annotated[int, Field(ge=1, le=8)]
    tuning_rounds: Count
    max_characters: Annotated[int, Field(ge=2000)]  # so that a sentence can be planted twenty times
    hub_model: str
    workers: Workers


check_parameters = CapstoneParameters.check
