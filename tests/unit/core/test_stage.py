import json
import os

import pytest

from components.catalog import SEARCH, STAGES
from components.core.errors import (
    ConflictError,
    GateFailedError,
    InfrastructureError,
    IntegrityError,
    InvalidInputError,
    RecloopError,
    is_retryable,
)
from components.core.hashing import sha256_file
from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe.schema import recipe_schema
from components.core.stage import execute
from components.core.store import LocalStore
from components.core.strategy import load_object


@pytest.fixture
def output(tmp_path):
    return str(tmp_path / "out" / "{key}")


def visible(directory):
    """What a person sees there, besides locks."""
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


def test_a_stage_leaves_its_files_and_a_manifest_that_tells_all(toy, source, tmp_path, output, monkeypatch):
    monkeypatch.setenv("RECLOOP_IMAGE_DIGEST", "sha256:1")
    result = execute(toy.COUNT, toy.ToyParams(factor=2, label="x"), {"source": str(source)}, output)
    assert (result.stage, result.skipped, result.metrics) == ("count", False, {"lines": 4})
    manifest = read_manifest(result.uri)
    assert result.uri == output.replace("{key}", manifest.key[:16])
    assert result.sha256 == manifest.sha256
    assert manifest.params == {"factor": 2, "label": "x", "behave": "well", "seed": 1}
    assert (manifest.artifact, manifest.seed, manifest.image_digest) == ("counts", 1, "sha256:1")
    assert manifest.inputs["source"].uri == str(source)
    files = [(file.uri, file.hash) for file in manifest.inputs["source"].files]
    assert files == [(str(path), sha256_file(path)) for path in sorted(source.iterdir())]
    assert manifest.files["table/count.txt"].rows == 1
    assert manifest.validation == {"count": "met"}
    assert manifest.started <= manifest.ended
    assert (tmp_path / "out" / manifest.key[:16] / "table" / "count.txt").read_text() == "8"
    assert visible(tmp_path / "out") == [
        f"{manifest.key[:16]}/{MANIFEST}",
        f"{manifest.key[:16]}/table/count.txt",
    ]


def test_the_same_work_is_done_once_and_nobody_is_asked_again(toy, source, output):
    first = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    assert toy.calls == ["asked", "run"]
    again = execute(toy.COUNT, toy.ToyParams(label="told apart by nothing"), {"source": str(source)}, output)
    assert toy.calls == ["asked", "run"]
    assert again.skipped
    assert (again.uri, again.sha256, again.metrics) == (first.uri, first.sha256, first.metrics)


def test_other_parameters_content_or_names_are_other_work(toy, source, output):
    def run(**params):
        return execute(toy.COUNT, toy.ToyParams(**params), {"source": str(source)}, output).uri

    uris = [run(), run(factor=3), run(seed=2)]
    (source / "a.txt").write_text("one")
    uris.append(run())
    (source / "a.txt").rename(source / "c.txt")
    uris.append(run())
    assert len(set(uris)) == 5


def test_where_the_raw_data_lies_does_not_matter(toy, source, output):
    first = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    moved = source.rename(source.parent / "elsewhere")
    assert execute(toy.COUNT, toy.ToyParams(), {"source": f"{moved}/*.txt"}, output).uri == first.uri
    assert execute(toy.COUNT, toy.ToyParams(), {"source": f"{moved}/a.txt"}, output).uri != first.uri


def test_a_trailing_slash_names_the_same_place(toy, source, tmp_path):
    first = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, f"{tmp_path}/out/")
    assert first.uri == f"{tmp_path}/out"
    assert execute(toy.COUNT, toy.ToyParams(), {"source": f"{source}/"}, f"{tmp_path}/out").skipped


def test_other_work_is_never_overwritten(toy, source, tmp_path):
    output = str(tmp_path / "out")
    execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    with pytest.raises(ConflictError, match=r"holds the result of other work .*never overwritten"):
        execute(toy.COUNT, toy.ToyParams(factor=2), {"source": str(source)}, output)
    assert (tmp_path / "out" / "table" / "count.txt").read_text() == "4"


def test_an_input_that_nobody_names_is_asked_for_and_recorded_but_changes_no_key(
    toy, source, output, monkeypatch
):
    earlier = execute(toy.COUNT, toy.ToyParams(factor=7), {"source": str(source)}, output)
    first = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    assert "previous" not in read_manifest(first.uri).inputs
    monkeypatch.setenv("TOY_PREVIOUS", earlier.uri)
    assert execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output).skipped
    other = execute(toy.COUNT, toy.ToyParams(seed=9), {"source": str(source)}, output)
    assert read_manifest(other.uri).inputs["previous"].sha256 == earlier.sha256
    named = execute(toy.COUNT, toy.ToyParams(seed=9), {"source": str(source), "previous": first.uri}, output)
    assert named.skipped


@pytest.mark.parametrize(
    ("behave", "error", "message"),
    [
        ("gate", GateFailedError, "too few lines\nwhat was found is kept at"),
        ("contract", GateFailedError, "count.txt: 0, need more\nwhat was found is kept at"),
        ("enospc", InfrastructureError, "the disk is full"),
        ("crash", RuntimeError, "a bug"),
    ],
)
def test_what_fails_leaves_nothing_that_looks_finished(toy, source, tmp_path, output, behave, error, message):
    with pytest.raises(error, match=message):
        execute(toy.COUNT, toy.ToyParams(behave=behave), {"source": str(source)}, output)
    left = visible(tmp_path / "out")
    assert not any(name.endswith(MANIFEST) for name in left)
    assert not any(path.name.startswith(".") for path in (tmp_path / "out").iterdir())  # no scratch
    kept = [name.partition(".failed/")[2] for name in left]
    assert kept == {
        "gate": ["output/table/count.txt"],
        "contract": ["data_docs/index.html", "output/table/count.txt"],
    }.get(behave, [])
    result = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    assert not result.skipped


def test_what_gates_found_is_told_whether_the_work_was_done_or_not(toy, source, tmp_path, output, caplog):
    """Beside the artifact lie the pages; the gates are in the result, also of work that was done before."""
    params = toy.ToyParams(behave="warn")
    result = execute(toy.COUNT, params, {"source": str(source)}, output)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["a gate warns: count.txt: 0 lines, need 1"]
    assert [(gate["name"], gate["outcome"]) for gate in result.gates] == [("lines", "warned")]
    key = result.uri.rpartition("/")[2]
    assert visible(tmp_path / "out") == [
        f"{key}.checks/data_docs/index.html",
        f"{key}/{MANIFEST}",
        f"{key}/table/count.txt",
    ]
    assert f"{key}.checks" not in read_manifest(result.uri).to_json().decode()
    again = execute(toy.COUNT, params, {"source": str(source)}, output)
    assert (again.skipped, again.gates) == (True, result.gates)
    assert json.loads(again.to_json())["gates"][0]["told"] == "0 lines, need 1"


def test_a_failed_gate_carries_what_the_gates_found(toy, source, output):
    with pytest.raises(GateFailedError) as failed:
        execute(toy.COUNT, toy.ToyParams(behave="contract"), {"source": str(source)}, output)
    assert [gate.outcome for gate in failed.value.gates] == ["stopped"]


@pytest.mark.parametrize("method", ["upload", "write_bytes"])
def test_a_disk_that_fills_while_publishing(toy, source, tmp_path, output, monkeypatch, method):
    def full(*args, **kwargs):
        raise InfrastructureError("out: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, method, full)
        with pytest.raises(InfrastructureError, match="the disk is full"):
            execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    assert not any(name.endswith(MANIFEST) for name in visible(tmp_path / "out"))
    assert not execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output).skipped


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_is_really_full(toy, source, tmp_path, output, tiny_disk):
    (source / "a.txt").write_text("line\n" * 10)
    (tiny_disk / "filler").write_bytes(b"x" * (tiny_disk_free(tiny_disk) - 4096))
    with pytest.raises(InfrastructureError, match="the disk is full"):  # noqa: PT012  # at some point
        for factor in range(1, 50):
            params = toy.ToyParams(factor=factor)
            execute(toy.COUNT, params, {"source": str(source)}, f"{tiny_disk}/out/{{key}}")
    finished = [path.parent for path in tiny_disk.rglob(MANIFEST)]
    for artifact in finished:  # those before it was full are whole
        assert read_manifest(str(artifact)).files.keys() == {"table/count.txt"}
    assert len(finished) < 49


def tiny_disk_free(path):
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


@pytest.mark.parametrize("text", [b"{}", b'{"stage": "count"}', None])
def test_a_manifest_edited_by_hand(toy, source, output, text):
    result = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    place = os.path.join(result.uri, MANIFEST)
    with open(place, "rb") as file:
        document = json.loads(file.read())
    document["metrics"]["lines"] = 1000.0
    with open(place, "wb") as file:
        file.write(text or json.dumps(document).encode())
    for spec, inputs in ((toy.COUNT, {}), (toy.COPY, {"counts": result.uri})):
        with pytest.raises(IntegrityError, match=MANIFEST):
            execute(spec, toy.ToyParams(), {"source": str(source), **inputs}, output)


def test_a_file_of_an_artifact_that_was_changed_or_is_gone(toy, source, output):
    result = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    inputs = {"counts": result.uri, "source": str(source)}
    place = os.path.join(result.uri, "table", "count.txt")
    with open(place, "w") as file:
        file.write("5")
    with pytest.raises(IntegrityError, match=r"count\.txt: its SHA-256 is"):
        execute(toy.COPY, toy.ToyParams(), inputs, output)
    os.unlink(place)
    with pytest.raises(IntegrityError, match=r"count\.txt: is missing"):
        execute(toy.COPY, toy.ToyParams(), inputs, output)
    with pytest.raises(IntegrityError, match=r"count\.txt: is missing, though the manifest names it; delete"):
        execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "count: input 'source' is missing"),
        ({"source": "SOURCE", "sauce": "x"}, "count: unknown input 'sauce'; allowed: "),
        ({"source": "SOURCE/none"}, "source: nothing found at"),
        ({"source": "SOURCE", "previous": "SOURCE"}, "previous: there is no finished artifact at"),
        ({"source": "gs://x"}, "got scheme 'gs'"),
    ],
)
def test_inputs_that_are_none(toy, source, tmp_path, output, inputs, message):
    inputs = {name: uri.replace("SOURCE", str(source)) for name, uri in inputs.items()}
    with pytest.raises(InvalidInputError, match=message):
        execute(toy.COUNT, toy.ToyParams(), inputs, output)
    assert not (tmp_path / "out").exists() or visible(tmp_path / "out") == []


def test_an_artifact_of_another_kind(toy, source, output):
    counts = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output).uri
    copies = execute(toy.COPY, toy.ToyParams(), {"counts": counts, "source": str(source)}, output).uri
    with pytest.raises(InvalidInputError, match="is a copies, need a counts"):
        execute(toy.COPY, toy.ToyParams(), {"counts": copies, "source": str(source)}, output)


def test_a_delivery_that_changes_while_it_is_read(toy, source, tmp_path, output, monkeypatch):
    honest = toy.run

    def run(params, inputs, directory, context):
        metrics = honest(params, inputs, directory, context)
        next(source.rglob("*.txt")).write_text("more lines have come")
        return metrics

    monkeypatch.setattr(toy, "run", run)
    with pytest.raises(IntegrityError, match="changed while it was read"):
        execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)
    assert visible(tmp_path / "out") == []


def test_a_package_that_is_not_installed_is_named(toy, source, output, monkeypatch):
    def run(*_):
        import surely_not_installed  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setattr(toy, "run", run)
    with pytest.raises(InvalidInputError, match="needs the package 'surely_not_installed'"):
        execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, output)


def test_exit_codes_are_distinct_and_say_whether_to_try_again():
    kinds = RecloopError.__subclasses__()
    assert sorted(kind.exit_code for kind in kinds) == [2, 3, 4, 5, 6]
    assert [code for code in range(-9, 144) if not is_retryable(code)] == [2, 3, 4, 5]


def test_the_catalogue_is_wired():
    made = set()
    for spec in STAGES:
        for entry in spec.inputs:
            assert entry.artifact in made or entry.default or entry.is_outside
            assert entry.required or entry.default or entry.artifact is None or spec is SEARCH
        made.add(spec.output)
        for path in (*spec.runs, *spec.contracts):
            assert callable(load_object(path)), path
    assert recipe_schema()["$defs"]
