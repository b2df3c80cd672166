"""A dataset against the champion's, and its parts against each other."""

from pathlib import Path

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.recipe.quality import Bound, Vocabulary
from components.data.contracts.dataset.ranking import validate

from . import artifacts as a

KEEP = Vocabulary(kept_users=Bound(min=0.6), kept_items=Bound(min=0.6, severity="stop"))


def examined(tmp_path: Path, champion: a.Break = lambda root: None) -> dict[str, Gate]:
    """The gates of the good dataset by name, against a champion's that was changed."""
    output, before = tmp_path / "output", tmp_path / "champion"
    for place in (output, before):
        place.mkdir()
        a.dataset(place)
    champion(before)
    params = a.PREPARE.model_copy(update={"vocabulary": KEEP})
    validation = validate(output, params, {"champion": before}, tmp_path / "docs")
    return {gate.name: gate for gate in gates_of(validation.summary)}


def test_leaks_and_vocabulary_are_gates(tmp_path: Path) -> None:
    gates = examined(tmp_path, a.column("users.parquet", "user_id", ["a", "x", "y"]))
    leaks = [(gate.name, gate.value, gate.high) for gate in gates.values() if gate.subject == "leaks"]
    assert leaks == [("leaked_pairs", 0, 0), ("future_in_train", 0, 0), ("future_in_valid", 0, 0)]
    assert (gates["kept_items"].value, gates["kept_items"].outcome) == (1, "passed")
    assert gates["kept_users"].outcome == "warned"
    assert gates["kept_users"].told == "33.3% of its 3 users are still there; need at least 0.6"


def test_ids_of_another_type_are_gone(tmp_path: Path) -> None:
    told = "kept_items: 0.0% of its 3 items are still there, as the ids' type has changed; need at least 0.6"
    with pytest.raises(GateFailedError, match=told):
        examined(tmp_path, a.column("items.parquet", "item_id", [1, 2, 3], pa.int64()))


def test_without_a_champion_there_is_nothing_to_keep(tmp_path: Path) -> None:
    a.dataset(tmp_path)
    params = a.PREPARE.model_copy(update={"vocabulary": KEEP})
    validation = validate(tmp_path, params, {}, tmp_path / "docs")
    assert {gate.subject for gate in gates_of(validation.summary)} == {"leaks"}
