"""Gates of a delivery of examples: by itself, and against an earlier one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from components.core.gates import Gate
from components.core.recipe.example_quality import ExampleChanges, ExampleDelivery
from components.core.recipe.quality import Bound
from components.data import changes, example_changes
from components.data.contracts.deliveries import DELIVERY, duration, told_gap
from components.data.examples import Examples


def delivery_gates(
    bounds: ExampleDelivery, examples: Examples, profile: Mapping[str, Any], now_s: float
) -> Iterator[Gate]:
    """What a delivery looks like by itself.

    Args:
        now_s: seconds since 1970.
    """
    missing = [name for name, count in examples.classes.items() if not count]
    told = f"no example is of the classes {', '.join(missing)}" if missing else "every class has examples"
    every = Bound(max=0, severity="warn")
    yield every.judge("missing_classes", DELIVERY, len(missing), told)
    name, value = example_changes.rarest_class(examples)
    told = f"{value:.2%} of the examples are of class {name}, the rarest"
    yield bounds.rarest_class.judge("rarest_class", DELIVERY, value, told)
    value = profile["duplicates"] / len(examples)
    told = f"{value:.2%} of the {len(examples):,} examples repeat another"
    yield bounds.duplicates.judge("duplicates", DELIVERY, value, told)
    name, value = example_changes.emptiest_field(examples)
    told = (
        f"{value:.2%} of the values of {name}, the emptiest field, are missing"
        if value
        else "none is missing"
    )
    yield bounds.nulls.judge("nulls", DELIVERY, value, told)
    yield _unmatched_gate(bounds.unmatched, profile["tables"], len(examples))
    age_s = changes.age(examples, now_s)
    told = "no timestamps" if age_s is None else f"the last example was {duration(age_s)} ago"
    yield bounds.age_s.judge("age_s", DELIVERY, age_s, told)


def _unmatched_gate(bound: Bound, tables: Mapping[str, Mapping[str, int]], num_examples: int) -> Gate:
    """How many examples the side table that knows the fewest of them knows nothing of."""
    if not tables:
        return bound.judge("unmatched", DELIVERY, None, "no side tables")
    worst = max(tables, key=lambda name: tables[name]["unmatched"])
    value = tables[worst]["unmatched"] / num_examples
    told = (
        f"the side table {worst} knows nothing of {value:.2%} of the examples"
        if value
        else "every example is in every side table"
    )
    return bound.judge("unmatched", DELIVERY, value, told)


def change_gates(
    bounds: ExampleChanges,
    subject: str,
    now: Examples,
    before: Examples,
    generator: np.random.Generator,
) -> Iterator[Gate]:
    """How a delivery differs from an earlier one, which `subject` names."""
    found = example_changes.compare(now, before, generator)
    told = f"{found.volume:.2f} times its {len(before):,} examples"
    yield bounds.volume.judge("volume", subject, found.volume, told)
    told = (
        f"the classes' shares lie {found.label:.3f} apart; samples of one world as large as these would by "
        f"{found.label_by_chance:.3f}"
    )
    yield bounds.label.judge("label", subject, found.label, told)
    yield from _field_gates(bounds, subject, found, generator)
    yield bounds.gap_s.judge("gap_s", subject, found.gap_s, told_gap(found.gap_s))


def _field_gates(
    bounds: ExampleChanges,
    subject: str,
    found: example_changes.ExampleChanges,
    generator: np.random.Generator,
) -> Iterator[Gate]:
    """About the field that has changed most."""
    drifted, newest = found.drifted, found.newest
    if drifted is None or newest is None:
        told = "no field is of the same name and kind in both"
        yield bounds.drift.judge("drift", subject, None, told)
        yield bounds.new_values.judge("new_values", subject, None, told)
        return
    others = f" (not compared: {', '.join(found.uncompared)})" if found.uncompared else ""
    chance = changes.chance_distance(drifted.now_V, drifted.before_V, generator)
    told = (
        f"the values of {drifted.name} lie {drifted.drift:.3f} apart; samples of one world as large as these "
        f"would by {chance:.3f}{others}"
    )
    yield bounds.drift.judge("drift", subject, drifted.drift, told)
    told = f"{newest.new_values:.1%} of the examples have a value of {newest.name} that is new{others}"
    yield bounds.new_values.judge("new_values", subject, newest.new_values, told)
