"""The public data sets with labels: what a slow reader finds in them."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.catalog import INGEST
from components.core.recipe import IngestExamplesParams
from components.core.recipe.examples import ExamplesSource
from components.core.stage import execute
from components.data.document import read_document
from components.data.parquet import read_table

TABS = {"kind": "delimited", "delimiter": "\t"}


def taken_in(source: ExamplesSource, root: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The examples and the profile."""
    params = IngestExamplesParams(source=source, seed=1, max_rejected_fraction=0.0)
    result = execute(INGEST, params, source.locations(), str(root / "out"))
    output = Path(result.uri)
    return read_table(output / "interactions.parquet").to_pylist(), read_document(output / "profile.json")


def lines_of(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


@pytest.mark.realdata
def test_criteo(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "criteo-10k" / "train_examples.txt"
    numeric = {f"I{number}": number for number in range(1, 14)}
    categorical = {f"C{number}": 13 + number for number in range(1, 27)}
    source = ExamplesSource(
        path=str(path),
        format={**TABS, "header": False},
        label={"column": 0},
        fields={"numeric": numeric, "categorical": categorical},
    )
    rows, profile = taken_in(source, tmp_path)
    lines = lines_of(path, "\t")
    assert rows == [
        {
            "label": int(line[0]),
            **{name: line[place] or None for name, place in categorical.items()},
            **{name: float(line[place]) if line[place] else None for name, place in numeric.items()},
        }
        for line in lines
    ]
    assert profile["classes"] == {"0": 7818, "1": 2182}
    for name, place in (numeric | categorical).items():
        found = [line[place] for line in lines if line[place]]
        assert profile["fields"][name]["nulls"] == 10_000 - len(found)
        assert profile["fields"][name]["distinct"] == len(set(found))


@pytest.mark.realdata
def test_avazu(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "avazu-10k" / "train"
    header, *lines = lines_of(path, ",")
    names = header[2:]  # behind the id and the click
    source = ExamplesSource(
        path=str(path),
        label={"column": "click"},
        fields={"categorical": dict(zip(names, names, strict=True))},
    )
    rows, profile = taken_in(source, tmp_path)
    assert rows == [dict(zip(["label", *names], [int(line[1]), *line[2:]], strict=True)) for line in lines]
    assert profile["classes"] == {"0": 7436, "1": 1563}
    assert profile["duplicates"] == 8999 - len({tuple(line[1:]) for line in lines})


@pytest.mark.realdata
@pytest.mark.parametrize("threshold", [None, 4])
def test_films_with_what_is_known_of_them_and_of_their_viewers(
    threshold: int | None, data_dir: Path, tmp_path: Path
) -> None:
    folder = data_dir / "ml-100k"
    classes = {"classes": list("12345")} if threshold is None else {"thresholds": [threshold]}
    side = {"format": TABS}
    users = {
        "path": str(folder / "ml-100k.user"),
        "field": "user",
        "key": "user_id:token",
        "fields": {
            "numeric": {"age": "age:token"},
            "categorical": {"gender": "gender:token", "zip_code": "zip_code:token"},
        },
    }
    items = {
        "path": str(folder / "ml-100k.item"),
        "field": "item",
        "key": "item_id:token",
        "fields": {
            "numeric": {"release_year": "release_year:token"},
            "multi_valued": {"genres": {"column": "class:token_seq", "separator": " "}},
        },
    }
    source = ExamplesSource(
        path=str(folder / "ml-100k.inter"),
        format=TABS,
        label={"column": "rating:float", **classes},
        fields={"categorical": {"user": "user_id:token", "item": "item_id:token"}},
        missing=["", "unkonwn", "V"],
        tables={"users": {**side, **users}, "items": {**side, **items}},
        timestamp="timestamp:float",
    )
    rows, profile = taken_in(source, tmp_path)
    of_user = {line[0]: line[1:] for line in lines_of(folder / "ml-100k.user", "\t")[1:]}
    of_item = {line[0]: line[1:] for line in lines_of(folder / "ml-100k.item", "\t")[1:]}
    ratings = lines_of(folder / "ml-100k.inter", "\t")[1:]
    for row, (user, item, rating, seconds) in zip(rows, ratings, strict=True):
        age, gender, _, zip_code = of_user[user]
        _, year, genres = of_item[item]
        assert row == {
            "label": int(rating) - 1 if threshold is None else int(float(rating) >= threshold),
            "user": user,
            "item": item,
            "gender": gender,
            "zip_code": zip_code,
            "age": float(age),
            "release_year": None if year in {"unkonwn", "V"} else float(year),
            "genres": genres.split(" "),
            "timestamp": int(seconds),
        }
    assert profile["tables"] == {
        "users": {"rows": 943, "unmatched": 0},
        "items": {"rows": 1682, "unmatched": 0},
    }
    bad = Counter(of_item[item][1] in {"unkonwn", "V"} for _, item, _, _ in ratings)[True]
    assert profile["fields"]["release_year"]["nulls"] == bad > 0
    assert profile["fields"]["genres"]["distinct"] == len(
        {genre for line in of_item.values() for genre in line[2].split(" ")}
    )
