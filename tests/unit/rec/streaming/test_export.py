"""A stream's model as files, and what answers from them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from components.data.parquet import read_table
from components.rec.classifiers.base import probabilities
from components.rec.streaming.export import embedding_tables, network_table
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side, StreamBatch
from components.registry import stream_serving
from components.registry.stream_serving import Scorer, StreamClassifier

from .streams import BATCH_SIZE, KINDS, copied, learner_of, raw_ids, stream, write_served

every_kind = pytest.mark.parametrize("kind", KINDS)
HARD = ("fixed", "esapn")  # each id has one embedding


def grown(kind: str, num_classes: int = 2) -> StreamLearner:
    learner, whole = learner_of(kind, num_classes), stream(200, num_classes)
    for start in range(0, 200, BATCH_SIZE):
        learner.learn(whole.part(start, start + BATCH_SIZE))
    return learner


def vectors_of(learner: StreamLearner, side: Side) -> Tensor:
    """(N, W) of all ids, by torch."""
    embeddings = learner.model.side(side)
    with torch.no_grad():
        found: Tensor = embeddings(embeddings.rows(torch.arange(len(embeddings))))
    return found


def with_a_new_id_of_zeros(learner: StreamLearner) -> StreamLearner:
    """One more user and item, whose embeddings are 0 in every size."""
    newest = {}
    for side in SIDES:
        newest[side] = len(learner.model.side(side))
        learner.model.side(side).extend(newest[side] + 1)
    state = copied(learner.state())
    for name, tensor in state.items():
        if name.endswith(".value"):
            side = name.split(".")[1]
            owner = state[name.replace(".value", ".owner")]
            tensor[owner == newest[side]] = 0
    learner.load_state(state)
    return learner


@pytest.mark.parametrize("kind", HARD)
def test_what_is_stored_and_its_map_give_the_models_vectors(kind: str) -> None:
    learner = grown(kind)
    for side in SIDES:
        embeddings = learner.model.side(side)
        length_N, flat = embeddings.served()
        assert length_N.tolist() == embeddings.size_of(torch.arange(len(embeddings))).tolist()
        assert len(flat) == int(length_N.sum())
        maps = embeddings.affine()
        expected_NW = vectors_of(learner, side)
        for number, stored in enumerate(torch.split(flat, length_N.tolist())):
            weight_WD, bias_W = maps[len(stored)]
            assert torch.allclose(torch.tanh(weight_WD @ stored + bias_W), expected_NW[number], atol=1e-5)
    if kind == "esapn":
        assert len(set(length_N.tolist())) > 1


@pytest.mark.parametrize("kind", ["darts", "autoemb"])
def test_of_a_weighted_sum_the_vectors_themselves_are_stored(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = grown(kind)
    monkeypatch.setattr("components.rec.streaming.soft._PART", 7)
    for side in SIDES:
        embeddings = learner.model.side(side)
        length_N, flat = embeddings.served()
        assert length_N.tolist() == [5] * len(embeddings)
        assert torch.allclose(flat.reshape(-1, 5), vectors_of(learner, side), atol=1e-6)
        assert embeddings.affine() == {}


@every_kind
def test_an_id_that_nobody_has_seen_is_like_one_of_zeros(kind: str) -> None:
    learner = grown(kind)
    unknown = {side: learner.model.side(side).unknown() for side in SIDES}
    learner = with_a_new_id_of_zeros(learner)
    for side in SIDES:
        assert torch.allclose(vectors_of(learner, side)[-1], unknown[side], atol=1e-6)


@every_kind
def test_tables_have_a_row_for_each_id_in_the_models_order(kind: str) -> None:
    learner, whole = grown(kind), stream(200)
    ids = {side: pa.concat_arrays([raw_ids(learner.model)[side], pa.array(["to come"])]) for side in SIDES}
    for side, table in embedding_tables(learner.model, ids).items():
        number = int(whole.ids(side).max()) + 1
        numbers = pa.large_list(pa.field("element", pa.float32()))
        assert table.schema == pa.schema(
            [
                (side, pa.int32()),
                (f"{side}_id", pa.string()),
                ("seen", pa.int32()),
                ("size", pa.int32()),
                ("embedding", numbers),
            ]
        )
        assert table[side].to_pylist() == list(range(number))
        assert table[f"{side}_id"].to_pylist() == ids[side].to_pylist()[:number]
        assert table["seen"].to_pylist() == torch.bincount(whole.ids(side)).tolist()
        lengths = [len(vector) for vector in table["embedding"].to_pylist()]
        sizes = table["size"].to_pylist()
        assert lengths == (sizes if kind in HARD else [5] * number)


@every_kind
@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_network_is_told_tensor_by_tensor(kind: str, num_classes: int) -> None:
    learner = grown(kind, num_classes)
    found = {row["tensor"]: row for row in network_table(learner.model).to_pylist()}
    width = 6 if kind == "fixed" else 5
    sizes = {"fixed": [6], "esapn": [2, 3, 5]}.get(kind, [])
    shapes = {
        **{f"{side}.unknown": [width] for side in SIDES},
        **{f"{side}.{size}.weight": [width, size] for side in SIDES for size in sizes},
        **{f"{side}.{size}.bias": [width] for side in SIDES for size in sizes},
        "hidden.weight": [16, 2 * width],
        "hidden.bias": [16],
        "output.weight": [1 if num_classes == 2 else 5, 16],
        "output.bias": [1 if num_classes == 2 else 5],
    }
    assert {name: row["shape"] for name, row in found.items()} == shapes
    assert all(len(row["values"]) == np.prod(row["shape"]) for row in found.values())


@every_kind
def test_equal_models_are_equal_files(kind: str, tmp_path: Path) -> None:
    places = [tmp_path / name for name in "ab"]
    for place in places:
        place.mkdir()
        files = write_served(grown(kind).model, place, ["0", "1"])
    for file in files.values():
        assert (places[0] / file.name).read_bytes() == (places[1] / file.name).read_bytes()


@pytest.fixture
def served(tmp_path: Path) -> Scorer:
    return Scorer(write_served(grown("esapn").model, tmp_path, ["no", "yes"]))


def test_many_questions_are_answered_as_each_alone(served: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [f"u{n % 40}" for n in range(50)]
    items = [f"i{n % 37}" if n % 5 else None for n in range(50)]
    at_once = served.score({"user": users, "item": items})
    alone = [served.score({"user": [u], "item": [i]})[0] for u, i in zip(users, items, strict=True)]
    assert np.allclose(at_once, alone, atol=1e-6)
    monkeypatch.setattr(stream_serving, "BLOCK", 7)
    assert np.allclose(served.score({"user": users, "item": items}), at_once, atol=1e-6)
    assert served.score({"user": [], "item": []}).shape == (0, 2)


def test_no_value_is_nobody_even_where_somebody_is_called_none(tmp_path: Path) -> None:
    learner = grown("esapn")
    files = write_served(learner.model, tmp_path, ["no", "yes"])
    table = read_table(files["user_embeddings"])
    named = ["None", "nan", *table["user_id"].to_pylist()[2:]]
    pa.parquet.write_table(table.set_column(1, "user_id", pa.array(named)), files["user_embeddings"])
    scorer = Scorer(files)
    found = scorer.score({"user": [None, "nobody", "None"], "item": ["i0"] * 3})
    assert np.array_equal(found[0], found[1])
    with torch.no_grad():
        first = StreamBatch(*torch.zeros(3, 1, dtype=torch.int64))
        expected = probabilities(learner.model(learner.model.rows(first)))
    assert np.allclose(found[2], expected[0], atol=1e-5)
    assert not np.allclose(found[0], found[2], atol=1e-5)


@pytest.mark.parametrize("given", [{}, {"user": ["u0"]}, {"item": ["i0"], "ad": ["a"]}])
def test_a_question_without_a_column_is_refused(served: Scorer, given: dict[str, list[str]]) -> None:
    missing = [name for name in SIDES if name not in given]
    with pytest.raises(ValueError, match=rf"missing columns .*{missing[0]}.*need \['user', 'item'\]"):
        served.score(given)


def test_the_class_is_the_most_probable(tmp_path: Path) -> None:
    classes = ["1", "2", "3", "4", "5"]
    model = StreamClassifier()
    model.scorer = Scorer(write_served(grown("darts", 5).model, tmp_path, classes))
    asked = pd.DataFrame({"item": ["i0", "i1", None], "user": ["u0", float("nan"), 7], "more": 1})
    answer = model.predict(None, asked)
    assert list(answer.columns) == ["class", *(f"probability_{name}" for name in classes)]
    expected = model.scorer.score({"user": ["u0", None, "7"], "item": ["i0", "i1", None]})
    assert np.array_equal(answer.iloc[:, 1:].to_numpy(), expected)
    assert answer["class"].tolist() == [classes[place] for place in expected.argmax(axis=1)]


def test_what_stands_for_no_value_comes_along(tmp_path: Path) -> None:
    files = write_served(grown("fixed").model, tmp_path, ["no", "yes"])
    document = json.loads(files["classes"].read_text())
    files["classes"].write_text(json.dumps({**document, "missing": ["", "n/a"]}))
    scorer = Scorer(files)
    assert scorer.missing == {"", "n/a"}
    assert [field.name for field in scorer.fields] == list(SIDES)
