"""The page of a study: what it found in sentences, its tables in Markdown and Parquet, its figures, and what
ran. Each kind of study has sections of its own."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from components.data.parquet import write_table
from components.study.conducting import Part
from components.study.figures import save
from components.study.results import StudyResults
from components.study.schema import Study

NOTHING: Final = "–"
AnyStudy = TypeVar("AnyStudy", bound=Study)
AnyResults = TypeVar("AnyResults", bound=StudyResults[Any, Any])


class StudyPage(ABC, Generic[AnyStudy, AnyResults]):
    """Writes everything that a study found into one folder."""

    metrics: Sequence[str]  # of the evaluations, that the table of cells has

    def __init__(self, study: AnyStudy, part: Part, results: AnyResults, folder: Path) -> None:
        self._study, self._part, self._results, self._folder = study, part, results, folder
        self._lines: list[str] = []

    @abstractmethod
    def findings(self) -> Iterator[str]:
        """What the tables say, in sentences."""

    @abstractmethod
    def _sizes(self, dataset: Path) -> Mapping[str, str]:
        """What a dataset artifact holds, by the heads of a table's columns."""

    @abstractmethod
    def _about(self) -> str:
        """How numbers were come by."""

    @abstractmethod
    def _sections(self) -> None:
        """Add the tables and figures."""

    @abstractmethod
    def _words(self) -> str:
        """What words and abbreviations mean."""

    def write(self) -> Path:
        """The page's file."""
        shutil.rmtree(self._folder, ignore_errors=True)  # of what an earlier page had and this one has not
        self._folder.mkdir(parents=True)
        cells = self._results.table(self.metrics, self._study.folder)
        write_table(pa.Table.from_pandas(cells, preserve_index=False), self._folder / "cells.parquet")
        self._lines = [f"# {self._study.name}", "", self._study.description.strip(), ""]
        self._lines += [f"{self._what_ran(cells)} {self._about()}", "", *self._data()]
        found = [f"- {sentence}" for sentence in self.findings()]
        if found:
            self._lines += ["## In short", "", *found, ""]
        self._sections()
        self._failures()
        self._lines += ["## Words", "", self._words()]
        place = self._folder / "README.md"
        place.write_text("\n".join(self._lines).rstrip() + "\n", encoding="utf-8")
        return place

    def _what_ran(self, cells: pd.DataFrame) -> str:
        done = int(cells["error"].isna().sum())
        seeds = ", ".join(map(str, self._study.seeds))
        revisions = ", ".join(f"`{revision[:12]}`" for revision in sorted(set(cells["revision"].dropna())))
        days = sorted(set(cells["day"].dropna()))
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else "no day"
        return (
            f"{done} of {len(cells)} cells ran: {', '.join(self._part.data)}; "
            f"{', '.join(self._part.models)}; seeds {seeds}, all on one split of each data set. Trained on "
            f"{when} by revision {revisions or 'unknown'}. What each cell took and found stands in "
            "`cells.parquet`."
        )

    def _data(self) -> Iterator[str]:
        places = {
            cell.data: Path(outcome.places["dataset"])
            for cell, outcome in self._results.outcomes.items()
            if "dataset" in outcome.places
        }
        sizes = {data: self._sizes(places[data]) for data in self._part.data if data in places}
        if sizes:
            heads = next(iter(sizes.values()))
            yield f"| | {' | '.join(heads)} |"
            yield f"|---|{'---:|' * len(heads)}"
            yield from (f"| {data} | {' | '.join(found.values())} |" for data, found in sizes.items())
            yield ""

    def _failures(self) -> None:
        failed = {cell: one.error for cell, one in self._results.outcomes.items() if one.error}
        if failed:
            self._lines += ["## Cells that failed", ""]
            self._lines += [f"- {cell.label}: {' '.join(error.split())}" for cell, error in failed.items()]
            self._lines.append("")

    def _section(self, title: str, file: str, lines: Sequence[str], frames: Sequence[pd.DataFrame]) -> None:
        """A heading, its lines, and the same numbers as a file; nothing where there are none."""
        if frames:
            self._lines += [f"## {title}", "", *lines]
            table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
            write_table(table, self._folder / f"{file}.parquet")

    def _figure(self, figure: Figure, name: str, told: str) -> Iterator[str]:
        plain = as_file_name(name)
        save(figure, self._folder / plain)
        yield f"![{told}]({plain}.svg)"


def as_file_name(name: str) -> str:
    """A name of the study's without what paths cannot hold."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
