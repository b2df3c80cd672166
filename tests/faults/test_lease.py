"""The lock in S3: one holder at a time, and none that outlives its death."""

import json
import logging
import threading
import time

import pytest

from components.core.errors import ConflictError, InfrastructureError
from components.core.s3 import lease
from components.core.s3.lease import Lease
from components.core.store import open_store

DEAD = 2.5  # as the fixture says


@pytest.fixture
def uri(bucket):
    return f"{bucket}/artifact"


def lying(uri):
    """The lock as it lies there."""
    return json.loads(open_store(uri).read_bytes(f"{uri}.lock"))


def until(happened):
    """Wait for something; a loaded machine is slow."""
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill(held):
    """What a killed holder does from now on: nothing."""
    held._stop.set()
    held._keeper.join()


def acquired(uri):
    held = Lease(uri)
    held.acquire()
    return held


def test_a_lock_is_renewed_while_it_is_held_and_gone_afterwards(uri, contents):
    with open_store(uri).lock(uri) as lock:
        until(lambda: lying(uri)["renewals"] >= 2)
        lock.check()
        with pytest.raises(
            ConflictError, match=r'another run is writing this \(\{"pid": \d+, "host"'
        ) as caught:
            acquired(uri)
        assert "token" not in str(caught.value)
    assert contents() == set()


def test_a_lock_is_given_back_when_the_work_fails(uri, contents):
    with pytest.raises(RuntimeError, match="inside"), open_store(uri).lock(uri):
        raise RuntimeError("inside")
    assert contents() == set()


def test_a_dead_holders_lock_is_taken_over_after_it_stood_still(uri, caplog):
    dead = acquired(uri)
    kill(dead)
    before = time.monotonic()
    heir = acquired(uri)
    assert DEAD <= time.monotonic() - before < 3 * DEAD
    assert "took over from" in caplog.text
    heir.check()
    with pytest.raises(InfrastructureError, match=r'lost the right to write it: \{"pid".* took over'):
        dead.check()
    with pytest.raises(InfrastructureError, match="lost the right"):  # it stays lost
        dead.check()
    dead.release()
    heir.check()  # the loser's release left it alone
    heir.release()


def test_one_of_several_waiters_takes_over(uri):
    kill(acquired(uri))
    outcomes, held = [], []

    def wait():
        try:
            held.append(acquired(uri))
            outcomes.append("held")
        except ConflictError:
            outcomes.append("refused")

    waiters = [threading.Thread(target=wait) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    assert sorted(outcomes) == ["held", "refused", "refused", "refused"]
    held[0].check()
    held[0].release()


def test_one_of_several_gets_a_free_lock(uri, proxy):
    proxy.add(method="GET", path="lock", delay_s=0.3, times=4)  # all four see that it is free
    outcomes = []

    def take():
        try:
            with open_store(uri).lock(uri):
                until(lambda: len(outcomes) == 3)
            outcomes.append("held")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held", "refused", "refused", "refused"]


def test_a_lock_released_meanwhile_is_free(uri):
    holder = acquired(uri)
    threading.Timer(0.15, holder.release).start()
    acquired(uri).release()


def test_a_holder_out_of_reach_for_a_while_keeps_a_lock_that_nobody_took(uri, proxy, caplog):
    with open_store(uri).lock(uri) as lock:
        outage = proxy.add(answer=(503, "SlowDown"), path="lock", times=6)
        until(lambda: outage.times == 0)
        assert caplog.text.count("the lock was not renewed") == 1
        before = lying(uri)["renewals"]
        until(lambda: lying(uri)["renewals"] > before)
        lock.check()


def test_a_renewal_whose_answer_was_lost_is_ours(uri, proxy):
    with open_store(uri).lock(uri) as lock:
        lost = proxy.add(method="PUT", path="lock", lose_answer=True, times=3)
        lock.check()
        until(lambda: lost.times == 0)
        lock.check()


def test_an_acquisition_whose_answer_was_lost_is_ours(uri, proxy):
    proxy.add(method="PUT", path="lock", lose_answer=True)
    with open_store(uri).lock(uri) as lock:
        lock.check()


def test_a_lock_deleted_by_hand_is_lost(uri):
    with open_store(uri).lock(uri) as lock:
        open_store(uri).delete(f"{uri}.lock")
        with pytest.raises(InfrastructureError, match=r"artifact\.lock was deleted"):
            lock.check()


def test_a_release_that_fails_does_not_hide_what_happened(uri, proxy, caplog):
    proxy.add(method="DELETE", answer=(403, "AccessDenied"), times=2)
    with pytest.raises(RuntimeError, match="inside"), open_store(uri).lock(uri):
        raise RuntimeError("inside")
    assert "the lock stays until it lapses" in caplog.text
    acquired(uri).release()


def test_a_server_that_knows_no_conditional_deletion(uri, proxy, contents):
    proxy.add(method="DELETE", answer=(501, "NotImplemented"))
    with open_store(uri).lock(uri):
        pass
    assert contents() == set()


def test_a_renewal_that_is_refused_once_stays_conditional(uri, proxy):
    with open_store(uri).lock(uri) as lock:
        refused = proxy.add(method="PUT", path="lock", answer=(501, "NotImplemented"))
        until(lambda: refused.times == 0)
        open_store(uri).write_bytes(f"{uri}.lock", b"another's")
        with pytest.raises(InfrastructureError, match="took over"):
            lock.check()
        assert open_store(uri).read_bytes(f"{uri}.lock") == b"another's"


def test_something_else_in_the_locks_place_is_taken_over(uri):
    open_store(uri).write_bytes(f"{uri}.lock", b"not a lock")
    acquired(uri).release()


@pytest.fixture(params=["ignores", "refuses"])
def unconditional(request, proxy):
    """A server without conditional writes."""
    if request.param == "ignores":
        proxy.dropped |= {"if-match", "if-none-match"}
    else:
        proxy.refused |= {"if-match", "if-none-match"}


def test_without_conditional_writes_it_says_so_and_does_what_it_can(uri, unconditional, contents, caplog):
    caplog.set_level(logging.WARNING)
    holder = acquired(uri)
    assert "this S3 server has no conditional writes" in caplog.text
    until(lambda: lying(uri)["renewals"] >= 1)
    holder.check()
    with pytest.raises(ConflictError, match="another run is writing this"):
        acquired(uri)
    kill(holder)
    heir = acquired(uri)
    with pytest.raises(InfrastructureError, match="took over"):
        holder.check()
    heir.release()
    assert contents() == set()


def test_without_conditional_writes_who_wrote_last_has_the_lock(uri, unconditional, proxy):
    proxy.add(method="GET", path="lock", delay_s=0.2, times=3)  # all three see that it is free
    outcomes = []

    def take():
        try:
            with open_store(uri).lock(uri) as lock:
                lock.check()
                until(lambda: len(outcomes) == 2)
            outcomes.append("held")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held", "refused", "refused"]


def test_a_created_object_on_a_server_without_conditions(bucket, unconditional):
    open_store(bucket).write_bytes(f"{bucket}/x", b"one", if_absent=True)
    with pytest.raises(ConflictError, match="exists already"):
        open_store(bucket).write_bytes(f"{bucket}/x", b"two", if_absent=True)
    assert open_store(bucket).read_bytes(f"{bucket}/x") == b"one"


def test_the_times_leave_room_for_a_late_renewal():
    times = lease.Times()
    assert times.dead >= 2 * times.renew + 2 * times.poll
