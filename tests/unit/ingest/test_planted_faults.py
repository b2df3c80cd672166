"""Deliveries in sequence: none that is sound is stopped, and every planted fault is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.catalog import INGEST
from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.recipe import IngestParams
from components.core.recipe.quality import Quality
from components.core.recipe.source import FilesSource
from components.core.stage import execute
from tests.benchmarks.deliveries import FAULTS, Clicks, deliver, plant, read_clicks, recipe_for, write_clicks

CAUGHT_BY = {
    "half the rows missing": {"duplicates", "volume", "activity"},
    "half the sessions missing": {"volume"},
    "the period before, again": {"repeated"},
    "every row twice": {"duplicates"},
    "all item ids new": {"new_items", "lost_items", "popularity", "repeated"},
    "item ids permuted": {"popularity", "repeated"},
    "one item in a fifth of the sessions": {"concentration"},
}


def clicks_of(period: int) -> Clicks:
    """Sessions of about three different items from one of many groups; what is popular drifts, and a quarter
    of the rows repeat another."""
    generator = np.random.default_rng(period)
    num_sessions, num_groups, size = 7_000, 150, 60
    weight = (np.random.default_rng(7).permutation(num_groups) + 1.0) ** -0.8
    weight *= np.exp(0.3 * generator.standard_normal(num_groups))
    group = generator.choice(num_groups, num_sessions, p=weight / weight.sum())
    session = np.repeat(np.arange(num_sessions), generator.geometric(0.25, num_sessions) + 1)
    place = np.floor(size * generator.random(len(session)) ** 2.5).astype(np.int64)
    item = group[session] * size + place
    rows = pl.DataFrame({"session": session + 1_000_000 * period, "item": item}).unique(maintain_order=True)
    return pl.concat([rows, rows.sample(fraction=0.33, seed=period)])


def stopped(gates: list[Gate]) -> set[str]:
    return {gate.name for gate in gates if gate.outcome == "stopped"}


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Clicks], list[str]]:
    """Three periods, each taken in after the other, and the artifacts that came of them."""
    folder = tmp_path_factory.mktemp("sequence")
    clicks = [clicks_of(period) for period in range(3)]
    accepted = []
    for period, rows in enumerate(clicks):
        write_clicks(rows, folder / "data" / f"period_{period:02d}.txt.gz")
        uri, gates = deliver(recipe_for(folder / "data", f"{period:02d}", folder))
        assert uri is not None, gates
        accepted.append(uri)
    return clicks, accepted


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_stopped(fault: str, sequence: Any, tmp_path: Path) -> None:
    clicks, accepted = sequence
    assert stopped(plant(fault, clicks[2], clicks[1], accepted[1], "02", tmp_path)) >= CAUGHT_BY[fault]


@pytest.mark.realdata
def test_yoochoose_passes_and_its_faults_do_not(data_dir: Path, tmp_path: Path) -> None:
    data = data_dir / "yoochoose"
    accepted = [deliver(recipe_for(data, period, tmp_path))[0] for period in ("00", "01", "02")]
    assert all(accepted)
    clicks = [read_clicks(data / f"period_{period}.txt.gz") for period in ("01", "02")]
    for fault, gates in CAUGHT_BY.items():
        found = plant(fault, clicks[1], clicks[0], str(accepted[1]), "02", tmp_path)
        assert stopped(found) >= gates, fault


# -- time ----------------------------------------------------------------------------------------------------

STRICT = {"previous": {"gap_s": {"min": 0, "severity": "stop"}}}


def take_in(rows: pl.DataFrame, name: str, root: Path, **source: Any) -> set[str]:
    """The names of the gates that stop a delivery of userId, movieId and timestamp."""
    path = root / f"{name}.csv"
    rows.write_csv(path)
    columns = {"user": "userId", "item": "movieId", "timestamp": "timestamp"}
    params = IngestParams(
        source=FilesSource(path=str(path), columns=columns, **source),
        seed=1,
        quality=Quality.model_validate(STRICT),
        deliveries=str(root / "interactions"),
    )
    try:
        result = execute(INGEST, params, params.source.locations(), str(root / "interactions" / "{key}"))
    except GateFailedError as error:
        return stopped(error.gates)
    return stopped(gates_of(read_manifest(result.uri).validation))


def days() -> Iterator[pl.DataFrame]:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for day in range(3):
        generator = np.random.default_rng(day)
        first = int((start + timedelta(days=day)).timestamp())
        yield pl.DataFrame(
            {
                "userId": generator.integers(0, 50, 400),
                "movieId": generator.integers(0, 80, 400),
                "timestamp": first + generator.integers(0, 86_400, 400),
            }
        )


def weeks_of_films(data: Path) -> list[pl.DataFrame]:
    """MovieLens' ratings in three deliveries by time."""
    rows = pl.read_csv(data / "ml-latest-small" / "ratings.csv").sort("timestamp", "userId", "movieId")
    third = len(rows) // 3
    return [rows[:third], rows[third : 2 * third], rows[2 * third :]]


def assert_time_is_watched(deliveries: list[pl.DataFrame], root: Path) -> None:
    first, second, third = deliveries
    in_milliseconds = pl.col("timestamp") * 1000
    assert take_in(first, "first", root) == set()
    assert take_in(second.with_columns(in_milliseconds), "wrong_unit", root) == {"rejected"}
    assert take_in(third, "third", root) == set()
    assert take_in(second, "late", root) == {"gap_s"}
    # the other way round: seconds where milliseconds are agreed fall into January 1970
    other = root / "agreed"
    other.mkdir()
    assert take_in(first.with_columns(in_milliseconds), "first", other, timestamp_unit="ms") == set()
    assert take_in(second, "wrong_unit", other, timestamp_unit="ms") == {"gap_s"}


def test_milliseconds_and_late_deliveries_are_stopped(tmp_path: Path) -> None:
    assert_time_is_watched(list(days()), tmp_path)


@pytest.mark.realdata
def test_milliseconds_and_late_deliveries_of_films_are_stopped(data_dir: Path, tmp_path: Path) -> None:
    assert_time_is_watched(weeks_of_films(data_dir), tmp_path)
