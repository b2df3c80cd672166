"""What a version must answer in a fresh process before it may be champion."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.errors import GateFailedError, InfrastructureError
from components.registry.probe import probe

from .conftest import MODEL, Prototype, Registered


def spoiled(registered: Registered, change: Callable[[Path], None], source: str = "") -> str:
    """A version like the others, but for a change of its files."""
    place = registered.root / "spoiled"
    shutil.copytree((source or registered.logged).removeprefix("file://"), place)
    change(place)
    return registered.add(source=str(place))


def code(old: str, new: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        [file] = place.glob("*serving.py")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def test_a_good_version_answers(registered: Registered) -> None:
    probe(registered.tracking_uri, MODEL, registered.add())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (code("score_I[self.seen[row]] = -np.inf", "pass"), r"user 'ann': .*\['i0', 'i3'\], which are seen"),
        (code("np.arange(1, length + 1)", "np.arange(length)"), r"user 'ann': got the ranks \[0, 1, 2, 3\]"),
        (code("scores for _, _, scores", "scores * np.nan for _, _, scores"), "a score is not finite"),
        (code("argsort(-score_I[kept]", "argsort(score_I[kept]"), "the scores do not fall"),
        (code("[:k]]", "[:2]]"), "user 'nobody': got 2 items, need 6"),
        (code("(user, *best)", "('else', *best)"), "user 'ann': got 0 items, need 4"),
        (code('"item_id": [', '"item": ['), r"got the columns \['user_id', 'rank', 'item', 'score'\]"),
        (code("k = int(", "raise KeyError(k := "), "cannot be loaded and asked: KeyError"),
        (lambda place: (place / "artifacts" / "seen.parquet").unlink(), "cannot be loaded and asked"),
        (lambda place: (place / "MLmodel").unlink(), "cannot be loaded and asked"),
    ],
)
def test_a_version_that_does_not_is_stopped(
    registered: Registered, change: Callable[[Path], None], told: str
) -> None:
    version = spoiled(registered, change)
    with pytest.raises(GateFailedError, match=rf"toy, version 1: .*{told}") as failure:
        probe(registered.tracking_uri, MODEL, version)
    [gate] = failure.value.gates
    assert (gate.name, gate.subject, gate.outcome) == ("answers", "toy version 1", "stopped")


def test_a_good_classifier_answers(registered: Registered, prototype: Prototype) -> None:
    probe(registered.tracking_uri, MODEL, registered.add(source=prototype.classification))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            code("argmax(axis=1)]", "argmin(axis=1)]"),
            "examples of the test: got class .*, but prob.* is high",
        ),
        (code("/ weight_BC.sum", "/ 2 / weight_BC.sum"), "unknown values: the probabilities add up to 0.5"),
        (
            code("return probability_BC", "return probability_BC * np.nan"),
            r"\[nan, nan\], need numbers",
        ),
        (code('{"class": ', '{"label": '), r"got the columns \['label', .*need class, probability_no, prob"),
        (code("(axis=1)], **shares})", "(axis=1)], **shares})[:3]"), "no values: got 3 rows, need 4"),
        (lambda place: (place / "artifacts" / "network.onnx").unlink(), "cannot be loaded and asked"),
    ],
)
def test_a_classifier_that_does_not_is_stopped(
    registered: Registered, prototype: Prototype, change: Callable[[Path], None], told: str
) -> None:
    version = spoiled(registered, change, prototype.classification)
    with pytest.raises(GateFailedError, match=rf"toy, version 1: .*{told}"):
        probe(registered.tracking_uri, MODEL, version)


def test_a_database_may_be_named_relative_to_here(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(registered.root)
    probe("sqlite:///mlflow.db", MODEL, registered.add())


def test_it_must_answer_in_time(registered: Registered) -> None:
    version = spoiled(registered, code("k = int(", "import time; time.sleep(600); k = int("))
    with pytest.raises(GateFailedError, match="no answer within 12 s"):
        probe(registered.tracking_uri, MODEL, version, timeout_s=12)


def test_a_process_that_dies_says_nothing_of_the_model(registered: Registered) -> None:
    version = spoiled(registered, code("k = int(", "import os; os._exit(9); k = int("))
    with pytest.raises(InfrastructureError, match="ended with exit code 9: no message"):
        probe(registered.tracking_uri, MODEL, version)


def test_a_server_out_of_reach_is_no_gate(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InfrastructureError, match=r"MLflow at http://127\.0\.0\.1:9"):
        probe("http://127.0.0.1:9", MODEL, "1")
