"""A dataset, models of chosen quality, a real MLflow on SQLite, and a process that has never heard of us."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from components.catalog import REGISTER
from components.core.recipe import EvaluateParams, RegisterParams
from components.core.recipe.judgement import Policy
from components.core.recipe.ranking_judgement import RankingEvaluation, RankingPromotion
from components.core.stage import Context
from components.data.parquet import read_table
from components.evaluate.ranking.run import run as evaluate
from components.register.run import run as register
from components.registry.champion import find_artifact
from components.registry.promotion import Succession

NUM_USERS, NUM_ITEMS, MODEL = 12, 30, "toy"

# A fresh process with mlflow and the model's requirements, in which this project does not exist.
STRANGER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"components", "torch", "polars", "pydantic_settings"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Blocked())
import mlflow
import pandas as pd

uri, users, k = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/toy@champion")
print(model.predict(pd.DataFrame({"user_id": users}), params={"k": k}).to_json(orient="records"))
assert "components" not in sys.modules
"""


class World:
    """One dataset, on which models of chosen quality are evaluated and registered."""

    def __init__(self, loop: Any, empty_database: Path, *, integer_ids: bool = False) -> None:
        self.loop, self.empty_database = loop, empty_database
        generator = np.random.default_rng(3)
        self.tracking_uri = f"sqlite:///{loop.root}/registry/mlflow.db"
        self.user_ids = [100 + user if integer_ids else f"ü{user:02d}" for user in range(NUM_USERS)]
        self.item_ids = [7 * item if integer_ids else f"i{item:02d}" for item in range(NUM_ITEMS)]
        self.taste_UI = generator.normal(size=(NUM_USERS, NUM_ITEMS))
        self.noise_UI = generator.normal(size=(NUM_USERS, NUM_ITEMS))
        liked = np.argsort(-self.taste_UI, axis=1)
        places = (("train", slice(4, 12)), ("valid", slice(12, 14)), ("test", slice(0, 4)))
        self.parts = {
            part: [(user, int(item)) for user in range(NUM_USERS) for item in liked[user, place]]
            for part, place in places
        }
        interactions, dataset = loop.interactions(), loop.dataset(self.user_ids, self.item_ids, **self.parts)
        self.inputs = {"interactions": interactions, "dataset": dataset, "policy": loop.policy()}

    def judge(self, quality: float, *, margin: float = 0.0) -> dict[str, Any]:
        """Evaluate a model that knows `quality` of everybody's taste; returns the verdict."""
        score_UI = quality * self.taste_UI + (1 - quality) * self.noise_UI
        self.inputs["model"] = self.loop.model(
            self.user_ids, self.item_ids, score_UI, np.eye(NUM_ITEMS), name="model"
        )
        # Artifacts never change, but this loop's directories do: a copy stays, to be champion later.
        kept = self.loop.root / f"model-{quality}"
        shutil.copytree(self.inputs["model"], kept, dirs_exist_ok=True)
        self.model_uri = str(kept)
        params = EvaluateParams(
            evaluation=RankingEvaluation(ks=(5, 20)),
            promotion=RankingPromotion(metric="ndcg@20", margin=margin, floors={"ndcg@20": 0.05}),
            model=MODEL,
            tracking_uri=self.tracking_uri,
        )
        champion = find_artifact(params)
        inputs = {name: self.inputs[name] for name in ("interactions", "dataset", "policy", "model")}
        if champion:
            inputs["champion"] = Path(champion)
        output = self.loop.folder("evaluation")
        evaluate(params, inputs, output, Context(None))  # type: ignore[arg-type]
        self.inputs["evaluation"] = self.loop.publish(
            "evaluation",
            "evaluate",
            ["interactions", "dataset", "policy", "model"],
            params=params.model_dump(mode="json"),
        )
        return json.loads((output / "verdict.json").read_text())

    def register(self, policy: Policy = "auto") -> dict[str, Any]:
        database = self.loop.root / "registry" / "mlflow.db"
        if not database.exists():
            database.parent.mkdir()
            shutil.copy(self.empty_database, database)
        inputs = {entry.name: self.inputs[entry.name] for entry in REGISTER.inputs}
        uris = {**{name: str(path) for name, path in inputs.items()}, "model": self.model_uri}
        output = self.loop.folder("registration")
        params = self.params.model_copy(update={"policy": policy})
        register(params, inputs, output, Context(None, uris))  # type: ignore[arg-type]
        REGISTER.load_contract(params)(output, params, {}, self.loop.root / "docs")
        document = json.loads((output / "registration.json").read_text())
        assert read_table(output / "registration.parquet").to_pylist()[0].items() <= document.items()
        return document

    @property
    def params(self) -> RegisterParams:
        recipe = {"name": MODEL, "training": {"l2": 1e-4}, "promotion": {"floors": {"ndcg@20": 0.05}}}
        return RegisterParams(
            model=MODEL,
            tracking_uri=self.tracking_uri,
            experiment="experiments",
            ledger=f"{self.loop.root}/ledgers",
            recipe=recipe,
        )

    @property
    def succession(self) -> Succession:
        return Succession(MODEL, self.tracking_uri, self.params.ledger)

    def steps(self) -> list[tuple[str, str | None, str | None]]:
        return [
            (entry.action, entry.from_version, entry.to_version) for entry in self.succession.ledger.read()
        ]

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)

    def aliases(self) -> dict[str, str]:
        found = self.client.get_registered_model(MODEL).aliases
        return {name: str(version) for name, version in found.items()}

    def ask_a_stranger(self, users: list[str], k: int, cwd: Path) -> pd.DataFrame:
        answer = subprocess.run(
            [sys.executable, "-I", "-c", STRANGER, self.tracking_uri, ",".join(users), str(k)],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return pd.DataFrame(json.loads(answer.stdout.splitlines()[-1]))


def expected_lists(world: World, quality: float, k: int) -> dict[str, list[str]]:
    """Raw ids, ranked by a loop over users and items, without everything that is known of a user."""
    score_UI = (quality * world.taste_UI + (1 - quality) * world.noise_UI).astype(np.float32)
    seen = {pair for pairs in world.parts.values() for pair in pairs}
    lists = {}
    for user, user_id in enumerate(world.user_ids):
        left = [item for item in range(NUM_ITEMS) if (user, item) not in seen]
        left.sort(key=lambda item: (-score_UI[user, item], item))
        lists[str(user_id)] = [str(world.item_ids[item]) for item in left[:k]]
    return lists


def popular(world: World, k: int) -> list[str]:
    counts = np.bincount([item for _, item in world.parts["train"]], minlength=NUM_ITEMS)
    return [str(world.item_ids[item]) for item in np.argsort(-counts, kind="stable")[:k]]
