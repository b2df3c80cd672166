"""When a recipe runs, and how an orchestrator treats it."""

import re
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from components.core.recipe.containers import Docker, Images, Kubernetes, Resources, StageName
from components.core.recipe.training import Count
from components.core.strategy import Config

_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"got {name!r}, need an IANA name such as Europe/Berlin") from None
    return name


def _within_bounds(cron: str) -> str:
    for (field, low, high), text in zip(_CRON_FIELDS, cron.split(), strict=False):
        values = re.findall(r"(?<!/)\b\d+", text)  # what follows a slash is a step
        if any(not low <= int(value) <= high for value in values):
            raise ValueError(f"got {text!r} for the {field}, need {low} to {high}")
    return cron


class ManualSchedule(Config):
    """Runs when someone asks for it."""

    kind: Literal["manual"] = "manual"


class CronSchedule(Config):
    """Runs by the clock."""

    kind: Literal["cron"] = "cron"
    cron: Annotated[str, Field(pattern=r"^(@\w+|\S+( \S+){4})$"), AfterValidator(_within_bounds)] = Field(
        description="five fields, or a preset such as @daily"
    )
    timezone: Annotated[str, AfterValidator(_known_timezone)] = Field(
        default="UTC", description="an IANA name"
    )
    start: date = Field(default=date(2026, 1, 1), description="the first day")
    catchup: bool = Field(default=False, description="whether missed runs are made up for")


class AssetSchedule(Config):
    """Runs when a new delivery is announced as an Airflow Asset.

    Airflow makes one run of all announcements that wait: right where the source holds all that there is.
    With `each`, every delivery gets a run of its own, in the order of their announcements.
    """

    kind: Literal["asset"] = "asset"
    asset: Annotated[str, Field(min_length=1, description="URI of the delivery's Asset")]
    each: str | None = Field(
        default=None,
        description="the parameter that tells deliveries apart; an announcement's partition key is its value",
    )


Schedule = Annotated[ManualSchedule | CronSchedule | AssetSchedule, Field(discriminator="kind")]


class Orchestration(Config):
    """The recipe's `orchestration` section."""

    runner: Literal["process", "docker", "kubernetes"] = Field(
        default="process", description="where Airflow runs stages"
    )
    images: Images = Images()
    resources: dict[StageName, Resources] = Field(
        default={}, description="for containers: stage → what it gets"
    )
    docker: Docker = Docker()
    kubernetes: Kubernetes = Kubernetes()

    owner: str = Field(default="recloop", description="shown in the orchestrator")
    tags: tuple[str, ...] = Field(default=(), description="shown in the orchestrator, to filter by")
    paused: bool = Field(default=False, description="whether a new DAG starts paused")
    retries: Annotated[int, Field(ge=0, le=20)] = Field(
        default=2,
        description="of a task that met an infrastructure fault; Airflow never retries a failed gate",
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
