"""The page of a study of losses: AutoLoss's tables and figures, and what its controllers do."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import pandas as pd

from components.core.columns import ALPHA, PROBABILITY
from components.core.manifest import read_manifest
from components.core.recipe.search import AutoLoss
from components.data.document import read_document
from components.study.figures import over_epochs
from components.study.leading import lead_lines, told
from components.study.losses import figures, tables
from components.study.losses.conducting import Results
from components.study.losses.findings import findings
from components.study.losses.grid import Method, pairs, updated
from components.study.losses.schema import LossesStudy
from components.study.page import NOTHING, StudyPage


@final
class Page(StudyPage[LossesStudy, Results]):
    """Writes everything that a study of losses found into one folder."""

    metrics = (*tables.METRICS, "calibration")

    def findings(self) -> Iterator[str]:
        return findings(self._study, self._results, self._part)

    def _sizes(self, dataset: Path) -> dict[str, str]:
        found, prepared = read_manifest(str(dataset)).metrics, read_document(dataset / "preparation.json")
        counts = prepared["class_counts"]["test"]
        shares = ", ".join(f"{name}: {count / sum(counts.values()):.1%}" for name, count in counts.items())
        sizes = {name: f"{found[name]:,.0f}" for name in ("train", "valid", "test", "fields", "codes")}
        return {**sizes, "classes of test": shares}

    def _about(self) -> str:
        study = self._study
        start = "the weights of its best epoch" if study.warm_start == "search" else "random weights"
        return (
            "Numbers are of the test part: means ± standard deviations over seeds, ranks in brackets. * and "
            f"† stand where {study.ours} is better than the best baseline with p < 0.05: * by a two-sided "
            "t-test paired by seed (would other seeds say the same of this test part?), † by a two-sided "
            "t-test paired by test example, each example's difference its mean over seeds (would these "
            "models say the same of other examples?): of its losses, or for AUC of DeLong's components. The "
            "best baseline is the one that is best on test, and the many tests are not corrected for. "
            f"Validation decides by {study.metric} when a training or a search ends, and which epoch's "
            f"weights are kept. After a search the model is trained with what it decided, from {start}, and "
            "may so pass over the data twice as often as one that is not searched for. The study tunes "
            "nothing."
        )

    def _sections(self) -> None:
        study, results, part = self._study, self._results, self._part
        overall = tables.overall(study, results, part)
        self._comparisons("Overall comparison", "overall", overall)
        self._leads(overall)
        self._comparisons("What the parts are worth", "ablations", tables.ablated(study, results, part))
        self._transfers()
        self._times(overall)
        self._updates()
        self._weights()

    def _comparisons(self, title: str, file: str, found: tables.Tables) -> None:
        parts: list[str] = []
        frames = []
        for (data, model), one in found.items():
            parts += [f"**{data}, {model}**", "", *tables.markdown(self._study, one), ""]
            frames.append(one.long(data, model))
        self._section(title, file, parts, frames)

    def _leads(self, found: tables.Tables) -> None:
        ahead = {pair: tables.leads(self._study, one) for pair, one in found.items()}
        frames = [
            table.assign(data=data, model=model) for (data, model), table in ahead.items() if len(table)
        ]
        told = f"By how much {self._study.ours} is better than the best of the others on test."
        lines = [told, "", *lead_lines(ahead, "examples"), ""]
        self._section("The lead, and how sure it is", "leads", lines, frames)

    def _transfers(self) -> None:
        found = tables.by_transfer(self._study, self._results, self._part)
        if not found:
            return
        parts = [
            "The policy that a method found in one place, frozen, trains a model elsewhere from random "
            "weights; a method without a search trains it as always.",
            "",
            *self._figure(figures.transfers(found), "transfers", "transfers"),
            "",
        ]
        frames = []
        for title, one in found.items():
            parts += [f"**{title}**", "", *tables.markdown(self._study, one), ""]
            frames.append(one.long(*title.rpartition(" → ")[2].split(", ", 1)).assign(transfer=title))
        self._section("Policies that are carried over", "transfers", parts, frames)

    def _times(self, found: tables.Tables) -> None:
        study, took = self._study, {pair: tables.times(self._study, one) for pair, one in found.items()}
        if not took:
            return
        beside = (
            f"{self._results.jobs} cells ran beside each other, and shared the machine's cores out among them"
            if self._results.jobs > 1
            else "one cell ran at a time"
        )
        lines = [f"| | method | search | epochs | training | epochs | both | × {study.cross_entropy or ''} |"]
        lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
        for (data, model), table in took.items():
            for number, (method, row) in enumerate(table.iterrows()):
                head = f"{data}, {model}" if number == 0 else ""
                lines.append(f"| {head} | {method} | {_timed(row)} |")
        bars = figures.training_time({", ".join(pair): table for pair, table in took.items()})
        parts = [
            "Seconds of optimisation and validation, medians over seeds, and epochs, means over seeds: early "
            f"stopping decides on these. In this run {beside}; what was done before kept its times.",
            "",
            *self._figure(bars, "times", "training time"),
            "",
            *lines,
            "",
        ]
        frames = [
            table.rename_axis("method").reset_index().assign(data=data, model=model)
            for (data, model), table in took.items()
        ]
        self._section("Training time", "times", parts, frames)

    def _updates(self) -> None:
        study = self._study
        own = next((f for f, method in updated(study).items() if method.every is None), None)
        parts: list[str] = []
        frames = []
        for (data, model), one in tables.by_updates(study, self._results, self._part).items():
            took = tables.times(study, one)
            drawn = figures.updates(one, took, own, f"{data}, {model}")
            parts += [*self._figure(drawn, f"updates-{data}-{model}", "updates"), ""]
            parts += ["| f | AUC ↑ | log loss ↓ | seconds of the search | its epochs |"]
            parts += ["|---:|---:|---:|---:|---:|"]
            for f, row in took.iterrows():
                metrics = " | ".join(told(one, str(f), metric) for metric in tables.RANKED)
                parts.append(
                    f"| {f} | {metrics} | {row['search_seconds']:.1f} | {row['search_epochs']:.1f} |"
                )
            parts.append("")
            frames.append(one.long(data, model).rename(columns={"method": "f"}))
        self._section("How often the controller learns", "updates", parts, frames)

    def _weights(self) -> None:
        study = self._study
        searches = {
            name: one.search for name, one in study.methods.items() if isinstance(one.search, AutoLoss)
        }
        kinds: dict[str, None] = dict.fromkeys(
            loss.kind for search in searches.values() for loss in search.losses
        )
        named: dict[str, str] = {
            one.loss.kind: name for name, one in study.methods.items() if one.group == "fixed"
        }
        shown: list[str] = []
        for data, model in pairs(study, study.comparison, self._part):
            ran = {name: self._results.of(data, model, Method(name)) for name in searches}
            runs = {name: found[min(found)] for name, found in ran.items() if found}
            if runs:
                names = {kind: named.get(kind, kind) for kind in kinds}
                drawn = over_epochs(runs, names, f"{data}, {model}", (ALPHA, PROBABILITY))
                shown += self._figure(drawn, f"weights-{data}-{model}", "weights of the losses")
        if shown:
            self._lines += [
                "## What the controllers do",
                "",
                "Weights of the losses over the epochs of the search, means over train examples, of the "
                "lowest seed that ran: α as a line, p, which is drawn from it and trains the model, dotted.",
                "",
                *shown,
                "",
            ]

    def _words(self) -> str:
        return (
            "AUC: of several classes the mean over them, each against the rest. ECE: the expected "
            "calibration error. α: what the controller says of an example, eq. 8; p: drawn from it, eq. 10. "
            "f: training steps from one of the controller to the next. A data set of some thousand rows is "
            "not the one that it was cut from: what holds here need not hold there."
        )


def _timed(row: pd.Series) -> str:
    searched = (
        f"{row['search_seconds']:.1f} | {row['search_epochs']:.1f}"
        if row["search_epochs"]
        else f"{NOTHING} | {NOTHING}"
    )
    relative = NOTHING if pd.isna(row["relative"]) else f"{row['relative']:.2f}"
    return (
        f"{searched} | {row['retrain_seconds']:.1f} | {row['retrain_epochs']:.1f} | {row['seconds']:.1f} | "
        f"{relative}"
    )
