"""The evaluation artifact's tables."""

import pyarrow as pa

from components.core import columns
from components.core.verdict import Verdict
from components.data.evaluation import BEYOND_ACCURACY, SAMPLED, SLICES
from components.evaluate.ancestry import CHALLENGER, CHAMPION
from components.evaluate.ranking.judging import Grades


def metrics(grades: Grades) -> pa.Table:
    """The means, one row a metric."""
    champion = grades.metrics.get(CHAMPION, {})
    names = list(grades.means)
    parts = [name.partition("@") for name in names]
    return pa.table(
        {
            columns.METRIC: pa.array([metric for metric, _, _ in parts], pa.string()),
            columns.K: pa.array([int(k) for _, _, k in parts], pa.int32()),
            columns.VALUE: pa.array([grades.means[name] for name in names], pa.float64()),
            columns.NUM_USERS: pa.array([len(grades.exam.users)] * len(names), pa.int64()),
            columns.CHAMPION_VALUE: pa.array(
                [float(champion[name].mean()) if champion else None for name in names], pa.float64()
            ),
        }
    )


def sampled(grades: Grades) -> pa.Table:
    """The means among sampled items, one row a model and a metric."""
    rows = [
        {columns.MODEL: model, columns.METRIC: metric, columns.K: int(k), columns.VALUE: value}
        for model, found in grades.sampled.items()
        for name, value in found.items()
        for metric, _, k in [name.partition("@")]
    ]
    return pa.Table.from_pylist(rows, schema=SAMPLED)


def per_user(grades: Grades) -> pa.Table:
    """One row a test user: how much of it there is, and every model's metrics."""
    exam, slices = grades.exam, grades.slices
    users = exam.users.cpu().numpy()
    new = slices.members.get("new_users")
    table = {
        columns.USER: pa.array(users, pa.int32()),
        columns.USER_ID: exam.user_ids.take(pa.array(users)),
        columns.NUM_RELEVANT: pa.array(exam.num_relevant_Q, pa.int32()),
        columns.NUM_TRAIN: pa.array(slices.num_train_Q, pa.int32()),
        columns.NUM_TAIL: pa.array(slices.num_tail_Q, pa.int32()),
        columns.NEW: pa.array([None] * len(users) if new is None else new, pa.bool_()),
    }
    for model, values in grades.metrics.items():
        prefix = "" if model == CHALLENGER else f"{model}_"
        table |= {f"{prefix}{name}": pa.array(value_Q, pa.float64()) for name, value_Q in values.items()}
    return pa.table(table)


def slices(verdict: Verdict) -> pa.Table:
    """The verdict's slices."""
    rows = [found.model_dump() for found in verdict.slices]
    return pa.Table.from_pylist(rows, schema=SLICES)


def beyond_accuracy(verdict: Verdict) -> pa.Table:
    """The verdict's measures of whole lists, one row a measure and K."""
    rows = []
    for name, found in verdict.beyond_accuracy.items():
        measure, _, k = name.partition("@")
        rows.append({columns.MEASURE: measure, columns.K: int(k), **found.model_dump()})
    return pa.Table.from_pylist(rows, schema=BEYOND_ACCURACY)
