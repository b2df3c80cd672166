"""A registered model with versions of known worth, in a real MLflow on SQLite."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest

from components.core.manifest import MANIFEST, Manifest, describe_files
from components.core.verdict import VERDICT_FILE, AnyVerdict, Verdict
from components.data.document import write_document
from components.data.parquet import write_table
from components.registry.champion import EVALUATION_SHA256, EVALUATION_URI, MODEL_SHA256, MODEL_URI
from components.registry.connection import connect
from components.registry.decision import Decision
from components.registry.promotion import Succession
from components.registry.publishing import RunRecord, publish
from components.registry.served import Served, classifier, recommender

from .classifiers import KINDS, TRAIN, write_toy

MODEL = "toy"
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(*, promote: bool = True, champion: str | None = None) -> Verdict:
    return Verdict(
        promote=promote,
        reason="it is better" if promote else "it is no better",
        rule="first" if champion is None else "champion",
        metric="ndcg@20",
        margin=0.0,
        confidence=0.95,
        resamples=100,
        num_users=3,
        challenger=0.5,
        champion=None if champion is None else 0.4,
        champion_version=champion,
        floors={},
        comparisons={},
        slices=(),
        beyond_accuracy={},
        gates=(),
    )


def finish(place: Path, artifact: str, key: str) -> Manifest:
    """Write the manifest that makes files an artifact."""
    manifest = Manifest(
        stage=artifact,
        artifact=artifact,
        key=key,
        params={},
        code_version="0",
        git_sha=None,
        image_digest=None,
        inputs={},
        files=describe_files(place, {}),
        metrics={},
        validation={},
        seed=1,
        device="cpu",
        packages={},
        started=DAY,
        ended=DAY,
    )
    (place / MANIFEST).write_bytes(manifest.to_json())
    return manifest


@dataclass
class Registered:
    """The model `toy`: versions share one logged model, and have an evaluation each."""

    root: Path
    tracking_uri: str
    ledgers: str
    logged: str
    evaluations: dict[str, Path] = field(default_factory=dict)

    @property
    def client(self) -> Any:
        return mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)

    @property
    def succession(self) -> Succession:
        return Succession(MODEL, self.tracking_uri, self.ledgers)

    def add(
        self,
        *,
        promote: bool = True,
        champion: str | None = None,
        source: str = "",
        found: AnyVerdict | None = None,
    ) -> str:
        """A new version, whose evaluation compared with `champion`, or found something else; its number."""
        place = self.root / f"evaluation-{len(self.evaluations) + 1}"
        place.mkdir()
        found = found or verdict(promote=promote, champion=champion)
        write_document(found.document(), place / VERDICT_FILE)
        manifest = finish(place, "evaluation", f"{len(self.evaluations)}" * 64)
        tags = {
            EVALUATION_URI: str(place),
            EVALUATION_SHA256: manifest.sha256,
            MODEL_URI: f"{self.root}/model",
            MODEL_SHA256: f"{len(self.evaluations)}" * 64,
        }
        made = self.client.create_model_version(MODEL, source=source or self.logged, tags=tags)
        self.evaluations[str(made.version)] = place
        self.client.set_registered_model_alias(MODEL, "challenger", made.version)
        return str(made.version)

    def champions(self, count: int) -> None:
        """Versions 1 to `count`, each promoted after the other."""
        for number in range(1, count + 1):
            version = self.add(champion=None if number == 1 else str(number - 1))
            self.succession.promote(version, Decision(who="ann", why=f"number {version}"))

    @property
    def champion(self) -> str | None:
        found = self.client.get_registered_model(MODEL).aliases.get("champion")
        return None if found is None else str(found)

    def tags(self, version: str) -> dict[str, str]:
        found: dict[str, str] = self.client.get_model_version(MODEL, version).tags
        return found

    def steps(self) -> list[tuple[str, str, str | None, str | None]]:
        """action, who, from, to of every entry; the ledger must be whole."""
        entries = self.succession.ledger.read()
        return [(entry.action, entry.who, entry.from_version, entry.to_version) for entry in entries]


def tables(place: Path) -> dict[str, Path]:
    """What the serving code reads: three users, six items; users 0 and 1 have seen two items each."""
    items = np.arange(6)
    vectors = np.eye(6, dtype=np.float32)
    made = {
        "user_embeddings": {
            "user": pa.array([0, 1, 2], pa.int32()),
            "user_id": ["ann", "bob", "cid"],
            "embedding": pa.FixedSizeListArray.from_arrays((vectors[:3] + 0.1).reshape(-1), 6),
        },
        "item_embeddings": {
            "item": pa.array(items, pa.int32()),
            "item_id": [f"i{item}" for item in items],
            "embedding": pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), 6),
        },
        "popularity": {"item_id": [f"i{item}" for item in items], "num_train": pa.array(items, pa.int32())},
        "seen": {"user": pa.array([0, 0, 1, 1], pa.int32()), "item": pa.array([0, 3, 1, 2], pa.int32())},
    }
    for name, columns in made.items():
        write_table(pa.table(columns), place / f"{name}.parquet")
    return {name: place / f"{name}.parquet" for name in made}


@dataclass(frozen=True)
class Prototype:
    """A database with an empty registered model and two logged models, which no version of it has yet.

    Attributes:
        ranking, classification: where the logged models lie.
    """

    database: Path
    ranking: str
    classification: str


@pytest.fixture(scope="session")
def prototype(tmp_path_factory: pytest.TempPathFactory) -> Prototype:
    root = tmp_path_factory.mktemp("prototype")
    uri = f"sqlite:///{root}/mlflow.db"
    client = connect(uri)

    def logged(served: Served) -> str:
        run = RunRecord(experiment=MODEL, params={}, metrics={}, curves={}, tags={}, recipe={}, files=[])
        made = publish(client, uri, served.name, run, served, tags={}, description="to be copied")
        return str(client.get_model_version_download_uri(served.name, made.version))

    ranking = logged(recommender(tables(root), "ann"))
    write_toy(root)
    classification = logged(classifier(root, KINDS, ("no", "yes"), TRAIN))
    client.create_registered_model(MODEL)
    return Prototype(root / "mlflow.db", ranking, classification)


@pytest.fixture
def registered_at(tmp_path: Path, prototype: Prototype) -> Callable[[str], Registered]:
    """Makes the registered model, with its ledger to lie below a URI."""

    def make(ledgers: str) -> Registered:
        database = tmp_path / "mlflow.db"
        shutil.copy(prototype.database, database)
        return Registered(tmp_path, f"sqlite:///{database}", ledgers, prototype.ranking)

    return make


@pytest.fixture
def registered(registered_at: Callable[[str], Registered], tmp_path: Path) -> Registered:
    """The registered model, without versions; its ledger lies on disk."""
    return registered_at(str(tmp_path / "ledgers"))


@pytest.fixture(params=["disk", "s3"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A place for files: a directory, and a prefix in a bucket."""
    if request.param == "disk":
        yield str(tmp_path / "ledgers")
        return
    server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = server.bucket(f"ledgers-{abs(hash(request.node.name)) % 10**9}")
    yield f"s3://{bucket}/ledgers"
