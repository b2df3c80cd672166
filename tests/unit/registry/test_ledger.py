"""The ledger: only the next entry can be written, and only once; what was changed shows."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConflictError, IntegrityError
from components.registry.ledger import Action, Entry, Ledger, former_champions


def add(ledger: Ledger, action: Action, before: str | None, after: str | None, who: str = "ann") -> Entry:
    return ledger.append(
        ledger.read(), action, who=who, why="because", move=(before, after), evidence={"value": 0.25}
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Three promotions."""
    made = Ledger(str(tmp_path / "toy"))
    for before, after in ((None, "1"), ("1", "2"), ("2", "3")):
        add(made, "promote", before, after)
    return made


def test_entries_come_back_in_order_and_chained(anywhere: str) -> None:
    ledger = Ledger(f"{anywhere}/toy")
    assert ledger.read() == []
    written = [add(ledger, "promote", None, "1"), add(ledger, "rollback", "1", None)]
    assert ledger.read() == written
    assert [entry.previous for entry in written] == [None, written[0].sha256]
    assert ledger.goes_on_after(written[0])
    assert not ledger.goes_on_after(written[1])
    assert Ledger(f"{anywhere}/to").read() == []  # another model, whose name is the head of this one's


def test_only_one_of_many_writes_the_next_entry(anywhere: str) -> None:
    ledger, writers = Ledger(f"{anywhere}/toy"), 8
    add(ledger, "promote", None, "1")
    entries, start = ledger.read(), Barrier(writers)

    def write(number: int) -> Entry | None:
        start.wait()
        try:
            return ledger.append(
                entries, "promote", who=f"w{number}", why="", move=("1", f"{number}"), evidence={}
            )
        except ConflictError:
            return None

    with ThreadPoolExecutor(writers) as pool:
        won = [entry for entry in pool.map(write, range(writers)) if entry]
    assert len(won) == 1
    assert ledger.read() == [*entries, *won]


def test_one_has_the_turn_and_the_next_waits(anywhere: str) -> None:
    ledger, inside, most = Ledger(f"{anywhere}/toy"), [0], [0]

    def decide(number: int) -> None:
        with ledger.turn() as lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            add(ledger, "promote", None, str(number))
            lock.check()
            inside[0] -= 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(decide, range(3)))
    assert most == [1]
    assert len(ledger.read()) == 3


def edit(key: str, value: object) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        file = place / "000002.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit("why", "another reason"), "entry 3 does not follow on what entry 2 is now"),
        (edit("evidence", {"value": 0.5}), "entry 2: its evidence was changed"),
        (edit("sequence", 7), "entry 2 says that it is entry 7"),
        (lambda place: (place / "000002.json").unlink(), "entry 2 is missing"),
        (lambda place: (place / "000001.json").unlink(), "entry 1 is missing"),
        (lambda place: (place / "000002.json").write_text("{}"), "entry 2 cannot be read"),
        (lambda place: (place / "000003.json").write_text("no"), "entry 3 cannot be read"),
        (edit("evidence", {"value": "\ud800"}), "entry 2 cannot be read"),
        (lambda place: shutil.copy(place / "000001.json", place / "000004.json"), "entry 4"),
        (lambda place: shutil.copy(place / "000001.json", place / "000002.json"), "entry 2"),
    ],
)
def test_what_was_changed_shows(ledger: Ledger, change: Callable[[Path], None], told: str) -> None:
    change(Path(ledger.place))
    assert any(told in problem for problem in ledger.examine()[1])
    with pytest.raises(IntegrityError, match=f"ledger .*{told}"):
        ledger.read()


def test_other_files_are_no_entries(ledger: Ledger) -> None:
    (Path(ledger.place) / "notes.txt").write_text("not ours")
    assert len(ledger.read()) == 3


def entries_of(*moves: tuple[Action, str | None]) -> list[Entry]:
    made: list[Entry] = []
    for number, (action, version) in enumerate(moves, 1):
        made.append(
            Entry.model_construct(
                sequence=number,
                action=action,
                from_version=made[-1].to_version if made else None,
                to_version=version,
            )
        )
    return made


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ([], []),
        ([("promote", "1"), ("promote", "2"), ("promote", "3")], ["1", "2", "3"]),
        ([("promote", "1"), ("promote", "2"), ("rollback", "1")], ["1"]),
        ([("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "1")], ["1"]),
        ([("promote", "1"), ("promote", "2"), ("rollback", "1"), ("rollback", "2")], ["1", "2"]),  # and back
        ([("promote", "1"), ("promote", "2"), ("promote", "1")], ["1", "2", "1"]),
        ([("promote", "1"), ("promote", "2"), ("found", "1")], ["1"]),  # someone's own rollback
        ([("found", "4"), ("promote", "5")], ["4", "5"]),
        ([("promote", "1"), ("reject", "1"), ("promote", "2")], ["1", "2"]),
        ([("promote", "1"), ("found", None)], ["1"]),
    ],
)
def test_former_champions(moves: list[tuple[Action, str | None]], left: list[str]) -> None:
    assert former_champions(entries_of(*moves)) == left


@given(st.integers(1, 30), st.data())
def test_rollbacks_undo_promotions_one_by_one(promotions: int, data: st.DataObject) -> None:
    moves: list[tuple[Action, str | None]] = [("promote", str(n + 1)) for n in range(promotions)]
    for undone in range(data.draw(st.integers(0, promotions - 1))):
        left = former_champions(entries_of(*moves))
        assert left == [str(n + 1) for n in range(promotions - undone)]
        moves.append(("rollback", left[-2]))
