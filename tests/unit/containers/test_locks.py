"""The locks hold what pyproject.toml asks for, and nothing that it asked for once."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from containers import lock

ROOT = Path(__file__).parents[3]
LINE = re.compile(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}")
images = pytest.mark.parametrize("image", lock.EXTRAS)


def lines(image: str) -> tuple[list[str], list[str]]:
    """The comment lines of a lock, and the others."""
    text = (lock.LOCKS / f"{image}.txt").read_text().splitlines()
    return [line for line in text if line.startswith("#")], [line for line in text if line[0] != "#"]


@images
def test_lock_was_made_from_what_pyproject_asks_for(image: str) -> None:
    asked = [line.removeprefix("#").strip() for line in lines(image)[0][1:]]
    assert asked == lock.requirements(lock.EXTRAS[image]), "run `make lock`"


@images
def test_lock_meets_every_requirement(image: str) -> None:
    pins = lock.pins(lock.LOCKS / f"{image}.txt")
    for requirement in map(Requirement, lock.requirements(lock.EXTRAS[image])):
        name = canonicalize_name(requirement.name)
        assert name in lock.UNLOCKED or requirement.specifier.contains(pins[name]), requirement


@images
def test_lock_names_every_package_once_with_the_hash_of_its_file(image: str) -> None:
    packages = lines(image)[1]
    assert all(LINE.fullmatch(line) for line in packages)
    names = [line.partition("=")[0] for line in packages]
    assert len(set(names)) == len(names)
    assert packages == sorted(packages)


@pytest.mark.parametrize(("image", "shared"), lock.SHARED.items())
def test_the_shared_layer_is_part_of_the_image(image: str, shared: str) -> None:
    assert set(lines(shared)[1]) <= set(lines(image)[1])


def test_what_an_image_must_not_hold_is_not_locked() -> None:
    heavy = {"torch", "pandas", "polars", "pyarrow", "mlflow", "mlflow-skinny", "great-expectations"}
    assert not heavy & lock.pins(lock.LOCKS / "airflow.txt").keys()
    assert "torch" not in lock.pins(lock.LOCKS / "data.txt")
    assert "polars" not in lock.pins(lock.LOCKS / "training.txt")


def test_extras_that_name_extras_are_followed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tables = {str(Requirement(line)) for line in extras["tables"]}
    assert tables < set(lock.requirements(["training"]))
    assert "torch==2.13.0" not in lock.requirements(["data"])


def test_torch_is_pyprojects_and_for_the_cpu_unless_an_argument_says_otherwise() -> None:
    found = re.search(r"^ARG TORCH=(\S+)$", (ROOT / "containers/stages/Dockerfile").read_text(), re.MULTILINE)
    assert found
    asked = [r for r in map(Requirement, lock.requirements(["training"])) if r.name == "torch"]
    (pin,) = Requirement(found[1]).specifier
    assert asked[0].specifier.contains(pin.version)
    assert pin.version.endswith("+cpu")


def test_render_sorts_and_leaves_out_what_is_not_locked() -> None:
    def entry(name: str, version: str, digit: str) -> dict:
        sha256 = digit * 64
        return {
            "metadata": {"name": name, "version": version},
            "download_info": {"archive_info": {"hashes": {"sha256": sha256}}},
        }

    text = lock.render(
        [entry("Zope_B", "2", "b"), entry("a.c", "1.0", "a"), entry("torch", "3", "c")], ["data"]
    )
    packages = [line for line in text.splitlines() if not line.startswith("#")]
    assert packages == [f"a-c==1.0 --hash=sha256:{'a' * 64}", f"zope-b==2 --hash=sha256:{'b' * 64}"]
