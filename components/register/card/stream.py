"""The card of a model that follows a stream."""

from collections.abc import Iterator
from typing import Final

from components.core.verdict import ExampleVerdict
from components.data.embedding_sizes import EmbeddingSizes
from components.register.card.classification import delivered, measures, metrics, metrics_note, slices
from components.register.card.classification_limits import feedback, few_examples
from components.register.card.facts import Facts
from components.register.card.markdown import code, percent
from components.register.card.method import SHORT, settings
from components.register.card.parts import Pair, Subject, Table

_BEGAN: Final = {
    "champion": "the champion's state",
    "search": "the state that the search left",
    "policy": "the sizes and the networks of another search",
    "none": "an empty state",
}
_SIDES: Final = {"user": "users", "item": "items"}


def subject(facts: Facts) -> Subject:
    """Facts of a stream turned into words and numbers."""
    verdict = facts.verdict
    assert isinstance(verdict, ExampleVerdict)
    return Subject(
        task="stream: raw ids of a user and an item in, the probability of every class out",
        data=[*delivered(facts), *_stream(facts)],
        method=list(_method(facts)),
        metrics=metrics(verdict),
        metrics_note=f"{metrics_note(verdict)} What this model said of an interaction it said before it "
        "learned from it, batch by batch; the champion was asked as it is served, which favours this one.",
        slices=slices(facts, verdict),
        measures=measures(verdict),
        fields=_sizes(facts),
        limits=list(_limits(facts, verdict)),
        feedback=list(feedback(facts, verdict)),
    )


def _stream(facts: Facts) -> Iterator[Pair]:
    sizes, preparation = facts.preparation["sizes"], facts.preparation
    yield "stream", f"{sizes['train']:,} interactions, and {sizes['test']:,} in the tail that tests"
    yield "ids", f"{preparation['users']:,} users, {preparation['items']:,} items"
    if preparation["learned_until"] is not None:
        yield "left out", f"{preparation['left_out']:,} that the champion has learned from, or that came late"


def _method(facts: Facts) -> Iterator[Pair]:
    document = facts.training
    training, began = document["training"], document["began"]
    yield "model", settings(training["model"])
    if "embedding" not in facts.policy.patch:
        yield "embeddings", settings(training["embedding"])
    loss = "squared error" if len(document["classes"]) == 2 else "cross-entropy"
    yield (
        "training",
        f"{loss}, Adam, learning rate {training['learning_rate']:g}, {training['batch_size']:,} interactions "
        f"a step, each once; {document['interactions']:,} in this run",
    )
    told = _BEGAN[began["from"]]
    if began["champion_sha256"] is not None:
        told += f", which goes on from the champion (model {code(began['champion_sha256'][:SHORT])})"
    yield "began with", told


def _sizes(facts: Facts) -> Table:
    """How many embeddings there are of each size, and what they take (ESAPN Table 2)."""
    rows = []
    found = {side: EmbeddingSizes.of(facts.training["sides"][side]) for side in _SIDES}
    for side, sizes in found.items():
        numbers = (f"{count:,}" for count in sizes.counts.values())
        rows.append((_SIDES[side], *numbers, f"{sizes.taken:,}", percent(sizes.share)))
    header = ("embeddings of size", *map(str, found["user"].counts), "bytes", "of all at the largest")
    return Table(header=header, rows=rows)


def _limits(facts: Facts, verdict: ExampleVerdict) -> Iterator[str]:
    """Measured limits, one sentence or two each."""
    for side, share in facts.preparation["unknown"].items():
        if share:
            yield (
                f"{percent(share)} of the tail is of {_SIDES[side]} that came for the first time in it: "
                "of them the model knows nothing before it has seen one."
            )
    yield (
        "The metrics are of a model that keeps learning. What is served stands still until the next version: "
        "how fast it ages then is not measured."
    )
    yield (
        "The interactions are what an earlier system chose to show: how well the model judges anything else "
        "is not measured."
    )
    yield (
        "The intervals are over the tail's interactions alone. Another seed gives another model, and that "
        "spread is not in them."
    )
    yield from few_examples(facts, verdict)
