"""What a classifier's own numbers say of where it fails, and of what it does to its data."""

from collections.abc import Iterator
from typing import Final

from components.core.recipe.example_judgement import ExamplePromotion
from components.core.verdict import REST, ExampleSlice, ExampleVerdict
from components.metrics.direction import gain
from components.register.card.facts import Facts
from components.register.card.markdown import code, inline, percent

_SPLITS: Final = {
    "random": "Test examples were drawn at random, so the model was asked about times that it had seen: how "
    "well it holds up later is not measured.",
    "temporal": "Test examples are the newest; what comes after them is not measured.",
    "given": "The source brought its own test part; how it was drawn is its publisher's matter.",
}


def limits(facts: Facts, verdict: ExampleVerdict) -> Iterator[str]:
    """Measured limits, one sentence or two each."""
    preparation = facts.preparation
    fields = preparation["fields"]
    yield "Values that train does not know, or not often enough, share one row of their field."
    name, worst = max(fields.items(), key=lambda entry: float(entry[1]["unknown"]["test"]))
    if worst["unknown"]["test"]:
        share = percent(worst["unknown"]["test"])
        yield f"{share} of the test examples have such a value in {code(name)}, the field with most of them."
    hashed = [code(name) for name, field in fields.items() if field["encoding"] == "hashed"]
    if hashed:
        yield f"Different values share rows by chance in the hashed fields: {', '.join(hashed)}."
    equal = preparation["equal_across_parts"]
    if equal:
        share = percent(equal / preparation["sizes"]["test"])
        yield f"{equal:,} test examples ({share}) have the same values in all fields as one of train."
    yield _SPLITS[preparation["split"]["kind"]]
    yield (
        "The examples are what an earlier system chose to show: how well the model judges anything else is "
        "not measured."
    )
    yield (
        "The intervals are over the test examples alone. Another seed gives another model, and that spread "
        "is not in them."
    )
    yield from few_examples(facts, verdict)
    if facts.profile["time_range"] is None:
        yield "The data have no timestamps, so neither their age nor any change can be seen."


def few_examples(facts: Facts, verdict: ExampleVerdict) -> Iterator[str]:
    """That slices are too small to say anything, where some are."""
    slices = {(found.field, found.value): found.examples for found in verdict.slices}
    small = sum(examples < least(facts) for examples in slices.values())
    if small:
        yield (
            f"{small:,} of {len(slices):,} slices have fewer than {least(facts):,} examples, too few to say "
            "anything."
        )


def feedback(facts: Facts, verdict: ExampleVerdict) -> Iterator[str]:
    """The ethical note, with this version's own numbers."""
    yield (
        "Once in use, predictions choose what is shown, and only what is shown gets a label. Left alone, "
        "such a loop confirms what the model believes already, and leaves what it thinks little of without "
        "data."
    )
    calibration = verdict.metrics.get("calibration")
    if calibration:
        told = (
            f"Over the test this version predicts {calibration.challenger:.3f} times as many examples of "
            f"class {code(verdict.classes[1])} as there are"
        )
        if calibration.champion is not None:
            told += f"; the champion {calibration.champion:.3f} times as many"
        yield f"{told}. Where probabilities become bids or thresholds, that factor goes with them."
    overall = verdict.metrics["logloss"].challenger
    known = [found for found in worst_first(facts, verdict, "logloss") if found.value not in REST]
    for worst in [found for found in known if (found.challenger or 0) > overall][:1]:
        yield (
            f"It knows least of {inline(worst.field)}: {inline(worst.value)}, with a log loss of "
            f"{worst.challenger:.4f}, against {overall:.4f} over all."
        )
    yield (
        "Watch from version to version: calibration leaving 1, the share of values out of vocabulary, and "
        "the slices against the whole. Guard them in the recipe (promotion.bounds, promotion.guardrails), "
        "leave some of what is shown to chance, and record what was shown and not only what was chosen."
    )


def worst_first(facts: Facts, verdict: ExampleVerdict, metric: str) -> list[ExampleSlice]:
    """The slices that are large enough, by one metric."""
    judged = [
        (gain(metric, found.challenger), found)
        for found in verdict.slices
        if found.metric == metric and found.challenger is not None and found.examples >= least(facts)
    ]
    return [found for _, found in sorted(judged, key=lambda entry: entry[0])]


def least(facts: Facts) -> int:
    """Examples of a slice that is large enough to say something."""
    return ExamplePromotion.model_validate(facts.evaluated["promotion"]).min_slice_examples
