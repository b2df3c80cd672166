"""What is done to this machine's disk before a container sees it."""

import os

import pytest

from components.core.disk import hand_over
from components.core.errors import InvalidInputError
from components.core.recipe.reading import build_recipe


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "work").mkdir()
    return build_recipe(
        {"name": "toy", "source": {"kind": "synthetic"}, "workspace": str(tmp_path / "work")}, place="toy"
    )


@pytest.fixture
def as_root(monkeypatch):
    """The changes of owner that root would make."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    changes = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner, follow_symlinks: changes.append(path))
    return changes


def test_what_root_makes_on_the_way_is_the_owners(recipe, tmp_path, as_root):
    hand_over(recipe, [str(tmp_path / "work" / "toy" / "runs" / "r" / "0.json")])
    assert as_root == [tmp_path / "work" / "toy" / part for part in ("", "runs", "runs/r")]
    assert (tmp_path / "work" / "toy" / "runs" / "r").is_dir()


def test_a_link_leads_nowhere(recipe, tmp_path, as_root):
    (tmp_path / "victim").mkdir()
    (tmp_path / "work" / "toy").mkdir()
    (tmp_path / "work" / "toy" / "runs").symlink_to(tmp_path / "victim")
    with pytest.raises(InvalidInputError, match="runs: is a link, need a directory"):
        hand_over(recipe, [str(tmp_path / "work" / "toy" / "runs" / "r" / "0.json")])
    assert as_root == [tmp_path / "work" / "toy"]
    assert list((tmp_path / "victim").iterdir()) == []


def test_others_own_what_they_make(recipe, tmp_path, as_root, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    hand_over(recipe, [str(tmp_path / "work" / "toy" / "x")])
    assert not (tmp_path / "work" / "toy").exists()
    assert as_root == []
