"""A training run and the model version that came of it, as MLflow records."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

from components.core.hashing import sha256_json
from components.registry.connection import artifact_root, default_server
from components.registry.served import Served

_BATCH: Final = 100  # MLflow takes no more parameters at a time
_MAX_PARAM_LENGTH: Final = 6000
_MAX_PART_LENGTH: Final = 60  # of a metric's name; MLflow takes 250 characters in all
MAX_DESCRIPTION_LENGTH: Final = 5000  # of a version; databases refuse more


@final
@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What an MLflow run shall hold.

    Attributes:
        curves: name → (step, value) pairs.
        recipe: stored as `recipe.yaml`.
        files: stored under their own names.
        gates: what gates found, one row each; stored as the table `gates.json`.
    """

    experiment: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    tags: Mapping[str, str]
    recipe: Mapping[str, Any]
    files: Sequence[Path]
    gates: Sequence[Mapping[str, Any]] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered model version."""

    version: str
    run_id: str


def find_version(client: Any, model: str, tags: Mapping[str, str]) -> Version | None:
    """The newest version that carries all of `tags`, or None."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = client.search_model_versions(f"name = '{model}' and {wanted}")
    if not found:
        return None
    newest = max(found, key=lambda version: int(version.version))
    return Version(version=str(newest.version), run_id=newest.run_id)


def publish(
    client: Any,
    tracking_uri: str,
    model: str,
    run: RunRecord,
    served: Served,
    *,
    tags: Mapping[str, str],
    description: str,
) -> Version:
    """Log `run`, store what is served, and register it as a new version of `model`.

    Args:
        tags, description: of the version.
    """
    import mlflow

    with default_server(tracking_uri):
        active = mlflow.start_run(
            experiment_id=_experiment(client, tracking_uri, run.experiment), tags=dict(run.tags)
        )
        with active:
            _log(client, active.info.run_id, run)
            mlflow.log_dict(dict(run.recipe), "recipe.yaml")
            for path in run.files:
                mlflow.log_artifact(str(path))
            if run.gates:
                columns = {name: [gate[name] for gate in run.gates] for name in run.gates[0]}
                mlflow.log_table(columns, "gates.json")
            logged = _log_model(served)
        _ensure_registered(client, model)
        created = client.create_model_version(
            model,
            source=f"models:/{logged.model_id}",
            run_id=active.info.run_id,
            tags=dict(tags),
            description=description,
            model_id=logged.model_id,
        )
    return Version(version=str(created.version), run_id=active.info.run_id)


def describe(client: Any, model: str, version: Version, card: Path, description: str) -> None:
    """Put a model card with a version's run, and `description` (Markdown) on the version's page."""
    assert len(description) <= MAX_DESCRIPTION_LENGTH
    client.log_artifact(version.run_id, str(card))
    client.update_model_version(model, version.version, description=description)


def plain_name(name: str) -> str:
    """`name` in the letters that MLflow allows: recall@20 becomes recall_at_20."""
    return re.sub(r"[^\w.\-/ ]", "_", name.replace("@", "_at_"))


def as_part(name: str) -> str:
    """`name` as a part of a name with slashes, such as a value of a field: MLflow takes those for paths."""
    plain = re.sub(r"[/.]", "_", name)
    return plain if len(plain) <= _MAX_PART_LENGTH else f"{plain[:_MAX_PART_LENGTH]} {sha256_json(name)[:8]}"


def _experiment(client: Any, tracking_uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifact_root(tracking_uri, name)))


def _ensure_registered(client: Any, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log(client: Any, run_id: str, run: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    params = [Param(plain_name(name), value[:_MAX_PARAM_LENGTH]) for name, value in run.params.items()]
    metrics = [Metric(plain_name(name), value, now_ms, 0) for name, value in run.metrics.items()]
    metrics += [
        Metric(plain_name(name), value, now_ms, step)
        for name, points in run.curves.items()
        for step, value in points
    ]
    for some_params in _batches(params):
        client.log_batch(run_id, params=some_params)
    for some_metrics in _batches(metrics):
        client.log_batch(run_id, metrics=some_metrics)


def _batches(entries: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(entries)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _log_model(served: Served) -> Any:
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    params = [ParamSpec(name, "long", default) for name, default in served.params.items()]
    return mlflow.pyfunc.log_model(
        name=served.name,
        python_model=str(served.code),
        artifacts={name: str(path) for name, path in served.files.items()},
        signature=ModelSignature(
            inputs=Schema([_column(name, kind) for name, kind in served.inputs.items()]),
            outputs=Schema([ColSpec(kind, name) for name, kind in served.outputs.items()]),
            params=ParamSchema(params) if params else None,
        ),
        input_example=pd.DataFrame(dict(served.example)),
        # a module's own word: mlflow's client alone is installed under another name
        pip_requirements=[f"{package}=={import_module(package).__version__}" for package in served.packages],
    )


def _column(name: str, kind: str) -> Any:
    from mlflow.types import ColSpec
    from mlflow.types.schema import Array

    if kind == "strings":
        return ColSpec(Array("string"), name, required=False)  # else MLflow lets no value be missing
    return ColSpec(kind, name)
