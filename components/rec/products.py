"""Products of narrow matrices at the machine's own rate."""

from typing import Final

import torch
from torch import Tensor


def inner_products(one_BD: Tensor, other_CD: Tensor) -> Tensor:
    """(B, C) products of every row with every row.

    On a CPU by oneDNN where torch has it: with these narrow matrices it reaches twice the rate of MKL's
    `mm` on AMD's processors, and the same on Intel's. The last bits may differ from `mm`'s.
    """
    if _ONEDNN and one_BD.device.type == "cpu" and one_BD.dtype == torch.float32:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(one_BD, other_CD, None, "none", [], "")
        return product
    return one_BD @ other_CD.T


def _has_onednn() -> bool:
    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and hasattr(torch.ops.mkldnn, "_linear_pointwise")


_ONEDNN: Final = _has_onednn()
