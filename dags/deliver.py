"""`python -m dags.deliver RECIPE --each period=00..05`: announce deliveries to a running Airflow, in order.

Who asks is named by $RECLOOP_AIRFLOW_TOKEN, or by $RECLOOP_AIRFLOW_USER and $RECLOOP_AIRFLOW_PASSWORD, or is
the user of `make up` on this machine."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components.core.each import read_each
from components.core.errors import InvalidInputError, RecloopError
from components.core.recipe import Recipe
from components.core.recipe.orchestration import AssetSchedule
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.runs import slug
from dags import HOME
from dags.announcements import delivery_id, dispatcher_of, settings
from dags.rest import Rest

_POLL_S = 2.0


@dataclass(frozen=True)
class Delivery:
    """What one announcement says; without a key, Airflow may make one run of several."""

    key: str | None
    extra: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Announce; 0 when all are announced and, with `--wait`, their runs have ended well."""
    parser = argparse.ArgumentParser(prog="python -m dags.deliver", description=__doc__)
    parser.add_argument("recipe", help="name of one in pipelines/recipes, or path of a YAML file")
    parser.add_argument("--each", metavar="KEY=VALUES", help="such as period=00..05 or period=00,01,05")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--wait", action="store_true", help="until the deliveries' runs have ended")
    parser.add_argument(
        "--url",
        default=os.environ.get("AIRFLOW__API__BASE_URL", "http://localhost:8080"),
        help="of Airflow's API server; by default $AIRFLOW__API__BASE_URL or %(default)s",
    )
    parser.add_argument("--airflow-home", type=Path, default=HOME / ".airflow", metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    try:
        file = find(options.recipe)
        recipe = read_recipe(file, options.overrides)
        schedule = asset_schedule(recipe)
        if options.wait and schedule.each is None:
            raise InvalidInputError(
                "--wait: needs a recipe that names schedule.each; other runs have no name"
            )
        found = deliveries(recipe, schedule, options.overrides, options.each)
        for delivery in found:  # every mistake before any announcement
            values = [f"{schedule.each}={delivery.key}"] if delivery.key is not None else []
            read_recipe(file, [*options.overrides, *values])
        airflow = Rest(options.url, options.airflow_home)
        runs = announce(airflow, recipe, schedule, found)
        return wait(airflow, recipe.name, runs) if options.wait else 0
    except RecloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def asset_schedule(recipe: Recipe) -> AssetSchedule:
    """The recipe's schedule, if it is one for deliveries.

    Raises:
        InvalidInputError: it is not.
    """
    if recipe.schedule.kind != "asset":
        raise InvalidInputError(f"{recipe.name}: schedule.kind: got {recipe.schedule.kind!r}, need 'asset'")
    return recipe.schedule


def deliveries(
    recipe: Recipe, schedule: AssetSchedule, overrides: Sequence[str], each: str | None
) -> list[Delivery]:
    """What is to be announced, in order.

    Args:
        overrides: `parameter=value`, for all of them.
        each: the values of the parameter that tells deliveries apart, as `key=values`.

    Raises:
        InvalidInputError: it does not fit the recipe.
    """
    defaults = {name: parameter.default for name, parameter in recipe.parameters.items()}
    told = dict(text.split("=", 1) for text in overrides)
    unknown = sorted(told.keys() - defaults.keys())
    if unknown:
        raise InvalidInputError(
            f"--set {unknown[0]}: an announcement sets parameters of the recipe, {sorted(defaults)}"
        )
    extra: dict[str, Any] = {}
    for name, text in told.items():
        extra |= settings(name, text, [], defaults)
    if each is not None:
        key, values = read_each(each)
    elif schedule.each is not None and schedule.each in told:
        key, values = schedule.each, [told[schedule.each]]
    elif schedule.each is not None:
        raise InvalidInputError(f"which delivery? name it with --each {schedule.each}=…")
    else:
        return [Delivery(None, extra)]
    if key != schedule.each:
        need = f"need {schedule.each!r}" if schedule.each else "but the recipe's schedule.each names none"
        raise InvalidInputError(f"--each {each}: got {key!r}, {need}")
    extra.pop(key, None)
    return [Delivery(value, extra) for value in values]


def announce(airflow: Rest, recipe: Recipe, schedule: AssetSchedule, found: Sequence[Delivery]) -> list[str]:
    """Announce deliveries one after the other; the ids that the runs of those with a key get.

    Raises:
        InvalidInputError: nobody waits for them there.
    """
    waiting = recipe.name if schedule.each is None else dispatcher_of(recipe.name)
    if airflow.call("GET", f"/api/v2/dags/{waiting}")["is_paused"]:
        raise InvalidInputError(f"the DAG {waiting} is paused, so Airflow would drop what is announced")
    asset = _asset_id(airflow, schedule.asset)
    runs = []
    for delivery in found:
        body = {"asset_id": asset, "partition_key": delivery.key, "extra": dict(delivery.extra)}
        event = airflow.call("POST", "/api/v2/assets/events", body)
        if delivery.key is not None:
            runs.append(delivery_id(delivery.key, datetime.fromisoformat(event["timestamp"])))
        print(f"announced {recipe.name} {delivery.key or ''}".rstrip(), flush=True)
    return runs


def wait(airflow: Rest, dag_id: str, runs: Sequence[str]) -> int:
    """Tell how each run ends; 0 when all have ended well."""
    failed = 0
    for run_id in runs:
        while (state := _state(airflow, dag_id, run_id)) not in {"success", "failed"}:
            time.sleep(_POLL_S)
        print(f"{state:<8} {slug(run_id)}", flush=True)
        failed += state == "failed"
    return 1 if failed else 0


def _state(airflow: Rest, dag_id: str, run_id: str) -> str | None:
    path = f"/api/v2/dags/{dag_id}/dagRuns"
    runs = airflow.call("GET", path, run_id_pattern=run_id)["dag_runs"]
    return next((run["state"] for run in runs if run["dag_run_id"] == run_id), None)


def _asset_id(airflow: Rest, uri: str) -> int:
    from airflow.sdk import Asset

    known: str = Asset(uri=uri).uri  # as Airflow writes it
    assets = airflow.call("GET", "/api/v2/assets", uri_pattern=known)["assets"]
    for asset in assets:
        if asset["uri"] == known:
            return int(asset["id"])
    raise InvalidInputError(
        f"schedule.asset: got {uri!r}, which no DAG of Airflow at {airflow.url} waits for"
    )


if __name__ == "__main__":
    sys.exit(main())
