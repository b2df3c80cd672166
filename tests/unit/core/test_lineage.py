"""Artifacts that are used together."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.core.errors import InvalidInputError
from components.core.lineage import read_lineage
from components.core.manifest import MANIFEST, InputEntry, Manifest, describe_files

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def publish(directory: Path, stage: str, artifact: str, inputs: dict[str, Manifest]) -> Manifest:
    directory.mkdir()
    (directory / "content").write_text(directory.name)
    manifest = Manifest(
        stage=stage,
        artifact=artifact,
        key="0" * 64,
        params={},
        code_version="0",
        git_sha=None,
        image_digest=None,
        inputs={name: InputEntry(uri=name, sha256=made.sha256) for name, made in inputs.items()},
        files=describe_files(directory, {}),
        metrics={},
        validation={},
        seed=1,
        device="cpu",
        packages={},
        started=DAY,
        ended=DAY,
    )
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return manifest


def test_a_policy_may_be_taken_from_another_one_and_a_model_is_made_from_the_policy_given(
    tmp_path: Path,
) -> None:
    searched = publish(tmp_path / "searched", "search", "policy", {})
    taken = publish(tmp_path / "taken", "search", "policy", {"policy": searched})
    publish(tmp_path / "model", "retrain", "model", {"policy": taken})
    given = {"policy": tmp_path / "taken", "model": tmp_path / "model"}
    assert read_lineage(given)["policy"].sha256 == taken.sha256
    with pytest.raises(InvalidInputError, match=r"model: was made from policy .* but the policy given"):
        read_lineage({**given, "policy": tmp_path / "searched"})
