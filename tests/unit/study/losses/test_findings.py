"""Sentences about results whose answers are known."""

import pytest

from components.study.conducting import Part
from components.study.losses.findings import findings
from components.study.losses.grid import Cell, Method, cells_of
from tests.unit.study.losses import conftest
from tests.unit.study.losses.conftest import World, spread

PART = Part(data=("tiny", "other"), models=("DeepFM", "NFM"))
# as the paper has it: the order of Table 2, AL-1 behind cross-entropy, AL-2 behind AutoLoss
AS_PUBLISHED = {
    "Focal": -0.4,
    "AL-1": -0.3,
    "CE": -0.2,
    "BOHB": 0.0,
    "DARTS": 0.1,
    "SLF": 0.2,
    "AL-2": 0.3,
    "AutoLoss": 0.4,
}


def run(world: World, gain: dict[str, float]) -> list[str]:
    """Everything; a search takes six seconds, two with f = 3, and CE's training one of three."""
    for cell in cells_of(world.study, PART):
        searches = world.study.searches(cell.method.name) and not cell.method.taken_from
        fast = cell.method == Method("AutoLoss")
        world.put(
            cell,
            spread(gain[cell.method.name], cell.seed),
            search=(2.0 if fast else 6.0) * searches,
            retrain=3.0,
        )
    return list(findings(world.study, world.results, PART))


def test_what_the_paper_found_is_found(world: World) -> None:
    """Pairs of (i): four searches and two fixed losses, by AUC and log loss."""
    found = run(world, AS_PUBLISHED)
    for sentence in (
        "(i) All that search beat every fixed loss: in 2 of 2 cases, 16 of 16 pairs.",
        "(ii) Weights that all examples share beat every fixed loss: in 2 of 2 cases, 8 of 8 pairs.",
        "(iii) Weights for each example beat all that are shared: in 2 of 2 cases, 4 of 4 pairs.",
        "(iv) AutoLoss beats SLF: in 2 of 2 cases.",
        "A policy of SLF trains others better than CE: in 4 of 4 cases.",
        "A policy of AutoLoss trains others better than one of SLF: in 4 of 4 cases.",
        "AL-1 is worse than AutoLoss: in 2 of 2 cases.",
        "AL-1 is worse than all that search: in 2 of 2 cases, 8 of 8 pairs.",
        "AL-1 is worse than even CE: in 2 of 2 cases.",
        "AL-2 is worse than AutoLoss: in 2 of 2 cases.",
        "AutoLoss's search is the fastest of all that search in 1 of 1 pairs of data and model.",
        "Search and training take 1.67 times as long as CE's training.",
        "tiny, DeepFM: against f = 1, f = 3 saves 67% of the search's time, 67% of an epoch's; the paper has "
        "about 60 %.",
    ):
        assert sentence in found, found
    (lead,) = (sentence for sentence in found if "best baseline" in sentence)
    assert lead.startswith("AutoLoss is better than the best baseline in 2 of 2 cases")
    assert "it is 0.001 or more, which §3.2 calls significant, in 2, and as far behind in 0." in lead
    (cheapest,) = (sentence for sentence in found if "smallest" in sentence)
    assert cheapest.startswith(
        "0 of 6 searches by DARTS, SLF, AutoLoss gave most weight to the loss that was"
    )
    (weights,) = (sentence for sentence in found if "controllers" in sentence)
    assert "most weight to cross_entropy in 2 of 2 searches" in weights
    assert "cross_entropy 0.40, focal 0.10, hinge 0.30, kl 0.20" in weights


def test_the_opposite_is_found_too(world: World) -> None:
    found = run(world, {name: -gain for name, gain in AS_PUBLISHED.items()})
    for sentence in (
        "(i) All that search beat every fixed loss: in 0 of 2 cases, 0 of 16 pairs.",
        "(iv) AutoLoss beats SLF: in 0 of 2 cases.",
        "A policy of AutoLoss trains others better than CE: in 0 of 4 cases.",
        "AL-1 is worse than even CE: in 0 of 2 cases.",
    ):
        assert sentence in found, found
    (lead,) = (sentence for sentence in found if "best baseline" in sentence)
    assert "in 0 of 2 cases" in lead
    assert lead.endswith("in 0, and as far behind in 2.")


def test_a_pair_that_is_out_of_order_spoils_its_case_alone(world: World) -> None:
    """DARTS behind CE, and before Focal."""
    found = run(world, AS_PUBLISHED | {"DARTS": -0.25})
    assert (
        "(ii) Weights that all examples share beat every fixed loss: in 0 of 2 cases, 6 of 8 pairs." in found
    )


def test_nothing_is_said_of_what_did_not_run(world: World) -> None:
    for seed in (1, 2):
        for name in ("Focal", "CE"):
            world.put(Cell("tiny", "DeepFM", Method(name), seed), spread(0.1, seed))
    found = list(findings(world.study, world.results, PART))
    assert not any("AutoLoss" in sentence or "(i)" in sentence for sentence in found)


def test_who_had_no_more_epochs_is_told(world: World) -> None:
    """Three epochs of two (a limit that nobody keeps here) and of three."""
    assert not any("limit of epochs" in sentence for sentence in run(world, AS_PUBLISHED))
    for recipe in world.results.recipes.values():
        assert recipe.training.epochs == 2
    world.results.recipes = {
        cell: recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 3})})
        for cell, recipe in world.results.recipes.items()
    }
    found = list(findings(world.study, world.results, PART))
    (told,) = (sentence for sentence in found if "limit of epochs" in sentence)
    trainings = len(world.results.recipes)
    searches = sum(recipe.search.kind == "autoloss" for recipe in world.results.recipes.values())
    assert told.startswith(f"{trainings} of {trainings + searches} searches and trainings")


def test_a_weight_that_went_to_what_costs_least_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conftest.LOSSES, "cross_entropy", 0.1)
    found = run(world, AS_PUBLISHED)
    assert any(sentence.startswith("6 of 6 searches by DARTS, SLF, AutoLoss") for sentence in found)
