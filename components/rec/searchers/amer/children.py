"""How good children are on the shared weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from components.core.progress import progress
from components.core.recipe.sequences import Block, LayerName
from components.metrics.ranking import cut_off, per_user
from components.rec.data import RankingData
from components.rec.ranking import hits, rank
from components.rec.searchers.amer.paths import Path
from components.rec.sequences.blocks import ACTIVATIONS, BlocksModel, ChoiceBlock, summary
from components.rec.sequences.histories import last_items, of_like_length, put_back
from components.rec.sequences.layers import clear

AT_ONCE: Final = 32  # children whose states are in memory together


@torch.no_grad()
def measure_children(
    model: BlocksModel, paths: Sequence[Path], data: RankingData, user_S: Tensor, metric: str
) -> list[float]:
    """The mean metric of each child over some users, whose valid items are asked for among all items.

    Histories are embedded once. Children are looked at in the order of their blocks, a few at a time: blocks
    that several begin with are computed once, and what goes through one layer of one block, of whichever
    children, goes through it together.
    """
    history = data.in_time.train
    groups = of_like_length(last_items(history, user_S, history.counts[user_S], model.max_length))
    embedded = [model.embedded(group.item_GT) for group in groups]
    seen, relevant, k = data.train.select(user_S), data.valid.select(user_S), cut_off([metric])
    number_S = relevant.counts.cpu().numpy()
    found: dict[Path, float] = {}
    ordered = in_order(paths)
    with progress("children", len(paths), "children") as shown:
        for start in range(0, len(ordered), AT_ONCE):
            some = ordered[start : start + AT_ONCE]
            found_in = [last_states(model.blocks, some, *group) for group in embedded]
            for path in some:
                summed = put_back(groups, [summary(states[path]) for states in found_in])
                top_SK = rank(summed @ model.output, model.items, seen, k)
                values = per_user(hits(top_SK, relevant).cpu().numpy(), number_S, [k])
                found[path] = float(values[metric].mean())
            shown.advance(len(some))
    return [found[path] for path in paths]


def last_states(
    blocks: Sequence[ChoiceBlock] | torch.nn.ModuleList,
    paths: Sequence[Path],
    first_STK: Tensor,
    there_ST: Tensor,
    target_SK: Tensor | None = None,
) -> Mapping[Path, Tensor]:
    """Child → (S, T, K) the states after its last block."""
    states: dict[Path, Tensor] = {(): first_STK}
    for depth, choices in enumerate(blocks):
        assert isinstance(choices, ChoiceBlock)
        prefixes = dict.fromkeys(path[: depth + 1] for path in paths)
        states = _next(choices, list(prefixes), states, there_ST, target_SK)
    return states


def _next(
    choices: ChoiceBlock,
    prefixes: Sequence[Path],
    states: Mapping[Path, Tensor],
    there_ST: Tensor,
    target_SK: Tensor | None,
) -> dict[Path, Tensor]:
    """The states after one more block; those of one layer together."""
    by_layer: dict[LayerName, list[Path]] = {}
    for prefix in prefixes:
        by_layer.setdefault(prefix[-1].layer, []).append(prefix)
    found: dict[Path, Tensor] = {}
    for layer, some in by_layer.items():
        if layer == "zero":
            found |= {prefix: states[prefix[:-1]] for prefix in some}
            continue
        inputs = dict.fromkeys((prefix[:-1], prefix[-1].norm) for prefix in some)
        normed = torch.cat([choices.normed(states[parent], there_ST, norm) for parent, norm in inputs])
        targets = None if target_SK is None else target_SK.repeat(len(inputs), 1)
        out = choices.mixed(layer, normed, there_ST.repeat(len(inputs), 1), targets).chunk(len(inputs))
        of_input = dict(zip(inputs, out, strict=True))
        for prefix in some:
            parent, block = prefix[:-1], prefix[-1]
            activated = ACTIVATIONS[block.activation](of_input[parent, block.norm])
            found[prefix] = clear(activated + states[parent], there_ST)
    return found


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Those that begin with the same blocks beside each other."""
    return sorted(paths, key=_key)


def _key(path: Path) -> tuple[tuple[str, str, str], ...]:
    return tuple((block.layer, block.norm, block.activation) for block in path)


def told(path: Sequence[Block]) -> str:
    """A child in a few words."""
    return " → ".join(_told(block) for block in path)


def patch_of(path: Sequence[Block]) -> dict[str, Any]:
    """What makes a child of a training section."""
    return {"model.blocks": [block.model_dump(mode="json") for block in path]}


def _told(block: Block) -> str:
    if block.layer == "zero":
        return "zero"
    norm = "" if block.norm == "none" else "norm, "
    return f"({norm}{block.layer}, {block.activation})"
