"""The page of a study of models: AMER's tables, and what its searches found."""

from collections.abc import Iterator, Mapping
from math import isnan
from pathlib import Path
from typing import Any, final

from components.core.manifest import read_manifest
from components.core.policy import Policy
from components.study.comparing import SIGNIFICANT
from components.study.models import tables
from components.study.models.conducting import Results
from components.study.models.schema import ModelsStudy
from components.study.page import NOTHING, StudyPage

_COUNTED = ("train", "valid", "test", "users", "items", "fields", "codes")


@final
class Page(StudyPage[ModelsStudy, Results]):
    """Writes everything that a study of models found into one folder."""

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]  # the study's own
        """Those that the study asks for."""
        return self._study.metrics

    def findings(self) -> Iterator[str]:
        found = tables.overall(self._study, self._results, self._part)
        for name in self._study.ours:
            cases = [
                (data, row)
                for data, one in found.items()
                for _, row in tables.leads(self._study, one).iterrows()
                if row["model"] == name
            ]
            if not cases:
                continue
            better = [row for _, row in cases if row["lead"] > 0]
            sure = [row for row in better if row["p_seeds"] < SIGNIFICANT]
            behind = [row for _, row in cases if row["lead"] < 0 and row["p_seeds"] < SIGNIFICANT]
            yield (
                f"{name} is better than the best baseline in {len(better)} of {len(cases)} cases, with p < "
                f"{SIGNIFICANT} over seeds in {len(sure)}; and behind it so in {len(behind)}."
            )

    def _sizes(self, dataset: Path) -> dict[str, str]:
        found = read_manifest(str(dataset)).metrics
        return {name: f"{found[name]:,.0f}" for name in _COUNTED if name in found}

    def _about(self) -> str:
        study = self._study
        by = study.metric or "the metric of the data's recipe"
        beside = f"{self._results.jobs} at a time" if self._results.jobs > 1 else "one at a time"
        return (
            "Numbers are of the test part: means ± standard deviations over seeds, ranks in brackets. * "
            f"stands where {' or '.join(study.ours)} is better than the best baseline with p < {SIGNIFICANT} "
            "by a two-sided t-test paired by seed. The best baseline is the one that is best on test; the "
            "many tests are not corrected for. Lines in italics are what every evaluation compares with "
            f"besides. Validation decides by {by} which epoch's weights are kept, and what a search takes. "
            f"The study tunes nothing. Cells ran {beside}."
        )

    def _sections(self) -> None:
        found = tables.overall(self._study, self._results, self._part)
        self._overall(found)
        self._leads(found)
        self._times(found)
        self._policies(found)

    def _overall(self, found: tables.Tables) -> None:
        lines: list[str] = []
        for data, one in found.items():
            lines += [f"**{data}**", "", *tables.markdown(self._study, one), ""]
        frames = [one.long(data, "").drop(columns="model") for data, one in found.items()]
        self._section("Overall performance", "overall", lines, frames)

    def _leads(self, found: tables.Tables) -> None:
        lines = ["| | | | best baseline | lead | p over seeds |", "|---|---|---|---|---:|---:|"]
        frames = []
        for data, one in found.items():
            table = tables.leads(self._study, one)
            for _, row in table.iterrows():
                lines.append(
                    f"| {data} | {row['model']} | {row['metric']} | {row['baseline']} | {row['lead']:+.4f} | "
                    f"{row['p_seeds']:.2g} |"
                )
            if len(table):
                frames.append(table.assign(data=data))
        self._section("The lead, and how sure it is", "leads", [*lines, ""], frames)

    def _times(self, found: tables.Tables) -> None:
        lines = ["| | | search, s | training, s | epochs |", "|---|---|---:|---:|---:|"]
        frames = []
        for data, one in found.items():
            table = tables.times(self._study, one)
            for _, row in table.iterrows():
                searched = NOTHING if isnan(row["search"]) else f"{row['search']:,.0f}"
                lines.append(
                    f"| {data} | {row['model']} | {searched} | {row['training']:,.0f} | {row['epochs']:.0f} |"
                )
            frames.append(table.assign(data=data))
        told = (
            "Medians over seeds; a search's with everything that it trains, fine-tuning too. A policy that "
            "is taken over has the seconds of the search that found it."
        )
        self._section("What it takes", "times", [told, "", *lines, ""], frames)

    def _policies(self, found: tables.Tables) -> None:
        names: dict[tuple[str, int, str], list[str]] = {}  # lines that found the same
        for data, one in found.items():
            for name, outcomes in one.outcomes.items():
                for seed, ran in outcomes.items():
                    told = "; ".join(_told(Policy.read(Path(ran.places["policy"])).decision))
                    if told and self._study.models[name].policy_of is None:
                        names.setdefault((data, seed, told), []).append(name)
        lines = [
            f"- {data}, {' and '.join(some)}, seed {seed}: {told}"
            for (data, seed, told), some in names.items()
        ]
        if lines:
            self._lines += ["## What was found", "", *lines, ""]

    def _words(self) -> str:
        return (
            "sampled_…: among sampled items, which compares with papers and with nothing else. A search's "
            "weights are where its model's training goes on, unless a line says otherwise."
        )


def _told(decision: Mapping[str, Any]) -> Iterator[str]:
    """Blocks, interactions and layers, as a person reads them."""
    if "blocks" in decision:
        yield decision["blocks"]["child"]
    for key in ("products", "weighed"):
        if key in decision:
            yield ", ".join(" ⊙ ".join(one["fields"]) for one in decision[key]) or "no products"
    if "child" in decision:
        yield decision["child"]
