"""The evaluations that are measured end with the same numbers."""

from tests.benchmarks.speed.evaluation import PEERS, agreement


def test_metrics_of_all_peers_equal_ours():
    deviations = agreement("small")
    assert deviations.keys() == PEERS.keys()
    assert max(deviations.values()) < 1e-6
