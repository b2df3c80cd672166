"""When a recipe runs, and how an orchestrator treats it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from components.core.recipe.training import Count
from components.core.strategy import Config


class ManualSchedule(Config):
    """Runs when someone asks for it."""

    kind: Literal["manual"] = "manual"


class CronSchedule(Config):
    """Runs by the clock."""

    kind: Literal["cron"] = "cron"
    cron: Annotated[str, Field(pattern=r"^(@\w+|\S+( \S+){4})$")]
    timezone: str = "UTC"
    start: date = date(2026, 1, 1)
    catchup: bool = False


class AssetSchedule(Config):
    """Runs when a new delivery is announced as an Airflow Asset."""

    kind: Literal["asset"] = "asset"
    asset: Annotated[str, Field(min_length=1, description="URI of the delivery's Asset")]


Schedule = Annotated[ManualSchedule | CronSchedule | AssetSchedule, Field(discriminator="kind")]


class Orchestration(Config):
    """The recipe's `orchestration` section."""

    owner: str = "recloop"
    tags: tuple[str, ...] = ()
    paused: bool = Field(default=False, description="whether a new DAG starts paused")
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    retry_delay_s: Annotated[float, Field(ge=0)] = 60.0
    max_retry_delay_s: Annotated[float, Field(ge=0)] = 1800.0
    stage_timeout_s: Count = 6 * 3600
