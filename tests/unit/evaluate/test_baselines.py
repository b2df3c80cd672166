"""Item-kNN against a dense version, and on a world where it is right."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.compiled import available
from components.data.parquet import read_table
from components.evaluate.ranking import baselines
from components.evaluate.ranking.baselines import answer_by_item_knn, similarities
from components.evaluate.ranking.scoring import read_exam

CPU = torch.device("cpu")


def dense_similarities(history_UI: np.ndarray, neighbours: int, shrinkage: float) -> np.ndarray:
    together_II = history_UI.T @ history_UI
    norm_I = np.sqrt(np.diag(together_II))
    near_II = together_II / (np.outer(norm_I, norm_I) + shrinkage + 1e-300)
    np.fill_diagonal(near_II, 0)
    for row in near_II:
        row[np.argsort(-row.astype(np.float32), kind="stable")[neighbours:]] = 0
    return near_II


FORMS = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(not available(), reason="Numba is missing")),
]


@pytest.fixture(params=FORMS, ids=["plain", "compiled"])
def compiled(request, monkeypatch) -> bool:
    monkeypatch.setattr(baselines, "available", lambda: request.param)
    return request.param


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(2, 30),
    st.integers(1, 25),
    st.integers(1, 30),
    st.sampled_from([0.0, 10.0]),
    st.integers(0, 99),
)
def test_similarities_equal_a_dense_version(compiled, users, items, neighbours, shrinkage, seed):
    history_UI = (np.random.default_rng(seed).random((users, items)) < 0.3).astype(float)
    found = similarities(sp.csr_array(history_UI), neighbours, shrinkage).toarray()
    assert found == pytest.approx(dense_similarities(history_UI, neighbours, shrinkage), abs=1e-6)


@pytest.mark.parametrize("size", [1 << 22, 200, 1])
def test_lists_equal_a_dense_version(loop, monkeypatch, compiled, size):
    """Without what the user has in train; what is near to nothing of it is left out, and the list ends."""
    monkeypatch.setattr(baselines, "_CELLS", size)
    monkeypatch.setattr(baselines, "_ROWS", size)
    generator = np.random.default_rng(1)
    history_UI = generator.random((50, 40)) < 0.1
    history_UI[:, 39] = False  # nobody has the last item
    train = [(int(user), int(item)) for user, item in np.argwhere(history_UI)]
    test = [(user, (user * 7) % 40) for user in range(50) if not history_UI[user, (user * 7) % 40]]
    loop.interactions()
    dataset = loop.dataset([f"u{user}" for user in range(50)], list(range(40)), train, [], test)
    exam = read_exam(dataset, "train", CPU)
    near_II = dense_similarities(history_UI.astype(float), baselines.NEIGHBOURS, baselines.SHRINKAGE)
    score_UI = history_UI @ near_II
    for user, top in zip(exam.users.tolist(), answer_by_item_knn(exam, 20).tolist(), strict=True):
        order = np.argsort(-score_UI[user].astype(np.float32), kind="stable")
        wanted = [item for item in order if score_UI[user, item] > 0 and not history_UI[user, item]][:20]
        assert top == [*wanted, *[-1] * (20 - len(wanted))]


@pytest.mark.skipif(not available(), reason="Numba is missing")
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 50), st.integers(0, 99))
def test_both_forms_give_the_same_bits(rows, columns, k, seed):
    """Many values are equal, and some rows and columns are empty."""
    generator = np.random.default_rng(seed)
    left, never = ((generator.random((rows, size)) < 0.2).astype(np.float32) for size in (30, columns))
    right = (generator.random((30, columns)) < 0.3) * generator.choice([0.1, 0.7, 1 / 3], (30, columns))
    found = []
    for available_here in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(baselines, "available", lambda here=available_here: here)
            matrices = (sp.csr_array(matrix) for matrix in (left, right, never))
            found.append(baselines.best_products(*matrices, k))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_in_a_world_of_two_tastes_it_recommends_the_users_own(loop):
    train = [
        (user, item) for user in range(20) for item in range(20) if (user + item) % 2 == 0 and item != user
    ]
    loop.interactions()
    dataset = loop.dataset(list(range(20)), list(range(20)), train, [], [(user, user) for user in range(20)])
    exam = read_exam(dataset, "train", CPU)
    assert answer_by_item_knn(exam, 1)[:, 0].tolist() == list(range(20))
    assert read_table(dataset / "test.parquet").num_rows == 20
