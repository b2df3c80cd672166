"""Deliveries that wait: a DAG that starts a recipe's DAG once for each, in the order of their announcements.

Airflow makes one run of all the announcements of an Asset that wait, and may overlook one that comes while
that run is made. An announcement with a partition key is kept by itself, for the DAGs that ask for keys. The
recipe's own DAG must not be one: what its runs announce would carry the key on, and no longer reach those
who wait for a new champion.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, Context, PartitionedAssetTimetable

from components.core.recipe import Recipe, Scalar
from dags.announcements import delivery_id, dispatcher_of, events_of, settings

_PAGE = """\
Starts `{recipe}` once for every delivery that is announced with a partition key, in the order of the
announcements. The key is the run's `{each}`; what else the announcement's extra names of the recipe's
parameters is set too. A delivery that waits is a queued run of `{recipe}`.

    curl -X POST …/api/v2/assets/events -H "Authorization: Bearer …" -H "Content-Type: application/json" \\
        -d '{{"asset_id": …, "partition_key": "{value}"}}'

or `python -m dags.deliver {recipe} --each {each}={value}`.

While this DAG is paused, Airflow drops announcements.
"""


def build_dispatcher(
    file: Path, recipe: Recipe, asset: str, each: str, *, default_args: Mapping[str, Any]
) -> DAG:
    """The DAG `<recipe>_deliveries`.

    Args:
        file: the recipe's.
        asset: URI of what is announced.
        each: the parameter whose value is an announcement's partition key.
    """
    with DAG(
        dag_id=dispatcher_of(recipe.name),
        auto_register=False,
        schedule=PartitionedAssetTimetable(assets=Asset(uri=asset)),
        catchup=False,
        description=f"Starts {recipe.name} once for every delivery",
        doc_md=_PAGE.format(recipe=recipe.name, each=each, value=recipe.parameters[each].default),
        max_active_runs=1,  # they overtake each other otherwise
        is_paused_upon_creation=False,
        tags=["recloop", "deliveries", *recipe.orchestration.tags],
        default_args=dict(default_args),
    ) as dag:
        StartDelivery(
            task_id="start",
            trigger_dag_id=recipe.name,
            recipe=str(file.absolute()),
            each=each,
            defaults={name: parameter.default for name, parameter in recipe.parameters.items()},
            logical_date=None,
            skip_when_already_exists=True,  # a try that lost its answer
        )
    return dag


class StartDelivery(TriggerDagRunOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """Starts the recipe's DAG with what the delivery's announcement says.

    Args:
        recipe: path of the recipe.
        each: the parameter that the partition key is the value of.
        defaults: the recipe's parameters.
    """

    def __init__(self, *, recipe: str, each: str, defaults: Mapping[str, Scalar], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recipe = recipe
        self.each = each
        self.defaults = defaults

    def execute(self, context: Context) -> None:
        """Ask for the run; its id names the delivery and the moment of its announcement."""
        key, events = context["partition_key"], list(events_of(context))
        self.trigger_run_id = delivery_id(key, events[-1].timestamp)
        self.conf = settings(self.each, key, [event.extra or {} for event in events], self.defaults)
        super().execute(context)
