"""The champion, loaded to be asked."""

import re
from typing import Any, Final

from components.core.errors import InvalidInputError
from components.core.recipe.judgement import MODEL_NAME, Task
from components.registry.champion import CHAMPION, champion_version
from components.registry.connection import connect, default_server, is_new, reaching

_COMMANDS: Final[dict[Task, str]] = {"ranking": "recloop recommend", "classification": "recloop predict"}


def load_champion(model: str, tracking_uri: str, task: Task) -> Any:
    """The champion of a registered model, as MLflow loads it.

    Raises:
        InvalidInputError: there is no such model, it has no champion, or it is one for another task.
        InfrastructureError: MLflow cannot be reached.
    """
    if not re.match(MODEL_NAME, model):
        raise InvalidInputError(
            f"model: got {model!r}, need the name of a registered model, such as a recipe's"
        )
    if is_new(tracking_uri):
        raise InvalidInputError(f"{tracking_uri}: there is no MLflow database; run a recipe first")
    client = connect(tracking_uri)

    import mlflow

    with reaching(tracking_uri):
        version = champion_version(client, model)
        if version is None:
            known = sorted(found.name for found in client.search_registered_models())
            raise InvalidInputError(
                f"model: {model!r} has no champion at {tracking_uri}; registered models: {known}"
            )
        with default_server(tracking_uri):
            loaded = mlflow.pyfunc.load_model(f"models:/{model}@{CHAMPION}")
    found = _task_of(loaded)
    if found != task:
        raise InvalidInputError(f"model: {model!r} is for {found}; ask it with `{_COMMANDS[found]}`")
    return loaded


def _task_of(loaded: Any) -> Task:
    outputs = loaded.metadata.get_output_schema()
    return "classification" if outputs and "class" in outputs.input_names() else "ranking"
