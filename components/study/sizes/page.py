"""The page of a study of sizes: ESAPN's tables and figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import pandas as pd

from components.core.manifest import read_manifest
from components.data.document import read_document
from components.study.comparing import Comparison
from components.study.leading import lead_lines
from components.study.page import NOTHING, StudyPage
from components.study.sizes import figures, tables
from components.study.sizes.conducting import Results
from components.study.sizes.findings import findings
from components.study.sizes.schema import SizesStudy


@final
class Page(StudyPage[SizesStudy, Results]):
    """Writes everything that a study of sizes found into one folder."""

    metrics = ("accuracy", "mse", "logloss", "auc", "ece")

    def findings(self) -> Iterator[str]:
        return findings(self._study, self._results, self._part)

    def _sizes(self, dataset: Path) -> dict[str, str]:
        found, prepared = read_manifest(str(dataset)).metrics, read_document(dataset / "preparation.json")
        counts = prepared["class_counts"]["test"]
        shares = ", ".join(f"{name}: {count / sum(counts.values()):.1%}" for name, count in counts.items())
        numbers = {
            head: f"{found[name]:,.0f}"
            for head, name in (
                ("interactions", "train"), ("tail", "test"), ("users", "users"), ("items", "items")
            )
        }  # fmt: skip
        numbers["interactions"] = f"{found['train'] + found['test']:,.0f}"
        return {**numbers, "classes of the tail": shares}

    def _about(self) -> str:
        study = self._study
        beside = f"{self._results.jobs} at a time" if self._results.jobs > 1 else "one at a time"
        return (
            "Each interaction is predicted before it is learned from, and the stream is passed once; numbers "
            "are of its tail: means ± standard deviations over seeds, ranks in brackets. * and † stand where "
            f"{study.ours} is better than the best baseline with p < 0.05: * by a two-sided t-test paired by "
            "seed, † by one paired by interaction, each one's difference its mean over seeds (for AUC of "
            "DeLong's components). The best baseline is the one that is best on the tail, and the many tests "
            f"are not corrected for. The study tunes nothing. Cells ran {beside}."
        )

    def _sections(self) -> None:
        overall = tables.overall(self._study, self._results, self._part)
        self._overall(overall)
        self._leads(overall)
        self._memory(overall)
        self._by_frequency(overall)
        self._growth(overall)
        self._course(overall)
        self._speed(overall)

    def _overall(self, found: tables.Tables) -> None:
        lines: list[str] = []
        for (data, model), one in found.items():
            lines += [f"**{data}, {model}**", "", *tables.markdown(self._study, one), ""]
        frames = [one.long(data, model) for (data, model), one in found.items()]
        self._section("Overall performance", "overall", lines, frames)

    def _leads(self, found: tables.Tables) -> None:
        ahead = {pair: tables.leads(self._study, one) for pair, one in found.items()}
        frames = [
            table.assign(data=data, model=model) for (data, model), table in ahead.items() if len(table)
        ]
        told = f"By how much {self._study.ours} is better than the best of the others on the tail."
        lines = [told, "", *lead_lines(ahead, "interactions"), ""]
        self._section("The lead, and how sure it is", "leads", lines, frames)

    def _memory(self, found: tables.Tables) -> None:
        study, frames = self._study, []
        lines: list[str] = []
        for (data, model), one in found.items():
            table = tables.memory(study, one)
            sizes = [name for name in map(str, table.columns) if name.startswith("size_")]
            heads = " | ".join(name.removeprefix("size_") for name in sizes)
            lines += [f"**{data}, {model}**", "", f"| | | {heads} | numbers | ratio | bytes | ratio |"]
            lines.append(f"|---|---|{'---:|' * (len(sizes) + 4)}")
            for _, row in table.iterrows():
                counts = " | ".join(NOTHING if pd.isna(row[name]) else f"{row[name]:,.0f}" for name in sizes)
                lines.append(
                    f"| {row['method']} | {tables.SIDES[row['side']]} | {counts} | {row['numbers']:,.0f} | "
                    f"{row['numbers_ratio']:.1%} | {row['bytes']:,.0f} | {row['bytes_ratio']:.1%} |"
                )
            lines.append("")
            frames.append(table.assign(data=data, model=model))
        told = (
            "Embeddings of each size at the end of the stream, means over seeds; all numbers in them, and "
            "the bytes that their storage really takes, spare room included, as shares of those of "
            f"{study.fixed}. Not counted: what says where an embedding lies (about 10 bytes an id, for all "
            "methods), and what is remembered of each id: its frequency, ESAPN's last losses (about 27 bytes "
            "for five), the logits of DARTS, and the optimizer's moments."
        )
        self._section("Memory", "memory", [told, "", *lines], frames)

    def _by_frequency(self, found: tables.Tables) -> None:
        lines: list[str] = []
        frames = []
        for (data, model), one in found.items():
            shown = {metric: tables.by_frequency(one, metric) for metric in one.metrics if metric != "auc"}
            drawn = figures.by_frequency(shown, f"{data}, {model}")
            lines += [*self._figure(drawn, f"frequency-{data}-{model}", "by frequency"), ""]
            frames += [table.assign(metric=metric, data=data, model=model) for metric, table in shown.items()]
        told = "Over the interactions of the tail whose user, or item, had been seen so often before."
        self._section("Performance by frequency", "frequency", [told, "", *lines], frames)

    def _growth(self, found: tables.Tables) -> None:
        shown = {
            f"{data}, {model}": tables.sizes_by_frequency(one.outcomes[self._study.ours])
            for (data, model), one in found.items()
            if self._study.ours in one.methods
        }
        if not shown:
            return
        told = f"The mean size of {self._study.ours}'s embeddings that predicted, in the tail."
        lines = [told, "", *self._figure(figures.sizes_by_frequency(shown), "growth", "growth"), ""]
        frames = [table.assign(where=where) for where, table in shown.items()]
        self._section("Size by frequency", "growth", lines, frames)

    def _course(self, found: tables.Tables) -> None:
        lines: list[str] = []
        frames = []
        for (data, model), one in found.items():
            shown = {name: tables.course(outcomes) for name, outcomes in one.outcomes.items()}
            drawn = figures.courses(shown, self._tail(one), f"{data}, {model}")
            lines += [*self._figure(drawn, f"course-{data}-{model}", "course over time"), ""]
            frames += [table.assign(method=name, data=data, model=model) for name, table in shown.items()]
        told = "Accuracy of each hundredth of the stream, averaged over five of them."
        self._section("The course over time", "course", [told, "", *lines], frames)

    def _tail(self, one: Comparison) -> int:
        """Where it begins."""
        outcome = next(iter(next(iter(one.outcomes.values())).values()))
        sizes = read_document(Path(outcome.places["dataset"]) / "preparation.json")["sizes"]
        return int(sizes["train"])

    def _speed(self, found: tables.Tables) -> None:
        study = self._study
        lines = [f"| | method | interactions/s | × {study.fixed} |", "|---|---|---:|---:|"]
        frames = []
        for (data, model), one in found.items():
            table = tables.speed(study, one)
            for _, row in table.iterrows():
                lines.append(
                    f"| {data}, {model} | {row['method']} | {row['rate']:,.0f} | {row['ratio']:.2f} |"
                )
            frames.append(table.assign(data=data, model=model))
        told = (
            "Over the whole stream, medians over seeds, without loading and writing. In this run "
            f"{self._results.jobs} cells ran beside each other; what was done before kept its times."
        )
        self._section("Speed", "speed", [told, "", *lines, ""], frames)

    def _words(self) -> str:
        return (
            "MSE: mean (p − y)² of the second of two classes. AUC: of several classes the mean over them, "
            "each against the rest. Numbers: of all embeddings together, Table 2's total dim. A stream of a "
            "hundred thousand interactions is not one of twenty million: what holds here need not hold there."
        )
