"""Who is champion of a registered model.

What a stage calls with its `named` inputs (see `components.core.stage.Find`) needs none of them here.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from components.core.errors import InvalidInputError
from components.core.manifest import read_manifest
from components.core.recipe import IngestParams, PrepareParams, RetrainParams
from components.core.recipe.quality import Changes, Vocabulary
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


class Named(Protocol):
    """Parameters that name a registered model and where it is registered."""

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
        InvalidInputError: the alias stands on a version that did not come from `register`.
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


def find_dataset(params: PrepareParams, named: object = None) -> str | None:
    """The same, where the recipe bounds how the vocabulary may change."""
    return None if params.vocabulary == Vocabulary() else find_training_dataset(params)


def find_interactions(params: IngestParams, named: object = None) -> str | None:
    """URI of the delivery that the champion learned from, where the recipe bounds the change since."""
    dataset = None if params.quality.champion == Changes() else find_training_dataset(params)
    if dataset is None:
        return None
    uri = read_manifest(dataset).inputs["interactions"].uri
    return uri if _is_there(uri) else None


def find_start(params: RetrainParams, named: object = None) -> str | None:
    """URI of the champion's model artifact, where the recipe trains on from it."""
    return find_artifact(params) if params.training.warm_start == "champion" and params.model else None


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
