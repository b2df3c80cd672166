"""Children per second on the shared weights of a one-shot model (AMER §2.3): looked at together, against each
by itself as a model that is built and asked, which is how it would be done without sharing what they share.

python -m tests.benchmarks.speed.children [--users 1024] [--examples 10000] [--children 64]

Three searches: blocks that read histories of 12,000 items for ranking (step 1), MLPs over 39 fields (step 3),
and interactions of these fields (step 2), each of which is one more term in the first layer's sums.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from components.core.recipe.classification import Amer, ClassificationTraining, Mlp
from components.core.recipe.ranking import BceLoss, RankingTraining
from components.core.recipe.search import AmerForSequences, MlpSearch
from components.core.recipe.sequences import Blocks
from components.metrics.classification import measure
from components.rec.classification import build_classifier
from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.fields import Examples, FieldData, FieldTable, Layout
from components.rec.objective import build_model
from components.rec.searchers.amer import mlps
from components.rec.searchers.amer.children import measure_children
from components.rec.searchers.amer.interactions import CandidateLearner, _base
from components.rec.searchers.amer.paths import random_paths
from components.rec.searchers.amer.sequences import _one_shot
from components.rec.sequences.histories import Histories
from tests.benchmarks.speed import machine
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

_NUM_ITEMS, _LENGTH, _DIM = 12_000, 15, 64
_NUM_FIELDS, _NUM_VALUES = 39, 100


def _histories(num_users: int) -> RankingData:
    """Everybody has as many items as are read, and one that validates."""
    draw = torch.Generator().manual_seed(1)
    item_UT = torch.randint(_NUM_ITEMS, (num_users, _LENGTH + 1), generator=draw)
    user_N = torch.arange(num_users).repeat_interleave(_LENGTH)
    item_N = item_UT[:, :-1].flatten()
    offsets = torch.arange(num_users + 1)
    history = Csr(offsets * _LENGTH, item_N)
    return RankingData(
        num_users=num_users,
        num_items=_NUM_ITEMS,
        user=user_N,
        item=item_N,
        train=Csr.from_pairs(user_N, item_N, num_users),
        valid=Csr(offsets, item_UT[:, -1].contiguous()),
        histories=Histories(history, history),
    )


def _of_histories(num_users: int, count: int, *, together: bool) -> Work:
    torch.set_num_threads(1)
    config, data = AmerForSequences(num_blocks=6), _histories(num_users)
    training = RankingTraining(model=Blocks(dim=_DIM, max_length=_LENGTH), loss=BceLoss(), metric="ndcg@10")
    assert isinstance(training.model, Blocks)
    model, draw = _one_shot(config, training.model, data, 1), torch.Generator().manual_seed(2)
    everybody = torch.arange(num_users)

    def all_at_once() -> int:
        measure_children(model, random_paths(config, count, draw), data, everybody, "ndcg@10")
        return count

    def one() -> int:
        (path,) = random_paths(config, 1, draw)
        assert isinstance(training.model, Blocks)
        section = training.model_copy(update={"model": training.model.model_copy(update={"blocks": path})})
        child, weights = build_model(section, data, 1), model.state_dict()
        child.load_state_dict({name: weights[name] for name in child.state_dict()})
        data.validate(child, "ndcg@10")
        return 1

    return all_at_once if together else one


def _fields(num_examples: int) -> FieldData:
    layout = Layout(tuple(FieldTable(f"f{n}", "categorical", None, _NUM_VALUES) for n in range(_NUM_FIELDS)))
    draw = torch.Generator().manual_seed(1)
    code_NF = torch.randint(_NUM_VALUES, (num_examples, _NUM_FIELDS), generator=draw, dtype=torch.int32)
    part = Examples(layout, code_NF, (), torch.randint(2, (num_examples,), generator=draw))
    return FieldData(layout, ("0", "1"), part, part)


TRAINING = ClassificationTraining(
    model=Amer(dim=5, mlp=Mlp(hidden=(200, 200, 200), dropout=0, batch_norm=False)), metric="auc"
)


def _of_mlps(num_examples: int, count: int, *, together: bool) -> Work:
    torch.set_num_threads(1)
    config, data = MlpSearch(), _fields(num_examples)
    assert isinstance(TRAINING.model, Amer)
    model, draw = mlps.one_shot(TRAINING, data, 1), torch.Generator().manual_seed(2)
    width, batch = mlps.widest(TRAINING.model, data), data.valid.select(torch.arange(num_examples))

    def all_at_once() -> int:
        children = mlps.random_layers(config, width, 3, count, draw)
        mlps.measure_layers(model, children, batch, "auc")
        return count

    def one() -> int:
        (layers,) = mlps.random_layers(config, width, 3, 1, draw)
        assert isinstance(TRAINING.model, Amer)
        section = TRAINING.model.model_copy(update={"mlp": mlps.config_of(layers, TRAINING.model.mlp)})
        child = build_classifier(TRAINING.model_copy(update={"model": section}), data, 1)
        child.load_state_dict(mlps.child_of(model, layers))
        data.validate(child, "auc")
        return 1

    return all_at_once if together else one


def _of_interactions(num_examples: int, count: int, *, together: bool) -> Work:
    torch.set_num_threads(1)
    data = _fields(num_examples)
    pairs = [(i, j) for i in range(_NUM_FIELDS) for j in range(i + 1, _NUM_FIELDS)][:count]
    learner = CandidateLearner(
        TRAINING, data, _base(TRAINING, data, {}, 1), pairs, {}, torch.Generator().manual_seed(3), 1
    )
    batch = data.valid.select(torch.arange(num_examples))

    def all_at_once() -> int:
        learner.measure(batch)
        return len(pairs)

    place = [0]

    def one() -> int:
        """A model with this interaction alone."""
        pair = pairs[place[0] % len(pairs)]
        place[0] += 1
        assert isinstance(TRAINING.model, Amer)
        names = (tuple(f"f{n}" for n in pair),)
        section = TRAINING.model.model_copy(update={"interactions": names, "shortcut": False})
        child = build_classifier(TRAINING.model_copy(update={"model": section}), data, 1)
        measure(child.predict(data.valid).numpy(), data.valid.label_N.numpy())
        return 1

    return all_at_once if together else one


SEARCHES: dict[str, tuple[Callable[..., Work], str]] = {
    "blocks for histories": (_of_histories, "users"),
    "MLPs": (_of_mlps, "examples"),
    "interactions": (_of_interactions, "examples"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--children", type=int, default=64, help="that are looked at together")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    arguments: Any = parser.parse_args()
    print(machine.measure(), flush=True)
    for name, (work, size) in SEARCHES.items():
        made = partial(work, getattr(arguments, size), arguments.children)
        field = {
            way: Competitor(partial(made, together=together), tuned=True)
            for way, together in (("together", True), ("each by itself", False))
        }
        measured = rates(field, rounds=arguments.rounds, seconds=arguments.seconds)
        alone = measured["each by itself"]
        rows = [(way, number(rate), f"{rate / alone:.1f}") for way, rate in measured.items()]
        print(f"\n{name}\n{table(('', 'children/s', '×'), rows)}", flush=True)


if __name__ == "__main__":
    main()
