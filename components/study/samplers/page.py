"""The page of a study of samplers: AutoSample's tables and figures, and what a search costs."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import final

import pandas as pd

from components.core.manifest import read_manifest
from components.study.comparing import Comparison
from components.study.conducting import Part
from components.study.figures import over_epochs
from components.study.page import NOTHING, StudyPage
from components.study.samplers import costs, tables
from components.study.samplers.conducting import Results
from components.study.samplers.figures import time_against_grid
from components.study.samplers.findings import findings
from components.study.samplers.grid import searched
from components.study.samplers.schema import SamplersStudy


@final
class Page(StudyPage[SamplersStudy, Results]):
    """Writes everything that a study of samplers found into one folder."""

    def __init__(self, study: SamplersStudy, part: Part, results: Results, folder: Path) -> None:
        super().__init__(study, part, results, folder)
        self.metrics = tables.metrics_at(study.k)

    def findings(self) -> Iterator[str]:
        return findings(self._study, self._results, self._part.pairs)

    def _sizes(self, dataset: Path) -> dict[str, str]:
        found = read_manifest(str(dataset)).metrics
        return {name: f"{found[name]:,.0f}" for name in ("users", "items", "train", "valid", "test")}

    def _about(self) -> str:
        k = self._study.k
        unfit = [
            f" {name} does not fit {model}."
            for model in self._part.models
            for name in self._study.samplers
            if not self._study.fits(name, model)
        ]
        return (
            f"Metrics at {k} are means over seeds, ranks in brackets; * where the best is better than the "
            "second with p < 0.05: two-sided paired test by user, each user's difference its mean over "
            "seeds; other users are asked about, not other seeds, and the many tests are not corrected for. "
            f"Validation decides by ndcg@{k}: when a training ends, which candidates are chosen, which "
            "rates. Known validation items are left out of test rankings. Deviations over seeds stand in the "
            f"tables' files.{''.join(unfit)}"
        )

    def _sections(self) -> None:
        self._comparisons("Overall comparison", "overall", tables.overall)
        for count in self._study.negatives:
            title = f"{count} negatives, or {count} candidates"
            self._comparisons(title, f"negatives-{count}", partial(tables.by_negatives, count=count))
        self._spaces()
        self._comparisons("Retraining from random weights and from W′", "start", tables.by_start)
        self._ways()
        self._races()
        self._times()
        self._alphas()
        self._settings()

    def _comparisons(
        self,
        title: str,
        file: str,
        compare: Callable[[SamplersStudy, Results, str, str], Comparison | None],
    ) -> None:
        parts: list[str] = []
        frames = []
        for data, model in self._part.pairs:
            found = compare(self._study, self._results, data, model)
            if found is not None:
                parts += [f"**{data}, {model}**", "", tables.markdown(found, self._study.k), ""]
                frames.append(tables.long(found, data, model))
        self._section(title, file, parts, frames)

    def _spaces(self) -> None:
        parts: list[str] = []
        frames = []
        for data, model in self._part.pairs:
            both = tables.by_space(self._study, self._results, data, model)
            if both is not None:
                found, ssar = both
                told = ", ".join(f"{name} {value:.2f}" for name, value in ssar.items())
                title = f"**{data}, {model}** (S.S.A.R.: {told})"
                parts += [title, "", tables.markdown(found, self._study.k), ""]
                long = tables.long(found, data, model)
                frames.append(long.assign(ssar=long["method"].map(ssar)))
        self._section("Search spaces", "spaces", parts, frames)

    def _ways(self) -> None:
        lines = [f"| | way | picks | N@{self._study.k} | p | trainings | seconds | × |"]
        lines.append("|---|---|---|---:|---:|---:|---:|---:|")
        frames = []
        for data, model in self._part.pairs:
            found = costs.ways(self._study, self._results, data, model)
            for number, way in enumerate(found):
                head = f"{data}, {model}" if number == 0 else ""
                short = f" + {way.short_trainings} short" if way.short_trainings else ""
                p = f"{way.p_value:.2g}" if number else NOTHING
                lines.append(
                    f"| {head} | {way.name} | {way.picks} | {way.ndcg:.4f} | {p} | {way.trainings}{short} | "
                    f"{way.seconds:.1f} | {way.seconds / found[0].seconds:.2f} |"
                )
            if found:
                frames.append(pd.DataFrame(map(asdict, found)).assign(data=data, model=model))
        race = self._study.candidates.race
        told = (
            "What a model costs in all once rates are known: tuning is not counted. A grid search keeps the "
            "candidate that validates best in the mean over seeds; p is of the difference to it; seconds are "
            "of optimisation and validation for one seed, in processes that had the machine's cores divided "
            "by `--jobs`; the first cell of a process also loads what is compiled, which takes seconds."
        )
        if race is not None:
            told += f" In a race every candidate trains for {race.epochs} epoch{'s' * (race.epochs > 1)}."
        self._section("What it takes in all", "ways", [told, "", *lines, ""], frames)

    def _races(self) -> None:
        size, k = self._study.candidates.size, self._study.k
        lines = [f"| | epochs | {size} best | N@{k} of the winner | − grid's | × |"]
        lines.append("|---|---:|---|---:|---:|---:|")
        frames = []
        for data, model in self._part.pairs:
            grid = costs.ways(self._study, self._results, data, model)
            found = costs.races(self._study, self._results, data, model) if grid else []
            for number, race in enumerate(found):
                head = f"{data}, {model}" if number == 0 else ""
                lines.append(
                    f"| {head} | {race.epochs} | {tables.joined(race.picks)} | {race.winner_ndcg:.4f} | "
                    f"{race.winner_ndcg - grid[0].ndcg:+.4f} | {race.share:.2f} |"
                )
            if found:
                frame = pd.DataFrame([asdict(race) | {"picks": tables.joined(race.picks)} for race in found])
                frames.append(frame.assign(data=data, model=model))
        told = (
            "Read from the trainings' own validations: what a race of so many epochs would have picked, what "
            "its winner reaches when it is trained to its end, and the race's share of a grid search's time."
        )
        self._section("How long a race must be", "races", [told, "", *lines, ""], frames)

    def _times(self) -> None:
        shown: list[str] = []
        for data in self._part.data:
            found = {
                model: times
                for model in self._part.models
                if (times := costs.times(self._study, self._results, data, model))
            }
            if found:
                shown += self._figure(time_against_grid(found, data), f"time-{data}", "time")
        if shown:
            self._lines += ["## Training time against a grid search", "", *shown, ""]

    def _alphas(self) -> None:
        candidates = self._study.candidates.names
        names: dict[str, str] = {self._study.samplers[name].kind: name for name in candidates}
        shown: list[str] = []
        for data in self._part.data:
            runs = {}
            for model in self._part.models:
                space = self._results.chosen.get((data, model, f"ranked {self._study.candidates.size}"))
                found = self._results.of(data, model, searched(self._study, space)) if space else {}
                if found:
                    runs[model] = found[min(found)]
            if runs:
                shown += self._figure(over_epochs(runs, names, data), f"alpha-{data}", "α")
        if shown:
            self._lines += ["## How α evolves", "", "Of the lowest seed that ran.", "", *shown, ""]

    def _settings(self) -> None:
        lines = ["| | method | learning rate | L2 | α's | search: epochs (best) | training: epochs (best) |"]
        lines.append("|---|---|---:|---:|---:|---:|---:|")
        frames = []
        for data, model in self._part.pairs:
            found = costs.settings(self._study, self._results, data, model)
            if found is None:
                continue
            for number, (method, row) in enumerate(found.iterrows()):
                head = f"{data}, {model}" if number == 0 else ""
                lines.append(
                    f"| {head} | {method} | {row['learning_rate']:g} | {row['l2']:g} | "
                    f"{_number(row.get('alpha_learning_rate'))} | {_epochs(row, 'search')} | "
                    f"{_epochs(row, 'retrain')} |"
                )
            frames.append(found.reset_index().assign(data=data, model=model))
        tuned = "Epochs are means over seeds."
        if self._study.tuning:
            methods = self._study.tuning.methods
            others = f"; other samplers take those of {methods[0]}" if methods else ""
            tuned += (
                f" Learning rate and L2 were tuned for {', '.join(methods) or 'each sampler'}{others}; "
                "AutoSample takes its best candidate's, and tunes α's rate alone. The test part is not "
                "opened for that."
            )
        self._section("Settings and epochs", "settings", [tuned, "", *lines, ""], frames)

    def _words(self) -> str:
        size = self._study.candidates.size
        return (
            f"R, N, P, H: recall, NDCG, precision, hit ratio. {size} best: the {size} candidates that "
            "validate best when they train alone. W′: the weights of the search's best epoch, which "
            "retraining begins with (“custom”); “random”: it begins with new ones. S.S.A.R.: the average "
            "rank that the candidates of a search space have in the overall comparison."
        )


def _number(value: float | None) -> str:
    return NOTHING if value is None or pd.isna(value) else f"{value:g}"


def _epochs(row: pd.Series, stage: str) -> str:
    total, best = row.get(f"{stage}_epochs"), row.get(f"{stage}_best_epoch")
    if total is None or pd.isna(total):
        return NOTHING
    return f"{total:.0f} ({best:.0f})"
