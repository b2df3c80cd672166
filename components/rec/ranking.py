"""Full ranking over all items: no sampled candidates, users in blocks, ties to the lowest item id."""

import torch
from torch import Tensor

from components.rec.csr import Csr


@torch.no_grad()
def rank(users_QD: Tensor, items_ID: Tensor, seen: Csr, k: int, *, block: int = 2048) -> Tensor:
    """The k best items of each query row.

    Args:
        users_QD: query embeddings; the score of an item is the inner product.
        items_ID: item embeddings.
        seen: for each of the Q rows the items that are left out.
        k: length of the lists.
        block: rows scored at a time; memory is block × I floats.

    Returns:
        (Q, k) item ids, best first; -1 where a row has fewer than k items left.
    """
    assert seen.num_rows == len(users_QD)
    top = torch.full((len(users_QD), k), -1, dtype=torch.int64, device=users_QD.device)
    for start in range(0, len(users_QD), block):
        score_BI = users_QD[start : start + block] @ items_ID.T
        rows = torch.arange(start, start + len(score_BI), device=top.device)
        part = seen.select(rows)
        score_BI[part.rows, part.values] = -torch.inf
        top[start : start + block] = top_k(score_BI, k)
    return top


def top_k(score_BI: Tensor, k: int) -> Tensor:
    """(B, k) columns with the highest scores, ties to the lowest column; -1 for scores of −inf."""
    num_kept = min(k, score_BI.shape[1])
    value_BK, item_BK = score_BI.topk(
        min(k + 1, score_BI.shape[1]), dim=1
    )  # one more shows a tie at the edge
    crossing = (value_BK[:, num_kept - 1] == value_BK[:, -1]) & (value_BK[:, -1] > -torch.inf)
    value_BK, item_BK = value_BK[:, :num_kept], item_BK[:, :num_kept]
    # topk orders ties as it likes: sort them by item, and redo the rows where a tie crosses the edge
    by_item = item_BK.argsort(dim=1)
    value_BK, item_BK = value_BK.gather(1, by_item), item_BK.gather(1, by_item)
    value_BK, by_value = value_BK.sort(dim=1, descending=True, stable=True)
    item_BK = item_BK.gather(1, by_value)
    if num_kept < score_BI.shape[1] and crossing.any():
        value_CI, item_CI = score_BI[crossing].sort(dim=1, descending=True, stable=True)
        item_BK[crossing], value_BK[crossing] = item_CI[:, :num_kept], value_CI[:, :num_kept]
    item_BK[value_BK == -torch.inf] = -1
    if num_kept < k:
        item_BK = torch.nn.functional.pad(item_BK, (0, k - num_kept), value=-1)
    return item_BK


def hits(top_QK: Tensor, relevant: Csr) -> Tensor:
    """(Q, K) bool: whether the item at each rank is among its row's relevant ones."""
    if not relevant.values.numel():
        return torch.zeros_like(top_QK, dtype=torch.bool)
    width = int(max(relevant.values.max(), top_QK.max())) + 2
    known = relevant.rows * width + relevant.values
    rows = torch.arange(len(top_QK), device=top_QK.device)[:, None]
    asked = rows * width + torch.where(top_QK >= 0, top_QK, width - 1)
    place = torch.searchsorted(known, asked.reshape(-1)).clamp(max=len(known) - 1)
    return (known[place] == asked.reshape(-1)).reshape(top_QK.shape)
