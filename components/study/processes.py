"""Calls side by side in processes that can be stopped."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, Final, TypeVar

from components.core.errors import ConflictError
from components.core.progress import without_bars

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
Key = TypeVar("Key")
Call = tuple[Callable[..., Any], tuple[Any, ...]]


def side_by_side(calls: Mapping[Key, Call], *, jobs: int) -> Iterator[tuple[Key, Future[Any]]]:
    """Make calls, `jobs` at a time, and give each as it ends.

    The processes share the machine's cores out among them. One that is killed fails the calls that are being
    made, not those that wait. Interrupted, all processes are told to stop, which a training does after saving
    what it did; interrupted again, they are killed. They also end with their parent.
    """
    waiting = deque(calls.items())
    while waiting:
        with _workers(jobs) as pool:
            yield from _until_broken(pool, waiting, jobs)


def in_turns(calls: Mapping[Key, Call], *, jobs: int) -> Iterator[tuple[Key, Future[Any]]]:
    """The same for calls whose work somebody else may be doing at this moment.

    A call is given a last argument: whether to wait for them. At first it is not to; one that would have to,
    and says so with a `ConflictError`, is made again when there are no others left, and then waits.
    """
    busy: dict[Key, Call] = {}
    for key, done in side_by_side(_with_last(calls, False), jobs=jobs):
        if isinstance(done.exception(), ConflictError):
            busy[key] = calls[key]
        else:
            yield key, done
    yield from side_by_side(_with_last(busy, True), jobs=jobs)


def _with_last(calls: Mapping[Key, Call], patient: bool) -> dict[Key, Call]:
    return {key: (function, (*arguments, patient)) for key, (function, arguments) in calls.items()}


def _until_broken(
    pool: ProcessPoolExecutor, waiting: deque[tuple[Key, Call]], jobs: int
) -> Iterator[tuple[Key, Future[Any]]]:
    """A call is handed out when a process is free for it: what waits in the pool could not be called back."""
    running: dict[Future[Any], Key] = {}
    broken = False
    while running or (waiting and not broken):
        while waiting and len(running) < jobs and not broken:
            key, (function, arguments) = waiting.popleft()
            running[pool.submit(function, *arguments)] = key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            broken = broken or isinstance(future.exception(), BrokenProcessPool)
            yield running.pop(future), future


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    share = max(1, (os.cpu_count() or 1) // jobs)
    before = {name: os.environ.get(name) for name in _THREADS}
    for name, value in before.items():  # what a new process begins with
        os.environ[name] = str(min(share, int(value)) if value and value.isdecimal() else share)
    others = active_children()
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin)  # a fork would share torch's threads
    try:
        yield pool
    except BaseException:
        _stop([process for process in active_children() if process not in others])
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _stop(processes: list[BaseProcess]) -> None:
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
        raise


def _begin() -> None:
    """In a new process."""
    without_bars()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
