"""Who is champion of a registered model.

What a stage calls with its `named` inputs (see `components.core.stage.Find`) needs them for the examples
alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from components.core.errors import InvalidInputError
from components.core.manifest import InputEntry, read_manifest
from components.core.recipe import (
    EvaluateClassifierParams,
    EvaluateParams,
    EvaluateStreamParams,
    IngestExamplesParams,
    IngestParams,
    IngestStreamParams,
    PrepareExamplesParams,
    PrepareParams,
    PrepareStreamParams,
    RetrainClassifierParams,
    RetrainParams,
    RetrainStreamParams,
    SearchForClassifierParams,
    SearchForStreamParams,
    SearchParams,
)
from components.core.recipe.judgement import Task
from components.core.strategy import Config
from components.registry.connection import connect, is_new, reaching

logger = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

# tags of a model version
MODEL_URI: Final = "recloop.model_uri"
MODEL_SHA256: Final = "recloop.model_sha256"
DATASET_URI: Final = "recloop.dataset_uri"
EVALUATION_URI: Final = "recloop.evaluation_uri"
EVALUATION_SHA256: Final = "recloop.evaluation_sha256"
TASK: Final = "recloop.task"


class Named(Protocol):
    """Parameters that name a registered model, where it is registered, and what it is for."""

    @property
    def task(self) -> Task: ...

    @property
    def model(self) -> str: ...

    @property
    def tracking_uri(self) -> str: ...


@final
@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version under the alias `champion`, and the artifacts that it was made from."""

    version: str
    model_uri: str
    model_sha256: str
    dataset_uri: str | None


def find_champion(params: Named) -> Champion | None:
    """The champion of `params.model`; None when the model or the alias does not exist.

    Raises:
        InvalidInputError: the alias stands on a version that did not come from `register`, or that is for
            another task.
        InfrastructureError: MLflow cannot be reached.
    """
    if is_new(params.tracking_uri):
        return None
    client = connect(params.tracking_uri)
    with reaching(params.tracking_uri):
        version = champion_version(client, params.model)
        if version is None:
            return None
        tags = client.get_model_version(params.model, version).tags
    if MODEL_URI not in tags or MODEL_SHA256 not in tags:
        raise InvalidInputError(
            f"registered model {params.model!r}: its champion, version {version}, has no tag {MODEL_URI!r} "
            f"(got {sorted(tags)}), so it cannot be compared with; move the alias to a version that a run "
            "has registered, or delete the alias"
        )
    task = tags.get(TASK, "ranking")
    if task != params.task:
        raise InvalidInputError(
            f"registered model {params.model!r}: its champion, version {version}, is of task {task!r}, the "
            f"recipe of {params.task!r}; name another model in registry.model"
        )
    return Champion(
        version=version,
        model_uri=tags[MODEL_URI],
        model_sha256=tags[MODEL_SHA256],
        dataset_uri=tags.get(DATASET_URI),
    )


def find_artifact(params: Named, named: object = None) -> str | None:
    """URI of the champion's model artifact, or None; see `find_champion`."""
    champion = find_champion(params)
    return champion.model_uri if champion else None


def find_training_dataset(params: Named, named: object = None) -> str | None:
    """URI of the dataset that the champion was trained on, or None; gone data is told and missed."""
    champion = find_champion(params) if params.model else None
    if champion is None or champion.dataset_uri is None:
        return None
    return champion.dataset_uri if _is_there(champion.dataset_uri) else None


def find_dataset(
    params: PrepareParams | PrepareExamplesParams | PrepareStreamParams, named: object = None
) -> str | None:
    """The same, where the recipe bounds how the vocabulary may change, or where a stream goes on.

    Raises:
        InvalidInputError: the evaluation could not compare with this champion, so nothing need be trained. (A
            dataset that is there already asks for no champion; then it is the evaluation that refuses.)
    """
    if params.task == "stream":
        return find_training_dataset(params) if params.goes_on else None
    has_bounds = _has_bounds(params.vocabulary)
    uri = find_training_dataset(params) if has_bounds or params.task == "classification" else None
    if uri is not None and params.task == "classification":
        _require_comparable(params, read_manifest(uri).params)
    return uri if has_bounds else None


def _require_comparable(params: PrepareExamplesParams, theirs: Mapping[str, Any]) -> None:
    """A champion is asked about the examples that there are: they must have its fields, and its classes."""
    problems = []
    if theirs["classes"] != list(params.classes):
        problems.append(f"its classes are {theirs['classes']}, the recipe's {list(params.classes)}")
    lost = [f"{name} ({kind})" for name, kind in theirs["kinds"].items() if params.kinds.get(name) != kind]
    if lost:
        problems.append(f"it needs the fields {', '.join(lost)}, which the recipe does not have as such")
    if problems:
        raise InvalidInputError(
            f"registered model {params.model!r}: its champion cannot be compared with: "
            f"{'; '.join(problems)}; name another model in registry.model, or delete the alias 'champion'"
        )


def find_interactions(
    params: IngestParams | IngestExamplesParams | IngestStreamParams, named: object = None
) -> str | None:
    """URI of the delivery that the champion learned from, where the recipe bounds the change since."""
    delivery = _training_delivery(params) if _has_bounds(params.quality.champion) else None
    return delivery.uri if delivery and _is_there(delivery.uri) else None


def find_training_examples(
    params: EvaluateParams | EvaluateClassifierParams | EvaluateStreamParams,
    named: Mapping[str, InputEntry],
) -> str | None:
    """URI of the examples that the champion learned from, where they are not those that are named. Pairs of
    user and item need no look at them: they are told by ids that stand in the dataset."""
    delivery = _training_delivery(params) if params.task == "classification" else None
    if delivery is None or delivery.sha256 == named["interactions"].sha256:
        return None
    return delivery.uri if _is_there(delivery.uri) else None


def _training_delivery(params: Named) -> InputEntry | None:
    dataset = find_training_dataset(params)
    return read_manifest(dataset).inputs["interactions"] if dataset else None


def find_state(
    params: SearchParams | SearchForClassifierParams | SearchForStreamParams, named: object = None
) -> str | None:
    """URI of the champion's model artifact, where a search follows the stream on from it."""
    if params.task != "stream" or params.search.kind in {"none", "policy"}:
        return None
    return find_artifact(params) if params.training.warm_start == "champion" else None


def find_start(
    params: RetrainParams | RetrainClassifierParams | RetrainStreamParams, named: object = None
) -> str | None:
    """URI of the champion's model artifact, where the recipe trains on from it."""
    return find_artifact(params) if params.training.warm_start == "champion" and params.model else None


def _has_bounds(section: Config) -> bool:
    return section != type(section)()


def _is_there(uri: str) -> bool:
    try:
        read_manifest(uri)
    except FileNotFoundError:
        logger.warning("%s: the champion was made from it, but it is gone; nothing is compared with it", uri)
        return False
    return True


def champion_version(client: Any, model: str) -> str | None:
    """Number of the version under the alias `champion`.

    Raises:
        MlflowException: MLflow cannot be reached.
    """
    return (aliases_of(client, model) or {}).get(CHAMPION)


def aliases_of(client: Any, model: str) -> dict[str, str] | None:
    """Alias → version; None where there is no such model. Raises like `champion_version`."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:  # no model's name
            return None
        raise
    return {alias: str(version) for alias, version in aliases.items()}
