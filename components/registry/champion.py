"""Who is champion of a registered model."""

from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from components.core.errors import InvalidInputError
from components.registry.connection import connect, is_new, reaching

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
    """The version under the alias `champion`, and the model artifact that it was made from."""

    version: str
    model_uri: str
    model_sha256: str


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
    return Champion(version=version, model_uri=tags[MODEL_URI], model_sha256=tags[MODEL_SHA256])


def find_artifact(params: Named) -> str | None:
    """URI of the champion's model artifact, or None; see `find_champion`."""
    champion = find_champion(params)
    return champion.model_uri if champion else None


def champion_version(client: Any, model: str) -> str | None:
    """Number of the version under the alias `champion`.

    Raises:
        MlflowException: MLflow cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return str(aliases[CHAMPION]) if CHAMPION in aliases else None
