"""The embedded database is there whole, or not at all."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from components.core.errors import InfrastructureError
from components.registry.connection import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mlflow's


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_who_is_killed_while_making_it_leaves_nothing_unusable(tmp_path: Path, seconds: float) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    child = os.fork()
    if not child:
        connect(uri)
        os._exit(0)
    unfinished = tmp_path / "mlflow.db.new"
    while not unfinished.exists():
        time.sleep(0.01)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    connect(uri).create_registered_model("one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_several_make_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'below' / 'mlflow.db'}"
    made: list[str] = []

    def make(name: str) -> None:
        made.append(connect(uri).create_registered_model(name).name)

    threads = [threading.Thread(target=make, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.name for found in connect(uri).search_registered_models()} == set(made) == {"a", "b", "c"}


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match=r"file/mlflow\.db: cannot be made"):
        connect(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
