"""`recloop lineage` over artifacts that were made by hand."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.cli.ancestry import trace
from components.core.hashing import sha256_file, sha256_json
from components.core.manifest import MANIFEST, InputEntry, Manifest, RawFile, describe_files, read_manifest

DAY = datetime(2026, 11, 1, 3, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Two files; two generations of a model, of which the second started from the first."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"{name}\n")
    for generation in ("1", "2"):
        files = [tmp_path / f"{name}.csv" for name in ("a", "b")]
        raw = tuple(RawFile(uri=str(file), hash=sha256_file(file)) for file in files)
        source = InputEntry(
            uri=f"{tmp_path}/*.csv", sha256=sha256_json([(f.name, sha256_file(f)) for f in files]), files=raw
        )
        interactions = publish(tmp_path / f"interactions{generation}", "ingest", {"source": source})
        dataset = publish(tmp_path / f"dataset{generation}", "prepare", {"interactions": interactions})
        policy = publish(tmp_path / f"policy{generation}", "search", {"dataset": dataset})
        inputs = {"dataset": dataset, "policy": policy}
        if generation == "2":
            inputs["champion"] = entry_of(tmp_path / "model1")
        publish(tmp_path / f"model{generation}", "retrain", inputs)
    return tmp_path


def publish(place: Path, stage: str, inputs: Mapping[str, InputEntry]) -> InputEntry:
    place.mkdir()
    (place / "content.txt").write_text(place.name)
    manifest = Manifest(
        stage=stage,
        artifact=place.name[:-1],
        key="0" * 64,
        params={},
        code_version="c" * 64,
        git_sha=None,
        image_digest=None,
        inputs=dict(inputs),
        files=describe_files(place, {}),
        metrics={},
        validation={},
        seed=1,
        device="cpu",
        packages={},
        started=DAY,
        ended=DAY,
    )
    (place / MANIFEST).write_bytes(manifest.to_json())
    return entry_of(place)


def entry_of(place: Path) -> InputEntry:
    return InputEntry(uri=str(place), sha256=read_manifest(str(place)).sha256)


def test_a_tree_from_the_model_to_the_files(recloop, world):
    result = recloop("lineage", str(world / "model2"))
    assert result.exit_code == 0
    sha256 = {path.name: read_manifest(str(path)).sha256[:12] for path in world.glob("*[12]")}
    made = "2026-11-01 03:00, code ccccccc"
    assert result.stdout.splitlines() == [
        "model",
        f"└── model {sha256['model2']}  retrain, {made}",
        f"    {world}/model2",
        f"    ├── champion {sha256['model1']}  started from",
        f"    │   {world}/model1",
        f"    ├── dataset {sha256['dataset2']}  prepare, {made}",
        f"    │   {world}/dataset2",
        f"    │   └── interactions {sha256['interactions2']}  ingest, {made}",
        f"    │       {world}/interactions2",
        f"    │       └── source {trace_source(world)[:12]}",
        f"    │           {world}/*.csv",
        f"    │           ├── {world}/a.csv  {sha256_file(world / 'a.csv')}",
        f"    │           └── {world}/b.csv  {sha256_file(world / 'b.csv')}",
        f"    └── policy {sha256['policy2']}  search, {made}",
        f"        {world}/policy2",
        f"        └── dataset {sha256['dataset2']}  see above",
    ]


def trace_source(world: Path) -> str:
    return read_manifest(str(world / "interactions2")).inputs["source"].sha256


def test_every_ancestor_stands_once_and_the_champion_is_not_followed(world):
    found = trace({"model": entry_of(world / "model2")}, verify=True)
    places = [ancestor.uri.rpartition("/")[2] for ancestor in found.ancestors.values()]
    assert sorted(places) == ["*.csv", "dataset2", "interactions2", "model2", "policy2"]
    assert list(found.faults()) == []
    assert json.loads(json.dumps(found.document())) == found.document()


@pytest.mark.parametrize(
    ("damage", "told", "seen_anyway"),
    [
        ("a.csv gone", "/a.csv: gone", True),
        ("a.csv changed", "/a.csv: changed", False),
        ("dataset2/content.txt changed", "/dataset2/content.txt: its SHA-256 is", False),
        ("dataset2 gone", "/dataset2: gone; what it was made from is not known", True),
        ("policy2 remade", "/policy2: another content, ", True),
        ("interactions2 forged", "was changed after it was written", True),
    ],
)
def test_what_is_not_what_it_was(recloop, world, damage, told, seen_anyway):
    name, what = damage.split()
    place = world / name
    if what == "gone" and place.is_file():
        place.unlink()
    elif what == "gone":
        (place / MANIFEST).unlink()
    elif what == "changed":
        place.write_text("other")
    elif what == "remade":
        (place / "content.txt").write_text("other")
        manifest = read_manifest(str(place))
        files = describe_files(place, {})
        (place / MANIFEST).write_bytes(manifest.model_copy(update={"files": files}).to_json())
    else:
        (place / MANIFEST).write_text((place / MANIFEST).read_text().replace("ccc", "ddd"))
    model = str(world / "model2")
    plain = recloop("lineage", model)
    assert plain.exit_code == 0
    assert (any(word in plain.stdout for word in ("gone", "changed", "another"))) == seen_anyway
    checked = recloop("lineage", model, "--verify")
    assert checked.exit_code == 5
    assert told in checked.stderr


def test_a_champion_that_is_gone_since_is_told(recloop, world):
    (world / "model1" / MANIFEST).unlink()
    assert "started from  gone" in recloop("lineage", str(world / "model2"), "--verify").stdout


@pytest.mark.parametrize("named", ["nothing", "nothing@challenger", "nothing/3"])
def test_a_model_that_is_none(recloop, named):
    result = recloop("lineage", named)
    assert result.exit_code == 2
    assert "there is no nothing" in result.stderr


def test_a_place_without_an_artifact(recloop, tmp_path):
    result = recloop("lineage", f"{tmp_path}/nothing/here")
    assert result.exit_code == 2
    assert "need the URI of a finished artifact, or a registered model as" in result.stderr
