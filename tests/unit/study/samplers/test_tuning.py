"""Tuning finds the better rate, goes on where it stopped, and never sees the test part."""

from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import pytest

from components.study.running import run_recipe
from components.study.samplers import tuning
from components.study.samplers.grid import Cell, Method, recipe_of, searched
from components.study.samplers.schema import AUTOSAMPLE, SamplersStudy, Tuning
from components.study.samplers.tuning import tune_cell


@pytest.fixture
def tuned(study: SamplersStudy) -> SamplersStudy:
    asked = Tuning(learning_rates=(1e-2, 1e-9), l2=(1e-3, 1e3), alpha_learning_rates=(1e-1, 1e-4))
    return study.model_copy(update={"tuning": asked})


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    (journal,) = folder.glob("*.journal")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


SPAWN = get_context("spawn")
RATES = [{"learning_rate": rate, "l2": l2} for rate in (1e-2, 1e-9) for l2 in (1e-3, 1e3)]
ALPHAS = [{"learning_rate": 1e-2, "l2": 1e-3, "alpha_learning_rate": rate} for rate in (1e-1, 1e-4)]


@pytest.mark.parametrize(("sampler", "points"), [("RNS", RATES), (AUTOSAMPLE, ALPHAS)])
def test_the_best_trial_is_the_training_that_validates_best(
    tuned: SamplersStudy, tmp_path: Path, sampler: str, points: list[dict[str, float]]
) -> None:
    """Against the stages with every setting; and the test part is not needed."""
    method = searched(tuned, ("RNS", "PNS")) if sampler == AUTOSAMPLE else Method(sampler)
    settled = {"learning_rate": 1e-2, "l2": 1e-3} if sampler == AUTOSAMPLE else {}
    cell = Cell("tiny", "MF", method, 1)
    stage = "search" if sampler == AUTOSAMPLE else "retrain"
    values = []
    for point in points:
        ran = run_recipe(recipe_of(tuned, cell, point), stage)
        values.append(ran.metrics[stage]["valid_ndcg@20"])
    test = Path(ran.places["dataset"]) / "test.parquet"
    test.chmod(0o644)
    test.write_bytes(b"nobody may open this")

    found = tune_cell(tuned, cell, settled, str(tmp_path / "tuning"))

    assert found == points[values.index(max(values))]
    assert [trial.value for trial in trials(tmp_path / "tuning")] == values
    assert test.read_bytes() == b"nobody may open this"


def test_who_was_killed_goes_on_with_the_same_points(
    tuned: SamplersStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment: what was being tried is tried again, what was done is not."""
    cell = Cell("tiny", "MF", Method("RNS"), 1)
    document, folder = tuned, tmp_path / "tuning"
    whole = tune_cell(document, cell, {}, str(tmp_path / "whole"))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> float:
        raise Killed

    validated = tuning._validated
    for number in range(3):
        monkeypatch.setattr(tuning, "_validated", killed)
        with pytest.raises(Killed):
            tune_cell(document, cell, {}, str(folder))
        left = [validated] * number

        def some(*arguments: Any, left: list[Any] = left) -> float:
            return left.pop()(*arguments) if left else killed()

        monkeypatch.setattr(tuning, "_validated", some)
        with pytest.raises(Killed):
            tune_cell(document, cell, {}, str(folder))
    monkeypatch.setattr(tuning, "_validated", validated)
    assert tune_cell(document, cell, {}, str(folder)) == whole
    finished = [trial for trial in trials(folder) if trial.state.is_finished() and trial.values]
    assert [trial.params for trial in finished] == RATES
    assert [trial.value for trial in finished] == [trial.value for trial in trials(tmp_path / "whole")]

    before = trials(folder)
    assert tune_cell(document, cell, {}, str(folder)) == whole
    assert len(trials(folder)) == len(before)


def test_other_data_are_tuned_anew(tuned: SamplersStudy, tmp_path: Path) -> None:
    cell, folder = Cell("tiny", "MF", Method("RNS"), 1), tmp_path / "tuning"
    tune_cell(tuned, cell, {}, str(folder))
    recipe = Path(tuned.data["tiny"].recipe)
    recipe.write_text(recipe.read_text().replace("num_items: 60", "num_items: 50"))
    tune_cell(tuned, cell, {}, str(folder))
    assert len(list(folder.glob("*.journal"))) == 2


def test_two_processes_share_the_trials(tuned: SamplersStudy, tmp_path: Path) -> None:
    cell, folder = Cell("tiny", "MF", Method("RNS"), 1), tmp_path / "tuning"
    same = [SPAWN.Process(target=tune_cell, args=(tuned, cell, {}, str(folder))) for _ in range(2)]
    for process in same:
        process.start()
    for process in same:
        process.join()
    assert [process.exitcode for process in same] == [0, 0]
    assert [trial.params for trial in trials(folder)] == RATES
