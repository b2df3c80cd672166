"""`recloop run` from raw data to a registered champion, in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.catalog import STAGES
from components.core.hashing import sha256_file
from components.core.manifest import MANIFEST, Manifest, read_manifest

RECIPE = """\
name: little
parameters:
  epochs: {default: 3}
source: {kind: synthetic, num_users: 120, num_items: 60, interactions_per_user: 15, num_clusters: 4}
prepare: {core: 3}
search: {kind: autosample, epochs: "${epochs}", samplers: [{kind: uniform}, {kind: popularity}, {kind: dns}]}
training: {model: {kind: mf, dim: 8}, learning_rate: 0.01, batch_size: 256, epochs: "${epochs}", device: cpu}
promotion: {floors: {ndcg@20: 0.01}, beat: []}
"""
COMMAND = [sys.executable, "-c", "from components.cli import main; main()"]
NAMES = [spec.name for spec in STAGES]
ARTIFACTS = [spec.output for spec in STAGES]


@dataclass
class Project:
    """A directory with a recipe and a workspace."""

    root: Path
    environment: Mapping[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def recloop(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=300)
        assert "Traceback" not in stderr, stderr
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def artifact(self, name: str) -> Path:
        """What the first run left, here or in a copy of the workspace."""
        place = self.root / "workspace" / "little"
        first = min((place / "runs").iterdir())
        record = json.loads(
            (first / f"{ARTIFACTS.index(name)}-{NAMES[ARTIFACTS.index(name)]}.json").read_text()
        )
        return place / name / Path(record["uri"]).name


def new_project(root: Path, threads: int = 1) -> Project:
    (root / "little.yaml").write_text(RECIPE)
    unset = {"RECLOOP_HOME", "RECLOOP_WORKSPACE", "MLFLOW_TRACKING_URI", "RECLOOP_DEBUG"}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    return Project(root, {**clean, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return new_project(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def first(project: Project) -> subprocess.CompletedProcess[str]:
    done = project.recloop("run", "little.yaml")
    assert done.returncode == 0, done.stderr
    return done


def statuses(stderr: str) -> list[tuple[str, str]]:
    """(stage, what it did), from the plain lines."""
    return re.findall(rf"^({'|'.join(NAMES)}) +(done|already done|failed)", stderr, re.MULTILINE)


def test_all_stages_run_and_the_end_says_what_came_out(first, project):
    assert statuses(first.stderr) == [(name, "done") for name in NAMES]
    assert first.stdout.startswith("Version 1 of little was made champion.\n")
    shown = dict(line.split(maxsplit=1) for line in first.stdout.splitlines()[1:])
    measured = pq.read_table(project.artifact("evaluation") / "metrics.parquet").to_pylist()
    for row in measured:
        assert shown[f"{row['metric']}@{row['k']}"] == f"{row['value']:.4f}"
    assert Path(shown["report"]) == project.artifact("evaluation") / "report.html"
    assert "<html" in Path(shown["report"]).read_text()[:200]


def test_every_artifact_is_what_its_manifest_says_and_nothing_else_is_left(first, project):
    for name in ARTIFACTS:
        directory = project.artifact(name)
        manifest = read_manifest(str(directory))
        found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
        assert found == {*manifest.files, MANIFEST}
        for file, entry in manifest.files.items():
            assert sha256_file(directory / file) == entry.sha256
            if file.endswith(".parquet"):
                assert pq.read_metadata(directory / file).num_rows == entry.rows
        assert not list(directory.rglob("*.pkl"))
    left = {path.name for path in (project.root / "workspace" / "little").glob("*/*")}
    keys = {project.artifact(name).name for name in ARTIFACTS}
    runs = {path.name for path in (project.root / "workspace" / "little" / "runs").iterdir()}
    checked = {f"{project.artifact(name).name}.checks" for name in ("interactions", "dataset")}
    assert left - runs == keys | checked | {f"{key}.lock" for key in keys}


def test_each_artifact_knows_where_it_came_from(first, project):
    manifests = {name: read_manifest(str(project.artifact(name))) for name in ARTIFACTS}
    for spec in STAGES:
        for name, entry in manifests[spec.output].inputs.items():
            assert entry.sha256 == manifests[name].sha256
    assert "champion" not in manifests["evaluation"].inputs  # there was none


def test_a_second_run_skips_everything_quickly_and_says_the_same(first, project):
    again = project.recloop("run", "little.yaml")
    assert again.returncode == 0
    assert statuses(again.stderr) == [(name, "already done") for name in NAMES]
    assert again.stdout == first.stdout
    runs = json.loads(project.recloop("runs", "little.yaml", "--json").stdout)
    assert [run["status"] for run in runs][-1] == "done"
    assert {stage["status"] for stage in runs[0]["stages"]} == {"skipped"}


def test_another_workspace_gets_the_same_bytes(first, project, tmp_path):
    other = new_project(tmp_path, threads=2)
    done = other.recloop("run", "little.yaml", "--quiet")
    assert done.returncode == 0, done.stderr
    for name in ("interactions", "dataset", "policy", "model"):
        here, there = read_manifest(str(project.artifact(name))), read_manifest(str(other.artifact(name)))
        assert here.files == there.files, name
        assert here.key == there.key, name
        assert project.artifact(name) != other.artifact(name)
    here, there = (read_manifest(str(one.artifact("evaluation"))) for one in (project, other))
    assert here.metrics == there.metrics
    tables = ("metrics.parquet", "per_user.parquet", "verdict.json")
    assert [here.files[name] for name in tables] == [there.files[name] for name in tables]


def test_the_champion_answers(first, project):
    seen: dict[str, set[str]] = {}
    for row in pq.read_table(project.artifact("interactions") / "interactions.parquet").to_pylist():
        seen.setdefault(row["user_id"], set()).add(row["item_id"])
    known = sorted(seen)[:2]
    answer = project.recloop(
        "recommend", "little", "-u", known[0], "-u", known[1], "-u", "☃", "-k", "5", "--json"
    )
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)
    for user in (*known, "☃"):
        own = [row for row in rows if row["user_id"] == user]
        assert [row["rank"] for row in own] == [1, 2, 3, 4, 5]
        assert len({row["item_id"] for row in own}) == 5
        assert not {row["item_id"] for row in own} & seen.get(user, set())
        assert [row["score"] for row in own] == sorted((row["score"] for row in own), reverse=True)
    table = project.recloop("recommend", "little", "--user", known[0], "--k", "1").stdout.splitlines()
    assert table[0].split() == ["user", "rank", "item", "score"]
    assert table[1].split()[:3] == [known[0], "1", rows[0]["item_id"]]


def test_a_model_that_is_not_better_stays_challenger_and_one_below_the_floor_is_refused(first, project):
    same = project.recloop("run", "little.yaml", "-q", "--set", "evaluation.attempt=2")
    assert same.returncode == 0, same.stderr
    assert statuses(same.stderr) == [
        *((name, "already done") for name in NAMES[:4]), ("evaluate", "done"), ("register", "done")
    ]  # fmt: skip
    assert "registered as challenger, not as champion" in same.stdout
    worse = project.recloop("run", "little.yaml", "-q", "--set", "promotion.floors={ndcg@20: 0.99}")
    assert (worse.returncode, worse.stdout) == (3, "")
    assert statuses(worse.stderr)[-1] == ("evaluate", "failed")
    assert re.search(r"promotion\.floors\.ndcg@20: got 0\.\d+, need at least 0\.99", worse.stderr)
    kept = re.search(r"what was found is kept at (\S+)", worse.stderr)
    assert kept
    assert (Path(kept[1]) / "output" / "report.html").exists()
    assert not list(Path(kept[1]).rglob(MANIFEST))
    told = project.recloop("report", "little.yaml").stdout
    assert "registered as challenger" in told


@pytest.fixture
def endless(project: Project, first) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of a search that would take days."""
    process = project.start("run", "little.yaml", "-s", "epochs=1000000", "-s", "search.patience=1000000")
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 3" in line:
            break
    assert process.poll() is None
    yield process
    process.kill()
    process.communicate()


def scratch(project: Project) -> list[Path]:
    return list((project.root / "workspace" / "little" / "policy").glob(".*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_leaves_nothing_that_looks_finished(endless, project, number, code):
    finished = read_manifest(str(project.artifact("policy")))
    assert scratch(project)
    endless.send_signal(number)
    stdout, stderr = endless.communicate(timeout=60)
    assert (endless.returncode, stdout) == (code, "")
    assert "Traceback" not in stderr
    assert statuses(stderr)[-1] == ("search", "failed")
    assert not scratch(project)
    assert read_manifest(str(project.artifact("policy"))) == finished
    newest, *_ = json.loads(project.recloop("runs", "little.yaml", "--json").stdout)
    assert newest["stages"][-1]["error"] == "interrupted"


def test_two_runs_at_once_and_one_that_is_killed(endless, project):
    arguments = ("run", "little.yaml", "-s", "epochs=1000000", "-s", "search.patience=1000000")
    second = project.recloop(*arguments)
    assert second.returncode == 4
    assert f'another run is writing this ({{"pid": {endless.pid}' in second.stderr
    endless.kill()
    endless.communicate()
    (stale,) = scratch(project)
    third = project.start(*arguments)
    assert third.stderr is not None
    for line in third.stderr:  # the lock is free: it works, in a scratch of its own
        if "epoch 3" in line:
            break
    assert third.poll() is None
    assert stale not in scratch(project)
    assert len(scratch(project)) == 1
    third.terminate()
    third.communicate(timeout=60)
    assert not scratch(project)


def test_an_artifact_that_was_tampered_with(first, project, tmp_path):
    def copy(artifact: str) -> Path:
        other = new_project(tmp_path)
        subprocess.run(["rm", "-rf", other.root / "workspace"], check=True)
        subprocess.run(["cp", "-a", project.root / "workspace", other.root / "workspace"], check=True)
        return other.artifact(artifact)

    other = new_project(tmp_path)
    manifest = copy("dataset") / MANIFEST
    document = json.loads(manifest.read_bytes())
    document["metrics"]["users"] = 7.0
    manifest.write_text(json.dumps(document))
    edited = other.recloop("run", "little.yaml")
    assert edited.returncode == 5
    assert f"{manifest}: was changed after it was written" in edited.stderr
    with (copy("policy") / "policy.json").open("a") as file:
        file.write(" ")
    changed = other.recloop("run", "little.yaml", "--set", "training.warm_start=none")
    assert changed.returncode == 5
    assert "policy.json: its SHA-256 is" in changed.stderr
    (copy("model") / "weights.safetensors").unlink()
    missing = other.recloop("run", "little.yaml")
    assert missing.returncode == 5
    assert "weights.safetensors: is missing, though the manifest names it; delete" in missing.stderr


def test_a_manifest_holds_no_secret_and_no_pickle(first, project):
    for name in ARTIFACTS:
        text = (project.artifact(name) / MANIFEST).read_bytes()
        assert Manifest.from_json(text, place=name).validation
        assert b"password" not in text.lower()
    assert not list(project.root.rglob("*.pkl"))
