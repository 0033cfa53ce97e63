"""The parameters of the two notebooks for two people, 10a and 10b: what each may be."""

import getpass
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedlearn_helpers.lessons.common.parameters import Count, DatasetName, Images, OutputFolder, Seed

Patience = Annotated[int, Field(ge=10, le=7200)]  # seconds
TEMPORARY = "temporary"


class ServerParameters(BaseModel):
    """Parameters of notebook 10a."""

    model_config = ConfigDict(strict=True, frozen=True)

    exchange_dir: OutputFolder
    host: Annotated[str, Field(min_length=1)]
    num_hospitals: Annotated[int, Field(ge=2, le=8)]
    dataset: DatasetName
    max_images: Images
    num_rounds: Count
    seed: Seed
    patience: Patience


class HospitalParameters(BaseModel):
    """Parameters of notebook 10b."""

    model_config = ConfigDict(strict=True, frozen=True)

    exchange_dir: OutputFolder
    hospital: Annotated[int, Field(ge=0, le=7)]
    patience: Patience


def exchange_folder(name: str) -> Path:
    """Return the folder that a parameter means: "temporary" is one that both kernels of this machine find."""
    if name != TEMPORARY:
        return Path(name)
    return Path(tempfile.gettempdir()) / f"fedlearn-pair-{getpass.getuser()}"
