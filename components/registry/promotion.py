"""Who becomes champion: by evidence, one at a time, after the version has answered, and on record.

The ledger decides; the alias `champion` in MLflow follows it. MLflow cannot move an alias on a condition,
so the condition is the ledger's: an entry is created only if it is the next one, by whoever has the turn.
A decision that died between its entry and the alias is finished by whoever comes next. An alias that
somebody moved in MLflow is the truth, since that is what is in use: it is entered as `found`.
"""

import logging
from collections.abc import Callable
from datetime import UTC
from typing import Any, Final, final

from components.core.errors import ConflictError, IntegrityError, InvalidInputError
from components.core.store import Lock, join
from components.registry.champion import CHALLENGER, CHAMPION, aliases_of
from components.registry.connection import connect, is_new, reaching
from components.registry.decision import Decision, this_user
from components.registry.evidence import Evidence, read_evidence
from components.registry.ledger import Action, Entry, Ledger, former_champions
from components.registry.probe import probe

logger = logging.getLogger(__name__)

# tags of a registered model
LEDGER: Final = "recloop.ledger"
CARRIED_OUT: Final = "recloop.ledger_head"  # number and hash of the newest entry that the alias has followed
# tags of a version: what the ledger says of it
_SAID: Final[dict[Action, str]] = {
    "promote": "recloop.promoted",
    "rollback": "recloop.restored",
    "reject": "recloop.rejected",
    "found": "recloop.found",
}
_ROLLED_BACK: Final = "recloop.rolled_back"


@final
class Succession:
    """Decides on the champion of a registered model.

    Args:
        ledgers: URI below which the ledger is kept if the model has none yet. Looking does not settle
            that: the first entry does, and `pin`.

    Raises:
        InvalidInputError: there is no such model.
        InfrastructureError: MLflow, or the ledger's store, cannot be reached.
    """

    def __init__(self, model: str, tracking_uri: str, ledgers: str) -> None:
        if is_new(tracking_uri):
            raise InvalidInputError(f"{tracking_uri}: there is no MLflow database; run a recipe first")
        self.model, self.tracking_uri = model, tracking_uri
        self._client = connect(tracking_uri)
        with reaching(tracking_uri):
            if aliases_of(self._client, model) is None:
                known = sorted(found.name for found in self._client.search_registered_models())
                raise InvalidInputError(f"model: there is no {model!r} at {tracking_uri}; there are {known}")
            self.ledger = Ledger(self._tags().get(LEDGER) or join(ledgers, model))

    def pin(self) -> None:
        """Remember at the model where its ledger lies.

        Raises:
            ConflictError: someone has settled on another place meanwhile.
        """
        with reaching(self.tracking_uri):
            if LEDGER not in self._tags():
                self._client.set_registered_model_tag(self.model, LEDGER, self.ledger.place)
            place = self._tags()[LEDGER]
        if place != self.ledger.place:
            raise ConflictError(f"{self.model}: its ledger lies at {place} by now; decide again")

    def promote(self, version: str, decision: Decision) -> Entry:
        """Make a version champion.

        Raises:
            InvalidInputError: there is no such version, it is champion already, or lacks an evaluation.
            GateFailedError: its evaluation says no, or it does not answer as it must.
            ConflictError: it was compared with another champion, or someone else was faster.
        """
        evidence = self._evidence(version)

        def choose(current: str | None, _: list[Entry]) -> str:
            if version == current:
                raise InvalidInputError(f"{self.model}: version {version} is champion already")
            if not decision.force:
                evidence.check(self.model, current)
            return version

        return self._move("promote", choose, decision)

    def rollback(self, version: str | None, decision: Decision) -> Entry:
        """Make a former champion champion again: the one before, or the one that is named.

        Raises:
            InvalidInputError: there is none, or that version never was champion.
            GateFailedError: it does not answer as it must.
            ConflictError: someone else was faster.
        """

        def choose(current: str | None, entries: list[Entry]) -> str:
            former = [*former_champions(entries)]
            if former and former[-1] == current:
                former.pop()
            ever = {entry.to_version for entry in entries} - {current, None}
            if version is None and not former:
                raise InvalidInputError(f"{self.model}: no champion came before {_named(current)}")
            if version is not None and version not in ever:
                raise InvalidInputError(
                    f"{self.model}: to: got version {version}, need a former champion: "
                    f"{sorted(map(int, filter(None, ever))) or 'there is none'}; others are promoted"
                )
            return version or former[-1]

        return self._move("rollback", choose, decision)

    def reject(self, version: str, decision: Decision) -> Entry:
        """Record that a version was refused; the champion stays."""
        evidence = self._evidence(version).document()
        with self.ledger.turn() as lock:
            entries, current = self._settle(lock)
            return self._taken(decision, entries) or self._enter(
                "reject", decision, entries, lock, (current, current), evidence
            )

    def challenger(self) -> str:
        """The version under that alias.

        Raises:
            InvalidInputError: there is none.
        """
        with reaching(self.tracking_uri):
            found = (aliases_of(self._client, self.model) or {}).get(CHALLENGER)
        if found is None:
            raise InvalidInputError(f"{self.model}: has no challenger; name a version")
        return found

    def history(self) -> tuple[list[Entry], list[str], str]:
        """The ledger's entries, the oldest first; where it breaks; and how the alias stands to it."""
        entries, problems = self.ledger.examine()
        with reaching(self.tracking_uri):
            current, done = self._champion(), self._carried_out()
            problems = problems or self._tail_faults(entries, done)
        said = entries[-1].to_version if entries else None
        if current == said:
            return entries, problems, f"champion: {_named(current)}, in MLflow and in the ledger"
        if done < len(entries) and current in _versions(entries[done:]):
            told = f"entry {len(entries)} is not carried out yet ({_named(current)} is still champion)"
            return entries, problems, f"{told}; the next decision does it"
        told = f"MLflow's champion is {_named(current)}, the ledger's {_named(said)}"
        return entries, problems, f"{told}: moved by hand; the next decision enters it as found"

    def _move(
        self, action: Action, choose: Callable[[str | None, list[Entry]], str], decision: Decision
    ) -> Entry:
        """Choose, ask the version, and choose again when it is our turn."""
        with self.ledger.turn() as lock:
            entries, before = self._settle(lock)
        taken = self._taken(decision, entries)
        if taken:
            return taken
        version = choose(before, entries)
        evidence = self._evidence(version, going_back=action == "rollback").document()
        probe(self.tracking_uri, self.model, version)  # takes its time: others may decide meanwhile
        with self.ledger.turn() as lock:
            entries, current = self._settle(lock)
            taken = self._taken(decision, entries)
            if taken:
                return taken
            if current != before or choose(current, entries) != version:
                raise ConflictError(
                    f"{self.model}: the champion has changed from {_named(before)} to {_named(current)} "
                    f"meanwhile ({_told(entries[-1])}); decide again"
                )
            entry = self._enter(action, decision, entries, lock, (current, version), evidence)
            lock.check()
            self._follow(entry)
        logger.info("%s: %s", self.model, _told(entry))
        return entry

    def _settle(self, lock: Lock) -> tuple[list[Entry], str | None]:
        """Finish what an earlier decision left undone, and enter what was done without us.

        Returns:
            The ledger, and the champion, which agree now.
        """
        entries = self.ledger.read()
        with reaching(self.tracking_uri):
            current, done = self._champion(), self._carried_out()
            faults = self._tail_faults(entries, done)
            if faults:
                raise IntegrityError(f"ledger {self.ledger.place}: " + "; ".join(faults))
            undone = entries[done:]
            if undone and current in _versions(undone):
                logger.warning("%s: carries out what was decided before: %s", self.model, _told(undone[-1]))
                lock.check()
                self._follow(undone[-1])
                current = undone[-1].to_version
        if current != (entries[-1].to_version if entries else None):
            before = entries[-1].to_version if entries else None
            why = "the alias was moved in MLflow" if entries else "was champion before there was this ledger"
            found = Decision(who=f"unknown, found by {this_user()}", why=why)
            entries.append(self._enter("found", found, entries, lock, (before, current), {}))
            self._note(entries[-1])
        return entries, current

    def _enter(
        self,
        action: Action,
        decision: Decision,
        entries: list[Entry],
        lock: Lock,
        move: tuple[str | None, str | None],
        evidence: dict[str, Any],
    ) -> Entry:
        evidence = {
            **evidence,
            "forced": decision.force,
            "decision": decision.key,
            "answered": decision.answered,
        }
        self.pin()
        lock.check()
        entry = self.ledger.append(
            entries, action, who=decision.who, why=decision.why, move=move, evidence=evidence
        )
        if action == "reject":
            self._note(entry)
        return entry

    def _follow(self, entry: Entry) -> None:
        """Move the alias to where the ledger's newest entry says."""
        with reaching(self.tracking_uri):
            while True:
                if entry.to_version is not None:
                    self._client.set_registered_model_alias(self.model, CHAMPION, entry.to_version)
                if not self.ledger.goes_on_after(entry):  # else our turn was taken from us
                    break
                entry = self.ledger.read()[-1]
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        """Say in MLflow what the ledger says, and that it is carried out."""
        told = f"by {entry.who}, {entry.when:%Y-%m-%d %H:%M:%S} UTC: {entry.why} (entry {entry.sequence})"
        version = entry.evidence["version"] if entry.action == "reject" else entry.to_version
        with reaching(self.tracking_uri):
            if version is not None:
                self._client.set_model_version_tag(self.model, version, _SAID[entry.action], told)
            if entry.action == "rollback" and entry.from_version is not None:
                self._client.set_model_version_tag(self.model, entry.from_version, _ROLLED_BACK, told)
            head = f"{entry.sequence} {entry.sha256}"
            self._client.set_registered_model_tag(self.model, CARRIED_OUT, head)

    def _taken(self, decision: Decision, entries: list[Entry]) -> Entry | None:
        """The entry of this very decision, if an earlier try has taken it."""
        if not decision.key:
            return None
        return next((entry for entry in entries if entry.evidence.get("decision") == decision.key), None)

    def _evidence(self, version: str, *, going_back: bool = False) -> Evidence:
        """What speaks for a version; who goes back does not wait for it."""
        from mlflow.exceptions import MlflowException

        with reaching(self.tracking_uri):
            try:
                tags = self._client.get_model_version(self.model, version).tags
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                hint = " any more; name another former champion" if going_back else ""
                raise InvalidInputError(f"{self.model}: there is no version {version}{hint}") from error
        return read_evidence(version, tags, needed=not going_back)

    def _tail_faults(self, entries: list[Entry], done: int) -> list[str]:
        """What the chain itself cannot show: entries gone from its end, or all of it written anew."""
        if not done:
            return []
        if done > len(entries):
            return [
                f"ends at entry {len(entries)}, but MLflow knows of entry {done}: the end is gone, or the "
                "ledger lies on another machine"
            ]
        sha256 = self._tags()[CARRIED_OUT].partition(" ")[2]
        if entries[done - 1].sha256 != sha256:
            return [f"entry {done} is not the one that MLflow knows of: it was changed"]
        return []

    def _champion(self) -> str | None:
        return (aliases_of(self._client, self.model) or {}).get(CHAMPION)

    def _carried_out(self) -> int:
        return int(self._tags().get(CARRIED_OUT, "0").partition(" ")[0])

    def _tags(self) -> dict[str, str]:
        tags: dict[str, str] = self._client.get_registered_model(self.model).tags
        return tags


def _versions(entries: list[Entry]) -> set[str | None]:
    return {version for entry in entries for version in (entry.from_version, entry.to_version)}


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"


def _told(entry: Entry) -> str:
    when = entry.when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"entry {entry.sequence}: {entry.action} {entry.move} by {entry.who}, {when} UTC"
