"""Announcements of deliveries: what they say, and what the runs that they start are called."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context

from components.core.errors import InvalidInputError
from components.core.recipe import Scalar
from components.core.recipe.yaml import parse_yaml
from components.core.runs import slug


def dispatcher_of(recipe: str) -> str:
    """The id of the DAG that starts a recipe's deliveries."""
    return f"{recipe}_deliveries"


def delivery_id(key: str, announced: datetime) -> str:
    """The id of the run that a delivery gets."""
    return f"delivery__{slug(key)}__{announced.astimezone(UTC):%Y%m%dT%H%M%S.%f}"


def events_of(context: Context) -> Iterator[Any]:
    """The announcements that a run was made for, the oldest first."""
    groups = (context.get("triggering_asset_events") or {}).values()
    return iter(sorted((event for events in groups for event in events), key=lambda event: event.timestamp))


def settings(
    each: str, key: str, extras: list[Mapping[str, Any]], defaults: Mapping[str, Scalar]
) -> dict[str, Any]:
    """The parameters that one delivery sets. Where it was announced more than once before its run was made,
    the newest word counts.

    >>> settings("period", "03", [{"epochs": 5, "weather": "fine"}], {"period": "00", "epochs": 30})
    {'epochs': 5, 'period': '03'}
    """
    told = {name: value for extra in extras for name, value in extra.items() if name in defaults}
    return {**told, each: key if isinstance(defaults[each], str) else parse_yaml(key)}


def agreed(events: Iterator[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """What announcements without a key set of a run's parameters.

    Raises:
        InvalidInputError: two of them became one run and want different things of it.
    """
    told: dict[str, Any] = {}
    for event in events:
        for name, value in (event.extra or {}).items():
            if name in params and told.setdefault(name, value) != value:
                raise InvalidInputError(
                    f"{name}: got {told[name]!r} and {value!r}, from announcements that Airflow made one run "
                    "of; name the parameter in the recipe's schedule.each, and announce each delivery with "
                    "its partition key"
                )
    return told
