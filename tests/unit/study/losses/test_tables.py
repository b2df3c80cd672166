"""Tables of results with known answers."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_rel

from components.study.conducting import Part
from components.study.losses import tables
from components.study.losses.grid import Cell, Method, cells_of
from components.study.significance import p_over_examples
from tests.unit.study.losses.conftest import LABELS, World, spread

PART = Part(data=("tiny", "other"), models=("DeepFM", "NFM"))
PAIR = ("tiny", "DeepFM")


def fill(world: World, gain: dict[str, float], seeds: tuple[int, ...] = (1, 2)) -> None:
    for name, by in gain.items():
        for seed in seeds:
            world.put(Cell(*PAIR, Method(name), seed), spread(by, seed))


def test_more_auc_and_less_log_loss_are_better(world: World) -> None:
    fill(world, {"Focal": -0.2, "CE": 0.1, "AutoLoss": 0.4})
    found = tables.overall(world.study, world.results, PART)[PAIR]
    assert found.methods == ["Focal", "CE", "AutoLoss"]
    for metric in ("auc", "logloss"):
        assert [found.rank(name, metric) for name in found.methods] == [3, 2, 1]
    evaluated = [outcome.metrics["evaluate"]["logloss"] for outcome in found.outcomes["CE"].values()]
    assert found.mean("CE", "logloss") == pytest.approx(np.mean(evaluated))
    assert found.deviation("CE", "logloss") == pytest.approx(np.std(evaluated, ddof=1))


def test_ours_is_tested_against_the_best_of_the_others_over_seeds(world: World) -> None:
    fill(world, {"Focal": -0.2, "CE": 0.1, "SLF": 0.3, "AutoLoss": 0.2}, seeds=(1, 2, 3))
    found = tables.overall(world.study, world.results, PART)[PAIR]
    leads = tables.leads(world.study, found).set_index("metric")
    assert list(leads["baseline"]) == ["SLF", "SLF"]
    for metric in ("auc", "logloss"):
        ours, theirs = (
            [outcome.metrics["evaluate"][metric] for outcome in found.outcomes[name].values()]
            for name in ("AutoLoss", "SLF")
        )
        assert leads.loc[metric, "lead"] < 0  # whichever way the metric goes
        assert abs(leads.loc[metric, "lead"]) == pytest.approx(abs(np.mean(ours) - np.mean(theirs)))
        expected = ttest_rel(ours, theirs).pvalue
        assert leads.loc[metric, "p_seeds"] == pytest.approx(1 if math.isnan(expected) else expected)


def test_examples_are_averaged_over_seeds_before_they_are_tested(world: World) -> None:
    """Log loss by its losses; the same seed twice changes nothing."""
    fill(world, {"CE": 0.1, "AutoLoss": 0.2}, seeds=(1,))
    once = tables.overall(world.study, world.results, PART)[PAIR]
    losses = {
        name: -np.log(np.where(LABELS == 1, spread(by, 1), 1 - spread(by, 1)))
        for name, by in (("CE", 0.1), ("AutoLoss", 0.2))
    }
    ours, theirs = once.outcomes["AutoLoss"], once.outcomes["CE"]
    expected = ttest_rel(losses["AutoLoss"], losses["CE"]).pvalue
    assert p_over_examples(ours, theirs, "logloss") == pytest.approx(expected)
    twice = ({1: one[1], 2: one[1]} for one in (ours, theirs))
    assert p_over_examples(*twice, "logloss") == pytest.approx(expected)


def test_the_test_of_auc_over_examples_is_delong_s(world: World) -> None:
    """Against DeLong, DeLong & Clarke-Pearson (1988) pair by pair; but with t for z, which is more careful,
    and variances over n instead of n − 1."""
    fill(world, {"CE": -0.1, "AutoLoss": 0.2}, seeds=(3,))
    found = tables.overall(world.study, world.results, PART)[PAIR]
    positive, negative = np.flatnonzero(LABELS == 1), np.flatnonzero(LABELS == 0)

    def placements(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above = score[positive][:, None] > score[negative]
        tied = score[positive][:, None] == score[negative]
        won = above + tied / 2
        return won.mean(axis=1), won.mean(axis=0)

    (ours_1, ours_0), (theirs_1, theirs_0) = placements(spread(0.2, 3)), placements(spread(-0.1, 3))
    variance = np.var(ours_1 - theirs_1) / len(positive) + np.var(ours_0 - theirs_0) / len(negative)
    z = (ours_1.mean() - theirs_1.mean()) / math.sqrt(variance)
    p = p_over_examples(found.outcomes["AutoLoss"], found.outcomes["CE"], "auc")
    n = len(LABELS)
    assert p == pytest.approx(2 * t.sf(abs(z) * math.sqrt((n - 1) / n), n - 1), rel=1e-6)
    assert norm.sf(abs(z)) < p


def test_policies_that_are_carried_over_are_compared_where_they_arrive(world: World) -> None:
    for cell in cells_of(world.study, PART):
        world.put(cell, spread(0.3 if cell.method.taken_from else 0.0, cell.seed))
    found = tables.by_transfer(world.study, world.results, PART)
    assert list(found) == ["tiny, DeepFM → tiny, NFM", "tiny, DeepFM → other, DeepFM"]
    for one in found.values():
        assert one.methods == ["CE", "SLF", "AutoLoss"]
        assert one.mean("CE", "auc") < one.mean("SLF", "auc") == one.mean("AutoLoss", "auc")
    updates = tables.by_updates(world.study, world.results, PART)
    assert {pair: one.methods for pair, one in updates.items()} == {PAIR: ["1", "3"]}


def test_times_are_medians_and_multiples_of_cross_entropy_s(world: World) -> None:
    for seed, slow in ((1, 100.0), (2, 0.0), (3, 0.0)):  # the first loads what is compiled
        world.put(Cell(*PAIR, Method("CE"), seed), spread(0.1), retrain=2 + slow)
        world.put(Cell(*PAIR, Method("AutoLoss"), seed), spread(0.1), search=6 + seed, retrain=4)
    found = tables.times(world.study, tables.overall(world.study, world.results, PART)[PAIR])
    assert found.loc["CE"].to_dict() == pytest.approx(
        {
            "search_seconds": 0,
            "search_epochs": 0,
            "search_epoch_seconds": math.nan,
            "retrain_seconds": 2,
            "retrain_epochs": 3,
            "seconds": 2,
            "relative": 1,
        },
        nan_ok=True,
    )
    assert found.loc["AutoLoss", "seconds"] == 12
    assert found.loc["AutoLoss", "relative"] == 6
    assert found.loc["AutoLoss", "search_epoch_seconds"] == pytest.approx(8 / 3)


def test_a_star_needs_a_lead(world: World) -> None:
    """A method that is surely worse gets none."""
    fill(world, {"CE": 0.4, "AutoLoss": -0.2}, seeds=(1, 2, 3))
    found = tables.overall(world.study, world.results, PART)[PAIR]
    (row,) = (line for line in tables.markdown(world.study, found) if line.startswith("| AutoLoss"))
    assert tables.leads(world.study, found).set_index("metric").loc["logloss", "p_examples"] < 0.05
    assert "*" not in row
    assert "†" not in row
    fill(world, {"AutoLoss": 0.5}, seeds=(1, 2, 3))
    found = tables.overall(world.study, world.results, PART)[PAIR]
    (row,) = (line for line in tables.markdown(world.study, found) if line.startswith("| AutoLoss"))
    assert "†" in row


def test_only_seeds_that_all_have_are_compared(world: World) -> None:
    fill(world, {"CE": 0.1, "Focal": 0.2}, seeds=(1, 2))
    fill(world, {"AutoLoss": 0.3}, seeds=(2,))
    found = tables.overall(world.study, world.results, PART)[PAIR]
    assert found.seeds == (2,)
    assert math.isnan(found.deviation("CE", "auc"))
    assert tables.ablated(world.study, world.results, PART) == {}  # AutoLoss ran, and no variant of it
