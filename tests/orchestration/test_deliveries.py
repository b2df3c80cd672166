"""Each delivery is a run: what is asked of Airflow, and what a run makes of announcements."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, PartitionedAssetTimetable
from airflow.sdk.exceptions import DagRunTriggerException

from components.core.errors import InvalidInputError
from dags import OVERRIDES
from dags.announcements import settings
from dags.factory import load
from dags.stage_operator import overrides_of

WriteRecipe = Callable[..., Path]
EACH = """\
parameters: {period: {default: "00"}, day: {default: 1}, rate: {default: 0.5}}
schedule: {kind: asset, asset: recloop/tiny/delivery, each: EACH}
orchestration: {paused: true, tags: [shop]}
"""


def announcement(extra: dict[str, Any], second: int = 0) -> Any:
    moment = datetime(2026, 11, 21, 10, 0, second, 5, tzinfo=UTC)
    return SimpleNamespace(extra=extra, timestamp=moment)


def test_a_recipe_with_deliveries_has_a_dag_that_starts_them(write_recipe: WriteRecipe) -> None:
    dags, problems = load([write_recipe(EACH.replace("EACH", "period"))])
    assert problems == []
    recipe, dispatcher = dags
    assert (recipe.dag_id, dispatcher.dag_id) == ("tiny", "tiny_deliveries")
    assert recipe.timetable.asset_condition == Asset(uri="recloop/tiny/delivery")
    assert not isinstance(recipe.timetable, PartitionedAssetTimetable)  # its events must not carry the key
    assert isinstance(dispatcher.timetable, PartitionedAssetTimetable)
    assert dispatcher.timetable.asset_condition == Asset(uri="recloop/tiny/delivery")
    assert recipe.max_active_runs == dispatcher.max_active_runs == 1
    assert recipe.is_paused_upon_creation is True
    assert dispatcher.is_paused_upon_creation is False  # deliveries wait as queued runs
    assert dispatcher.tags == {"recloop", "deliveries", "shop"}


def test_a_plain_asset_needs_no_other_dag(write_recipe: WriteRecipe) -> None:
    dags, _ = load([write_recipe("schedule: {kind: asset, asset: recloop/tiny/delivery}")])
    assert [dag.dag_id for dag in dags] == ["tiny"]


def test_mistakes_in_recipes(write_recipe: WriteRecipe) -> None:
    dags, problems = load([write_recipe(EACH.replace("EACH", "priod"))])
    assert dags == []
    assert "schedule.each: got 'priod', need one of the parameters ['day', 'period', 'rate']" in problems[0]
    taken = [write_recipe(EACH.replace("EACH", "day")), write_recipe(name="tiny_deliveries")]
    dags, problems = load(taken)
    assert [dag.dag_id for dag in dags] == ["tiny", "tiny_deliveries"]
    assert problems == [
        f"recipe {taken[1]}: name: got 'tiny_deliveries', but {taken[0]} makes the DAG tiny_deliveries"
    ]


def test_a_delivery_starts_the_recipe_with_its_settings(write_recipe: WriteRecipe) -> None:
    dags, _ = load([write_recipe(EACH.replace("EACH", "period"))])
    task = dags[1].get_task("start")
    context = {
        "partition_key": "week 03",
        "triggering_asset_events": {
            "delivery": [announcement({"rate": 0.9}, second=7), announcement({"rate": 0.1, "day": 2})]
        },
    }
    with pytest.raises(DagRunTriggerException) as asked:
        task.execute(context)
    assert asked.value.trigger_dag_id == "tiny"
    assert asked.value.dag_run_id == "delivery__week-03__20261121T100007.000005"
    assert asked.value.conf == {"rate": 0.9, "day": 2, "period": "week 03"}  # the newest word counts
    assert asked.value.logical_date is None
    assert asked.value.skip_when_already_exists is True


@pytest.mark.parametrize(("each", "value"), [("period", "03"), ("day", 3), ("rate", 3)])
def test_a_key_is_of_its_parameters_kind(each: str, value: object) -> None:
    assert settings(each, "03", [], {"period": "00", "day": 1, "rate": 0.5}) == {each: value}


def test_what_an_extra_says_beyond_the_parameters_is_left_out() -> None:
    extra = {"from_rest_api": True, OVERRIDES: ["seed=1"], "period": "07", "day": 9}
    assert settings("period", "03", [extra], {"period": "00", "day": 1}) == {"period": "03", "day": 9}


def test_announcements_that_contradict_each_other_do_not_become_one_run() -> None:
    def context(*extras: dict[str, Any]) -> Any:
        events = [announcement(extra, second) for second, extra in enumerate(extras)]
        params = {"period": "00", "day": 1, OVERRIDES: []}
        return {"params": params, "triggering_asset_events": {"delivery": events}}

    assert overrides_of(context({"period": "03"}, {"day": 2}, {"period": "03"})) == ["period=03", "day=2"]
    with pytest.raises(
        InvalidInputError, match=r"period: got '03' and '04', from announcements that Airflow"
    ):
        overrides_of(context({"period": "03"}, {"period": "04"}))
