"""Training and ranking on a GPU: positives and users per second, against what its memory can move.

python -m tests.benchmarks.speed.gpu [--models …] [--sets gowalla 10m 100m] [--batches 1024 2048 8192]
python -m tests.benchmarks.speed.gpu --device cpu --small        to try it without a GPU

Bytes moved are counted, not measured: see `moved`. Copy bandwidth counts bytes read and written.
"""

import argparse
import itertools
import resource
import time
import warnings
from collections.abc import Iterator

import torch

from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData
from components.rec.models.base import RankingModel
from components.rec.objective import build_model
from components.rec.ranking import rank
from components.rec.ranking_learner import RankingLearner
from tests.benchmarks.speed import agreement, generated, machine
from tests.benchmarks.speed.peers.base import DIM, NUM_LAYERS
from tests.benchmarks.speed.side_by_side import number, table

_FLOAT, _INDEX = 4, 8  # bytes
_WARM_UP, _WATCHED = 20, 10  # steps
_STEPS_BETWEEN_LOOKS = 10  # at the clock, which waits for the device
_K = 20
_HEADER = ("", "batch", "positives/s", "GB/s moved", "share of copy", "peak GB", "syncs a step", "users/s")


def moved(kind: str, data: RankingData, batch_size: int) -> float:
    """Bytes that a step reads and writes at least, were no cache to hold anything.

    Adam over all rows: parameter, gradient and both moments read, three of them written, the gradient set to
    zero. Each product with the graph: a row read for every edge, its index and weight, and a row written for
    every node; LightGCN's last hop forward, and the first of its way back, are for the batch's rows alone.
    NGCF's two matrix products and their gradients: twelve passes over a table for each layer.
    """
    table_bytes = (data.num_users + data.num_items) * DIM * _FLOAT
    edges = 2 * len(data)
    product = edges * (DIM * _FLOAT + _INDEX + _FLOAT) + table_bytes
    step = 8 * table_bytes + 6 * batch_size * DIM * _FLOAT
    if kind == "lightgcn":
        step += 2 * (NUM_LAYERS - 1) * (product + table_bytes) + table_bytes
    if kind == "ngcf":
        step += NUM_LAYERS * (2 * product + 12 * table_bytes)
    return step


def measure(kind: str, data: RankingData, batch_size: int, *, seconds: float, copy: float) -> tuple[str, ...]:
    """One row of the table; a step that does not fit says so."""
    device = data.user.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        section = agreement.training(kind, batch_size=batch_size, dropout=0.1)
        model = build_model(section, data, seed=0)
        learner = RankingLearner(section, data, model, seed=0)
        rate = _positives_per_second(learner, data, batch_size, seconds)
        syncs = _syncs(learner, data, batch_size) if device.type == "cuda" else "–"
        users = _users_per_second(model, data)
    except torch.OutOfMemoryError:
        return (kind, str(batch_size), "out of memory", *["–"] * (len(_HEADER) - 3))
    bandwidth = moved(kind, data, batch_size) * rate / batch_size
    return (
        kind,
        f"{batch_size:,}",
        number(rate),
        number(bandwidth / 1e9),
        f"{bandwidth / copy:.0%}",
        f"{_peak_bytes(device) / 1e9:.2f}",
        syncs,
        number(users),
    )


def _positives_per_second(
    learner: RankingLearner, data: RankingData, batch_size: int, seconds: float
) -> float:
    batches = _batches(learner, data, batch_size)
    for batch in itertools.islice(batches, _WARM_UP):
        learner.step(batch)
    _wait(data.user.device)
    start, trained = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for batch in itertools.islice(batches, _STEPS_BETWEEN_LOOKS):
            learner.step(batch)
            trained += len(batch)
        _wait(data.user.device)
    return trained / (time.perf_counter() - start)


def _syncs(learner: RankingLearner, data: RankingData, batch_size: int) -> str:
    """How often a step waits for the device, as torch tells it."""
    batches = list(itertools.islice(data.batches(batch_size, torch.Generator().manual_seed(1)), _WATCHED))
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for batch in batches:
                learner.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return f"{sum('synchroniz' in str(found.message) for found in caught) / len(batches):.1f}"


def _users_per_second(model: RankingModel, data: RankingData) -> float:
    """Encoding and ranking of all users, the second time."""
    for _ in range(2):
        _wait(data.user.device)
        start = time.perf_counter()
        tables = model.tables()
        rank(tables.users, tables.items, data.train, _K)
        _wait(data.user.device)
    return data.num_users / (time.perf_counter() - start)


def _batches(learner: RankingLearner, data: RankingData, batch_size: int) -> Iterator[object]:
    order = torch.Generator().manual_seed(0)
    while True:
        yield from data.batches(batch_size, order)
        learner.end_epoch()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # of the whole process so far


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--models", nargs="+", default=["mf", "lightgcn", "ngcf"])
    parser.add_argument("--sets", nargs="+", choices=generated.SETS, default=["gowalla", "10m", "100m"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1024, 2048, 8192])
    parser.add_argument("--seconds", type=float, default=5.0, help="of training for each row")
    parser.add_argument("--small", action="store_true", help="a small set, one batch size, half a second")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.sets, arguments.batches, arguments.seconds = ["small"], [1024], 0.5
    if arguments.device == "cpu":
        keep_large_buffers()
    here = machine.measure(arguments.device)
    print(here, flush=True)
    for name in arguments.sets:
        data = generated.SETS[name]().ranking_data(device=arguments.device)
        print(f"\n{name}: {data.num_users:,} users, {data.num_items:,} items, {len(data):,} train pairs\n")
        rows = [
            measure(kind, data, batch_size, seconds=arguments.seconds, copy=here.copy)
            for kind, batch_size in itertools.product(arguments.models, arguments.batches)
        ]
        print(table(_HEADER, rows), flush=True)


if __name__ == "__main__":
    main()
