"""The contract of the policy artifact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import EPOCH
from components.core.policy import POLICY_FILE, TRAJECTORY_FILE, WEIGHTS_FILE, Policy
from components.core.recipe import SearchParams
from components.core.recipe.search import AutoSample
from components.core.stage import Validation
from components.data.contracts.curves import curves_schema, expect_curves
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null
from components.data.contracts.weights import weight_facts

# Columns with such a prefix sum to 1 in every row. α is made in float64; p is a mean of many float32 sums.
_ALPHA, _PROBABILITY = "alpha_", "probability_"
_DISTRIBUTIONS = {_ALPHA: 1e-6, _PROBABILITY: 1e-3}
_NOTHING_SEARCHED = "none"


def validate(output: Path, params: SearchParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check the policy against its trajectory, and its weights.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("policy", output, docs)
    policy = exam.document(POLICY_FILE, lambda path: Policy.read(path.parent))
    trajectory = exam.table(TRAJECTORY_FILE, curves_schema)
    searched = policy.kind != _NOTHING_SEARCHED
    for prefix, tolerance in _DISTRIBUTIONS.items():
        _expect_distribution(exam, trajectory, prefix, tolerance)
    expect_curves(exam, TRAJECTORY_FILE, trajectory)
    facts: dict[str, Fact] = {
        "is of the recipe's kind": (policy.kind == params.search.kind, 1, 1),
        "best_epoch": (policy.best_epoch, int(searched), policy.epochs),
        "epochs": (policy.epochs, trajectory.num_rows, trajectory.num_rows),
    }
    if isinstance(params.search, AutoSample):
        facts |= _decision(policy, trajectory, params.search)
    exam.facts(POLICY_FILE, facts)
    exam.facts(WEIGHTS_FILE, weight_facts(output / WEIGHTS_FILE, expected=searched))
    return exam.finish()


def _decision(policy: Policy, trajectory: pa.Table, search: AutoSample) -> dict[str, Fact]:
    """Every candidate has its α and p, and the decision is the likeliest of the best epoch."""
    samplers: dict[str, Any] = {sampler.kind: sampler.model_dump(mode="json") for sampler in search.samplers}
    facts: dict[str, Fact] = {}
    for prefix in _DISTRIBUTIONS:
        found = {name.removeprefix(prefix) for name in trajectory.column_names if name.startswith(prefix)}
        facts[f"{prefix}* columns that are not the recipe's samplers'"] = (len(found ^ samplers.keys()), 0, 0)
    decided = str(policy.decision.get("sampler"))
    best = trajectory.filter(pc.equal(trajectory[EPOCH], policy.best_epoch)).to_pylist()
    alphas = {
        kind: row[_ALPHA + kind] for row in best for kind in samplers if row.get(_ALPHA + kind) is not None
    }
    below = max(alphas.values()) - alphas[decided] if decided in alphas else None
    facts["decided sampler's alpha below the largest at best_epoch"] = (below, 0, 0)
    facts["patch is the decided sampler"] = (policy.patch == {"sampler": samplers.get(decided)}, 1, 1)
    return facts


def _expect_distribution(exam: Examination, trajectory: pa.Table, prefix: str, tolerance: float) -> None:
    columns = [name for name in trajectory.column_names if name.startswith(prefix)]
    if not columns:
        return
    name = f"{TRAJECTORY_FILE} {prefix}*"
    frame = trajectory.select(columns).to_pandas()
    bounds = [between(column, 0, 1 + tolerance) for column in columns]
    exam.expect(name, frame, [*map(not_null, columns), *bounds])
    distances = np.abs(frame.sum(axis=1).to_numpy() - 1)
    exam.facts(name, {"largest distance of a row's sum from 1": (distances.max(initial=0), 0, tolerance)})
