"""What a study of sizes says, in sentences: each claim of ESAPN's §3.5 to §3.7 with the number of cases where
it holds. A case is a metric of a stream."""

from collections.abc import Iterator, Sequence

from components.metrics.direction import lead
from components.study.comparing import SIGNIFICANT, Comparison
from components.study.conducting import Part
from components.study.sizes import tables
from components.study.sizes.conducting import Results
from components.study.sizes.schema import SizesStudy


def findings(study: SizesStudy, results: Results, part: Part) -> Iterator[str]:
    """A sentence or two for each claim that there are cells for."""
    overall = tables.overall(study, results, part)
    compared = list(overall.values())
    yield from _order(study, compared)
    yield from _leads(study, compared)
    yield from _memory(study, overall)
    yield from _speed(study, overall)


def _order(study: SizesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    """Which method is better than which (§3.5)."""
    others = [name for name in study.methods if name not in {study.ours, study.fixed}]
    for better, worse in (
        (study.ours, study.fixed),
        *((study.ours, other) for other in others),
        *((other, study.fixed) for other in others),
    ):
        cases = [
            lead(metric, one.mean(better, metric), one.mean(worse, metric))
            for one in compared
            if {better, worse} <= set(one.methods)
            for metric in one.metrics
        ]
        if cases:
            held = sum(case > 0 for case in cases)
            yield f"{better} is better than {worse} in {held} of {len(cases)} cases, by means over seeds."


def _leads(study: SizesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    """How sure that is."""
    rows = [row for one in compared for _, row in tables.leads(study, one).iterrows()]
    if not rows:
        return
    ahead, behind = (
        sum(sign * row["lead"] > 0 and row["p_seeds"] < SIGNIFICANT for row in rows) for sign in (1, -1)
    )
    yield (
        f"Against the best of the others {study.ours} is ahead with p < 0.05 over seeds in {ahead} of "
        f"{len(rows)} cases, and behind in {behind}."
    )


def _memory(study: SizesStudy, overall: tables.Tables) -> Iterator[str]:
    """What embeddings take (§3.7)."""
    told = []
    for (data, _), one in overall.items():
        if {study.ours, study.fixed} <= set(one.methods):
            table = tables.memory(study, one)
            ours = table[table["method"] == study.ours].set_index("side")["bytes_ratio"]
            told.append(f"{data} {ours['user']:.0%} (users) and {ours['item']:.0%} (items)")
    if told:
        yield f"Of the bytes of {study.fixed} the embeddings of {study.ours} take: {'; '.join(told)}."


def _speed(study: SizesStudy, overall: tables.Tables) -> Iterator[str]:
    told = []
    for (data, _), one in overall.items():
        table = tables.speed(study, one).set_index("method")["ratio"]
        if study.ours in table:
            told.append(f"{data} {table[study.ours]:.2f}")
    if told:
        yield f"{study.ours}'s speed as a multiple of {study.fixed}'s: {'; '.join(told)}."
