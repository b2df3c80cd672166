import json

import pytest

from components.core.checkpoint import Checkpoint


@pytest.fixture
def new(tmp_path):
    """A checkpoint of the same artifact, as a newly started process has it."""
    starts = iter(range(100))

    def make() -> Checkpoint:
        scratch = tmp_path / f"scratch{next(starts)}"
        scratch.mkdir()
        return Checkpoint(str(tmp_path / "artifact"), scratch, "key")

    return make


def test_other_work_at_the_same_place_does_not_resume(new, tmp_path):
    new().save(writer(1))
    other = Checkpoint(str(tmp_path / "artifact"), tmp_path, "another key")
    assert other.load() is None
    assert epoch_of(new()) == 1


def writer(epoch):
    def write(directory):
        (directory / "state.bin").write_bytes(bytes([epoch]) * 1000)
        (directory / "loop.json").write_text(json.dumps({"epoch": epoch}))

    return write


def epoch_of(checkpoint):
    directory = checkpoint.load()
    if directory is None:
        return None
    epoch = json.loads((directory / "loop.json").read_text())["epoch"]
    assert (directory / "state.bin").read_bytes() == bytes([epoch]) * 1000
    return epoch


def test_the_last_one_is_loaded(new):
    assert new().load() is None
    checkpoint = new()
    for epoch in (1, 2, 3):
        checkpoint.save(writer(epoch))
        assert epoch_of(new()) == epoch
    resumed = new()
    assert epoch_of(resumed) == 3
    resumed.save(writer(4))
    resumed.save(writer(5))
    assert epoch_of(new()) == 5


def test_a_kill_while_saving_leaves_the_one_before(new, tmp_path, monkeypatch):
    checkpoint = new()
    checkpoint.save(writer(1))

    def killed(uri, content, *, if_absent=False):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint._store, "write_bytes", killed, raising=False)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(writer(2))
    assert epoch_of(new()) == 1


def test_a_damaged_one_is_none(new, tmp_path):
    new().save(writer(1))
    (state,) = (tmp_path / "artifact.checkpoint").rglob("state.bin")
    state.write_bytes(b"x")
    assert new().load() is None
    state.unlink()
    assert new().load() is None


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../outside": "0"}},
        {"files": {"/etc/passwd": "0"}},
        {"files": {"": "0"}},
        {"slot": "../.."},
        {"slot": 7},
        {"files": None},
    ],
)
def test_a_pointer_that_we_did_not_write_is_none(new, tmp_path, change):
    new().save(writer(1))
    place = tmp_path / "artifact.checkpoint" / "latest.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    assert new().load() is None
    new().discard()  # nothing that it names is removed
    for text in ("", "[]", "{", "[" * 9_000):
        place.write_text(text)
        assert new().load() is None


def test_only_what_was_saved_is_removed(new, tmp_path):
    checkpoint = new()
    checkpoint.save(writer(1))
    stranger = tmp_path / "artifact.checkpoint" / "notes.txt"
    stranger.write_text("mine")
    checkpoint.discard()
    assert [path for path in stranger.parent.rglob("*") if path.is_file()] == [stranger]


def test_nothing_is_left_of_it(new, tmp_path):
    checkpoint = new()
    checkpoint.save(writer(1))
    checkpoint.save(writer(2))
    checkpoint.discard()
    assert new().load() is None
    assert not (tmp_path / "artifact.checkpoint").exists()


def test_parts_are_apart_and_go_with_the_whole(new, tmp_path):
    whole = new()
    whole.save(writer(1))
    whole.part("cold").save(writer(2))
    whole.part("warm", "from a").save(writer(3))
    again = new()
    assert epoch_of(again) == 1
    assert epoch_of(again.part("cold")) == 2
    assert epoch_of(again.part("warm", "from a")) == 3
    assert epoch_of(new().part("warm", "from b")) is None
    assert epoch_of(new().part("warm")) is None
    again.discard()
    assert not list(tmp_path.glob("artifact*"))
