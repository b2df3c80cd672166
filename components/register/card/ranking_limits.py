"""What a ranking's own numbers say of where it fails, and of what it does to its data."""

from collections.abc import Iterator
from typing import Final

from components.core.recipe.ranking_judgement import RankingPromotion
from components.core.verdict import Verdict
from components.register.card.facts import Facts
from components.register.card.markdown import percent, signed

_SPLITS: Final = {
    "random": "Test interactions were drawn at random, so the model was asked about times that it had "
    "seen: how well it holds up later is not measured.",
    "temporal": "Test interactions are the newest. Users and items that came only then are not in them.",
    "leave_one_out": "Each user is tested on one interaction, so the metrics of one user are coarse.",
    "given": "The source brought its own test part; how it was drawn is its publisher's matter.",
}


def limits(facts: Facts, verdict: Verdict) -> Iterator[str]:
    """Measured limits, one sentence or two each."""
    profile, preparation = facts.profile, facts.preparation
    for side in ("users", "items"):
        delivered, kept = profile[side], preparation[side]
        if kept < delivered:
            yield (
                f"{delivered - kept:,} of {delivered:,} {side} ({percent((delivered - kept) / delivered)}) "
                "have too few interactions to be learned: "
                + ("they get what is popular." if side == "users" else "they are never recommended.")
            )
    yield (
        "A user whom the model does not know gets the popular items; an item that it does not know is "
        "never shown."
    )
    yield _SPLITS[preparation["split"]["kind"]]
    yield (
        "The metrics are offline: an item that a user was never shown counts as not wanted. They rank "
        "models; what people will do is for a test with people."
    )
    yield (
        "The intervals are over the test users alone. Another seed gives another model, and that spread is "
        "not in them."
    )
    least = RankingPromotion.model_validate(facts.evaluated["promotion"]).min_slice_users
    small = sorted(
        {
            f"{found.slice.replace('_', ' ')} ({found.users:,})"
            for found in verdict.slices
            if found.users < least
        }
    )
    if small:
        yield f"Slices of fewer than {least:,} users, too few to say anything: {', '.join(small)}."
    if profile["time_range"] is None:
        yield "The data have no timestamps, so neither their age nor any change of taste can be seen."


def feedback(verdict: Verdict) -> Iterator[str]:
    """The ethical note, with this version's own numbers."""
    k = int(verdict.metric.partition("@")[2])
    yield (
        "Once in use, a recommender makes the data that its successors learn from: what it shows can be "
        "chosen, what it does not show cannot. Left alone, such a loop makes the popular more popular, "
        "narrows what is shown, and does so most for people and items with little data."
    )
    coverage, gini = verdict.beyond_accuracy.get(f"coverage@{k}"), verdict.beyond_accuracy.get(f"gini@{k}")
    if coverage and gini:
        told = (
            f"This version shows {percent(coverage.challenger)} of the items to somebody in the first {k} "
            f"places, with a Gini coefficient of exposure of {gini.challenger:.2f} (0: all items alike, 1: "
            f"one item alone). Recommending what is popular would show {percent(coverage.popularity)}, with "
            f"{gini.popularity:.2f}."
        )
        if coverage.champion is not None and gini.champion is not None:
            told += (
                " Against the champion: coverage "
                f"{signed(100 * (coverage.challenger - coverage.champion), 1)} points, Gini "
                f"{signed(gini.challenger - gini.champion, 2)}."
            )
        yield told
    tail = next(
        (found for found in verdict.slices if (found.slice, found.metric) == ("tail_items", verdict.metric)),
        None,
    )
    if tail is not None and tail.challenger is not None:
        yield (
            f"On items outside the popular third of all interactions its {verdict.metric} is "
            f"{tail.challenger:.4f}, against {verdict.challenger:.4f} over all."
        )
    yield (
        "Watch from version to version: coverage falling or Gini rising, the tail's metric against the "
        "whole, and the share of interactions that came from recommendations. Guard them in the recipe "
        "(promotion.bounds, promotion.guardrails), keep some exposure for chance, and record what was "
        "shown and not only what was chosen."
    )
