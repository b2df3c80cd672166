"""Users a second of full-ranking evaluation at K = 20: recloop and its peers in turns, float32, dim 64, CPU.

python -m tests.benchmarks.speed.evaluation [--data NAME] [--seconds S] [--rounds N] [--threads N] [--tuned]

Everyone gets the same embeddings and ends with the same mean recall@20 and NDCG@20, which is checked first.
The peers' evaluations are written anew in their published form: the same steps and the same calls.
"""

import argparse
import heapq
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from components.metrics.ranking import per_user
from components.rec.csr import Csr
from components.rec.products import inner_products
from components.rec.ranking import hits, rank
from tests.benchmarks.speed import generated, machine
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

DIM, K = 64, 20
Means = tuple[float, float]  # recall@20, NDCG@20


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """Whom to rank for, and what counts.

    Attributes:
        train, test: items of each user; test stands in no train.
        users: (Q,) those with a test item.
    """

    users_UD: Tensor
    items_ID: Tensor
    train: Csr
    test: Csr
    users: Tensor

    @classmethod
    def of(cls, data_name: str) -> "Task":
        """Items at random, users amid their train items: as after training, those score highest."""
        data = generated.SETS[data_name]().ranking_data()
        generator = torch.Generator().manual_seed(0)
        items_ID = torch.randn(data.num_items, DIM, generator=generator)
        own_UD = functional.embedding_bag(data.train.values, items_ID, data.train.offsets[:-1], mode="mean")
        users_UD = own_UD + 0.3 * torch.randn(data.num_users, DIM, generator=generator)
        users = torch.nonzero(data.valid.counts).flatten()
        return cls(users_UD=users_UD, items_ID=items_ID, train=data.train, test=data.valid, users=users)

    # What the peers' data loaders have at hand, for each user.
    @cached_property
    def train_tensors(self) -> list[Tensor]:
        return list(self.train.values.split(self.train.counts.tolist()))

    @cached_property
    def test_tensors(self) -> list[Tensor]:
        return list(self.test.values.split(self.test.counts.tolist()))

    @cached_property
    def train_lists(self) -> list[list[int]]:
        return [items.tolist() for items in self.train_tensors]

    @cached_property
    def test_lists(self) -> list[list[int]]:
        return [items.tolist() for items in self.test_tensors]


Evaluation = Callable[[Task, Tensor], Means]  # of some users


def recloop(task: Task, users: Tensor) -> Means:
    """As the evaluate stage and validation do it."""
    relevant = task.test.select(users)
    top_QK = rank(task.users_UD[users], task.items_ID, task.train.select(users), K)
    values = per_user(hits(top_QK, relevant).numpy(), relevant.counts.numpy(), [K])
    return float(values[f"recall@{K}"].mean()), float(values[f"ndcg@{K}"].mean())


def recbole(task: Task, users: Tensor) -> Means:
    """RecBole 1.2: FullSortEvalDataLoader.collate_fn, Trainer._full_sort_batch_eval,
    Collector.eval_batch_collect, Recall and NDCG."""
    history = [task.train_tensors[user] for user in users.tolist()]
    positive = [task.test_tensors[user] for user in users.tolist()]
    history_u = torch.cat([torch.full_like(items, row) for row, items in enumerate(history)])
    positive_u = torch.cat([torch.full_like(items, row) for row, items in enumerate(positive)])
    scores = torch.matmul(task.users_UD[users], task.items_ID.transpose(0, 1))
    scores[history_u, torch.cat(history)] = -np.inf
    _, top = torch.topk(scores, K, dim=-1)
    is_positive = torch.zeros_like(scores, dtype=torch.int)
    is_positive[positive_u, torch.cat(positive)] = 1
    num_positive = is_positive.sum(dim=1, keepdim=True)
    hit = torch.gather(is_positive, dim=1, index=top).to(torch.bool).numpy()
    length = num_positive.squeeze(-1).numpy()
    recall = np.cumsum(hit, axis=1) / length.reshape(-1, 1)
    gain = np.broadcast_to(1.0 / np.log2(np.arange(1, K + 1) + 1), hit.shape)
    ideal = np.cumsum(gain, axis=1)
    for row, last in enumerate(np.minimum(length, K)):
        ideal[row, last:] = ideal[row, last - 1]
    ndcg = np.cumsum(np.where(hit, gain, 0), axis=1) / ideal
    return float(recall.mean(axis=0)[K - 1]), float(ndcg.mean(axis=0)[K - 1])


def lightgcn_pytorch(task: Task, users: Tensor) -> Means:
    """LightGCN-PyTorch: Procedure.Test without multicore, utils.getLabel, RecallPrecision_ATk, NDCGatK_r."""
    seen = [task.train_tensors[user].numpy() for user in users.tolist()]
    relevant = [task.test_lists[user] for user in users.tolist()]
    rating = torch.sigmoid(torch.matmul(task.users_UD[users], task.items_ID.t()))
    row: list[int] = []
    item: list[int] = []
    for place, items in enumerate(seen):
        row.extend([place] * len(items))
        item.extend(items)
    rating[row, item] = -(1 << 10)
    _, top = torch.topk(rating, k=K)
    label = []
    for truth, predicted in zip(relevant, top.numpy(), strict=True):
        label.append(np.array([one in truth for one in predicted]).astype("float"))
    hit = np.array(label).astype("float")
    recall = np.sum(hit[:, :K].sum(1) / np.array([len(truth) for truth in relevant]))
    ideal = np.zeros((len(hit), K))
    for place, truth in enumerate(relevant):
        ideal[place, : min(K, len(truth))] = 1
    discount = 1.0 / np.log2(np.arange(2, K + 2))
    ndcg = np.sum(np.sum(hit * discount, axis=1) / np.sum(ideal * discount, axis=1))
    return float(recall) / len(users), float(ndcg) / len(users)


def mixgcf(task: Task, users: Tensor) -> Means:
    """MixGCF: utils/evaluate.py as it runs by default (batches of 2,048 items into an array of float64, and
    ranklist_by_heapq user by user), here without the transport to its worker processes."""
    num_items = len(task.items_ID)
    train, test = task.train_lists, task.test_lists
    rate = np.zeros(shape=(len(users), num_items))
    for start in range(0, num_items, 2048):
        stop = min(start + 2048, num_items)
        batch = torch.LongTensor(np.array(range(start, stop)))
        rate[:, start:stop] = torch.matmul(task.users_UD[users], task.items_ID[batch].t())
    recall, ndcg = 0.0, 0.0
    for user, rating in zip(users.tolist(), rate, strict=True):
        candidates = list(set(range(num_items)) - set(train[user]))
        score = {item: rating[item] for item in candidates}
        best = heapq.nlargest(K, score, key=score.get)  # type: ignore[arg-type]
        hit = [1 if item in test[user] else 0 for item in best]
        recall += np.sum(np.asarray(hit, dtype=float)) / len(test[user])
        ideal = [1.0] * min(K, len(test[user])) + [0.0] * (K - len(test[user]))
        ndcg += _dcg(hit) / _dcg(ideal)
    return float(recall) / len(users), float(ndcg) / len(users)


def product_alone(task: Task, users: Tensor) -> Means:
    """The limit: recloop's tiles of scores on its threads, and nobody looks at them."""
    users_QD, threads = task.users_UD[users], torch.get_num_threads()

    def multiply(start: int) -> None:
        for first in range(0, len(task.items_ID), 1024):
            inner_products(task.items_ID[first : first + 1024], users_QD[start : start + 256])

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(multiply, range(0, len(users), 256)))
    torch.set_num_threads(threads)
    return 0.0, 0.0


PEERS: Final[dict[str, Evaluation]] = {
    "RecBole": recbole,
    "LightGCN-PyTorch": lightgcn_pytorch,
    "MixGCF": mixgcf,
}


def agreement(data_name: str, num_users: int = 150) -> dict[str, float]:
    """For each peer the greatest difference of a metric from ours."""
    task = Task.of(data_name)
    users = task.users[:num_users]
    ours = recloop(task, users)
    return {
        name: max(abs(a - b) for a, b in zip(ours, evaluate(task, users), strict=True))
        for name, evaluate in PEERS.items()
    }


def work(evaluate: Evaluation, users_a_call: int, workers: int, data_name: str) -> Work:
    """So many users at a time, over and over. `workers` processes would do it in parallel, none in the
    other's way."""
    task = Task.of(data_name)
    evaluate(task, task.users[:1])  # compiles, and lists what is listed once
    calls = _calls(task.users, users_a_call)

    def some() -> float:
        users = next(calls)
        evaluate(task, users)
        return len(users) * workers

    return some


def competitors(data_name: str, *, tuned: bool) -> dict[str, Competitor]:
    """recloop compiled and plain, and each peer with its default number of users at a time."""
    num_items = len(Task.of(data_name).items_ID)
    ours = partial(work, recloop, 16384, 1, data_name)
    default = max(4096 // num_items, 1)  # eval_batch_size counts scores
    return {
        "product alone": Competitor(partial(work, product_alone, 16384, 1, data_name), tuned=True),
        "recloop": Competitor(ours, tuned=True),
        "recloop, plain torch": Competitor(ours, tuned=True, environment={"RECLOOP_COMPILED": "0"}),
        f"RecBole, {default} at a time (default)": Competitor(
            partial(work, recbole, default, 1, data_name), tuned=tuned
        ),
        "RecBole, 256 at a time": Competitor(partial(work, recbole, 256, 1, data_name), tuned=tuned),
        "LightGCN-PyTorch, 100 at a time": Competitor(
            partial(work, lightgcn_pytorch, 100, 1, data_name), tuned=tuned
        ),
        "MixGCF": Competitor(
            partial(work, mixgcf, 32, max(1, (os.cpu_count() or 1) // 2), data_name), tuned=tuned
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", choices=generated.SETS, default="alibaba")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuned", action="store_true", help="peers with the allocator's setting too")
    parser.add_argument(
        "--threads", type=int, help="of everybody; on a machine that others use, 1 is fairest"
    )
    arguments = parser.parse_args()
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # of the processes to come
        torch.set_num_threads(arguments.threads)
    print(machine.measure(), flush=True)
    for name, deviation in agreement(arguments.data).items():
        print(f"recall@{K} and NDCG@{K}: at most {deviation:.1e} from {name}'s", flush=True)
    field = competitors(arguments.data, tuned=arguments.tuned)
    measured = rates(field, rounds=arguments.rounds, seconds=arguments.seconds)
    flops = 2 * DIM * len(Task.of(arguments.data).items_ID)
    rows = [
        (
            name,
            number(rate),
            f"{measured['recloop'] / rate:.3g}",
            f"{measured['recloop, plain torch'] / rate:.3g}",
            f"{rate * flops / 1e9:.3g}",
            f"{100 * rate / measured['product alone']:.2g} %",
        )
        for name, rate in measured.items()
    ]
    header = ("", "users/s", "recloop is × as fast", "in plain torch ×", "GFLOP/s", "of the product alone")
    print(f"\n{arguments.data}; allocator {'set for all' if arguments.tuned else 'set for recloop'}\n")
    print(table(header, rows))


def _calls(users: Tensor, size: int) -> Iterator[Tensor]:
    while True:
        yield from users.split(size)


def _dcg(hit: list[int] | list[float]) -> float:
    gain = np.asarray(hit, dtype=float)[:K]
    return float(np.sum(gain / np.log2(np.arange(2, gain.size + 2))))


if __name__ == "__main__":
    main()
