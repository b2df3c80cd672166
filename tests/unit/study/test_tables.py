"""Tables of results with known answers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import ttest_1samp

from components.study import tables
from components.study.conducting import Results
from components.study.grid import Cell, Method, searched
from components.study.running import Outcome
from components.study.schema import Study

METRICS = [f"{metric}@20" for metric in tables.METRICS]


def outcome(place: Path, users: list[str], values: list[float], seconds: float = 1.0) -> Outcome:
    """All metrics have the same value for a user."""
    place.mkdir()
    pq.write_table(pa.table({"user_id": users, **dict.fromkeys(METRICS, values)}), place / "per_user.parquet")
    mean = sum(values) / len(values)
    took = {"training_seconds": seconds, "valid_ndcg@20": mean}
    return Outcome(
        {"evaluation": str(place)},
        {"search": took, "retrain": took, "evaluate": dict.fromkeys(METRICS, mean)},
    )


@pytest.fixture
def results(study: Study, tmp_path: Path) -> Results:
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
    study: Study, results: Results
) -> None:
    found = tables.overall(study, results, "tiny", "MF")
    assert found is not None
    assert found.ranks["recall@20"].to_dict() == {"RNS": 2, "PNS": 4, "DNS": 2, "AutoSample": 1}
    assert found.average_rank["PNS"] == 4
    differences = [0.1 * (1 + place % 3) / 2 for place in range(8)]
    assert found.p_values["ndcg@20"] == pytest.approx(ttest_1samp(differences, 0).pvalue)
    assert "| AutoSample | 0.5438* (1)" in tables.markdown(found, 20)


def test_a_user_s_differences_are_averaged_over_seeds_before_the_test(
    study: Study, results: Results, tmp_path: Path
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
    assert after.p_values == pytest.approx(before.p_values)


def test_the_search_space_s_average_rank(study: Study, results: Results, tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(8)]
    for place, space in enumerate(study.spaces):
        cell = Cell("tiny", "MF", searched(study, space), 1)
        results.outcomes[cell] = outcome(tmp_path / f"space{place}", users, [0.1 * (place + 1)] * 8)
    both = tables.by_space(study, results, "tiny", "MF")
    assert both is not None
    found, ssar = both
    assert ssar.to_dict() == {"RNS+PNS": 3.0, "RNS+PNS+DNS": pytest.approx(8 / 3)}
    assert found.ranks["ndcg@20"].to_dict() == {"RNS+PNS": 2, "RNS+PNS+DNS": 1}


def test_times_are_means_over_seeds(study: Study, results: Results) -> None:
    found = tables.times(study, results, "tiny", "MF")
    assert found is not None
    assert found["seconds"].dropna().to_dict() == {
        "search": 100,
        "retrain": 100,
        "RNS": 30,
        "PNS": 30,
        "DNS": 30,
    }


def test_what_did_not_run_is_left_out(study: Study, results: Results) -> None:
    assert tables.overall(study, results, "tiny", "LightGCN") is None
    assert tables.by_start(study, results, "tiny", "MF") is None
