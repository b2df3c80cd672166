"""Which delivery of examples a new one is compared with, and what its gates say."""

from pathlib import Path
from typing import Any

import pytest

from components.catalog import INGEST
from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.recipe import IngestExamplesParams, IngestParams
from components.core.recipe.example_quality import ExampleQuality
from components.core.recipe.examples import ExamplesSource, SyntheticExamples
from components.core.recipe.source import FilesSource
from components.core.stage import StageResult, execute

DAYS = {
    "monday": "0,a\n1,b\n0,a\n1,a\n",
    "tuesday": "1,a\n0,b\n0,c\n1,a\n",
    "wednesday": "1,d\n0,d\n1,e\n",
}


class Shop:
    """Takes deliveries in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def deliver(
        self, name: str, text: str, *, quality: dict[str, Any] | None = None, **source: Any
    ) -> StageResult:
        path = self.root / f"{name}.csv"
        path.write_text("label,site\n" + text)
        examples = ExamplesSource(path=str(path), **{"fields": {"categorical": {"site": "site"}}, **source})
        return self.take_in(
            IngestExamplesParams(
                source=examples,
                seed=1,
                quality=ExampleQuality.model_validate(quality or {}),
                deliveries=str(self.root / "interactions"),
            )
        )

    def take_in(self, params: IngestParams | IngestExamplesParams) -> StageResult:
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
    assert gate(results[1], "new_values").value == 1 / 4
    assert gate(results[1], "volume").told == "1.00 times its 4 examples"
    assert gate(results[2], "new_values").told == "100.0% of the examples have a value of site that is new"
    assert gate(results[1], "gap_s").told == "no timestamps to compare"


def test_a_delivery_that_was_stopped_is_compared_with_by_none(shop: Shop) -> None:
    monday = shop.deliver("monday", DAYS["monday"])
    strict = {"previous": {"new_values": {"max": 0.5, "severity": "stop"}}}
    told = r"new_values: 100\.0% of the examples have a value of site that is new; need at most 0\.5"
    with pytest.raises(GateFailedError, match=told):
        shop.deliver("wednesday", DAYS["wednesday"], quality=strict)
    assert previous_of(shop.deliver("tuesday", DAYS["tuesday"], quality=strict)) == monday.uri


def test_other_fields_are_told_and_not_compared(shop: Shop) -> None:
    shop.deliver("monday", DAYS["monday"])
    after = shop.deliver("tuesday", DAYS["tuesday"], fields={"categorical": {"page": "site"}})
    assert gate(after, "drift").told == "no field is of the same name and kind in both"
    both = shop.deliver(
        "wednesday", DAYS["wednesday"], fields={"categorical": {"page": "site", "site": "site"}}
    )
    assert gate(both, "drift").told.endswith(" (not compared: site)")


def test_a_new_side_table_is_a_new_delivery(shop: Shop) -> None:
    def deliver(sizes: str, **more: Any) -> StageResult:
        (shop.root / "sites.csv").write_text("site,size\n" + sizes)
        table = {
            "path": str(shop.root / "sites.csv"),
            "field": "site",
            "key": "site",
            "fields": {"numeric": {"size": "size"}},
        }
        return shop.deliver("monday", DAYS["monday"], tables={"sites": table}, **more)

    first = deliver("a,1\nb,2\n")
    assert deliver("a,1\nb,2\n").skipped
    second = deliver("a,9\nb,2\n")
    assert previous_of(second) == first.uri
    assert gate(second, "drift").told.startswith("the values of size lie ")
    assert gate(second, "unmatched", "the delivery").value == 0
    told = "the side table sites knows nothing of 75.00% of the examples; need at most 0.5"
    third = gate(deliver("b,2\n"), "unmatched", "the delivery")
    assert (third.outcome, third.told) == ("warned", told)
    for bound, limit in (({"max": 0.2, "severity": "stop"}, r"0\.2"), ({"severity": "stop"}, r"0\.5")):
        with pytest.raises(GateFailedError, match=rf"75\.00% of the examples; need at most {limit}"):
            deliver("b,3\n", quality={"delivery": {"unmatched": bound}})


def test_worlds_of_other_seeds_follow_each_other(shop: Shop) -> None:
    def deliver(seed: int) -> StageResult:
        source = SyntheticExamples(num_examples=200)
        deliveries = str(shop.root / "interactions")
        return shop.take_in(IngestExamplesParams(source=source, seed=seed, deliveries=deliveries))

    first, second = deliver(1), deliver(2)
    assert (previous_of(first), previous_of(second)) == (None, first.uri)
    assert gate(second, "label").value == 0


def test_interactions_of_another_task_are_not_compared_with(shop: Shop) -> None:
    (shop.root / "a.csv").write_text("user_id,item_id\na,x\nb,y\n")
    source = FilesSource(path=str(shop.root / "a.csv"))
    shop.take_in(IngestParams(source=source, seed=1, deliveries=str(shop.root / "interactions")))
    assert previous_of(shop.deliver("monday", DAYS["monday"])) is None
