"""Tables of results with known answers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ttest_1samp

from components.core.policy import Policy
from components.study.running import Outcome
from components.study.samplers import costs, tables
from components.study.samplers.conducting import Results
from components.study.samplers.grid import Cell, Method, searched
from components.study.samplers.schema import SamplersStudy

METRICS = [f"{metric}@20" for metric in tables.METRICS]


def outcome(place: Path, users: list[str], values: list[float], seconds: float = 1.0) -> Outcome:
    """All metrics have the same value for a user."""
    place.mkdir()
    pq.write_table(pa.table({"user_id": users, **dict.fromkeys(METRICS, values)}), place / "per_user.parquet")
    mean = sum(values) / len(values)
    took = {"training_seconds": seconds, "valid_ndcg@20": mean}
    policy = Policy(kind="autosample", patch={}, decision={"sampler": "dns"}, best_epoch=1, epochs=1)
    policy.write(place)
    losses = {"loss_uniform": [0.3], "loss_popularity": [0.4], "loss_dns": [0.5]}
    pq.write_table(pa.table({"epoch": pa.array([1], pa.int32()), **losses}), place / "trajectory.parquet")
    return Outcome(
        {"evaluation": str(place), "policy": str(place)},
        {"search": took, "retrain": took, "evaluate": dict.fromkeys(METRICS, mean)},
    )


@pytest.fixture
def results(study: SamplersStudy, tmp_path: Path) -> Results:
    users = [f"u{number}" for number in range(8)]
    base = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    gain = {"RNS": 0.0, "PNS": -0.05, "DNS": 0.0, "AutoSample": 0.1}
    found = Results()
    space = searched(study, ("RNS", "DNS"))
    for seed in (1, 2):
        for name, more in gain.items():
            method = space if name == "AutoSample" else Method(name)
            values = [value + more * (1 + place % 3) / 2 for place, value in enumerate(base)]
            found.outcomes[Cell("tiny", "MF", method, seed)] = outcome(
                tmp_path / f"{name}{seed}", users, values, seconds=10 * len(name)
            )
    found.chosen["tiny", "MF", "ranked 2"] = space.space
    return found


def test_ranks_are_shared_by_equals_and_the_best_is_tested_against_the_second(
    study: SamplersStudy, results: Results
) -> None:
    found = tables.overall(study, results, "tiny", "MF")
    assert found is not None
    assert found.ranks["recall@20"].to_dict() == {"RNS": 2, "PNS": 4, "DNS": 2, "AutoSample": 1}
    assert found.average_rank["PNS"] == 4
    differences = [0.1 * (1 + place % 3) / 2 for place in range(8)]
    assert tables.p_values(found)["ndcg@20"] == pytest.approx(ttest_1samp(differences, 0).pvalue)
    assert "| AutoSample | 0.5438* (1)" in tables.markdown(found, 20)


def test_a_user_s_differences_are_averaged_over_seeds_before_the_test(
    study: SamplersStudy, results: Results, tmp_path: Path
) -> None:
    """Twice the seeds are not twice the users; who is tested with one of the two drops out."""
    before = tables.overall(study, results, "tiny", "MF")
    for cell, one in list(results.outcomes.items()):
        again = Cell(cell.data, cell.model, cell.method, 3)
        if cell.seed == 1:
            results.outcomes[again] = one
    after = tables.overall(study, results, "tiny", "MF")
    assert before is not None
    assert after is not None
    assert tables.p_values(after) == pytest.approx(tables.p_values(before))


def test_the_search_space_s_average_rank(study: SamplersStudy, results: Results, tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(8)]
    for place, space in enumerate(study.spaces):
        cell = Cell("tiny", "MF", searched(study, space), 1)
        results.outcomes[cell] = outcome(tmp_path / f"space{place}", users, [0.1 * (place + 1)] * 8)
    both = tables.by_space(study, results, "tiny", "MF")
    assert both is not None
    found, ssar = both
    assert ssar.to_dict() == {"RNS+PNS": 3.0, "RNS+PNS+DNS": pytest.approx(8 / 3)}
    assert found.ranks["ndcg@20"].to_dict() == {"RNS+PNS": 2, "RNS+PNS+DNS": 1}


def test_times_are_means_over_seeds(study: SamplersStudy, results: Results) -> None:
    found = costs.times(study, results, "tiny", "MF")
    assert found == {"search": 100, "retrain": 100, "RNS": 30, "PNS": 30, "DNS": 30}


def test_the_rule_of_the_best_costs_a_grid_search_of_its_own(study: SamplersStudy, tmp_path: Path) -> None:
    """Validation says DNS, RNS, PNS; a race in which a training takes 3 s says PNS, DNS."""
    results = Results()

    def put(method: Method, values: list[float], seconds: float) -> None:
        place = tmp_path / f"{len(results.outcomes)}"
        users = [f"u{number}" for number in range(len(values))]
        results.outcomes[Cell("tiny", "MF", method, 1)] = outcome(place, users, values, seconds)

    for name, value in (("RNS", 0.4), ("PNS", 0.2), ("DNS", 0.5)):
        put(Method(name), [value] * 4, 30)
    for name, value in (("RNS", 0.1), ("PNS", 0.3), ("DNS", 0.2)):
        put(Method(name, epochs=2), [value] * 4, 3)
    for rule, space in (("ranked 2", ("DNS", "RNS")), ("race 2", ("PNS", "DNS"))):
        results.chosen["tiny", "MF", rule] = space
        put(searched(study, space), [0.5, 0.6, 0.5, 0.6], 10)

    found = {way.name: way for way in costs.ways(study, results, "tiny", "MF")}
    assert {
        name: (way.picks, way.trainings, way.short_trainings, way.seconds) for name, way in found.items()
    } == {
        "grid search": ("DNS", 3, 0, 90),
        "AutoSample, 2 best": ("RNS+DNS → DNS 1/1", 5, 0, 110),
        "race, then the winner": ("PNS", 1, 3, 39),
        "AutoSample, race's 2": ("PNS+DNS → DNS 1/1", 2, 3, 29),
    }
    searched_for = tables.decisions(study, results, "tiny", "MF", ("DNS", "RNS"))
    assert searched_for == [tables.Decision(name="DNS", easiest="RNS")]
    assert found["grid search"].p_value == 1
    assert found["AutoSample, 2 best"].ndcg == pytest.approx(0.55)
    assert found["AutoSample, 2 best"].p_value == pytest.approx(ttest_1samp([0, 0.1, 0, 0.1], 0).pvalue)


def test_a_race_s_picks_are_read_from_the_whole_trainings(study: SamplersStudy, tmp_path: Path) -> None:
    """DNS leads at first, then RNS, which takes twice as long an epoch; PNS ends early and never leads."""
    results = Results()
    curves = {"RNS": [0.1, None, 0.3, 0.4], "PNS": [0.15, 0.2], "DNS": [0.2, 0.25, 0.1, 0.2]}
    test = {"RNS": 0.6, "PNS": 0.2, "DNS": 0.3}
    for name, curve in curves.items():
        done = outcome(tmp_path / name, ["u1", "u2"], [test[name]] * 2)
        epochs = list(range(1, len(curve) + 1))
        history = pa.table({"epoch": pa.array(epochs, pa.int32()), "ndcg@20": pa.array(curve, pa.float64())})
        pq.write_table(history, tmp_path / name / "history.parquet")
        took = {"training_seconds": (2.0 if name == "RNS" else 1.0) * len(curve), "epochs": float(len(curve))}
        results.outcomes[Cell("tiny", "MF", Method(name), 1)] = Outcome(
            {**done.places, "model": str(tmp_path / name)}, {**done.metrics, "retrain": took}
        )
    found = [
        (one.epochs, one.picks, one.winner_ndcg, one.share)
        for one in costs.races(study, results, "tiny", "MF")
    ]
    whole = 4 * 2 + 2 + 4
    assert found == [
        (1, ("DNS", "PNS"), 0.3, pytest.approx(4 / whole)),
        (2, ("DNS", "PNS"), 0.3, pytest.approx((4 + 2 + 2) / whole)),
        (4, ("RNS", "DNS"), 0.6, 1.0),
    ]


def test_only_seeds_that_all_have_are_compared(
    study: SamplersStudy, results: Results, tmp_path: Path
) -> None:
    """DNS did badly with seed 2, and PNS failed with it."""
    bad = outcome(tmp_path / "bad", [f"u{number}" for number in range(8)], [0.0] * 8)
    results.outcomes[Cell("tiny", "MF", Method("DNS"), 2)] = bad
    del results.outcomes[Cell("tiny", "MF", Method("PNS"), 2)]
    found = tables.overall(study, results, "tiny", "MF")
    assert found is not None
    assert found.seeds == (1,)
    assert found.mean("DNS", "ndcg@20") == found.mean("RNS", "ndcg@20")


def test_what_did_not_run_is_left_out(study: SamplersStudy, results: Results) -> None:
    assert tables.overall(study, results, "tiny", "LightGCN") is None
    assert tables.by_start(study, results, "tiny", "MF") is None


def test_a_space_with_a_candidate_that_failed_has_no_average_rank(
    study: SamplersStudy, results: Results, tmp_path: Path
) -> None:
    for seed in (1, 2):
        del results.outcomes[Cell("tiny", "MF", Method("PNS"), seed)]
    for place, space in enumerate(study.spaces):
        results.outcomes[Cell("tiny", "MF", searched(study, space), 1)] = outcome(
            tmp_path / f"space{place}", ["u1", "u2"], [0.1, 0.2]
        )
    assert tables.by_space(study, results, "tiny", "MF") is None  # both have PNS
