"""From a cell to its recipe."""

from pathlib import Path

import pytest

from components.core.errors import InvalidInputError
from components.core.recipe.ranking import MixGcfMixer
from components.core.recipe.search import AutoSample
from components.study.samplers.grid import Cell, Method, baselines, recipe_of, searched
from components.study.samplers.schema import SamplersStudy
from components.study.schema import Setting, StudyData


def test_mixing_needs_a_graph(study: SamplersStudy) -> None:
    assert [method.name for method in baselines(study, "MF")] == ["RNS", "PNS", "DNS"]
    assert [method.name for method in baselines(study, "LightGCN")] == ["RNS", "PNS", "DNS", "MixGCF"]


def test_all_cells_of_a_data_set_share_its_split(study: SamplersStudy) -> None:
    """Else what one seed tunes on is what another is tested on."""
    cells = [Cell("tiny", "MF", Method("RNS"), seed) for seed in (1, 2)]
    first, second = (recipe_of(study, cell, {}).stage_params() for cell in cells)
    for stage in ("ingest", "prepare"):
        assert first[stage].identity() == second[stage].identity()
    assert first["retrain"].identity() != second["retrain"].identity()


def test_a_baseline_trains_without_a_search(study: SamplersStudy) -> None:
    recipe = recipe_of(study, Cell("tiny", "LightGCN", Method("MixGCF"), 7), {"learning_rate": 0.5})
    assert recipe.search.kind == "none"
    assert recipe.training.sampler == MixGcfMixer(num_candidates=4)
    assert (recipe.training.learning_rate, recipe.training.epochs, recipe.training_seed) == (0.5, 4, 7)
    assert recipe.evaluation.ks == (20,)
    assert not recipe.promotion.floors


def test_autosample_searches_its_space_with_the_recipe_s_patience(study: SamplersStudy) -> None:
    method = searched(study, ("DNS", "RNS"), "none")
    assert method.space == ("RNS", "DNS")  # the study's order: the same space is the same cell
    recipe = recipe_of(study, Cell("tiny", "MF", method, 1), {"alpha_learning_rate": 3e-3, "l2": 0.1})
    assert isinstance(recipe.search, AutoSample)
    assert [sampler.kind for sampler in recipe.search.samplers] == ["uniform", "dns"]
    assert (recipe.search.alpha_learning_rate, recipe.search.epochs) == (3e-3, 4)
    assert (recipe.training.warm_start, recipe.training.l2) == ("none", 0.1)


def test_the_last_setting_that_fits_counts(study: SamplersStudy) -> None:
    settings = (
        Setting(training={"epochs": 5, "patience": 2}),
        Setting(models=("MF",), training={"epochs": 6}),
        Setting(methods=("DNS",), training={"epochs": 7}),
        Setting(models=("LightGCN",), training={"epochs": 8}),
    )
    study = study.model_copy(update={"settings": settings})

    def epochs(model: str, sampler: str) -> int:
        return recipe_of(study, Cell("tiny", model, Method(sampler), 1), {}).training.epochs

    assert [epochs("MF", "RNS"), epochs("MF", "DNS"), epochs("LightGCN", "DNS")] == [6, 7, 8]


def test_parameters_of_the_recipe_are_set_and_unknown_ones_told(study: SamplersStudy) -> None:
    recipe = Path(study.data["tiny"].recipe)
    recipe.write_text(
        "parameters: {size: {default: 60, description: items}}\n"
        + recipe.read_text().replace("num_items: 60", "num_items: '${size}'")
    )
    cell = Cell("tiny", "MF", Method("RNS"), 1)

    def with_parameters(**values: int) -> SamplersStudy:
        return study.model_copy(update={"data": {"tiny": StudyData(recipe=str(recipe), parameters=values)}})

    assert recipe_of(with_parameters(size=70), cell, {}).source.num_items == 70
    with pytest.raises(InvalidInputError, match=r"data.tiny.parameters: got 'sise', need one of .*'size'"):
        recipe_of(with_parameters(sise=70), cell, {})


def test_a_study_chooses_by_validation(study: SamplersStudy) -> None:
    recipe = Path(study.data["tiny"].recipe)
    recipe.write_text(recipe.read_text() + "prepare: {split: {kind: random, ratio: [4, 0, 1]}}\n")
    recipe.write_text(recipe.read_text().replace("prepare: {core: 2}\n", ""))
    with pytest.raises(InvalidInputError, match=r"data.tiny: .* sets nothing aside that validates"):
        recipe_of(study, Cell("tiny", "MF", Method("RNS"), 1), {})


def test_nothing_of_the_recipe_s_own_makes_methods_unlike(study: SamplersStudy) -> None:
    recipe = Path(study.data["tiny"].recipe)
    recipe.write_text(
        recipe.read_text().replace("epochs: 4,", "epochs: 4, num_negatives: 4, warm_check: {margin: 0},")
    )
    trainings = [
        recipe_of(study, Cell("tiny", "MF", method, 1), {}).training
        for method in (Method("RNS"), searched(study, ("RNS", "PNS")))
    ]
    assert [training.num_negatives for training in trainings] == [1, 1]
    assert [training.warm_check for training in trainings] == [None, None]
