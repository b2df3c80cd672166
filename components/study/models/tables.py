"""What a study of models found, as tables in the form of AMER's."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pandas as pd

from components.core.verdict import VERDICT_FILE, read_verdict
from components.study.comparing import SIGNIFICANT, Comparison, compared
from components.study.conducting import Part
from components.study.leading import told
from components.study.models.conducting import Results
from components.study.models.grid import Method
from components.study.models.schema import ModelsStudy
from components.study.page import NOTHING
from components.study.results import read
from components.study.significance import p_over_seeds

Tables = dict[str, Comparison]  # by data


def overall(study: ModelsStudy, results: Results, part: Part) -> Tables:
    """All lines, by data."""
    found = {}
    for data in part.data:
        ran = {name: results.of(data, name, Method()) for name in part.models}
        one = compared(ran, study.metrics)
        if one is not None:
            found[data] = one
    return found


def baselines(study: ModelsStudy, found: Comparison) -> list[str]:
    """Lines that are not ours."""
    return [name for name in found.methods if name not in study.ours]


def leads(study: ModelsStudy, found: Comparison) -> pd.DataFrame:
    """Each of ours against the best baseline, one row a metric; empty where there is none."""
    rows = []
    others = baselines(study, found)
    for name in study.ours:
        if name not in found.methods or not others:
            continue
        for metric in found.metrics:
            best = min((found.rank(other, metric), place) for place, other in enumerate(others))[1]
            rows.append(
                {
                    "model": name,
                    "metric": metric,
                    "baseline": others[best],
                    "lead": found.lead(name, others[best], metric),
                    "p_seeds": p_over_seeds(found.outcomes[name], found.outcomes[others[best]], metric),
                }
            )
    return pd.DataFrame(rows)


def markdown(study: ModelsStudy, found: Comparison) -> Iterator[str]:
    """Means ± deviations and ranks; a star where one of ours is ahead of the best baseline."""
    ahead = leads(study, found)
    stars = {
        (row["model"], row["metric"])
        for _, row in ahead.iterrows()
        if row["lead"] > 0 and row["p_seeds"] < SIGNIFICANT
    }
    yield f"| | {' | '.join(found.metrics)} |"
    yield f"|---|{'---:|' * len(found.metrics)}"
    for name in found.methods:
        cells = [
            f"{told(found, name, metric)}{'*' * ((name, metric) in stars)} ({found.rank(name, metric)})"
            for metric in found.metrics
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    for name, values in compared_with(found).items():
        known = [f"{values[metric]:.4f}" if metric in values else NOTHING for metric in found.metrics]
        yield f"| *{name}* | {' | '.join(known)} |"


def compared_with(found: Comparison) -> dict[str, dict[str, float]]:
    """Baseline → metric → its value: what every evaluation compares with besides, as popularity (POP) or the
    classes' shares. Read where the first line with the first seed was evaluated."""
    outcome = next(iter(found.outcomes[found.methods[0]].values()))
    place = Path(outcome.places["evaluation"])
    values: dict[str, dict[str, float]] = {
        name: {metric: one.other for metric, one in compared.items()}
        for name, compared in read_verdict(place / VERDICT_FILE).comparisons.items()
    }
    if (place / "sampled.parquet").exists():
        for _, row in read(outcome, "evaluation", "sampled.parquet").iterrows():
            if row["model"] in values:
                values[row["model"]][f"sampled_{row['metric']}@{row['k']}"] = row["value"]
    return values


def times(study: ModelsStudy, found: Comparison) -> pd.DataFrame:
    """Seconds of search and training, medians over seeds. A policy that is taken over took as long as it did
    where it was found; NaN where that is not among the lines."""
    rows = []
    for name, outcomes in found.outcomes.items():
        ran = [outcome.metrics for outcome in outcomes.values()]
        searched = found.outcomes.get(study.models[name].policy_of or name, {})
        seconds = [outcome.metrics["search"].get("training_seconds", 0.0) for outcome in searched.values()]
        rows.append(
            {
                "model": name,
                "search": median(seconds) if seconds else float("nan"),
                "training": median(one["retrain"]["training_seconds"] for one in ran),
                "epochs": median(one["retrain"]["epochs"] for one in ran),
            }
        )
    return pd.DataFrame(rows)
