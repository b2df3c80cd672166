"""Tuning finds the better rate, goes on where it stopped, and never sees the test part."""

from pathlib import Path

import optuna
import pytest

from components.study.grid import AUTOSAMPLE, Cell, Method, recipe_of, searched
from components.study.running import run_recipe
from components.study.schema import Study, Tuning
from components.study.tuning import tune_cell


@pytest.fixture
def tuned(study: Study) -> Study:
    tuning = Tuning(learning_rates=(1e-2, 1e-9), l2=(1e-3, 1e3), alpha_learning_rates=(1e-2,), trials=6)
    return study.model_copy(update={"tuning": tuning})


def trials(journal: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


@pytest.mark.parametrize("sampler", ["RNS", AUTOSAMPLE])
def test_the_best_trial_is_the_training_that_validates_best(
    tuned: Study, tmp_path: Path, sampler: str
) -> None:
    """Against the stages with every setting; and the test part is not needed."""
    method = searched(tuned, ("RNS", "PNS")) if sampler == AUTOSAMPLE else Method(sampler)
    cell = Cell("tiny", "MF", method, 1)
    stage = "search" if sampler == AUTOSAMPLE else "retrain"
    value = {}
    for learning_rate in (1e-2, 1e-9):
        for l2 in (1e-3, 1e3):
            rates = {"learning_rate": learning_rate, "l2": l2}
            ran = run_recipe(recipe_of(tuned, cell, rates).model_dump_json(by_alias=True), stage)
            value[learning_rate, l2] = ran.metrics[stage]["valid_ndcg@20"]
    test = Path(ran.places["dataset"]) / "test.parquet"
    test.chmod(0o644)
    test.write_bytes(b"nobody may open this")

    found = tune_cell(tuned.model_dump_json(by_alias=True), cell, str(tmp_path / "journal"))

    assert value[found["learning_rate"], found["l2"]] == max(value.values())
    assert {trial.value for trial in trials(tmp_path / "journal")} == set(value.values())
    assert ("alpha_learning_rate" in found) == (sampler == AUTOSAMPLE)
    assert test.read_bytes() == b"nobody may open this"


def test_trials_that_are_done_are_not_made_again(tuned: Study, tmp_path: Path) -> None:
    cell, journal = Cell("tiny", "MF", Method("RNS"), 1), tmp_path / "journal"
    first = tune_cell(tuned.model_dump_json(by_alias=True), cell, str(journal))
    before = trials(journal)
    second = tune_cell(tuned.model_dump_json(by_alias=True), cell, str(journal))
    assert second == first
    assert len(before) == 4  # the whole grid
    assert [trial.datetime_complete for trial in trials(journal)] == [one.datetime_complete for one in before]
