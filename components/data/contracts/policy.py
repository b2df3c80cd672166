"""The contract of the policy artifact."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import ALPHA, EPOCH, PROBABILITY
from components.core.errors import InvalidInputError
from components.core.policy import CONTROLLER_FILE, POLICY_FILE, TRAJECTORY_FILE, WEIGHTS_FILE, Policy
from components.core.recipe import SearchForClassifierParams, SearchForStreamParams, SearchParams
from components.core.recipe.search import AutoLoss, AutoSample, Bohb, FromPolicy
from components.core.recipe.stream import Esapn, Searched
from components.core.stage import Validation
from components.core.strategy import Config
from components.data.contracts.curves import curves_schema, expect_curves
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null
from components.data.contracts.sized import SIDES, expect_sizes, size_facts, size_schema
from components.data.contracts.weights import weight_facts

# Columns with such a prefix sum to 1 in every row. α is made in float64; p is a mean of many float32 sums.
_DISTRIBUTIONS = {ALPHA: 1e-6, PROBABILITY: 1e-3}
_NOTHING_SEARCHED = {"none", "policy"}
_WITH_NETWORKS = {"esapn", "autoemb"}


def validate(
    output: Path,
    params: SearchParams | SearchForClassifierParams | SearchForStreamParams,
    inputs: Mapping[str, Path],
    docs: Path,
) -> Validation:
    """Check the policy against its trajectory, and its weights.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("policy", output, docs)
    policy = exam.document(POLICY_FILE, lambda path: Policy.model_validate_json(path.read_bytes()))
    trajectory = exam.table(TRAJECTORY_FILE, curves_schema)
    searched = policy.kind not in _NOTHING_SEARCHED
    for prefix, tolerance in _DISTRIBUTIONS.items():
        _expect_distribution(exam, trajectory, prefix, tolerance)
    expect_curves(exam, TRAJECTORY_FILE, trajectory)
    search = params.search
    facts: dict[str, Fact] = {
        "is of the recipe's kind": (policy.kind == search.kind, 1, 1),
        "best_epoch": (policy.best_epoch, int(searched), policy.epochs),
        **_epochs(policy, params, trajectory),
        "fits the training section": (_fits(policy, params), 1, 1),
    }
    if isinstance(search, AutoSample):
        facts |= _decided_sampler(policy, trajectory, search)
    elif isinstance(search, AutoLoss | Bohb):
        facts |= _decided_loss(policy, trajectory, search)
    elif isinstance(search, Searched):
        facts |= _decided_sizes(exam, policy, search)
    exam.facts(POLICY_FILE, facts)
    exam.facts(WEIGHTS_FILE, weight_facts(output / WEIGHTS_FILE, expected=searched))
    if isinstance(search, FromPolicy) and policy.patch.get("embedding", {}).get("kind") == "esapn":
        _expect_size_tables(exam, Esapn.model_validate(policy.patch["embedding"]))
    controlled = policy.patch.get("loss", {}).get("kind") == "controlled"
    controlled |= policy.patch.get("embedding", {}).get("kind") in _WITH_NETWORKS
    exam.facts(CONTROLLER_FILE, weight_facts(output / CONTROLLER_FILE, expected=controlled))
    return exam.finish()


def _fits(policy: Policy, params: SearchParams | SearchForClassifierParams | SearchForStreamParams) -> bool:
    try:
        policy.apply(params.training)
    except InvalidInputError:
        return False
    return True


def _epochs(policy: Policy, params: Config, trajectory: pa.Table) -> dict[str, Fact]:
    """As many as the trajectory has; a stream is passed once."""
    if isinstance(params, SearchForStreamParams):
        passed = int(policy.kind not in _NOTHING_SEARCHED)
        return {"epochs": (policy.epochs, passed, passed)}
    return {"epochs": (policy.epochs, trajectory.num_rows, trajectory.num_rows)}


def _decided_sizes(exam: Examination, policy: Policy, search: Searched) -> dict[str, Fact]:
    """Every user and item that was seen has one of the recipe's sizes; they are as many as is told."""
    facts: dict[str, Fact] = {
        "tells where it began": (
            policy.decision.get("began", {}).keys() >= {"from", "champion_sha256"},
            1,
            1,
        ),
        "patch is the recipe's search": (policy.patch == {"embedding": search.model_dump(mode="json")}, 1, 1),
    }
    for dense, table in _expect_size_tables(exam, search).items():
        facts |= size_facts(table, dense, policy.decision.get("sizes", {}).get(dense, {}), search)
    return facts


def _expect_size_tables(exam: Examination, search: Searched) -> dict[str, pa.Table]:
    """By side; which ids they hold is the searched data's matter."""
    tables = {}
    for dense, raw in SIDES:
        name = f"{dense}s.parquet"
        tables[dense] = exam.table(name, size_schema(dense, raw))
        expect_sizes(exam, name, tables[dense], raw, search)
    return tables


def _decided_sampler(policy: Policy, trajectory: pa.Table, search: AutoSample) -> dict[str, Fact]:
    """Every candidate has its α and p, and the decision is the likeliest of the best epoch."""
    samplers: dict[str, Any] = {sampler.kind: sampler.model_dump(mode="json") for sampler in search.samplers}
    facts = _columns(trajectory, samplers.keys(), "samplers")
    decided = str(policy.decision.get("sampler"))
    best = trajectory.filter(pc.equal(trajectory[EPOCH], policy.best_epoch)).to_pylist()
    alphas = {
        kind: row[ALPHA + kind] for row in best for kind in samplers if row.get(ALPHA + kind) is not None
    }
    below = max(alphas.values()) - alphas[decided] if decided in alphas else None
    facts["decided sampler's alpha below the largest at best_epoch"] = (below, 0, 0)
    facts["patch is the decided sampler"] = (policy.patch == {"sampler": samplers.get(decided)}, 1, 1)
    return facts


def _decided_loss(policy: Policy, trajectory: pa.Table, search: AutoLoss | Bohb) -> dict[str, Fact]:
    """The patch is a loss over the recipe's candidates, which all have their columns."""
    losses = [loss.model_dump(mode="json") for loss in search.losses]
    per_example = isinstance(search, AutoLoss) and search.per_example
    loss = policy.patch.get("loss", {})
    facts: dict[str, Fact] = {
        "patches the loss alone": (policy.patch.keys() == {"loss"}, 1, 1),
        "patch is over the recipe's losses": (loss.get("losses") == losses, 1, 1),
        "patch is of the recipe's kind": (
            loss.get("kind") == ("controlled" if per_example else "weighted"), 1, 1
        ),
    }  # fmt: skip
    if isinstance(search, AutoLoss) and not per_example:
        alpha = policy.decision.get("alpha", {})
        told = [alpha.get(each["kind"]) for each in losses]
        facts["decided weights are the patch's"] = (told == loss.get("weights"), 1, 1)
    if isinstance(search, AutoLoss):
        facts |= _columns(trajectory, {str(each["kind"]) for each in losses}, "losses")
    return facts


def _columns(trajectory: pa.Table, kinds: Collection[str], what: str) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for prefix in _DISTRIBUTIONS:
        found = {name.removeprefix(prefix) for name in trajectory.column_names if name.startswith(prefix)}
        facts[f"{prefix}* columns that are not the recipe's {what}'"] = (len(found ^ set(kinds)), 0, 0)
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
