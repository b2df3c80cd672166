"""A verdict as the page that somebody decides by."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.core.recipe import Recipe
from components.core.store import join
from components.core.verdict import AnyComparison, AnyVerdict, Comparison, ExampleVerdict, Verdict
from components.metrics.direction import LOWER_IS_BETTER

_ALL = "all users"
Row = tuple[str, ...]


def page(recipe: Recipe, verdict: AnyVerdict, found: Mapping[str, Any], evaluation: str) -> str:
    """Markdown: what the answer can rest on.

    Args:
        found: what the registration says.
        evaluation: URI of the artifact.
    """
    return "\n\n".join(part for part in _parts(recipe, verdict, found, evaluation) if part)


def _parts(recipe: Recipe, verdict: AnyVerdict, found: Mapping[str, Any], evaluation: str) -> Iterator[str]:
    champion = verdict.champion_version
    named = f"**Version {found['version']}** of `{found['model']}`, from recipe `{recipe.name}`"
    yield f"{named}: {verdict.reason}."
    yield (
        f"It was compared with version {champion}, the champion, on {_tested(verdict)}."
        if champion
        else "There is no champion yet: it was compared with the baselines."
    )
    yield _table(
        "Gates",
        ("", "gate", "of", "found"),
        [(gate.outcome, gate.name, gate.subject, gate.told) for gate in verdict.gates],
    )
    for other in sorted(verdict.comparisons):  # the champion comes first
        yield _against(verdict, other)
    if isinstance(verdict, Verdict):
        yield from _of_ranking(verdict)
    elif isinstance(verdict, ExampleVerdict):
        yield from _of_classification(verdict)
    where = f"{recipe.tracking_uri}/#/models/{found['model']}/versions/{found['version']}"
    registry = f"<{where}>" if where.startswith("http") else f"`{recipe.tracking_uri}`"
    yield f"Report: `{join(evaluation, 'report.html')}`  \nMLflow: {registry}, run `{found['run_id']}`"
    yield "Approve makes it champion, for the next load; Reject changes nothing. The ledger keeps both."


def _tested(verdict: AnyVerdict) -> str:
    if isinstance(verdict, ExampleVerdict):
        return f"{verdict.num_examples:,} test examples"
    return f"{verdict.num_users:,} test users" if isinstance(verdict, Verdict) else "the test"


def _against(verdict: AnyVerdict, other: str) -> str:
    comparisons = verdict.comparisons[other]
    name = "the champion" if other == "champion" else other.replace("_", "-")
    ordered = sorted(comparisons, key=lambda metric: (metric != verdict.metric, metric))
    header = ("metric", "challenger", name, "difference", f"{verdict.confidence:.0%} interval", "p")
    return _table(
        f"Against {name}",
        (*header, "users") if isinstance(verdict, Verdict) else header,
        [_comparison(metric, comparisons[metric]) for metric in ordered],
    )


def _comparison(metric: str, compared: AnyComparison) -> Row:
    row = (
        _metric(metric),
        _number(compared.challenger),
        _number(compared.other),
        _signed(compared.difference),
        _interval(compared.low, compared.high),
        f"{compared.p_value:.3g}",
    )
    if not isinstance(compared, Comparison):
        return row
    return (*row, f"{compared.better:,} better, {compared.equal:,} equal, {compared.worse:,} worse")


def _of_ranking(verdict: Verdict) -> Iterator[str]:
    yield _table(
        "Slices",
        ("whose", "metric", "users", "challenger", "champion", "difference", "interval"),
        [
            (
                one.slice.replace("all", _ALL).replace("_", " "),
                one.metric,
                f"{one.users:,}",
                _number(one.challenger),
                _number(one.champion),
                _signed(one.difference),
                _interval(one.low, one.high),
            )
            for one in verdict.slices
        ],
    )
    yield _table(
        "Beyond accuracy",
        ("measure", "challenger", "champion", "popularity", "item-knn"),
        [
            (name, *map(_number, (one.challenger, one.champion, one.popularity, one.item_knn)))
            for name, one in sorted(verdict.beyond_accuracy.items())
        ],
    )


def _of_classification(verdict: ExampleVerdict) -> Iterator[str]:
    yield _table(
        "Slices",
        ("field", "value", "metric", "examples", "challenger", "champion", "difference", "interval"),
        [
            (
                one.field,
                one.value,
                _metric(one.metric),
                f"{one.examples:,}",
                _number(one.challenger),
                _number(one.champion),
                _signed(one.difference),
                _interval(one.low, one.high),
            )
            for one in verdict.slices
        ],
    )
    yield _table(
        "All metrics",
        ("metric", "challenger", "champion", "prior"),
        [
            (_metric(name), *map(_number, (one.challenger, one.champion, one.prior)))
            for name, one in sorted(verdict.metrics.items())
        ],
    )


def _metric(name: str) -> str:
    return f"{name} (less is better)" if name in LOWER_IS_BETTER else name


def _table(title: str, columns: Row, rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:+.4f} … {high:+.4f}"
