"""The public data sets: as many rows, users and items as their publishers say."""

from pathlib import Path
from typing import Any

import pytest

from components.catalog import INGEST
from components.core.recipe import IngestParams
from components.core.recipe.source import FilesSource
from components.core.stage import execute
from components.data.document import read_document

TABS = {"kind": "delimited", "delimiter": "\t"}
SETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ml-100k": (
        {
            "path": "ml-100k/ml-100k.inter",
            "format": TABS,
            "columns": {
                "user": "user_id:token",
                "item": "item_id:token",
                "rating": "rating:float",
                "timestamp": "timestamp:float",
            },
        },
        {"rows": 100_000, "interactions": 100_000, "users": 943, "items": 1682},
    ),
    "gowalla": (
        {
            "parts": {"train": "gowalla/train.txt.gz", "test": "gowalla/test.txt"},
            "format": {"kind": "adjacency"},
            "ids": "integer",
        },
        {
            "rows": 1_027_370,
            "interactions": 1_027_370,
            "users": 29_858,
            "items": 40_981,
            "parts": {"train": 810_128, "test": 217_242},
        },
    ),
    "taobao-buy": (
        {
            "parts": {"train": "taobao-buy/buy.train.txt", "test": "taobao-buy/buy.test.txt"},
            "format": TABS,
            "columns": {"user": "uid", "item": "sid"},
        },
        {"users": 48_749, "items": 39_493, "parts": {"train": 211_022, "test": 48_749}},
    ),
    "yoochoose": (
        {
            "path": "yoochoose/period_*.txt.gz",
            "format": {"kind": "delimited", "delimiter": " ", "header": False},
            "columns": {"user": 0, "item": 1},
            "ids": "integer",
        },
        {"rows": 3_370_578, "users": 816_019, "items": 25_958},
    ),
    "ml-latest-small": (
        {
            "path": "ml-latest-small",
            "columns": {"user": "userId", "item": "movieId", "rating": "rating", "timestamp": "timestamp"},
        },
        {"rows": 100_836, "interactions": 100_836, "users": 610, "items": 9724},
    ),
    "beauty": (
        {"path": "beauty/Beauty.txt", "format": {"kind": "adjacency"}},
        {"rows": 198_502, "users": 22_363, "items": 12_101},
    ),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SETS)
def test_counts_are_those_that_were_published(name: str, data_dir: Path, tmp_path: Path) -> None:
    source, expected = SETS[name]
    source = dict(source)
    if "path" in source:
        source["path"] = str(data_dir / source["path"])
    else:
        source["parts"] = {part: str(data_dir / place) for part, place in source["parts"].items()}
    files = FilesSource(**source)
    result = execute(INGEST, IngestParams(source=files, seed=1), files.locations(), str(tmp_path / "out"))
    profile = read_document(Path(result.uri) / "profile.json")
    assert {key: profile[key] for key in expected} == expected
    assert profile["rejected_rows"] == 0
    assert profile["rows"] == profile["interactions"] + profile["duplicates_dropped"]
