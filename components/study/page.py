"""The page of a study: its tables in Parquet and Markdown, its figures, and what ran."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, final

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from components.data.parquet import write_table
from components.study import figures, tables
from components.study.conducting import Part, Results
from components.study.grid import AUTOSAMPLE, searched
from components.study.schema import Study

_RULE: Final = "ranked {}"


@final
class Page:
    """Writes everything that a study found into one folder."""

    def __init__(self, study: Study, part: Part, results: Results, folder: Path) -> None:
        self._study, self._part, self._results, self._folder = study, part, results, folder
        self._lines: list[str] = []

    def write(self) -> Path:
        """The page's file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_table(_cells(self._results), self._folder / "cells.parquet")
        self._lines = [f"# {self._study.name}", "", self._study.description.strip(), "", *self._what_ran()]
        self._comparisons("Overall comparison", "overall", tables.overall)
        for count in self._study.negatives:
            title = f"{count} negatives, or {count} candidates"
            self._comparisons(title, f"negatives-{count}", partial(tables.by_negatives, count=count))
        self._spaces()
        self._comparisons("Retraining from random weights and from W′", "start", tables.by_start)
        self._races()
        self._times()
        self._alphas()
        self._failures()
        place = self._folder / "README.md"
        place.write_text("\n".join(self._lines).rstrip() + "\n", encoding="utf-8")
        return place

    def _pairs(self) -> Iterator[tuple[str, str]]:
        return ((data, model) for data in self._part.data for model in self._part.models)

    def _what_ran(self) -> list[str]:
        done = sum(not outcome.error for outcome in self._results.outcomes.values())
        seeds = ", ".join(map(str, self._study.seeds))
        return [
            f"{done} of {len(self._results.outcomes)} cells ran: {', '.join(self._part.data)}; "
            f"{', '.join(self._part.models)}; seeds {seeds}. Metrics at {self._study.k} are means over "
            "seeds, ranks in brackets; * where the best is better than the second with p < 0.05 (two-sided "
            "paired test by user, each user's difference its mean over seeds). What each cell took and found "
            "stands in `cells.parquet`.",
            "",
        ]

    def _comparisons(
        self,
        title: str,
        file: str,
        compare: Callable[[Study, Results, str, str], tables.Comparison | None],
    ) -> None:
        parts: list[str] = []
        frames = []
        for data, model in self._pairs():
            found = compare(self._study, self._results, data, model)
            if found is not None:
                parts += [f"**{data}, {model}**", "", tables.markdown(found, self._study.k), ""]
                frames.append(_long(found, data, model))
        if parts:
            self._lines += [f"## {title}", "", *parts]
            write_table(pa.Table.from_pandas(pd.concat(frames), preserve_index=False), self._file(file))

    def _spaces(self) -> None:
        parts: list[str] = []
        for data, model in self._pairs():
            both = tables.by_space(self._study, self._results, data, model)
            if both is not None:
                found, ssar = both
                told = ", ".join(f"{name} {value:.2f}" for name, value in ssar.items())
                parts += [
                    f"**{data}, {model}** (S.S.A.R.: {told})",
                    "",
                    tables.markdown(found, self._study.k),
                    "",
                ]
        if parts:
            self._lines += ["## Search spaces", "", *parts]

    def _races(self) -> None:
        race, size = self._study.candidates.race, self._study.candidates.size
        if race is None:
            return
        lines = [
            "| | ranked | race | ndcg, ranked | ndcg, race | trainings, s | race, s |",
            "|---|---|---|---:|---:|---:|---:|",
        ]
        metric = f"ndcg@{self._study.k}"
        for data, model in self._pairs():
            spaces = [
                self._results.chosen.get((data, model, f"{rule} {size}")) for rule in ("ranked", "race")
            ]
            if spaces[0] is None or spaces[1] is None:
                continue
            values = [self._mean(data, model, space, metric) for space in spaces if space]
            seconds = tables.times(self._study, self._results, data, model)
            if seconds is None:
                continue
            names = self._study.candidates.names
            whole, short = (
                sum(seconds["seconds"][f"{name}{suffix}"] for name in names) for suffix in ("", ", race")
            )
            told = " | ".join("+".join(space) for space in spaces if space)
            numbers = f"{values[0]:.4f} | {values[1]:.4f} | {whole:.1f} | {short:.1f}"
            lines.append(f"| {data}, {model} | {told} | {numbers} |")
        self._lines += [f"## Candidates by a race of {race.epochs} epochs", "", *lines, ""]

    def _mean(self, data: str, model: str, space: tuple[str, ...], metric: str) -> float:
        found = self._results.of(data, model, searched(self._study, space)).values()
        values = [outcome.metrics["evaluate"][metric] for outcome in found]
        return sum(values) / len(values) if values else float("nan")

    def _times(self) -> None:
        lines = []
        for data in self._part.data:
            found = {}
            for model in self._part.models:
                frame = tables.times(self._study, self._results, data, model)
                if frame is None:
                    continue
                found[model] = frame
                seconds = frame["seconds"]
                own = seconds["search"] + seconds["retrain"]
                grid = sum(seconds[name] for name in self._study.candidates.names)
                lines.append(f"| {data}, {model} | {own:.1f} | {grid:.1f} | {own / grid:.2f} |")
            if found:
                figure = figures.time_against_grid(
                    found, self._study.candidates.names, f"Training time, {data}"
                )
                self._figure(figure, f"time-{data}")
        if lines:
            head = ["| | AutoSample, s | all candidates, s | × |", "|---|---:|---:|---:|"]
            self._lines += ["## Training time against a grid search", "", *head, *lines, ""]
            self._lines += [f"![time](time-{_plain(data)}.svg)" for data in self._part.data]
            self._lines.append("")

    def _alphas(self) -> None:
        names: dict[str, str] = {config.kind: name for name, config in self._study.samplers.items()}
        shown = []
        for data in self._part.data:
            runs = {}
            for model in self._part.models:
                space = self._results.chosen.get((data, model, _RULE.format(self._study.candidates.size)))
                found = self._results.of(data, model, searched(self._study, space)) if space else {}
                if found:
                    runs[model] = found[min(found)]
            if runs:
                figure = figures.alpha_over_epochs(runs, names, f"α of {AUTOSAMPLE}, {data}")
                self._figure(figure, f"alpha-{data}")
                shown.append(f"![α](alpha-{_plain(data)}.svg)")
        if shown:
            self._lines += ["## How α evolves", "", "Of the first seed.", "", *shown, ""]

    def _failures(self) -> None:
        failed = {cell: one.error for cell, one in self._results.outcomes.items() if one.error}
        if failed:
            self._lines += ["## Cells that failed", ""]
            self._lines += [f"- {cell.label}: {error}" for cell, error in failed.items()]

    def _figure(self, figure: Figure, name: str) -> None:
        figures.save(figure, self._folder / _plain(name))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"


def _plain(name: str) -> str:
    """As a file's name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


def _long(found: tables.Comparison, data: str, model: str) -> pd.DataFrame:
    """One row a method and metric."""
    rows = [
        {
            "data": data,
            "model": model,
            "method": method,
            "metric": metric,
            "mean": found.means.loc[method, metric],
            "deviation": found.deviations.loc[method, metric],
            "rank": found.ranks.loc[method, metric],
            "p_best": found.p_values[metric],
        }
        for method in found.means.index
        for metric in found.means.columns
    ]
    return pd.DataFrame(rows)


def _cells(results: Results) -> pa.Table:
    """One row a cell: what it was, what it found, what it took."""
    rows = []
    for cell, outcome in results.outcomes.items():
        method = cell.method
        rows.append(
            {
                "data": cell.data,
                "model": cell.model,
                "method": method.label,
                "seed": cell.seed,
                **{f"search_{name}": value for name, value in outcome.metrics.get("search", {}).items()},
                **{f"retrain_{name}": value for name, value in outcome.metrics.get("retrain", {}).items()},
                **outcome.metrics.get("evaluate", {}),
                "error": outcome.error or None,
            }
        )
    return pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
