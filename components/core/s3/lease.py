"""The right to write below a URI, as a lease: it ends by itself when its holder dies.

The lock is one object, `<uri>.lock`. Its holder rewrites it every few seconds with If-Match, so that its
ETag changes. Who finds a lock watches the ETag by its own clock: no two machines' clocks are compared. If
it stands still for long enough the holder is dead, and whoever replaces it first, with If-Match again, has
the lock; the server lets one of several through. A holder that was only out of reach finds another's
ETag at its next renewal or `check`, and then publishes nothing.
"""

import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from typing import final

from components.core.errors import ConflictError, InfrastructureError, InvalidInputError, RecloopError
from components.core.s3.client import service
from components.core.s3.keys import split
from components.core.s3.transfer import ABSENT, ALWAYS, Condition, NoConditionsError, put, read, unchanged
from components.core.store import Lock, lock_holder

logger = logging.getLogger(__name__)
_NO_ETAG = f'"{"0" * 32}"'  # of no content


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long things take, in seconds.

    Attributes:
        renew: between two renewals: one small request each.
        dead: how long a lock that stands still counts as held. Three renewals: one may be lost and one late.
        poll: between two looks at someone's lock, and before a renewal that failed is tried again.
        settle: what a server without conditional writes gets to show who wrote last.
    """

    renew: float = 10.0
    dead: float = 30.0
    poll: float = 2.0
    settle: float = 2.0


TIMES = Times()


@dataclass(frozen=True)
class _Found:
    """A lock as it lies there."""

    content: bytes
    etag: str

    @property
    def holder(self) -> str:
        """Who wrote it, in words."""
        try:
            return json.dumps({k: v for k, v in json.loads(self.content).items() if k not in _PRIVATE})
        except (ValueError, AttributeError):
            return "unknown"


_PRIVATE = {"token", "renewals"}


@final
class Lease(Lock):
    """A lock that its holder keeps alive. `acquire`, then `check` before anything is published, `release`."""

    def __init__(self, uri: str) -> None:
        self._uri, self._place = uri, f"{uri}.lock"
        self._times = TIMES
        self._token = uuid.uuid4().hex
        self._holder = lock_holder()
        self._renewals = 0
        self._etag = ""
        self._conditional = True
        self._lost = ""
        self._mutex = threading.Lock()  # one renewal at a time
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease of {uri}", daemon=True)

    def acquire(self) -> None:
        """Get the lock; waits until a dead holder's has lapsed.

        Raises:
            ConflictError: someone holds it, and lives.
        """
        with service(self._place, quick=True):
            pass  # made now, so that no renewal waits for it
        while not self._take():
            pass
        self._conditional = self._conditional and self._server_knows_conditions()
        if not self._conditional:
            self._settle()
        self._keeper.start()

    def check(self) -> None:
        """See that we still hold the lock, by renewing it."""
        with self._mutex:
            self._renew()

    def release(self) -> None:
        """Give the lock back, if it is still ours. What fails here is logged: the lock lapses anyway."""
        self._stop.set()
        self._keeper.join()
        try:
            found = self._look()
            if found is None or not self._is_ours(found):
                return
            try:
                self._delete(unchanged(found.etag) if self._conditional else ALWAYS)
            except InvalidInputError:  # some servers know conditions of writes, and none of deletions
                self._delete(ALWAYS)
        except (RecloopError, FileNotFoundError) as error:
            logger.warning("the lock stays until it lapses: %s", error)

    def _take(self) -> bool:
        """One attempt: whether the lock is ours now."""
        found = self._look()
        if found is not None and self._is_ours(found):  # an earlier attempt's answer was lost
            self._etag = found.etag
            return True
        if found is not None and not self._outlives(found):
            return False
        try:
            self._etag = self._put_first(ABSENT if found is None else unchanged(found.etag))
        except (ConflictError, FileNotFoundError):  # someone was faster, or let go
            return False
        if found is not None:
            logger.warning("%s: took over from %s, which is dead", self._uri, found.holder)
        return True

    def _outlives(self, found: _Found) -> bool:
        """Watch someone's lock: True when it has lapsed, False when it is gone.

        Raises:
            ConflictError: its holder lives.
        """
        logger.info("%s: locked by %s; watching whether it lives", self._uri, found.holder)
        deadline = time.monotonic() + self._times.dead
        while time.monotonic() < deadline:
            time.sleep(self._times.poll)
            now = self._look()
            if now is None:
                return False
            if now.etag != found.etag:
                raise ConflictError(
                    f"{self._uri}: another run is writing this ({now.holder}); wait for it, or stop it"
                )
        return True

    def _put_first(self, condition: Condition) -> str:
        """Write the lock for the first time; its ETag."""
        try:
            return put(self._place, self._content(), condition)
        except NoConditionsError:
            self._conditional = False
            return put(self._place, self._content())

    def _delete(self, condition: Condition) -> None:
        bucket, key = split(self._place)
        with service(self._place) as client:
            client.delete_object(Bucket=bucket, Key=key, **condition)

    def _server_knows_conditions(self) -> bool:
        """Whether the server refuses two writes that it must refuse; some servers ignore conditions."""
        for condition in (ABSENT, unchanged(_NO_ETAG)):
            try:
                self._etag = put(self._place, self._content(), condition)
            except ConflictError:
                continue
            except (NoConditionsError, FileNotFoundError):
                return False
            return False
        return True

    def _settle(self) -> None:
        """Without conditional writes: who wrote last has the lock."""
        logger.warning(
            "%s: this S3 server has no conditional writes (If-Match, If-None-Match), so two runs that start "
            "within %g s of each other might both get the lock; start one at a time",
            self._uri,
            self._times.settle,
        )
        time.sleep(self._times.settle)
        found = self._look()
        if found is None or not self._is_ours(found):
            holder = found.holder if found else "finished this moment"
            raise ConflictError(f"{self._uri}: another run is writing this ({holder}); wait for it")

    def _keep(self) -> None:
        pause, told = self._times.renew, False
        while not self._stop.wait(pause) and not self._lost:
            try:
                with self._mutex:
                    self._renew(quick=True)
                pause, told = self._times.renew, False
            except (RecloopError, FileNotFoundError) as error:
                pause = min(self._times.poll, self._times.renew)
                if not told:
                    logger.warning("the lock was not renewed: %s", error)
                told = True

    def _renew(self, *, quick: bool = False) -> None:
        if self._lost:
            raise InfrastructureError(self._lost)
        self._renewals += 1
        try:
            if not self._conditional:
                self._find_ours(quick=quick)
            condition = unchanged(self._etag) if self._conditional else ALWAYS
            self._etag = put(self._place, self._content(), condition, quick=quick)
        except (ConflictError, FileNotFoundError):
            # ours still, if it was a try of this renewal whose answer was lost, or two requests crossed
            self._etag = self._find_ours(quick=quick)

    def _find_ours(self, *, quick: bool) -> str:
        """The ETag of our lock.

        Raises:
            InfrastructureError: it is not ours any more.
        """
        found = self._look(quick=quick)
        if found is not None and self._is_ours(found):
            return found.etag
        self._lost = f"{self._uri}: lost the right to write it: " + (
            f"{found.holder} took over, as this run had not been heard of for {self._times.dead:g} s"
            if found
            else f"{self._place} was deleted"
        )
        raise InfrastructureError(self._lost)

    def _look(self, *, quick: bool = False) -> _Found | None:
        try:
            return _Found(*read(self._place, quick=quick))
        except FileNotFoundError:
            return None

    def _is_ours(self, found: _Found) -> bool:
        return self._token.encode() in found.content

    def _content(self) -> bytes:
        return json.dumps({**self._holder, "token": self._token, "renewals": self._renewals}).encode()
