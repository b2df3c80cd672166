"""MLflow for each test, without making its tables anew."""

from pathlib import Path

import pytest

from components.registry.connection import connect

from .world import World


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without rows: making them anew for every test would take most of the time."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_registered_models()
    return path


@pytest.fixture
def world(loop, empty_database) -> World:
    return World(loop, empty_database)
