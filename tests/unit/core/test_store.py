import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError
from components.core.store import LocalStore, is_disk_full, join, name_of, open_store


@pytest.fixture
def store():
    return LocalStore()


@pytest.fixture
def closed(tmp_path):
    """A directory that we may not enter; root is somebody else meanwhile."""
    directory = tmp_path / "closed"
    directory.mkdir(mode=0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield str(directory / "artifact")
    if is_root:
        os.seteuid(0)
    directory.chmod(0o700)


def test_bytes_go_in_and_out(store, tmp_path):
    uri = join(str(tmp_path), "deep", "er", "file")
    assert not store.exists(uri)
    with pytest.raises(FileNotFoundError):
        store.read_bytes(uri)
    store.write_bytes(uri, b"one")
    store.write_bytes(uri, b"two")
    assert store.read_bytes(uri) == store.read_bytes(f"file://{uri}") == b"two"
    assert store.exists(uri)
    assert not store.exists(str(tmp_path))
    assert store.fetch(uri, tmp_path / "target").read_bytes() == b"two"
    with pytest.raises(ConflictError, match="exists already"):
        store.write_bytes(uri, b"three", if_absent=True)
    assert store.list_files(str(tmp_path)) == [uri]
    store.delete(uri)
    store.delete(uri)
    assert not (tmp_path / "deep" / "er").exists()
    assert (tmp_path / "deep").exists()


def test_listing_a_file_a_directory_and_a_glob(store, tmp_path):
    for name in (
        "b.csv",
        "a.csv",
        "c.txt",
        "below/d.csv",
        ".hidden.csv",
        "_SUCCESS",
        "_tmp/e.csv",
        "x[1].csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)

    def names(pattern):
        return [found.removeprefix(f"{root}/") for found in store.list_files(join(root, pattern))]

    assert names("a.csv") == ["a.csv"]
    assert names("*.csv") == ["a.csv", "b.csv", "x[1].csv"]
    assert names("**/*.csv") == ["_tmp/e.csv", "a.csv", "b.csv", "below/d.csv", "x[1].csv"]
    assert names("[ab].csv") == ["a.csv", "b.csv"]
    assert names("x[1].csv") == ["x[1].csv"]  # a file of that very name comes first
    assert names("nothing*") == names("nothing") == []
    below = [found.removeprefix(f"{root}/") for found in store.list_files(root)]
    assert below == ["a.csv", "b.csv", "below/d.csv", "c.txt", "x[1].csv"]


def test_uploading_a_tree(store, tmp_path):
    (tmp_path / "from" / "below").mkdir(parents=True)
    (tmp_path / "from" / "below" / "a").write_text("new")
    (tmp_path / "to" / "below").mkdir(parents=True)
    (tmp_path / "to" / "below" / "a").write_text("a killed upload's")
    store.upload(tmp_path / "from", str(tmp_path / "to"))
    assert (tmp_path / "to" / "below" / "a").read_text() == "new"


def test_scratch_is_gone_afterwards_and_so_is_a_killed_writers(store, tmp_path):
    uri = str(tmp_path / "artifact")
    killed = tmp_path / ".artifact.scratch-dead"
    others = tmp_path / ".artifact.v2.scratch-alive"
    for directory in (killed, others):
        (directory / "below").mkdir(parents=True)
    with store.scratch(uri) as scratch:
        assert scratch.parent == tmp_path  # the same file system: publishing is a rename
        assert not killed.exists()
        (scratch / "x").touch()
    assert not scratch.exists()
    assert others.exists()


def test_only_one_holds_the_lock_and_the_other_is_told_who(store, tmp_path):
    uri = str(tmp_path / "artifact")
    message = rf'another run is writing this .*"pid": {os.getpid()}'
    with store.lock(uri), pytest.raises(ConflictError, match=message):
        LocalStore().lock(uri).__enter__()
    with store.lock(uri):
        pass


def test_the_lock_of_a_killed_process_is_free(store, tmp_path):
    uri = str(tmp_path / "artifact")
    code = f"""
        import time
        from components.core.store import LocalStore
        with LocalStore().lock({uri!r}):
            print("held", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConflictError, match=rf'"pid": {holder.pid}'), store.lock(uri):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with store.lock(uri):
            pass


def _write_many(uri: str, byte: int) -> None:
    for _ in range(50):
        LocalStore().write_bytes(uri, bytes([byte]) * 100_000)


def test_a_reader_sees_all_of_a_file_or_nothing(store, tmp_path):
    uri = str(tmp_path / "file")
    store.write_bytes(uri, b"")
    writers = [multiprocessing.get_context("fork").Process(target=_write_many, args=(uri, n)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(store.read_bytes(uri))
    for writer in writers:
        writer.join()
    assert seen <= {b"", bytes([1]) * 100_000, bytes([2]) * 100_000}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_where_a_directory_is_needed(store, tmp_path):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "below")
    for act in (
        lambda: store.write_bytes(below, b""),
        lambda: store.read_bytes(below),
        lambda: store.upload(tmp_path, below),
        lambda: store.scratch(below).__enter__(),
        lambda: store.lock(below).__enter__(),
    ):
        with pytest.raises(InvalidInputError, match="cannot be read or written: "):
            act()


def test_permission_denied(store, closed):
    for act in (
        lambda: store.write_bytes(closed, b""),
        lambda: store.read_bytes(closed),
        lambda: store.content_hash(closed),
        lambda: store.list_files(closed),
        lambda: store.scratch(closed).__enter__(),
        lambda: store.lock(closed).__enter__(),
    ):
        with pytest.raises(InvalidInputError, match="cannot be read or written: permission denied"):
            act()


def test_a_full_disk_leaves_the_file_as_it_was(store, tmp_path, monkeypatch):
    uri = str(tmp_path / "file")
    store.write_bytes(uri, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfrastructureError, match="the disk is full"):
        store.write_bytes(uri, b"new")
    assert store.read_bytes(uri) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), True),
        (OSError(errno.EIO, "x"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_libraries_word_a_full_disk_in_their_own_ways(error, expected):
    assert is_disk_full(error) == expected
    wrapped = ValueError("wrapped")
    wrapped.__cause__ = error
    assert is_disk_full(wrapped) == expected


def test_names_and_schemes():
    assert join("/a/", "b", "c") == "/a/b/c"
    assert name_of("s3://bucket/a/b.csv") == name_of("/x/b.csv") == name_of("file:///x/b.csv") == "b.csv"
    assert isinstance(open_store("file:///x"), LocalStore)
    assert isinstance(open_store("C:/odd:name"), LocalStore)
    with pytest.raises(InvalidInputError, match="got scheme 'gs', need a local path or s3://"):
        open_store("gs://bucket/x")
