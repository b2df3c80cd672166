"""Which delivery a new one is compared with, and what its gates say."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from components.catalog import INGEST
from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.recipe import IngestParams
from components.core.recipe.quality import Quality
from components.core.recipe.source import FilesSource, SessionsSource
from components.core.stage import StageResult, execute
from components.data.contracts.interactions.ranking import validate

DAYS = {
    "monday": "a,x\nb,x\nc,y\n",
    "tuesday": "a,x\nb,z\nd,y\n",
    "wednesday": "a,x\nb,z\ne,y\n",
}


class Shop:
    """Takes deliveries in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def deliver(
        self, name: str, text: str, *, quality: dict[str, Any] | None = None, **source: Any
    ) -> StageResult:
        path = self.root / f"{name}.csv"
        path.write_text("user_id,item_id\n" + text)
        params = IngestParams(
            source=FilesSource(path=str(path), **source),
            seed=1,
            max_rejected_fraction=0.5,
            quality=Quality.model_validate(quality or {}),
            deliveries=str(self.root / "interactions"),
        )
        return execute(INGEST, params, params.source.locations(), str(self.root / "interactions" / "{key}"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def previous_of(result: StageResult) -> str | None:
    found = read_manifest(result.uri).inputs.get("previous")
    return found and found.uri


def gate(result: StageResult, name: str, subject: str = "against the previous delivery") -> Gate:
    (found,) = (
        gate
        for gate in gates_of(read_manifest(result.uri).validation)
        if (gate.name, gate.subject) == (name, subject)
    )
    return found


def test_a_delivery_is_compared_with_the_one_accepted_last(shop: Shop) -> None:
    results = [shop.deliver(day, text) for day, text in DAYS.items()]
    assert previous_of(results[0]) is None
    assert [previous_of(after) for after in results[1:]] == [before.uri for before in results[:-1]]
    found = gate(results[1], "new_users")
    assert (found.value, found.outcome) == (pytest.approx(1 / 3), "passed")
    assert found.told == "33.3% of the users are new"
    assert gate(results[1], "repeated").value == pytest.approx(1 / 3)
    assert gate(results[1], "gap_s").told == "no timestamps to compare"


def test_a_delivery_that_was_stopped_is_compared_with_by_none(shop: Shop) -> None:
    monday = shop.deliver("monday", DAYS["monday"])
    strict = {"previous": {"new_users": {"max": 0.5, "severity": "stop"}}}
    with pytest.raises(
        GateFailedError, match=r"new_users: 100\.0% of the users are new; need at most 0\.5"
    ) as error:
        shop.deliver("bad", "k,x\nl,x\nm,y\n", quality=strict)
    (stopped,) = (gate for gate in error.value.gates if gate.outcome == "stopped")
    assert (stopped.name, stopped.subject, stopped.value) == ("new_users", "against the previous delivery", 1)
    assert previous_of(shop.deliver("tuesday", DAYS["tuesday"], quality=strict)) == monday.uri


def test_a_delivery_that_is_judged_anew_is_compared_with_what_came_before_it(shop: Shop) -> None:
    monday, _, wednesday = (shop.deliver(day, text) for day, text in DAYS.items())
    other = {"previous": {"volume": {"max": 3}}}
    assert previous_of(shop.deliver("tuesday", DAYS["tuesday"], quality=other)) == monday.uri
    assert previous_of(shop.deliver("monday", DAYS["monday"], quality=other)) is None
    assert previous_of(shop.deliver("thursday", "a,y\n")) == wednesday.uri


def test_a_delivery_again_under_another_name_is_new_and_repeats_all(shop: Shop) -> None:
    monday = shop.deliver("monday", DAYS["monday"])
    again = shop.deliver("tuesday", DAYS["monday"])
    assert previous_of(again) == monday.uri
    assert gate(again, "repeated").value == 1
    assert shop.deliver("monday", DAYS["monday"]).skipped


def test_only_what_was_made_in_the_same_way_is_compared(tmp_path: Path) -> None:
    def deliver(day: str, min_count: int) -> StageResult:
        path = tmp_path / f"{day}.csv"
        path.write_text("session_id,item_id\n1,a\n1,b\n2,a\n2,b\n" + f"3,{day}\n3,a\n")
        source = SessionsSource(path=str(path), min_count=min_count)
        params = IngestParams(source=source, seed=1, deliveries=str(tmp_path / "interactions"))
        return execute(INGEST, params, source.locations(), str(tmp_path / "interactions" / "{key}"))

    for day in DAYS:
        deliver(day, 1)
    assert previous_of(deliver("thursday", 2)) is None
    tuesday = deliver("tuesday", 2)
    deliver("monday", 2)
    assert previous_of(deliver("wednesday", 2)) == tuesday.uri


def test_ids_of_another_type_are_seen(shop: Shop) -> None:
    shop.deliver("monday", "1,7\n2,7\n")
    found = gate(shop.deliver("tuesday", "1,7\n2,8\n", ids="integer"), "new_users")
    assert (found.value, found.told) == (1, "100.0% of the users are new, as the ids' type has changed")


def test_a_delivery_by_itself(shop: Shop, tmp_path: Path) -> None:
    result = shop.deliver(
        "monday", "a,x\na,x\nb,x\nc,y\n", quality={"delivery": {"duplicates": {"max": 0.2}}}
    )
    found = gate(result, "duplicates", "the delivery")
    assert (found.value, found.high, found.outcome) == (0.25, 0.2, "warned")
    assert found.told == "25.00% of the 4 rows repeat another; need at most 0.2"
    assert gate(result, "concentration", "the delivery").value == pytest.approx(2 / 3)
    assert gate(result, "nulls", "the delivery").told == "no optional columns"


def test_age_and_nulls(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id,when,shop\na,x,1000,p\nb,x,5000,\n")
    columns = {"timestamp": "when", "features": {"shop": "shop"}}
    bounds = {
        "delivery": {"age_s": {"max": 3600, "severity": "stop"}, "nulls": {"max": 0.4, "severity": "stop"}}
    }
    source = FilesSource(path=str(path), columns=columns)
    params = IngestParams(source=source, seed=1)
    result = execute(INGEST, params, source.locations(), str(tmp_path / "out"))
    judged = params.model_copy(update={"quality": Quality.model_validate(bounds)})
    docs = (tmp_path / str(number) for number in itertools.count())
    with pytest.raises(
        GateFailedError, match=r"nulls: 50\.00% of the optional values are missing; need at most 0\.4"
    ) as fresh:
        validate(Path(result.uri), judged, {}, next(docs), clock=lambda: 8600.0)
    assert "age_s" not in str(fresh.value)
    with pytest.raises(
        GateFailedError, match="age_s: the last interaction was 60 minutes ago; need at most 3600"
    ):
        validate(Path(result.uri), judged, {}, next(docs), clock=lambda: 8601.0)
