import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import IntegrityError
from components.core.hashing import sha256_file, sha256_json
from components.core.manifest import (
    MANIFEST,
    FileEntry,
    InputEntry,
    Manifest,
    describe_files,
    fetch_artifact,
    git_sha,
    read_manifest,
)
from components.core.store import is_plain

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PATH = st.lists(TEXT.filter(lambda part: is_plain(part) and "/" not in part), min_size=1, max_size=3).map(
    "/".join
)
SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=6,
)
MANIFESTS = st.builds(
    Manifest,
    stage=TEXT,
    artifact=TEXT,
    key=SHA,
    params=st.dictionaries(TEXT, VALUE, max_size=4),
    code_version=SHA,
    git_sha=st.none() | SHA,
    image_digest=st.none() | TEXT,
    inputs=st.dictionaries(TEXT, st.builds(InputEntry, uri=TEXT, sha256=SHA), max_size=2),
    files=st.dictionaries(
        PATH,
        st.builds(
            FileEntry, sha256=SHA, bytes=st.integers(0), rows=st.none() | st.integers(0)
        ),
        max_size=3,
    ),
    metrics=st.dictionaries(TEXT, NUMBER, max_size=3),
    validation=st.dictionaries(TEXT, VALUE, max_size=2),
    seed=st.none() | st.integers(0),
    device=TEXT,
    packages=st.dictionaries(TEXT, TEXT, max_size=2),
    started=st.datetimes(timezones=st.just(UTC)),
    ended=st.datetimes(timezones=st.just(UTC)),
)  # fmt: skip


@given(MANIFESTS)
def test_what_is_written_is_read(manifest):
    assert Manifest.from_json(manifest.to_json(), place="here") == manifest


@given(MANIFESTS, st.data())
def test_an_edit_breaks_the_seal(manifest, data):
    document = json.loads(manifest.to_json())
    key = data.draw(st.sampled_from(["stage", "key", "code_version", "device"]))
    document[key] += "x"
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        Manifest.from_json(json.dumps(document).encode(), place="here")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"x"',
        b"{}",
        b"\xff\xfe",
        b'{"seal": 3}',
        b'{"stage": "x"}',
        b"[" * 9_000,
    ],
)
def test_what_is_no_manifest(text):
    with pytest.raises(IntegrityError, match=r"^here: not a manifest .*delete the artifact's directory"):
        Manifest.from_json(text, place="here")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a//x", "", ".", "a\0"])
def test_no_file_lies_outside_of_its_artifact(name, artifact, tmp_path):
    """However well it is sealed: what is fetched stays in the directory that it is fetched to."""
    document = json.loads((artifact / "_manifest.json").read_text())
    document.pop("seal")
    document["files"] = {name: next(iter(document["files"].values()))}
    text = json.dumps({**document, "seal": sha256_json(document)})
    (artifact / "_manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match="not a manifest"):
        fetch_artifact(str(artifact), tmp_path / "target")


@pytest.fixture
def artifact(tmp_path):
    """An artifact of two files."""
    directory = tmp_path / "artifact"
    (directory / "below").mkdir(parents=True)
    (directory / "a.txt").write_text("a")
    (directory / "below" / "b.txt").write_text("bb")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = Manifest(
        stage="s", artifact="a", key="k", params={}, code_version="c", git_sha=None, image_digest=None,
        inputs={}, files=describe_files(directory, {"below/b.txt": (2, "f")}), metrics={}, validation={},
        seed=1, device="d", packages={}, started=now, ended=now,
    )  # fmt: skip
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return directory


def test_the_content_hash_is_of_names_and_bytes_alone(artifact):
    manifest = read_manifest(str(artifact))
    assert manifest.sha256 == sha256_json(
        {"a.txt": sha256_file(artifact / "a.txt"), "below/b.txt": sha256_file(artifact / "below" / "b.txt")}
    )
    assert manifest.files["below/b.txt"].rows == 2
    assert manifest.files["a.txt"].bytes == 1
    later = manifest.model_copy(update={"ended": datetime.now(UTC), "params": {"x": 1}, "key": "other"})
    assert later.sha256 == manifest.sha256


def test_fetching_checks_every_file(artifact, tmp_path):
    path, manifest = fetch_artifact(str(artifact), tmp_path / "target")
    assert path == artifact
    assert set(manifest.files) == {"a.txt", "below/b.txt"}
    (artifact / "a.txt").write_text("b")
    with pytest.raises(IntegrityError, match=r"a\.txt: its SHA-256 is .*the manifest says .*delete "):
        fetch_artifact(str(artifact), tmp_path / "target")
    (artifact / "a.txt").unlink()
    with pytest.raises(IntegrityError, match=r"a\.txt: is missing, though the manifest names it"):
        fetch_artifact(str(artifact), tmp_path / "target")


def test_without_a_manifest_there_is_nothing(artifact, tmp_path):
    (artifact / MANIFEST).unlink()
    with pytest.raises(FileNotFoundError):
        fetch_artifact(str(artifact), tmp_path / "target")


def test_an_image_says_which_commit_it_was_built_from(monkeypatch):
    monkeypatch.setenv("RECLOOP_GIT_SHA", "abc")
    git_sha.cache_clear()
    assert git_sha() == "abc"
    git_sha.cache_clear()
