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
    cron: Annotated[str, Field(pattern=r"^(@\w+|\S+( \S+){4})$")] = Field(
        description="five fields, or a preset such as @daily"
    )
    timezone: str = Field(default="UTC", description="an IANA name")
    start: date = Field(default=date(2026, 1, 1), description="the first day")
    catchup: bool = Field(default=False, description="whether missed runs are made up for")


class AssetSchedule(Config):
    """Runs when a new delivery is announced as an Airflow Asset."""

    kind: Literal["asset"] = "asset"
    asset: Annotated[str, Field(min_length=1, description="URI of the delivery's Asset")]


Schedule = Annotated[ManualSchedule | CronSchedule | AssetSchedule, Field(discriminator="kind")]


class Orchestration(Config):
    """The recipe's `orchestration` section."""

    owner: str = Field(default="recloop", description="shown in the orchestrator")
    tags: tuple[str, ...] = Field(default=(), description="shown in the orchestrator, to filter by")
    paused: bool = Field(default=False, description="whether a new DAG starts paused")
    retries: Annotated[int, Field(ge=0, le=20)] = Field(
        default=2, description="of a task that met an infrastructure fault; a failed gate is never retried"
    )
    retry_delay_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="before the first retry, in seconds; doubles each time"
    )
    max_retry_delay_s: Annotated[float, Field(ge=0)] = Field(
        default=1800.0, description="at most so long between retries, in seconds"
    )
    stage_timeout_s: Count = Field(
        default=6 * 3600, description="a stage that runs longer is stopped, in seconds"
    )
