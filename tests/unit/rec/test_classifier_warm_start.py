"""A champion that classifies as the start of the next model: by field and value, and only where it still
means the same."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from components.core.recipe.classification import Dcn, DeepFm
from components.core.recipe.examples import FieldKind
from components.data.fields import FIELDS, VALUES
from components.data.parquet import write_table
from components.rec.classifiers.base import ClassifierModel
from components.rec.fields import FieldData, Layout
from components.rec.warm_start import (
    Differences,
    OldModel,
    RawIds,
    carry_over,
    of_classifiers,
    value_ids,
)
from tests.unit.rec.field_worlds import make_examples

SAME = Differences()
Values = dict[str, Sequence[str]]
OLD: Values = {"ad": ["a", "b", "c"], "site": ["x", "y"]}
NEW: Values = {"ad": ["b", "c", "d", "e"], "site": ["y", "z"]}


def write(place: Path, values: Values, classes: Sequence[str] = ("0", "1"), hashed: int = 0) -> Path:
    """As much of a dataset artifact, and of a model's, as a warm start reads."""
    place.mkdir()
    kind: FieldKind = "categorical"
    fields = [
        {"field": name, "kind": kind, "encoding": "values", "pooling": None, "size": len(some) + 2}
        for name, some in values.items()
    ]
    if hashed:
        fields.append(
            {"field": "user", "kind": kind, "encoding": "hashed", "pooling": None, "size": hashed + 2}
        )
    rows = [
        {"field": name, "code": code, "value": value, "count": 1}
        for name, some in values.items()
        for code, value in enumerate(some, start=2)
    ]
    write_table(pa.Table.from_pylist(fields, FIELDS), place / "fields.parquet")
    write_table(pa.Table.from_pylist(rows, VALUES), place / "values.parquet")
    for name in ("classes.json", "preparation.json"):
        (place / name).write_text(json.dumps({"classes": list(classes)}))
    return place


def build(place: Path, config: DeepFm | Dcn, seed: int) -> ClassifierModel:
    layout = Layout.read(place)
    examples = make_examples(layout, 8, 2, seed=1)
    data = FieldData(layout, ("0", "1"), examples, examples)
    model: ClassifierModel = config.load()(config, data, generator=torch.Generator().manual_seed(seed))
    return model


def old_model(place: Path, ids: RawIds, differences: Differences = SAME) -> OldModel:
    weights = build(place, DeepFm(dim=4), seed=7).state_dict()
    return OldModel(weights=weights, ids=ids, differences=differences)


def test_rows_are_found_by_field_and_value(tmp_path: Path) -> None:
    before, after = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    old = old_model(before, value_ids(before), of_classifiers(before, after))
    model = build(after, DeepFm(dim=4), seed=1)
    fresh = model.table.detach().clone()
    became = carry_over(model, value_ids(after), old, "random")
    theirs = old.weights["table"]
    # ad: unknown, missing, a b c; site: unknown, missing, x y → ad: … b c d e; site: … y z
    places = {0: 0, 1: 1, 2: 3, 3: 4, 6: 5, 7: 6, 8: 8}
    for row, their_row in places.items():
        assert torch.equal(model.table[row], theirs[their_row])
    for row in (4, 5, 9):
        assert torch.equal(model.table[row], fresh[row])
    assert (became["table"].carried, became["table"].fresh, became["table"].lost) == (7, 3, 2)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, old.weights[f"network.{name}"]), name


def test_a_new_value_begins_as_the_mean_of_its_own_field(tmp_path: Path) -> None:
    before, after = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    old = old_model(before, value_ids(before))
    theirs = old.weights["table"]
    theirs[:5], theirs[5:] = 1.0, 5.0
    model = build(after, DeepFm(dim=4), seed=1)
    carry_over(model, value_ids(after), old, "mean")
    assert (model.table[4:6] == 1).all()
    assert (model.table[9] == 5).all()


def test_a_network_over_other_fields_is_not_taken(tmp_path: Path) -> None:
    """Its weights would fit by shape: both have two fields."""
    before = write(tmp_path / "old", {"ad": OLD["ad"], "shop": OLD["site"]})
    after = write(tmp_path / "new", NEW)
    old = old_model(before, value_ids(before), of_classifiers(before, after))
    model = build(after, DeepFm(dim=4), seed=1)
    fresh = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    became = carry_over(model, value_ids(after), old, "random")
    assert became["table"].carried == 4
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in model.network.state_dict().items())
    assert {one.reason for name, one in became.items() if name != "table"} == {
        "the champion has other fields"
    }


@pytest.mark.parametrize("classes", [("1", "0"), ("0", "1", "2")])
def test_nothing_is_taken_of_a_model_of_other_classes(tmp_path: Path, classes: Sequence[str]) -> None:
    before, after = write(tmp_path / "old", OLD), write(tmp_path / "new", OLD, classes)
    old = old_model(before, value_ids(before), of_classifiers(before, after))
    became = carry_over(build(after, DeepFm(dim=4), seed=1), value_ids(after), old, "random")
    assert not any(one.carried for one in became.values())
    assert f"those of the data {', '.join(classes)}" in became["table"].reason


def test_a_bucket_of_a_hash_is_the_same_where_there_are_as_many(tmp_path: Path) -> None:
    before, same, more = (
        write(tmp_path / name, OLD, hashed=size) for name, size in (("old", 5), ("same", 5), ("more", 6))
    )
    old = old_model(before, value_ids(before))
    carried = [
        carry_over(build(place, DeepFm(dim=4), seed=1), value_ids(place), old, "random")["table"].carried
        for place in (same, more)
    ]
    assert carried == [9 + 7, 9 + 2]


def test_running_statistics_are_not_shrunk(tmp_path: Path) -> None:
    place = write(tmp_path / "old", OLD)
    old = old_model(place, value_ids(place))
    model = build(place, DeepFm(dim=4), seed=1)
    carry_over(model, value_ids(place), old, "random", scale=0.5)
    for name, tensor in model.state_dict().items():
        is_weight = name in dict(model.named_parameters())
        assert torch.equal(tensor, old.weights[name] * 0.5 if is_weight else old.weights[name]), name
