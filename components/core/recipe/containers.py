"""Stages in containers: from which image, with what, and where."""

from typing import Annotated, Literal

from pydantic import Field

from components import __version__
from components.core.strategy import Config

StageName = Literal["ingest", "prepare", "search", "retrain", "evaluate", "register"]


class Images(Config):
    """The images that stages run in; the catalogue says which stage needs which. Pin them by digest in
    production: `registry.example/recloop-data@sha256:…`."""

    data: str = Field(default=f"recloop-data:{__version__}", description="ingest, prepare, register")
    training: str = Field(default=f"recloop-training:{__version__}", description="search, retrain, evaluate")


class Resources(Config):
    """What one stage gets; what is left out is the stage catalogue's."""

    cpu: Annotated[float, Field(gt=0)] | None = Field(default=None, description="cores")
    memory_gib: Annotated[float, Field(gt=0)] | None = Field(default=None, description="GiB of memory")
    gpus: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="GPUs; by default one where the stage can use it and training.device is cuda",
    )
