"""The examples that the champion learned from are asked for where they can tell something."""

import shutil

import pytest

from components.core.manifest import InputEntry, read_manifest
from components.core.recipe import EvaluateParams
from components.core.recipe.ranking_judgement import RankingEvaluation, RankingPromotion
from components.registry import champion
from components.registry.champion import find_training_examples
from tests.unit.conftest import Loop
from tests.unit.evaluate.example_world import World


def test_they_are_other_examples_and_a_classifiers(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(loop).publish()
    place, params = str(world.inputs["interactions"]), world.params()
    monkeypatch.setattr(champion, "find_training_dataset", lambda params: str(world.inputs["dataset"]))
    same = {"interactions": InputEntry(uri="elsewhere", sha256=read_manifest(place).sha256)}
    other = {"interactions": InputEntry(uri="elsewhere", sha256="0" * 64)}
    assert find_training_examples(params, other) == place
    assert find_training_examples(params, same) is None
    ranking = EvaluateParams(
        evaluation=RankingEvaluation(), promotion=RankingPromotion(), model="m", tracking_uri="sqlite:///x"
    )
    assert find_training_examples(ranking, other) is None
    shutil.rmtree(place)
    assert find_training_examples(params, other) is None  # gone
