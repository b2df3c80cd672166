"""Answers from the champion."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.core.errors import InvalidInputError
from components.core.recipe.judgement import MODEL_NAME
from components.registry.champion import CHAMPION, champion_version
from components.registry.connection import connect, default_server, is_new, reaching

if TYPE_CHECKING:
    import pandas as pd


def recommend(model: str, tracking_uri: str, user_ids: Sequence[str], k: int) -> "pd.DataFrame":
    """The `k` best items for each user, by the champion of a registered model.

    Returns:
        user_id, rank (from 1), item_id, score; a user whom the model does not know gets popular items.

    Raises:
        InvalidInputError: k is not positive, or there is no such model, or it has no champion.
        InfrastructureError: MLflow cannot be reached.
    """
    if k < 1:
        raise InvalidInputError(f"k: got {k}, need at least 1")
    if not re.match(MODEL_NAME, model):
        raise InvalidInputError(
            f"model: got {model!r}, need the name of a registered model, such as a recipe's"
        )
    if is_new(tracking_uri):
        raise InvalidInputError(f"{tracking_uri}: there is no MLflow database; run a recipe first")
    client = connect(tracking_uri)

    import mlflow
    import pandas as pd

    with reaching(tracking_uri):
        version = champion_version(client, model)
        if version is None:
            known = sorted(found.name for found in client.search_registered_models())
            raise InvalidInputError(
                f"model: {model!r} has no champion at {tracking_uri}; registered models: {known}"
            )
        with default_server(tracking_uri):
            served = mlflow.pyfunc.load_model(f"models:/{model}@{CHAMPION}")
    answer: pd.DataFrame = served.predict(pd.DataFrame({"user_id": list(user_ids)}), params={"k": k})
    return answer
