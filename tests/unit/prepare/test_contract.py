"""What prepare writes keeps its contract, whatever the data; what does not is not published."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import components.prepare.ranking
from components.catalog import INGEST, PREPARE
from components.core.errors import GateFailedError, InvalidInputError
from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe import IngestParams, PrepareParams
from components.core.recipe.source import SyntheticSource
from components.core.stage import execute
from components.data.contracts.dataset.ranking import validate
from components.data.parquet import read_table, write_table

PAIRS = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=20, max_size=120)
SPLITS = st.sampled_from(
    [
        {"kind": "random"},
        {"kind": "random", "ratio": [8, 1, 1]},
        {"kind": "temporal", "ratio": [0.6, 0.2, 0.2]},
        {"kind": "leave_one_out"},
        {"kind": "given"},
        {"kind": "given", "valid_fraction": 0},
    ]
)


@settings(max_examples=12, deadline=None)
@given(
    pairs=PAIRS,
    split=SPLITS,
    core=st.integers(1, 3),
    unseen=st.sampled_from(["drop", "move"]),
    data=st.data(),
)
def test_every_dataset_keeps_its_contract(
    pairs: set[tuple[int, int]],
    split: dict[str, Any],
    core: int,
    unseen: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if split["kind"] == "temporal":
        unseen = "drop"
    root = tmp_path_factory.mktemp("prepare")
    user, item = zip(*sorted(pairs), strict=True)
    size = len(pairs)
    times = data.draw(st.lists(st.integers(0, 30), min_size=size, max_size=size))
    parts = data.draw(st.lists(st.sampled_from(["train", "train", "test"]), min_size=size, max_size=size))
    table = {"user_id": user, "item_id": item, "timestamp": times, "part": parts}
    write_table(pa.table(table), root / "interactions.parquet")
    params = PrepareParams(core=core, split=split, unseen=unseen, seed=size)
    (root / "out").mkdir()
    try:
        components.prepare.ranking.run(params, {"interactions": root}, root / "out", SimpleNamespace())
    except InvalidInputError:
        return  # too little is left of the data, and that was said
    validate(root / "out", params, {}, root / "docs")


@pytest.fixture
def interactions(tmp_path: Path) -> str:
    params = IngestParams(source=SyntheticSource(num_users=40, num_items=30), seed=1)
    return execute(INGEST, params, {}, str(tmp_path / "interactions")).uri


def test_the_manifest_says_what_was_checked(interactions: str, tmp_path: Path) -> None:
    result = execute(
        PREPARE, PrepareParams(core=2, seed=1), {"interactions": interactions}, str(tmp_path / "out")
    )
    manifest = read_manifest(result.uri)
    for name in ("train.parquet", "valid.parquet", "test.parquet", "users.parquet", "items.parquet"):
        entry = manifest.files[name]
        assert entry.rows == read_table(tmp_path / "out" / name).num_rows
        assert len(entry.schema_fingerprint or "") == 64
    assert manifest.validation["success"]
    assert manifest.validation["expectations"]["core facts"] == 4


def test_a_result_that_breaks_its_contract_is_not_published(
    interactions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = components.prepare.ranking.run

    def broken(params: Any, inputs: Any, output: Path, context: Any) -> Any:
        metrics = honest(params, inputs, output, context)
        train = read_table(output / "train.parquet")
        write_table(pa.concat_tables([train, train.slice(0, 1)]), output / "train.parquet")
        return metrics

    monkeypatch.setattr(components.prepare.ranking, "run", broken)
    with pytest.raises(
        GateFailedError, match=r"train\.parquet: user, item: expect_compound_columns_to_be_unique"
    ):
        execute(PREPARE, PrepareParams(core=2, seed=1), {"interactions": interactions}, str(tmp_path / "out"))
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert (tmp_path / "out.failed" / "data_docs" / "index.html").is_file()
    assert (tmp_path / "out.failed" / "output" / "train.parquet").is_file()
