"""The append-only ledger of a registered model: who made which version champion, when and why.

One JSON file for each entry, `000001.json` and on, below the ledger's place: a directory or an s3:// prefix.
A file is created only where there is none, so of two writers one finds the place taken: this is the
compare-and-set of promotions. Each entry holds the hash of the one before it, so a changed, lost or
inserted entry shows.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, final

from components.core.errors import ConflictError, IntegrityError
from components.core.hashing import canonical_json, sha256_json, sha256_text
from components.core.store import Lock, join, name_of, open_store
from components.core.strategy import Config

Action = Literal["promote", "rollback", "reject", "found"]
_FILE: Final = re.compile(r"(\d{6})\.json")
_PATIENCE_S: Final = 90.0  # for someone else's turn; longer than a dead holder's lease lasts
_LOOK_S: Final = 0.2


@final
class Entry(Config):
    """One decision.

    Attributes:
        id: unlike any other entry's, so that no two writers can have written the same.
        action: `reject` leaves the champion as it is; `found` is a move that nobody made through recloop.
        from_version, to_version: the champion before and after; None: there is none.
        previous: SHA-256 of the entry before this one, as it is stored; None for the first.
    """

    sequence: int
    id: str
    action: Action
    who: str
    when: datetime
    from_version: str | None
    to_version: str | None
    why: str
    evidence: dict[str, Any]
    evidence_sha256: str
    previous: str | None

    @property
    def content(self) -> str:
        """The entry as it is stored."""
        return canonical_json(self.model_dump(mode="json")) + "\n"

    @property
    def sha256(self) -> str:
        return sha256_text(self.content)

    @property
    def move(self) -> str:
        """In words, such as `1 → 2`."""
        return f"{self.from_version or 'none'} → {self.to_version or 'none'}"


@final
@dataclass(frozen=True)
class Ledger:
    """The ledger at a place."""

    place: str

    def read(self) -> list[Entry]:
        """Every entry, the oldest first.

        Raises:
            IntegrityError: the ledger is not what was written; says where it breaks.
        """
        entries, problems = self.examine()
        if problems:
            raise IntegrityError(f"ledger {self.place}: " + "; ".join(problems))
        return entries

    def examine(self) -> tuple[list[Entry], list[str]]:
        """The entries that can be read, and where the chain breaks."""
        store = open_store(self.place)
        files = {}
        for uri in store.list_files(self.place):
            match = _FILE.fullmatch(name_of(uri))
            if match:
                files[int(match[1])] = uri
        entries: list[Entry] = []
        problems: list[str] = []
        previous: str | None = None
        for sequence in range(1, max(files, default=0) + 1):
            if sequence not in files:
                problems.append(f"entry {sequence} is missing")
                continue
            text = store.read_bytes(files[sequence]).decode(errors="replace")
            try:
                entry = Entry.model_validate(json.loads(text))
                faults = [*_faults(entry, text, sequence, previous)]
            except (ValueError, RecursionError) as error:  # also pydantic's, JSON's and Unicode's
                problems.append(f"entry {sequence} cannot be read ({type(error).__name__})")
                previous = sha256_text(text)
                continue
            problems += faults
            entries.append(entry)
            previous = sha256_text(text)
        return entries, problems

    def append(
        self,
        entries: list[Entry],
        action: Action,
        *,
        who: str,
        why: str,
        move: tuple[str | None, str | None],
        evidence: Mapping[str, Any],
    ) -> Entry:
        """Add an entry after `entries`, which are all that there were.

        Raises:
            ConflictError: there is another entry by now.
        """
        last = entries[-1] if entries else None
        entry = Entry(
            sequence=len(entries) + 1,
            id=uuid.uuid4().hex,
            action=action,
            who=who,
            when=datetime.now(UTC),
            from_version=move[0],
            to_version=move[1],
            why=why,
            evidence=dict(evidence),
            evidence_sha256=sha256_json(evidence),
            previous=last.sha256 if last else None,
        )
        uri = self._file(entry.sequence)
        try:
            open_store(uri).write_bytes(uri, entry.content.encode(), if_absent=True)
        except ConflictError as error:
            raise ConflictError(
                f"ledger {self.place}: someone else has written entry {entry.sequence} meanwhile; "
                "see `recloop history`"
            ) from error
        return entry

    def goes_on_after(self, entry: Entry) -> bool:
        """Whether there is an entry after this one."""
        uri = self._file(entry.sequence + 1)
        return open_store(uri).exists(uri)

    @contextmanager
    def turn(self) -> Iterator[Lock]:
        """Be the only one who decides; waits for whoever does so now.

        Raises:
            ConflictError: someone has been at it for too long.
        """
        store, deadline = open_store(self.place), time.monotonic() + _PATIENCE_S
        with ExitStack() as stack:
            while True:
                try:
                    lock = stack.enter_context(store.lock(self.place))
                    break
                except ConflictError:
                    if time.monotonic() > deadline:
                        raise
                time.sleep(_LOOK_S)
            yield lock

    def _file(self, sequence: int) -> str:
        return join(self.place, f"{sequence:06d}.json")


def _faults(entry: Entry, text: str, sequence: int, previous: str | None) -> Iterator[str]:
    if entry.content != text:
        yield f"entry {sequence} is not as it was written"
    if entry.sequence != sequence:
        yield f"entry {sequence} says that it is entry {entry.sequence}"
    if entry.previous != previous:
        yield f"entry {sequence} does not follow on what entry {sequence - 1} is now: one of them was changed"
    if entry.evidence_sha256 != sha256_json(entry.evidence):
        yield f"entry {sequence}: its evidence was changed"


def former_champions(entries: list[Entry]) -> list[str]:
    """Versions that a rollback can go back to, one after the other; the last is, or was last, champion.

    A rollback, and a move back that was found, undoes what came since the version was champion.
    """
    stack: list[str] = []
    for entry in entries:
        version = entry.to_version
        if entry.action == "reject" or version is None:
            continue
        if entry.action != "promote" and version in stack:
            last = len(stack) - 1 - stack[::-1].index(version)
            del stack[last + 1 :]
        else:
            stack.append(version)
    return stack
