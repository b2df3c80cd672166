"""One method against the others, as tables of a page."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from components.study.comparing import SIGNIFICANT, Comparison
from components.study.significance import lead


def leads(found: Comparison, ours: str, metrics: Sequence[str]) -> pd.DataFrame:
    """`ours` against the best of the others, one row a metric; empty where it did not run."""
    return pd.DataFrame([lead(found, ours, metric) for metric in metrics] if ours in found.methods else [])


def markdown(found: Comparison, ours: str, heads: Mapping[str, str], ahead: pd.DataFrame) -> Iterator[str]:
    """Means ± deviations and ranks; a star where `ours` passes the test over seeds against the best of the
    others, a dagger where it passes that over examples.

    Args:
        heads: metric → the head of its column.
        ahead: the table of `leads`.
    """
    yield f"| | {' | '.join(heads[name] for name in found.metrics)} |"
    yield f"|---|{'---:|' * len(found.metrics)}"
    rows = {row["metric"]: row for _, row in ahead.iterrows()}
    for name in found.methods:
        cells = []
        for metric in found.metrics:
            marks = ""
            if name == ours and metric in rows and rows[metric]["lead"] > 0:
                marks += "*" if rows[metric]["p_seeds"] < SIGNIFICANT else ""
                marks += "†" if rows[metric]["p_examples"] < SIGNIFICANT else ""
            cells.append(f"{told(found, name, metric)}{marks} ({found.rank(name, metric)})")
        yield f"| {name} | {' | '.join(cells)} |"


def told(found: Comparison, method: str, metric: str) -> str:
    """Mean ± deviation; the mean alone for a single seed."""
    spread = f" ± {found.deviation(method, metric):.4f}" if len(found.seeds) > 1 else ""
    return f"{found.mean(method, metric):.4f}{spread}"


def lead_lines(found: Mapping[tuple[str, str], pd.DataFrame], examples: str) -> Iterator[str]:
    """The tables of `leads`, by data and model, as one in Markdown.

    Args:
        examples: what the second test is paired by.
    """
    yield f"| | | best baseline | lead | p over seeds | p over {examples} |"
    yield "|---|---|---|---:|---:|---:|"
    for (data, model), table in found.items():
        for _, row in table.iterrows():
            yield (
                f"| {data}, {model} | {row['metric']} | {row['baseline']} | {row['lead']:+.4f} | "
                f"{row['p_seeds']:.2g} | {row['p_examples']:.2g} |"
            )
