"""The parameters of notebook 06: what each may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fedlearn_helpers.algorithms import PERSONALIZATIONS
from fedlearn_helpers.experiments.scenarios import check_scenario
from fedlearn_helpers.lessons.common.parameters import (
    Count,
    DatasetName,
    Device,
    Images,
    LessonParameters,
    Rate,
    Workers,
    all_or_some,
    each,
    split_names,
)


def _known_personalizations(value: str) -> str:
    return all_or_some(value, PERSONALIZATIONS, needed=("global", "finetune"))


def _known_scenarios(value: str) -> str:
    return each(value, check_scenario)


def _one_scenario(value: str) -> str:
    if len(split_names(value)) != 1:
        raise ValueError("must be one scenario, such as pathological:2")
    return _known_scenarios(value)


class PersonalizationParameters(LessonParameters):
    """Parameters of notebook 06."""

    dataset: DatasetName
    methods: Annotated[str, AfterValidator(_known_personalizations)]
    skewed: Annotated[str, AfterValidator(_one_scenario)]
    alike: Annotated[str, AfterValidator(_one_scenario)]
    others: Annotated[str, AfterValidator(_known_scenarios)]
    num_seeds: Count
    num_clients: Annotated[int, Field(ge=2)]
    num_newcomers: Count
    num_rounds: Count
    local_epochs: Count
    adaptation_epochs: Count
    batch_size: Count
    learning_rate: Rate
    model: Literal["mlp", "cnn"]
    max_images: Images
    workers: Workers
    device: Device


check_parameters = PersonalizationParameters.check
