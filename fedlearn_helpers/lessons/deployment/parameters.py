"""The parameters of notebook 10: what each may be."""

from typing import Annotated, Literal

from pydantic import Field

from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Images, LessonParameters, Rate


class DeploymentParameters(LessonParameters):
    """Parameters of notebook 10."""

    dataset: DatasetName
    max_images: Images
    num_nodes: Annotated[int, Field(ge=2, le=8)]  # each is a handful of processes
    num_rounds: Annotated[int, Field(ge=2)]  # a run that goes on needs a round before it and one after it
    batch_size: Count
    learning_rate: Rate
    num_devices: Annotated[int, Field(ge=2000)]  # with fewer canaries than 20, what is plainly broken is missed
    servers: Literal["auto", "none"]
    quick: bool


check_parameters = DeploymentParameters.check
