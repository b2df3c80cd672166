"""The report's tables of the data."""

import json
from types import SimpleNamespace

from components.evaluate.ranking.report.data import data_tables


def test_rows_of_sessions_become_pairs_of_items(loop):
    profile = json.loads((loop.interactions() / "profile.json").read_text())
    counts = {"rows": 30, "sessions": 9, "alone": 4, "too_long": 2, "rare_pairs": 70}
    profile |= {"rows": 33, "duplicates_dropped": 1, "interactions": 30, "sessions": counts}
    dataset = loop.dataset(["u", "v"], ["a", "b", "c"], [(0, 0), (1, 1)], [], [(0, 2)])
    preparation = json.loads((dataset / "preparation.json").read_text())
    funnel, *_, details = data_tables(SimpleNamespace(profile=profile, preparation=preparation))
    assert [row[:2] for row in funnel.rows][:7] == [
        ("rows delivered", "33"),
        ("− rejected", "2"),
        ("− duplicates", "1"),
        ("rows of 9 sessions", "30"),
        ("pairs of items in them", "100"),
        ("− pairs in too few sessions", "70"),
        ("interactions", "30"),
    ]
    assert {("sessions with one item", "4"), ("sessions left out as too long", "2")} <= set(details.rows)
