import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import components.cli.history
from components.catalog import STAGES

NAMES = [spec.name for spec in STAGES]


def test_a_run_tells_each_stage_and_what_came_out(recloop, home):
    result = recloop("run", "toy")
    assert result.exit_code == 0, result.output
    for name in NAMES:
        assert re.search(rf"^\d\d:\d\d:\d\d {name}: started; the output goes to {home}", result.stderr, re.M)
        assert re.search(rf"^{name} +done +[\d.]+ s  ", result.stderr, re.M)
    assert re.search(r"^ingest .* rows 1,234,567$", result.stderr, re.M)
    assert re.search(r"^evaluate .* ndcg@20 0\.25, recall@20 0\.5, promote 1$", result.stderr, re.M)
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "Version 3 of toy was made champion.",
        "reason     it is better",
        "ndcg@20    0.2500",
        "recall@20  0.5000",
    ]
    report = Path(lines[4].removeprefix("report     "))
    assert report.is_relative_to(home / "workspace" / "toy" / "evaluation")
    assert report.exists()
    assert len(lines) == 5


def test_a_second_run_skips_every_stage_and_says_so(recloop):
    first = recloop("run", "toy")
    again = recloop("run", "toy")
    assert [line.split()[0] for line in again.stderr.splitlines() if "already done" in line] == NAMES
    assert "started" not in again.stderr
    assert again.stdout == first.stdout
    other = recloop("run", "toy", "-s", "epochs=4")  # retraining alone reads it; the fake ignores it
    done = [line.split()[0] for line in other.stderr.splitlines() if re.match(r"\w+ +done ", line)]
    assert done == ["retrain"]


def test_until_quiet_and_json(recloop, home):
    result = recloop("run", "toy", "--until", "prepare", "--quiet", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert [stage["stage"] for stage in answer["stages"]] == ["ingest", "prepare"]
    assert answer["outcome"]["report"] is None
    assert len(result.stderr.splitlines()) == 2
    shown = recloop("run", "toy", "-u", "prepare")
    assert shown.stdout == f"artifact  {answer['stages'][-1]['uri']}\n"
    whole = json.loads(recloop("run", "toy", "--json").stdout)
    assert whole["outcome"]["version"] == "3"
    assert whole["outcome"]["promoted"] is True


def test_a_classifier_is_told_of_in_its_own_metrics(recloop, home):
    recipe = home / "pipelines" / "recipes" / "clicks.yaml"
    recipe.write_text("name: clicks\ntask: classification\nsource: {kind: synthetic}\n")
    told = recloop("run", "clicks")
    assert "evaluate done" in re.sub(" +", " ", told.stderr)
    assert re.findall(r"^(auc|logloss) +(\S+)$", told.stdout, re.M) == [
        ("auc", "0.7500"),
        ("logloss", "0.5000"),
    ]
    head, row, *_ = recloop("runs", "clicks").stdout.splitlines()
    assert (head.split()[-1], row.split()[-1]) == ("auc", "0.7500")


def test_a_failed_gate(recloop, home, monkeypatch):
    monkeypatch.setenv("FAKE", "evaluate=gate")
    result = recloop("run", "toy")
    assert (result.exit_code, result.stdout) == (3, "")
    assert re.search(r"^evaluate failed$", result.stderr, re.M)
    assert "\nError: model quality: the model is not good enough\nwhat was found is kept at" in result.stderr
    assert "Traceback" not in result.stderr
    (run,) = json.loads(recloop("runs", "toy", "--json").stdout)
    assert run["status"] == "failed"
    assert [stage["status"] for stage in run["stages"]] == ["done"] * 4 + ["failed"]
    assert not (home / "workspace" / "toy" / "registration").exists()
    told = recloop("report", "toy")
    assert told.exit_code == 2
    assert "ended with evaluate failed: model quality: the model is not good enough" in told.stderr


def test_each_delivery_is_a_run_and_a_gate_stops_only_its_own(recloop, home, monkeypatch):
    monkeypatch.setenv("FAKE", "retrain=gate of 5")
    result = recloop("run", "toy", "--each", "epochs=4..6", "--json")
    assert result.exit_code == 3
    decoder, told, rest = json.JSONDecoder(), [], result.stdout
    while rest.strip():  # a document for each run
        answer, end = decoder.raw_decode(rest.lstrip())
        told.append(answer["run_id"])
        rest = rest.lstrip()[end:]
    kept = json.loads(recloop("runs", "toy", "--json").stdout)[::-1]
    assert [run["status"] for run in kept] == ["done", "failed", "done"]
    assert [kept[0]["run_id"], kept[2]["run_id"]] == told
    assert [line for line in result.stderr.splitlines() if line.startswith("epochs=")] == [
        "epochs=4",
        "epochs=5",
        "epochs=6",
    ]
    assert "\nStopped: model quality: the model is not good enough" in result.stderr
    assert result.stderr.endswith("Error: gates stopped 1 of 3 runs: epochs=5\n")
    monkeypatch.setenv("FAKE", "")
    again = recloop("run", "toy", "--each", "epochs=4..6", "-q")
    assert again.exit_code == 0
    assert again.stderr.count("already done") == 17  # the fake model is the same each time
    assert again.stdout.count("Version 3 of toy was made champion.") == 3


def test_what_is_no_gate_ends_a_backfill_at_once(recloop, monkeypatch):
    monkeypatch.setenv("FAKE", "retrain=bug of 5")
    result = recloop("run", "toy", "--each", "epochs=4,5,6", "-q")
    assert result.exit_code == 1
    assert "Unexpected error: RuntimeError: something [bold]odd[/bold]" in result.stderr
    assert "epochs=6" not in result.stderr


def test_a_mistake_in_one_delivery_stops_a_backfill_before_any_work(recloop, home):
    result = recloop("run", "toy", "--each", "epochs=4,0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "training.epochs" in result.stderr
    assert not (home / "workspace").exists()


def test_ctrl_c(recloop, monkeypatch):
    monkeypatch.setenv("FAKE", "search=interrupt")
    result = recloop("run", "toy")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("search   failed\nInterrupted.\n")
    (run,) = json.loads(recloop("runs", "toy", "--json").stdout)
    assert run["stages"][-1]["error"] == "interrupted"


def test_a_bug_is_one_line_and_a_file(recloop, monkeypatch):
    monkeypatch.setenv("FAKE", "prepare=crash")
    result = recloop("run", "toy")
    assert result.exit_code == 1
    *_, first, second = result.stderr.splitlines()
    assert first == "Unexpected error: RuntimeError: something [bold]odd[/bold]"
    kept = re.fullmatch(r"This is a bug; its traceback is in (\S+) \(--debug shows it here\)\.", second)
    assert kept
    text = Path(kept[1]).read_text()
    Path(kept[1]).unlink()
    assert "Traceback (most recent call last)" in text
    assert "fakestages.py" in text


def test_debug_shows_the_traceback(recloop, monkeypatch):
    monkeypatch.setenv("FAKE", "prepare=crash")
    monkeypatch.setenv("RECLOOP_DEBUG", "")  # so that what --debug sets is undone
    result = recloop("--debug", "run", "toy")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "is a bug" not in result.stderr


def test_an_unusable_workspace_is_told_before_any_work(recloop, home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("RECLOOP_WORKSPACE", str(home / "file"))
    result = recloop("run", "toy")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: workspace {home}/file: ")
    assert "Not a directory" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_runs_and_reports(recloop, home, monkeypatch):
    assert recloop("runs", "toy").stdout == f"toy has not run in {home}/workspace.\n"
    nothing = recloop("report", "toy")
    assert (nothing.exit_code, nothing.stdout) == (2, "")
    assert nothing.stderr == f"Error: toy: no run in {home}/workspace was evaluated\n"
    recloop("run", "toy")
    monkeypatch.setenv("FAKE", "retrain=gate")
    recloop("run", "toy", "--set", "seed=1")
    head, newest, oldest, _, legend, _, which, why, _kept = recloop("runs", "toy").stdout.splitlines()
    assert head.split() == ["run", "started", "outcome", "stages", "gates", "ndcg@20"]
    assert re.search(r" stopped +✓✓✓✗·· +1✗", newest)
    assert re.search(r" promoted +✓✓✓✓✓✓ +0\.2500$", oldest)
    assert "✗ failed" in legend
    assert which == "retrain: stopped: retrain: model quality: the model is not good enough"
    assert why == "retrain: model quality: the model is not good enough"
    failed, done = newest.split()[0], oldest.split()[0]

    opened = []
    monkeypatch.setattr(components.cli.history.webbrowser, "open", opened.append)
    told = recloop("report", "toy", "--open")
    assert told.exit_code == 0
    assert told.stdout.splitlines()[0] == "Version 3 of toy was made champion."
    assert told.stdout.splitlines()[1] == f"run        {done}"
    report = json.loads(recloop("report", "toy", done, "--json").stdout)["report"]
    assert opened == [Path(report).as_uri()]
    assert "ended with retrain failed" in recloop("report", "toy", failed).stderr
    unknown = recloop("report", "toy", "none")
    assert unknown.exit_code == 2
    assert f"got run 'none', need one of its runs (the newest: {failed}, {done})" in unknown.stderr


def test_a_registration_that_is_gone(recloop, home):
    recloop("run", "toy")
    (place,) = (home / "workspace" / "toy" / "registration").rglob("registration.json")
    place.unlink()
    result = recloop("report", "toy")
    assert result.exit_code == 5
    assert result.stderr == f"Error: {place}: is gone; run the recipe again\n"


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_in_a_terminal_only(home, variables, coloured):
    """With a real terminal as standard error, and with none."""
    command = [sys.executable, "-c", "from components.cli import main; main()", "validate", "dmo"]
    clean = {name: text for name, text in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    environment = {**clean, "TERM": "xterm-256color", **variables}
    ours, theirs = pty.openpty()
    subprocess.run(command, env=environment, stderr=theirs, stdout=subprocess.DEVNULL, check=False)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "there is no such file" in shown
    assert ("\x1b[1;31m" in shown) == coloured
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "\x1b" not in plain.stderr
    assert plain.stderr.startswith("Error: recipe 'dmo'")
