"""What is served of a classifier encodes as prepare did, and answers like a slow loop."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.recipe.example_preparation import (
    AnyEncoding,
    Encodings,
    HashedEncoding,
    LogSquareEncoding,
    QuantileEncoding,
    ValuesEncoding,
)
from components.core.recipe.examples import FieldKind
from components.data.encoders.field import FieldEncoder
from components.registry import classifier_serving
from components.registry.classifier_serving import Classifier, History, Scorer
from components.registry.served import classifier_files

from .classifiers import KINDS, TRAIN, TYPES, fitted, table_of, weights_of, write_served, write_toy

ASKED: dict[str, list[Any]] = {
    "item": ["b", None, "never seen", "a", "b"],
    "price": [2.5, None, float("nan"), -7.0, 1e9],
    "genres": [["y", "x", "y"], None, [], ["never seen", None, "x"], [None]],
}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 50).map(float)
TEXTS = st.text(max_size=3) | st.sampled_from(["a", "b", "ü"])
VALUES: dict[FieldKind, st.SearchStrategy[Any]] = {
    "categorical": TEXTS,
    "numeric": NUMBERS,
    "multi_valued": st.lists(st.none() | TEXTS, max_size=4),
}


def scorer_of(model: Path) -> Scorer:
    return Scorer(classifier_files(model))


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("categorical", ValuesEncoding()),
        ("categorical", HashedEncoding(buckets=3)),
        ("numeric", QuantileEncoding(buckets=4)),
        ("numeric", LogSquareEncoding()),
        ("multi_valued", ValuesEncoding()),
        ("multi_valued", HashedEncoding(buckets=3)),
    ],
)
@given(data=st.data())
def test_values_become_the_codes_that_prepare_gives_them(
    data: st.DataObject, kind: FieldKind, encoding: AnyEncoding
) -> None:
    known: Any = data.draw(VALUES[kind if kind != "multi_valued" else "categorical"])
    train = [[known] if kind == "multi_valued" else known, *data.draw(st.lists(st.none() | VALUES[kind]))]
    asked = data.draw(st.lists(st.none() | VALUES[kind] | st.sampled_from(train), min_size=1))
    [encoder] = encoders = fitted({"field": kind}, Encodings(fields={"field": encoding}), {"field": train})
    with tempfile.TemporaryDirectory() as place:
        write_served(Path(place), encoders, table_of(encoders, 2), weights_of(1, 2, 1), ("0", "1"))
        code, count_N = scorer_of(Path(place)).fields[0].codes(asked)
    wanted = encoder.encode(pa.array(asked, TYPES[kind])).to_pylist()
    found = [several.tolist() for several in np.split(code, np.cumsum(count_N)[:-1])]
    assert found == (wanted if kind == "multi_valued" else [[one] for one in wanted])


@pytest.mark.parametrize("pooling", ["sum", "mean"])
@pytest.mark.parametrize("classes", [("no", "yes"), ("1", "2", "3")])
def test_probabilities_are_those_of_a_slow_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: Any, classes: tuple[str, ...]
) -> None:
    encoders = fitted(KINDS, Encodings(pooling=pooling), TRAIN)
    num_logits = 1 if len(classes) == 2 else len(classes)
    table_RW, weight = table_of(encoders, 4), weights_of(3, 4, num_logits)
    write_served(tmp_path, encoders, table_RW, weight, classes)
    scorer = scorer_of(tmp_path)
    columns = {encoder.name: encoder.encode(pa.array(ASKED[encoder.name], TYPES[encoder.kind])).to_pylist()
               for encoder in encoders}  # fmt: skip
    for place, probability_C in enumerate(scorer.score(ASKED)):
        rows, first = [], 0
        for encoder in encoders:
            found = columns[encoder.name][place]
            vectors = table_RW[[first + code for code in (found if isinstance(found, list) else [found])]]
            rows.append(vectors.mean(axis=0) if pooling == "mean" else vectors.sum(axis=0))
            first += encoder.size
        logit_L = np.concatenate(rows).astype(np.float64) @ weight
        if num_logits == 1:
            wanted = [1 / (1 + np.exp(logit_L[0])), 1 / (1 + np.exp(-logit_L[0]))]
        else:
            wanted = np.exp(logit_L) / np.exp(logit_L).sum()
        np.testing.assert_allclose(probability_C, wanted, rtol=1e-5)
    whole = scorer.score(ASKED)
    monkeypatch.setattr(classifier_serving, "BLOCK", 2)
    np.testing.assert_allclose(scorer.score(ASKED), whole, rtol=1e-6)
    assert scorer.score({name: [] for name in ASKED}).shape == (0, len(classes))


def with_history(length: int = 3, pooling: Any = "mean") -> list[FieldEncoder]:
    item, *others = fitted(KINDS, Encodings(pooling=pooling), TRAIN)
    history = replace(item, name="history_item", kind="history", pooling=pooling, of="item", length=length)
    return [history, item, *others]


@given(
    asked=st.lists(
        st.none() | st.lists(st.none() | st.sampled_from(["a", "b", "never seen"]), max_size=3), min_size=1
    )
)
def test_histories_become_the_codes_that_prepare_gives_them(asked: list[Any]) -> None:
    encoders = with_history()
    with tempfile.TemporaryDirectory() as place:
        write_served(Path(place), encoders, table_of(encoders, 2), weights_of(4, 2, 1), ("0", "1"))
        code, count_N = scorer_of(Path(place)).fields[0].codes(asked)
    found = [several.tolist() for several in np.split(code, np.cumsum(count_N)[:-1])]
    assert found == encoders[0].encode(pa.array(asked, TYPES["history"])).to_pylist()


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_a_history_looks_into_its_fields_rows_and_is_cut(tmp_path: Path, pooling: Any) -> None:
    encoders = with_history(length=2, pooling=pooling)
    table_RW = table_of(encoders, 4)
    write_served(tmp_path, encoders, table_RW, weights_of(4, 4, 1), ("0", "1"))
    history = scorer_of(tmp_path).fields[0]
    item = {"a": 2, "b": 3}  # the first field with rows of its own
    rows = [[item["a"], item["b"]], [1], [item["b"], item["b"]]]
    expected = [
        table_RW[some].sum(axis=0) if pooling == "sum" else table_RW[some].mean(axis=0) for some in rows
    ]
    asked = [["b", "b", "a", "b"], None, ["b", "b"]]
    np.testing.assert_allclose(history.pool(table_RW, asked), expected, rtol=1e-6)
    assert isinstance(history, History)
    state_NTW, there_NT = history.read(table_RW, asked, 3)
    assert there_NT.tolist() == [[False, True, True], [False, False, True], [False, True, True]]
    assert not state_NTW[~there_NT].any()
    np.testing.assert_array_equal(state_NTW[there_NT], table_RW[[2, 3, 1, 3, 3]])


def test_what_stands_for_no_value_in_the_source_does_so_here(tmp_path: Path) -> None:
    encoders = fitted(KINDS, Encodings(), TRAIN)
    table_RW, weight = table_of(encoders, 4), weights_of(3, 4, 1)
    write_served(tmp_path, encoders, table_RW, weight, ("0", "1"), missing=("", "NA", "-1"))
    scorer = scorer_of(tmp_path)
    nothing = scorer.score({"item": [None], "price": [None], "genres": [None]})
    found = scorer.score({"item": ["NA"], "price": [-1.0], "genres": [["", "NA"]]})
    np.testing.assert_array_equal(found, nothing)


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_toy(tmp_path)
    scorer = scorer_of(tmp_path)
    with pytest.raises(ValueError, match=r"missing columns \['item', 'genres'\]: need \['item', 'price', "):
        scorer.score({"price": [1.0]})


def test_a_frame_is_answered_with_classes_and_their_probabilities(tmp_path: Path) -> None:
    write_toy(tmp_path)
    model = Classifier()
    model.scorer = scorer_of(tmp_path)
    frame = pd.DataFrame({**ASKED, "other": 1})
    answer = model.predict(None, frame)
    assert list(answer.columns) == ["class", "probability_no", "probability_yes"]
    probability_NC = model.scorer.score(ASKED)
    np.testing.assert_array_equal(answer[["probability_no", "probability_yes"]], probability_NC)
    assert answer["class"].tolist() == [("no", "yes")[best] for best in probability_NC.argmax(axis=1)]
    with pytest.raises(ValueError, match="genres: got the text 'x', need a list of values"):
        model.predict(None, frame.assign(genres="x"))
    with pytest.raises(ValueError, match=r"missing columns \['price'\]"):
        model.predict(None, frame.drop(columns="price"))
