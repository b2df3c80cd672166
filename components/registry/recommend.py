"""Lists from the champion of a model that ranks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.core.errors import InvalidInputError
from components.registry.loading import load_champion

if TYPE_CHECKING:
    import pandas as pd


def recommend(model: str, tracking_uri: str, user_ids: Sequence[str], k: int) -> "pd.DataFrame":
    """The `k` best items for each user, by the champion of a registered model.

    Returns:
        user_id, rank (from 1), item_id, score; a user whom the model does not know gets popular items.

    Raises:
        InvalidInputError: k is not positive, or there is no champion that ranks.
        InfrastructureError: MLflow cannot be reached.
    """
    if k < 1:
        raise InvalidInputError(f"k: got {k}, need at least 1")
    champion = load_champion(model, tracking_uri, "ranking")

    import pandas as pd

    answer: pd.DataFrame = champion.predict(pd.DataFrame({"user_id": list(user_ids)}), params={"k": k})
    return answer
