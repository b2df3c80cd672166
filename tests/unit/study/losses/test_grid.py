"""From a cell to its recipe."""

from typing import Any

import pytest

from components.core.errors import InvalidInputError
from components.core.recipe.classification import CrossEntropy, Focal, Weighted
from components.core.recipe.search import AutoLoss, Bohb, FromPolicy
from components.study.conducting import Part
from components.study.losses.grid import Cell, Method, cells_of, recipe_of, source_of, updated
from components.study.losses.schema import LossesStudy
from components.study.schema import Setting

ALL = Part(data=("tiny", "other"), models=("DeepFM", "NFM"))


def cell(name: str, seed: int = 1) -> Cell:
    return Cell("tiny", "DeepFM", Method(name), seed)


def test_a_loss_trains_without_a_search(study: LossesStudy) -> None:
    recipe = recipe_of(study, cell("Focal", 7))
    assert recipe.search.kind == "none"
    assert recipe.training.loss == Focal()
    assert (recipe.training.model.kind, recipe.training.epochs, recipe.training_seed) == ("deepfm", 2, 7)
    assert recipe_of(study, cell("AL-1")).training.loss == Weighted()


def test_a_search_has_the_training_s_epochs_unless_it_says_so_itself(document: dict[str, Any]) -> None:
    document["settings"] = [{"training": {"patience": 9}}, {"methods": ["SLF"], "training": {"epochs": 5}}]
    document["methods"]["DARTS"]["search"]["patience"] = 4
    study = LossesStudy.model_validate(document)
    found = {name: recipe_of(study, cell(name)).search for name in ("SLF", "DARTS", "BOHB")}
    slf, darts, bohb = found.values()
    assert isinstance(slf, AutoLoss)
    assert isinstance(darts, AutoLoss)
    assert (slf.epochs, slf.patience, slf.batches) == (5, 9, "train")
    assert (darts.epochs, darts.patience, darts.per_example) == (2, 4, False)
    assert bohb == Bohb(trials=2, epochs=2)


def test_all_cells_of_a_data_set_share_its_split(study: LossesStudy) -> None:
    first, second = (recipe_of(study, cell("CE", seed)).stage_params() for seed in (1, 2))
    for stage in ("ingest", "prepare"):
        assert first[stage].identity() == second[stage].identity()
    assert first["retrain"].identity() != second["retrain"].identity()


def test_nothing_of_the_recipe_s_own_stops_a_cell(study: LossesStudy) -> None:
    """The recipe has a limit that no model keeps."""
    promotion = recipe_of(study, cell("CE")).promotion
    assert (promotion.limits, promotion.guardrails, promotion.bounds, promotion.beat) == ({}, (), {}, ())


def test_a_policy_that_is_carried_over_trains_from_random_weights(study: LossesStudy) -> None:
    taken = Cell("other", "DeepFM", Method("SLF", taken_from=("tiny", "DeepFM")), 2)
    assert source_of(taken) == cell("SLF", 2)
    assert source_of(cell("SLF")) is None
    recipe = recipe_of(study, taken, policy="/the/policy")
    assert recipe.search == FromPolicy(uri="/the/policy")
    assert (recipe.training.loss, recipe.training.warm_start) == (CrossEntropy(), "none")
    assert recipe_of(study, cell("SLF")).training.warm_start == "search"


def test_what_is_searched_for_may_begin_anew_too(document: dict[str, Any]) -> None:
    study = LossesStudy.model_validate(document | {"warm_start": "none"})
    assert recipe_of(study, cell("SLF")).training.warm_start == "none"


def test_each_cell_is_run_once_and_policies_are_there_before_they_are_taken(study: LossesStudy) -> None:
    found = cells_of(study, ALL)
    assert len(set(found)) == len(found)
    here = {cell.method.label for cell in found if (cell.data, cell.model) == ("tiny", "DeepFM")}
    assert here == {*study.methods, "AutoLoss, f = 1"}  # f = 3 is AutoLoss itself
    assert {(cell.data, cell.model, cell.method.label) for cell in found if cell.model == "NFM"} == {
        ("tiny", "NFM", "CE"),
        ("tiny", "NFM", "SLF, policy of tiny, DeepFM"),
        ("tiny", "NFM", "AutoLoss, policy of tiny, DeepFM"),
    }
    for place, one in enumerate(found):
        source = source_of(one)
        assert source is None or source in found[:place]


def test_f_is_that_of_the_search(study: LossesStudy) -> None:
    searches = [
        recipe_of(study, Cell("tiny", "DeepFM", method, 1)).search for method in updated(study).values()
    ]
    assert [search.every for search in searches if isinstance(search, AutoLoss)] == [1, 3]


def test_a_part_has_no_policies_from_elsewhere(study: LossesStudy) -> None:
    assert not cells_of(study, Part(data=("other",), models=("DeepFM",)))
    found = cells_of(study, Part(data=("tiny",), models=("DeepFM", "NFM")))
    assert {cell.data for cell in found} == {"tiny"}
    assert {cell.model for cell in found} == {"DeepFM", "NFM"}


def test_a_recipe_of_another_task_is_told(document: dict[str, Any]) -> None:
    document["data"]["tiny"] = {"recipe": "demo"}
    study = LossesStudy.model_validate(document)
    with pytest.raises(
        InvalidInputError, match=r"data.tiny: recipe demo is of task 'ranking', need 'classification'"
    ):
        recipe_of(study, cell("CE"))


def test_settings_are_for_some_cells(study: LossesStudy) -> None:
    settings = (
        Setting(training={"batch_size": 10}),
        Setting(data=("other",), training={"batch_size": 20}),
        Setting(models=("NFM",), methods=("SLF",), training={"batch_size": 30}),
    )
    study = study.model_copy(update={"settings": settings})
    places = [
        ("tiny", "NFM", "CE"),
        ("other", "NFM", "CE"),
        ("other", "NFM", "SLF"),
        ("tiny", "DeepFM", "SLF"),
    ]
    found = [recipe_of(study, Cell(data, model, Method(name), 1)) for data, model, name in places]
    assert [recipe.training.batch_size for recipe in found] == [10, 20, 30, 10]
