"""The model card: what it says, that it says it again byte by byte, and what it never says."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.core.gates import Gate
from components.core.manifest import Manifest
from components.core.recipe import RegisterParams
from components.core.recipe.ranking_judgement import RankingEvaluation, RankingPromotion
from components.data.document import read_document, write_document
from components.register.card import Facts, render_card, shorten, spaced
from components.register.card.markdown import code, inline, public

WIDE = "\u2002\u200b"
SECRETS = ("hunter2", "AKIAEXAMPLE", "X-Amz-Signature", "tok3n")
WORDS = {
    "intended_use": "Films for the home page. **Not** for children's profiles.",
    "licence": "[Ours](https://example.org/licence).",
    "limits": "Knows nothing of series.",
    "contact": "films@example.org",
}


def against(challenger: float, other: float, low: float, high: float) -> dict[str, Any]:
    difference = challenger - other
    return {
        "challenger": challenger,
        "other": other,
        "difference": difference,
        "low": low,
        "high": high,
        "p_value": 0.01,
        "better": 2,
        "equal": 1,
        "worse": 1,
    }


def verdict(*, champion: bool) -> dict[str, Any]:
    metrics = ("ndcg@20", "recall@20", "ndcg@10")
    names = (["champion"] if champion else []) + ["popularity", "item_knn"]
    older = {"champion": 0.25, "difference": 0.05, "low": -0.01, "high": 0.11} if champion else {}
    gates = [
        Gate(name="ndcg@20", subject="model", value=0.3, low=0.2, passed=True, told="ndcg@20 0.3000 is fine"),
        Gate(
            name="ndcg@20",
            subject="item_knn",
            value=-0.1,
            low=0,
            severity="hold",
            passed=False,
            told="-0.1 | worse",
        ),
        Gate(
            name="volume", subject="delivery", value=2.0, severity="warn", passed=True, told="only measured"
        ),
    ]
    return {
        "promote": False,
        "reason": "ndcg@20 0.3000 is not above 0.3500",
        "rule": "champion" if champion else "first",
        "metric": "ndcg@20",
        "margin": 0.0,
        "confidence": 0.95,
        "resamples": 1000,
        "num_users": 4,
        "challenger": 0.3,
        "champion": 0.25 if champion else None,
        "champion_version": "6" if champion else None,
        "floors": {},
        "comparisons": {
            name: {metric: against(0.3, 0.25, 0.01, 0.09) for metric in metrics} for name in names
        },
        "slices": [
            {"slice": "light_users", "metric": "ndcg@20", "users": 150, "challenger": 0.2, **older},
            {"slice": "tail_items", "metric": "ndcg@20", "users": 3, "challenger": 0.125, **older},
        ],
        "beyond_accuracy": {
            f"{measure}@20": {
                "challenger": 0.5,
                "champion": 0.75 if champion else None,
                "popularity": 0.125,
                "item_knn": 0.25,
            }
            for measure in ("coverage", "gini", "popularity")
        },
        "gates": [gate.document() for gate in gates],
    }


@pytest.fixture
def made(loop: Any) -> Any:
    """Facts of a small finished loop; keywords change what they rest on."""

    def make(
        *, champion: bool = False, words: dict[str, str] | None = None, uri: str = "s3://bucket/day.csv"
    ) -> Facts:
        users, items = ["a", "b", "c", "d"], ["x", "y", "z"]
        pairs = [(user, user % 3) for user in range(4)]
        loop.interactions()
        loop.dataset(users, items, pairs, [(0, 1)], [(1, 2)])
        loop.policy()
        loop.model(users, items, np.eye(4), np.eye(4)[:3])
        if champion:
            training = loop.root / "model" / "training.json"
            tensors = {"users": {"rows": "user", "carried": 3, "fresh": 1, "lost": 2, "reason": ""}}
            warm = {"from": "champion", "champion_sha256": "c" * 64, "tensors": tensors}
            write_document({**read_document(training), "warm_start": warm}, training)
        promotion = RankingPromotion(metric="ndcg@20").model_dump(mode="json")
        evaluated = {"evaluation": RankingEvaluation().model_dump(mode="json"), "promotion": promotion}
        write_document(verdict(champion=champion), loop.folder("evaluation") / "verdict.json")
        write_document({"source": "f" * 64}, loop.root / "evaluation" / "lineage.json")
        loop.publish("evaluation", "evaluate", ["model"], params=evaluated)
        manifests = dict(loop.manifests)
        entry = {"uri": uri, "sha256": "f" * 64}
        changes = {"inputs": {"source": entry}, "params": {"source": {"kind": "files"}}}
        document = manifests["interactions"].model_dump(mode="json") | changes
        manifests["interactions"] = Manifest.model_validate(document)
        recipe = {"name": "films", **({} if words is None else {"card": words}), "source": {"path": uri}}
        params = RegisterParams(
            model="films", tracking_uri="http://mlflow", experiment="films", ledger="s3://l", recipe=recipe
        )
        return Facts.read(params, "7", {name: loop.root / name for name in manifests}, manifests)

    return make


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    assert found, f"{title} is not in\n{card}"
    return found[1]


def test_what_a_first_version_says(made: Any) -> None:
    card = render_card(made())
    assert card.startswith("# films, version 7\n")
    assert "ndcg@20 0.3000 is not above 0.3500" in card
    assert "2026-01-01 00:00 UTC" in card  # the evaluation's manifest, not today
    use = section(card, "Use")
    assert "does not say what the model is for" in use
    assert use.count("not stated") == 2
    data = section(card, "Data")
    assert "`s3://bucket/day.csv`, `sha256 ffff" in data
    assert (
        "33 rows, of which 2 were unusable and 1 repeated another: 30 interactions of 5 users with 8 items"
        in data
    )
    assert "4 train, 1 valid, 1 test" in data
    metrics = section(card, "Metrics")
    assert "| **ndcg@20** | 0.3000 | +0.0500 [+0.0100, +0.0900] | +0.0500 [+0.0100, +0.0900] |" in metrics
    assert metrics.index("ndcg@20") < metrics.index("| recall@20") < metrics.index("| ndcg@10")
    assert "| tail items | ndcg@20 | 3 | 0.1250 | – |" in metrics
    assert "| coverage@20 | 0.5000 | – | 0.1250 | 0.2500 |" in metrics
    limits = section(card, "Limits")
    assert "1 of 5 users (20.0 %)" in limits
    assert "fewer than 100 users, too few to say anything: tail items (3)" in limits
    assert "light users" not in limits
    feedback = section(card, "Feedback loops")
    assert "shows 50.0 % of the items" in feedback
    assert "Gini coefficient of exposure of 0.50" in feedback
    assert "0.1250, against 0.3000 over all" in feedback
    method = section(card, "Method")
    assert "`autosample` decided in 3 epochs: sampler = `dns` (pool_size 8)" in method
    assert "**first weights**: the search's" in method
    gates = section(card, "Gates")
    assert r"| model | item_knn: ndcg@20 | **held** | −0.1 \| worse |" in gates
    assert "only measured" not in gates
    assert "2 gates, of which 1 warned or held back; 1 more" in gates


def test_what_a_challenger_says_beside(made: Any) -> None:
    card = render_card(made(champion=True, words=WORDS))
    for words in WORDS.values():
        assert words in card
    assert "− champion (version 6)" in section(card, "Metrics")
    assert "| tail items | ndcg@20 | 3 | 0.1250 | +0.0500 [−0.0100, +0.1100] |" in card
    assert "Against the champion: coverage −25.0 points, Gini −0.25." in card
    assert "the champion's (model `cccccccccccc`); new rows: random" in section(card, "Method")
    assert "| `users` | 3 | 1 | 2 |" in section(card, "Method")


def test_equal_facts_give_equal_bytes(made: Any) -> None:
    facts = made(champion=True)
    assert render_card(facts) == render_card(facts)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAEXAMPLE:hunter2@bucket/day.csv",
        "https://host/day.csv?X-Amz-Signature=tok3n",
        "https://hunter2@host:8443/day.csv#tok3n",
    ],
)
def test_no_secret_of_a_place_is_in_it(made: Any, uri: str) -> None:
    card = render_card(made(champion=True, uri=uri))
    assert not [secret for secret in SECRETS if secret in card]
    assert "/day.csv`" in card


def test_public_keeps_what_tells_the_place() -> None:
    assert public("s3://k:s@bucket/a/*.csv?v=1") == "s3://bucket/a/*.csv"
    assert public("/data/what?.csv") == "/data/what?.csv"  # a glob, no query


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40))
def test_text_stays_text(text: str) -> None:
    """What a table's cell shows is what was said, whatever it was."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    cells = [cell for cell in (inline(text), code(text)) if text.strip()]
    html = markdown.render("| a |\n| :-- |\n" + "\n".join(f"| x {cell} |" for cell in cells))
    assert html.count("<td") == len(cells)
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td|code)\b)", html)


def test_cells_stand_apart_on_mlflows_page_and_nothing_else_changes(made: Any) -> None:
    card = render_card(made(champion=True, words={"intended_use": "a | b"}))
    told = spaced(card)
    assert told.replace(WIDE, "") == card
    assert f"| **ndcg@20**{WIDE} | 0.3000{WIDE} | +0.0500 [" in told
    assert "| :-- | --: |" in told
    assert not [line for line in told.splitlines() if line.endswith(f"{WIDE} |") or WIDE * 2 in line]


def test_a_long_card_is_cut_between_sections(made: Any) -> None:
    card = render_card(made())
    assert shorten(card, len(card)) == card
    for limit in range(1000, len(card), 97):
        short = shorten(card, limit)
        assert len(short) <= limit
        *whole, last = short.split("\n\n*")
        assert card.startswith("\n\n*".join(whole))
        kept = re.findall(r"^## (.*)", short, re.MULTILINE)
        cut = last.partition(": in model_card.md")[0].split(", ")
        assert kept + cut == re.findall(r"^## (.*)", card, re.MULTILINE)
    with pytest.raises(ValueError, match="longer than 50 characters"):
        shorten(card, 50)
