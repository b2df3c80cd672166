"""Transfers through a network that cuts, delays and refuses: whole in the end, or not there at all."""

import filecmp
import os
import subprocess
import sys
import threading

import pytest

from components.core.errors import InfrastructureError
from components.core.s3 import client, transfer
from components.core.store import open_store

MEASURE = """
import re, sys
from pathlib import Path
from components.core.s3 import transfer

def peak():
    return int(re.search("VmHWM: *\\t? *(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

source, uri, target = sys.argv[1:]
transfer.put(f"{uri}-small", b"x")
before = peak()
transfer.upload(Path(source), uri)
print(peak() - before)
transfer.download(uri, Path(target))
print(peak() - before)
"""
SMALL = b"some bytes" * 1000
HUGE_MIB = 384  # far more than the parts and the queue of a transfer hold, however the allocator keeps them


@pytest.mark.parametrize(
    "fault",
    [
        {"answer": (500, "InternalError"), "times": 2},
        {"answer": (503, "SlowDown"), "times": 2},
        {"cut_request_at": 100},
        {"lose_answer": True},
        {"delay_s": 0.5},
    ],
)
def test_a_small_write_arrives_once_the_server_lets_it(proxy, bucket, fault):
    happened = proxy.add(method="PUT", path="/small", **fault)
    open_store(bucket).write_bytes(f"{bucket}/small", SMALL)
    assert happened.befell
    assert open_store(bucket).read_bytes(f"{bucket}/small") == SMALL


def test_a_created_object_whose_answer_was_lost_is_ours(proxy, bucket):
    proxy.add(method="PUT", path="/new", lose_answer=True)
    open_store(bucket).write_bytes(f"{bucket}/new", SMALL, if_absent=True)
    assert proxy.count("PUT", "/new") == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"cut_response_at": 5000, "times": 2},
        {"answer": (500, "InternalError"), "times": 3},
        {"bytes_per_s": 50_000},
    ],
)
def test_a_small_read_is_whole(proxy, bucket, tmp_path, fault):
    store = open_store(bucket)
    store.write_bytes(f"{bucket}/small", SMALL)
    happened = proxy.add(method="GET", path="/small", **fault)
    assert store.read_bytes(f"{bucket}/small") == SMALL
    assert happened.befell
    again = proxy.add(method="GET", path="/small", **{**fault, "times": happened.befell})
    assert store.fetch(f"{bucket}/small", tmp_path / "below" / "small").read_bytes() == SMALL
    assert again.befell


def test_a_body_that_is_always_cut_is_an_error(proxy, bucket, tmp_path):
    open_store(bucket).write_bytes(f"{bucket}/small", SMALL)
    proxy.add(method="GET", path="/small", cut_response_at=5000, times=99)
    with pytest.raises(InfrastructureError, match="/small: the connection was cut"):
        open_store(bucket).fetch(f"{bucket}/small", tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"path": "partNumber=2", "cut_request_at": 3_000_000},
        {"path": "partNumber=", "cut_request_at": 1, "times": 3},
        {"path": "partNumber=3", "answer": (500, "InternalError"), "times": 2},
        {"path": "partNumber=", "answer": (503, "SlowDown"), "times": 2},
        {"path": "partNumber=1", "delay_s": 1.0},
        {"path": "partNumber=4", "lose_answer": True},
    ],
)
def test_a_large_upload_survives(proxy, bucket, contents, large, tmp_path, fault):
    happened = proxy.add(method="PUT", **fault)
    source = tmp_path / "source"
    source.mkdir()
    large.rename(source / "large.bin")
    open_store(bucket).upload(source, f"{bucket}/out")
    assert happened.befell
    assert contents() == {"out/large.bin"}
    got = open_store(bucket).fetch(f"{bucket}/out/large.bin", tmp_path / "back")
    assert got.read_bytes() == (source / "large.bin").read_bytes()


def test_parts_carry_checksums_and_the_server_keeps_them(bucket, plain, large, tmp_path):
    transfer.upload(large, f"{bucket}/large")
    head = plain.head_object(Bucket=bucket[5:], Key="large", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-5"')
    assert [name for name in head if name.startswith("Checksum")]


def test_an_upload_that_fails_leaves_no_parts(proxy, bucket, contents, large):
    proxy.add(method="PUT", path="partNumber=3", answer=(500, "InternalError"), times=999)
    with pytest.raises(InfrastructureError, match="answered InternalError; try again later"):
        transfer.upload(large, f"{bucket}/large")
    assert contents() == set()
    assert proxy.count("POST", "uploads") == 3  # the whole object was tried again


@pytest.mark.parametrize(
    "fault",
    [
        {"cut_response_at": 1_000_000, "times": 3},
        {"answer": (500, "InternalError"), "times": 3},
        {"answer": (503, "SlowDown")},
        {"delay_s": 1.0},
        {"cut_response_at": 1000, "times": 12},
    ],
)
def test_a_large_download_is_whole(proxy, bucket, large, tmp_path, fault):
    transfer.upload(large, f"{bucket}/large")
    happened = proxy.add(method="GET", path="/large", **fault)
    target = tmp_path / "back" / "large"
    transfer.download(f"{bucket}/large", target)
    assert happened.befell
    assert target.read_bytes() == large.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["large"]


def test_a_download_that_fails_leaves_nothing(proxy, bucket, large, tmp_path):
    transfer.upload(large, f"{bucket}/large")
    proxy.add(method="GET", path="/large", cut_response_at=1_000_000, times=999)
    target = tmp_path / "back" / "large"
    with pytest.raises(InfrastructureError, match="cut again and again"):
        transfer.download(f"{bucket}/large", target)
    assert list(target.parent.iterdir()) == []


def test_an_object_rewritten_while_it_is_read_is_read_anew(proxy, bucket, large, tmp_path):
    transfer.upload(large, f"{bucket}/large")
    other = tmp_path / "other"
    other.write_bytes(large.read_bytes()[::-1])
    proxy.add(method="GET", path="/large", delay_s=1.5, times=5)  # five parts are on their way
    writer = threading.Timer(0.5, lambda: transfer.upload(other, f"{bucket}/large"))
    writer.start()
    transfer.download(f"{bucket}/large", tmp_path / "back")
    writer.join()
    assert (tmp_path / "back").read_bytes() == other.read_bytes()


def test_an_object_that_vanished(proxy, bucket, large, plain, tmp_path):
    transfer.upload(large, f"{bucket}/large")
    proxy.add(method="GET", path="/large", delay_s=1.0, times=5)
    delete = {"Bucket": bucket[5:], "Key": "large"}
    deleter = threading.Timer(0.3, lambda: plain.delete_object(**delete))
    deleter.start()
    with pytest.raises(FileNotFoundError, match="/large"):
        transfer.download(f"{bucket}/large", tmp_path / "back")
    deleter.join()
    assert not (tmp_path / "back").exists()


def test_a_server_that_hangs_is_left(proxy, bucket, monkeypatch):
    monkeypatch.setattr(client, "_READ_S", 0.5)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")  # also makes a new client
    proxy.add(delay_s=3, times=4)
    with pytest.raises(InfrastructureError, match=r"the connection to .* failed \(ReadTimeoutError\)"):
        open_store(bucket).read_bytes(f"{bucket}/x")
    assert proxy.count("GET", "/x") == 2


@pytest.mark.slow
def test_memory_stays_bounded(proxy, bucket, server, tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        for number in range(HUGE_MIB):
            file.write(number.to_bytes(4, "big") * 2**18)  # 1 MiB
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), f"{bucket}/huge", str(tmp_path / "back")],
        env={**os.environ, "AWS_ENDPOINT_URL_S3": server, "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    upload_mib, download_mib = map(float, measured.stdout.split())
    assert filecmp.cmp(path, tmp_path / "back", shallow=False)
    assert max(upload_mib, download_mib) < HUGE_MIB / 3


def test_the_bucket_stands_in_the_path_of_a_custom_endpoint(proxy, bucket):
    open_store(bucket).write_bytes(f"{bucket}/key", b"")
    assert proxy.seen == [("PUT", f"/{bucket[5:]}/key")]


def test_one_client_serves_the_process_until_its_settings_change(proxy, bucket, monkeypatch):
    def current():
        with client.service(bucket) as found:
            return found

    first = current()
    assert current() is first
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    second = current()
    assert second is not first
    assert second.meta.config.retries["total_max_attempts"] == 3
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    assert current().meta.config.retries["total_max_attempts"] == 10
    assert current().meta.region_name == "us-east-1"
