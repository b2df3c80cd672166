"""What the card of a model that follows a stream says."""

from typing import Any

from components.core.recipe import RegisterParams
from components.core.recipe.stream import Esapn, StreamTraining
from components.core.verdict import ExampleVerdict
from components.data.document import write_document
from components.register.card import Facts, render_card

from .classifier_loop import make, slice_of, verdict
from .test_card import section

BEGAN = {"from": "search", "champion_sha256": None}
SIDES = {
    "user": {
        "ids": 1400,
        "counts": {"2": 1200, "8": 150, "64": 50},
        "bytes": {"2": 9600, "8": 4800, "64": 12800},
    },
    "item": {"ids": 30, "counts": {"2": 0, "8": 10, "64": 20}, "bytes": {"2": 0, "8": 320, "64": 5120}},
}


def card_of(
    loop: Any,
    *,
    began: dict[str, Any] = BEGAN,
    classes: tuple[str, ...] = ("no", "yes"),
    preparation: dict[str, Any] | None = None,
    patch: bool = True,
) -> str:
    judged = verdict().model_dump(mode="json")
    slices = [
        slice_of("user_seen", "0", 150, "auc", 0.6),
        slice_of("item_seen", "1000+", 3, "logloss", None),
    ]
    inputs = make(loop, ExampleVerdict.model_validate({**judged, "task": "stream", "slices": slices}))
    training = StreamTraining(embedding=Esapn(sizes=(2, 8, 64)))
    embedding = training.model_dump(mode="json")["embedding"]
    documents = {
        "dataset/preparation.json": {
            "classes": list(classes),
            "sizes": {"train": 4000, "test": 1000},
            "users": 400,
            "items": 30,
            "unknown": {"user": 0.25, "item": 0.0},
            "order": {"policy": "sort", "late": 0},
            "left_out": 0,
            "learned_until": None,
            "last_timestamp": 9,
            **(preparation or {}),
        },
        "policy/policy.json": {
            "kind": "esapn" if patch else "none",
            "patch": {"embedding": embedding} if patch else {},
            "decision": {"sizes": {"user": {"2": 9}, "item": {"2": 9}}, "began": BEGAN, "interactions": 4000},
            "best_epoch": 1,
            "epochs": 1,
        },
        "model/training.json": {
            "training": training.model_dump(mode="json"),
            "began": began,
            "classes": list(classes),
            "interactions": 1000,
            "last_timestamp": 9,
            "sides": SIDES,
        },
    }
    for place, document in documents.items():
        write_document(document, loop.root / place)
    params = RegisterParams(
        task="stream",
        model="clicks",
        tracking_uri="http://mlflow",
        experiment="clicks",
        ledger="s3://l",
        recipe={"name": "clicks"},
    )
    return render_card(Facts.read(params, "7", inputs, loop.manifests))


def test_what_a_first_stream_says(loop: Any) -> None:
    card = card_of(loop)
    assert card.startswith("# clicks, version 7\n")
    assert "stream: raw ids of a user and an item in, the probability of every class out; `mlp`" in card
    data = section(card, "Data")
    assert "4,000 interactions, and 1,000 in the tail that tests" in data
    assert "400 users, 30 items" in data
    assert "left out" not in data
    assert "said before it learned from it" in section(card, "Metrics")
    assert "the champion was asked as it is served" in section(card, "Metrics")
    method = section(card, "Method")
    assert "`esapn` decided while 4,000 interactions went by: embedding = `esapn` (frequency_dim" in method
    assert "sizes 2, 8, 64)" in method
    assert "**embeddings**" not in method  # the search has told them
    assert "squared error, Adam, learning rate 0.001, 500 interactions a step, each once; 1,000 in" in method
    assert "the state that the search left" in method
    assert "champion" not in method
    limits = section(card, "Limits")
    assert "25.0 % of the tail is of users that came for the first time in it" in limits
    assert "of items that came" not in limits
    assert "how fast it ages then is not measured" in limits
    assert "| user_seen: 0 | 150 |" in card


def test_sizes_are_told_as_they_are_stored(loop: Any) -> None:
    """27,200 of 4 · 64 · 1,400 = 358,400 bytes are 7.6 %; 5,440 of 7,680 are 70.8 %."""
    card = card_of(loop)
    assert "| embeddings of size | 2 | 8 | 64 | bytes | of all at the largest |" in card
    assert "| users | 1,200 | 150 | 50 | 27,200 | 7.6 % |" in card
    assert "| items | 0 | 10 | 20 | 5,440 | 70.8 % |" in card


def test_where_the_stream_began_is_told(loop: Any) -> None:
    learned = {"learned_until": 7, "left_out": 1250}
    went_on = card_of(
        loop,
        began={"from": "search", "champion_sha256": "f" * 64},
        classes=("1", "2", "3"),
        preparation=learned,
    )
    told = "the state that the search left, which goes on from the champion (model `ffffffffffff`)"
    assert told in section(went_on, "Method")
    assert "cross-entropy, Adam" in section(went_on, "Method")
    assert "1,250 that the champion has learned from, or that came late" in section(went_on, "Data")
    anew = card_of(loop, began={"from": "none", "champion_sha256": None}, patch=False)
    method = section(anew, "Method")
    assert "**began with**: an empty state" in method
    assert "goes on from the champion" not in method
    assert "**embeddings**: `esapn` (frequency_dim 32" in method
    assert "none: the recipe decides" in method
