"""What was delivered, and what prepare made of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.core.columns import NUM_INTERACTIONS
from components.evaluate.ranking.report.findings import Findings
from components.evaluate.report.axes import number
from components.evaluate.report.charts import Chart, bar_chart, line_chart
from components.evaluate.report.document import Table, text, words

_QUANTILES = ("min", "q25", "median", "q75", "q90", "q99", "max", "mean")
_RANKS = 60  # points of the popularity curve


def data_charts(findings: Findings) -> Iterator[Chart]:
    """Item popularity, as delivered and as prepared."""
    bins = findings.profile["popularity_histogram"]
    yield bar_chart(
        "Popularity as delivered",
        "interactions of an item",
        "items",
        {number_range(entry["from"], entry["to"]): entry["items"] for entry in bins},
        note="Items by their number of interactions; each bar is twice as wide as the one before.",
    )
    ordered = np.sort(findings.table("dataset", "items.parquet")[NUM_INTERACTIONS].to_numpy())[::-1]
    ranks = np.unique(np.geomspace(1, len(ordered), _RANKS).round().astype(int))
    top = ordered[: max(1, round(len(ordered) / 100))].sum() / ordered.sum()
    yield line_chart(
        "Popularity as prepared",
        "rank of an item",
        {"items": [(float(rank), float(ordered[rank - 1])) for rank in ranks]},
        logarithmic=True,
        note=f"Interactions by rank, both axes logarithmic. The top 1 % of the items hold {100 * top:.0f} %.",
    )


def data_tables(findings: Findings) -> Iterator[Table]:
    """Counts from delivery to dataset, and what the profile says."""
    profile, preparation = findings.profile, findings.preparation
    yield _funnel(profile, preparation)
    spread = {
        name: profile[key]
        for name, key in (
            ("per user", "interactions_per_user"),
            ("per item", "popularity"),
            ("rating", "rating"),
        )
        if profile[key]
    }
    yield _matrix("Interactions, as delivered", spread, _QUANTILES)
    if profile["rejected_by_reason"]:
        counts = sorted(profile["rejected_by_reason"].items(), key=lambda entry: (-entry[1], entry[0]))
        rows = [(reason, number(count)) for reason, count in counts]
        yield Table(caption="Rejected rows", header=("reason", "rows"), rows=rows)
    if preparation["rounds"]:
        rounds = {f"round {number}": entry for number, entry in enumerate(preparation["rounds"], 1)}
        core = preparation["core"]
        wanted = f"at least {core['users']} per user and {core['items']} per item"
        yield _matrix(f"Core: {wanted}", rounds, ("interactions", "users", "items"))
    yield _preparation(profile, preparation)


def number_range(low: int, high: int) -> str:
    """1, or 2–3."""
    return number(low) if low == high else f"{number(low)}–{number(high)}"


def _funnel(profile: Mapping[str, Any], preparation: Mapping[str, Any]) -> Table:
    rounds = preparation["rounds"]
    removed = {key: sum(entry[key] for entry in rounds) for key in ("interactions", "users", "items")}
    unseen = preparation["unseen"]
    lost = unseen["valid"] + unseen["test"]
    steps: list[tuple[str, Sequence[int | None]]] = [
        ("rows delivered", (profile["rows"], None, None)),
        ("− rejected", (profile["rejected_rows"], None, None)),
        ("− duplicates", (profile["duplicates_dropped"], None, None)),
        *_pairing(profile),
        ("interactions", (profile["interactions"], profile["users"], profile["items"])),
        ("− rated too low", (preparation["below_min_rating"], None, None)),
        (
            f"− core, {len(rounds)} round{'' if len(rounds) == 1 else 's'}",
            (removed["interactions"], removed["users"], removed["items"]),
        ),
        (
            f"{'↷' if unseen['policy'] == 'move' else '−'} unseen in train",
            (lost, unseen["users"], unseen["items"]),
        ),
        ("dataset", (sum(preparation["sizes"].values()), preparation["users"], preparation["items"])),
    ]
    rows = [
        (name, *("" if count is None else number(count) for count in counts))
        for name, counts in steps
        if counts[0] or not name.startswith(("−", "↷"))
    ]
    return Table(caption="From delivery to dataset", header=("", "interactions", "users", "items"), rows=rows)


def _pairing(profile: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, None, None]]]:
    """How rows of sessions become pairs of items; nothing for other sources."""
    if sessions := profile.get("sessions"):
        yield f"rows of {number(sessions['sessions'])} sessions", (sessions["rows"], None, None)
        yield "pairs of items in them", (profile["interactions"] + sessions["rare_pairs"], None, None)
        yield "− pairs in too few sessions", (sessions["rare_pairs"], None, None)


def _preparation(profile: Mapping[str, Any], preparation: Mapping[str, Any]) -> Table:
    split = preparation["split"]
    told = {
        "density as delivered": f"{100 * profile['density']:.3g} %",
        **{
            f"sessions {why}": number(profile["sessions"][key])
            for key, why in (("alone", "with one item"), ("too_long", "left out as too long"))
            if profile.get("sessions")
        },
        "split": split["kind"],
        **{words(key): value for key, value in split.items() if key not in {"kind", "sizes"}},
        "core reached": f"{preparation['core_reached']['users']} × {preparation['core_reached']['items']}",
        **{f"{when} interaction": _time(time) for when, time in (profile["time_range"] or {}).items()},
    }
    return Table(caption="Details", header=(), rows=[(key, text(value)) for key, value in told.items()])


def _time(iso8601: str) -> str:
    return iso8601.replace("T", " ").replace("+00:00", " UTC")


def _matrix(caption: str, entries: Mapping[str, Mapping[str, float]], header: Sequence[str]) -> Table:
    rows = [(name, *(number(entry[key]) for key in header)) for name, entry in entries.items()]
    return Table(caption=caption, header=("", *header), rows=rows)
