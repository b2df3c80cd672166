"""What cannot be used is refused with a clear message, and nothing is left that looks finished."""

import gzip
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import components.ingest.ranking
from components.cli.app import app
from components.core.manifest import MANIFEST

RECIPE = """\
name: bad
parameters: {file: {default: data.csv}}
source: {kind: files, path: "${file}"}
prepare: {core: 1}
training: {epochs: 1, model: {kind: mf, dim: 4}, device: cpu}
"""
ROWS = [(f"u{user}", f"i{item}") for user in range(30) for item in random.Random(user).sample(range(40), 10)]
Run = Callable[..., Result]


def csv(rows: list[tuple[str, str]], header: str = "user_id,item_id") -> str:
    return "\n".join([header, *(",".join(row) for row in rows), ""])


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"user_id": [u for u, _ in ROWS], "item_id": [i for _, i in ROWS]}), path)
    return path.read_bytes()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`recloop run` in this process, with the real stages, on a file with the given content."""
    for name in ("RECLOOP_DEBUG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(tmp_path / "workspace"))
    (tmp_path / "bad.yaml").write_text(RECIPE)
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run(content: str | bytes | None, *arguments: str, file: str = "data.csv") -> Result:
        path = tmp_path / file
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        command = ["run", str(tmp_path / "bad.yaml"), "--set", f"file={path}", *arguments]
        result = CliRunner().invoke(app, command)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    yield run
    root.handlers[:], level = before
    root.setLevel(level)


def refused(result: Result, code: int, stage: str, *parts: str) -> None:
    """It ended with this code, in this stage, with a message that says all this."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    progress, _, message = result.stderr.partition("Error: ")
    assert f"{stage:<9}failed" in progress
    for part in parts:
        assert part in message, message


def finished(directory: Path) -> list[str]:
    """The artifacts that look finished."""
    return sorted(path.parents[1].name for path in directory.rglob(MANIFEST))


def unfinished(directory: Path) -> list[Path]:
    """Scratch that should be gone."""
    return [path for path in directory.rglob(".*") if path.is_dir()]


def test_good_input_is_fine(run, tmp_path):
    result = run(csv(ROWS), "--until", "prepare")
    assert result.exit_code == 0, result.output
    assert finished(tmp_path) == ["dataset", "interactions"]


INTEGERS = "source.ids=integer"
MIXED = [*(("1", str(item)) for item in range(50)), *((f"x{row}", "7") for row in range(50))]


@pytest.mark.parametrize(
    ("content", "arguments", "file", "code", "parts"),
    [
        ("", (), "data.csv", 2, ["no rows in data.csv"]),
        ("user_id,item_id\n", (), "data.csv", 2, ["no rows in data.csv"]),
        (csv(ROWS, "user_id,item"), (), "data.csv", 2,
         ["data.csv: columns: item_id: ", "no such column; the file has 'user_id', 'item'"]),
        (csv(MIXED), ("--set", INTEGERS), "data.csv", 3,
         ["50 of 100 rows (50.00%) cannot be used; max_rejected_fraction allows 1.00%", "data.csv:52", "x0"]),
        (random.Random(1).randbytes(50_000), (), "data.csv", 2, ["data.csv: is a binary file"]),
        (b"\x7fELF" + b"\0" * 5000, (), "data.csv", 2, ["data.csv: is a binary file"]),
        (gzip.compress(csv(ROWS).encode())[:-40], (), "data.csv.gz", 2,
         ["data.csv.gz: the gzip file is truncated"]),
        (b"user_id,item_id\n", (), "data.csv.gz", 2, ["data.csv.gz: "]),
        (None, (), "data.csv", 2, ["source: nothing found at ", "data.csv"]),
        (csv(ROWS), ("--set", "source.format={kind: parquet}"), "data.csv", 2, ["data.csv: ", "Parquet"]),
    ],
    ids=["empty", "header only", "missing column", "mixed ids", "binary", "zeros", "truncated gzip",
         "no gzip", "no file", "not parquet"],
)  # fmt: skip
def test_files_that_ingest_refuses(run, tmp_path, content, arguments, file, code, parts):
    refused(run(content, *arguments, file=file), code, "ingest", *parts)
    assert finished(tmp_path) == []
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated_parquet(run, tmp_path, kept):
    whole = parquet(tmp_path / "whole")
    (tmp_path / "whole").unlink()
    result = run(
        whole[: int(len(whole) * kept)], "--set", "source.format={kind: parquet}", file="data.parquet"
    )
    refused(result, 2, "ingest", "data.parquet: is truncated, damaged or no Parquet file")
    assert finished(tmp_path) == []


@pytest.mark.parametrize(
    "rows", [[("u", f"i{item}") for item in range(3)], [("u", "i")] * 50], ids=["one user", "all duplicates"]
)
def test_too_little_to_split(run, tmp_path, rows):
    refused(run(csv(rows)), 2, "prepare", "is empty", "need more data, a lower core or another split")
    assert finished(tmp_path) == ["interactions"]
    assert unfinished(tmp_path) == []


def test_an_empty_core_names_the_largest_that_is_not(run, tmp_path):
    told = ("prepare.core: got 11, which leaves none of 300", "the largest core that leaves something is ")
    refused(run(csv(ROWS), "--set", "prepare.core=11"), 2, "prepare", *told)
    assert finished(tmp_path) == ["interactions"]


@pytest.mark.parametrize("kind", ["popularity", "uniform", "dns", "aobpr"])
def test_a_user_who_interacted_with_every_item_leaves_no_negative(run, tmp_path, kind):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(csv([*ROWS, *(("all", f"i{item}") for item in range(40))]))
    free = [
        (user, item)
        for user in ("u1", "u2")
        for item in (f"i{n}" for n in range(40))
        if (user, item) not in ROWS
    ]
    test.write_text(csv(free[:5]))
    result = run(
        None,
        *("--set", f"source={{kind: files, parts: {{train: {train}, test: {test}}}}}"),
        *("--set", "prepare.split={kind: given, valid_fraction: 0}"),
        *("--set", f"training.sampler={{kind: {kind}}}"),
    )
    refused(result, 2, "retrain", "1 of 31 users", "interacted with all 40 items", "no negative is left")
    assert finished(tmp_path) == ["dataset", "interactions", "policy"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.epocs=3", "training.epocs: unknown key; did you mean 'epochs'?"),
        ("prepare.core=-1", "prepare.core: got -1, need greater than or equal to 1"),
        ("evaluation.ks=[-20]", "evaluation.ks.0: got -20, need greater than or equal to 1"),
        ("prepare.split.ratio=[0, 0, 0]", "prepare.split.ratio.0: got 0, need greater than 0"),
        ("training.sampler.kind=uniforn", "training.sampler.kind: got 'uniforn', need one of 'uniform', "),
    ],
)
def test_a_recipe_with_a_mistake_starts_nothing(run, tmp_path, override, line):
    result = run(csv(ROWS), "--set", override)
    assert (result.exit_code, result.stdout) == (2, "")
    first, *lines = result.stderr.splitlines()
    assert first.startswith(f"Error: recipe {tmp_path}/bad.yaml: ")
    assert any(text.strip().startswith(line) for text in lines)
    assert not (tmp_path / "workspace").exists()
    checked = CliRunner().invoke(app, ["validate", str(tmp_path / "bad.yaml"), "--set", override])
    assert (checked.exit_code, checked.stderr) == (2, result.stderr)


def test_a_key_that_stands_twice(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(RECIPE + "prepare: {core: 2}\n")
    result = run(csv(ROWS))
    assert result.exit_code == 2
    assert "the key 'prepare' stands twice, first on line 4" in result.stderr
    assert "line 6, column 1" in result.stderr


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory that nobody may write, not even root."""
    place = tmp_path / "read_only"
    place.mkdir(mode=0o555)
    if os.geteuid() != 0:
        yield place
        return
    _mount(place, "ro,size=64k")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _mount(place: Path, options: str) -> None:
    answer = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True
    )
    if answer.returncode:
        pytest.skip(f"mount: {answer.stderr.strip()}")


def test_a_workspace_that_cannot_be_written(run, tmp_path, monkeypatch, read_only):
    (tmp_path / "file").touch()
    for place, reason in {
        tmp_path / "file": "Not a directory",
        tmp_path / "file" / "below": "Not a directory",
        read_only / "workspace": "",
    }.items():
        monkeypatch.setenv("RECLOOP_WORKSPACE", str(place))
        result = run(csv(ROWS))
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"Error: workspace {place}: ")
        assert "cannot be read or written: " in line
        assert reason in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_fills_in_the_middle_of_a_stage(run, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    _mount(disk, "size=256k")
    try:
        monkeypatch.setenv("RECLOOP_WORKSPACE", str(disk))
        draw = random.Random(1)
        many = [(f"u{row % 300}", f"{draw.getrandbits(128):032x}") for row in range(20_000)]
        refused(run(csv(many)), 6, "ingest", "the disk is full")
        assert finished(disk) == []
        assert unfinished(disk) == []
        assert run(csv(ROWS), "--until", "ingest").exit_code == 0  # there is room for a small one
        assert finished(disk) == ["interactions"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_two_runs_of_one_recipe_at_once(run, tmp_path, monkeypatch):
    """The second starts while the first is in the middle of a stage."""
    real, seconds = components.ingest.ranking.run, []

    def slow(*arguments):
        command = [sys.executable, "-c", "from components.cli import main; main()", "run"]
        options = [str(tmp_path / "bad.yaml"), "--set", f"file={tmp_path / 'data.csv'}"]
        seconds.append(subprocess.run([*command, *options], capture_output=True, text=True, check=False))
        return real(*arguments)

    monkeypatch.setattr(components.ingest.ranking, "run", slow)
    assert run(csv(ROWS), "--until", "ingest").exit_code == 0
    (second,) = seconds
    assert (second.returncode, second.stdout) == (4, "")
    assert f'another run is writing this ({{"pid": {os.getpid()}' in second.stderr
    assert "Traceback" not in second.stderr
    assert finished(tmp_path) == ["interactions"]


def test_a_manifest_edited_by_hand(run, tmp_path):
    assert run(csv(ROWS), "--until", "prepare").exit_code == 0
    (manifest,) = (tmp_path / "workspace" / "bad" / "interactions").rglob(MANIFEST)
    manifest.write_text(manifest.read_text().replace('"rows":300', '"rows":301'))
    refused(run(csv(ROWS)), 5, "ingest", f"{manifest}: was changed after it was written", "delete")
