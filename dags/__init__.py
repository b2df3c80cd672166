"""Apache Airflow: one DAG per recipe, made from the stage catalogue."""

from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parents[1]
GPU_POOL: Final = "gpu"  # one slot: two trainings never share a device
OVERRIDES: Final = "recipe.overrides"  # a run's parameter; the dot keeps it apart from a recipe's own
COMMENT: Final = "answer.comment"  # a field beside a question's answer; Airflow lists it with the parameters


def champion_of(recipe: str) -> str:
    """Name of the asset that has news when a recipe's model has another champion."""
    return f"recloop/{recipe}/champion"
