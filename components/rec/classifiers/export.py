"""A trained network as ONNX, for serving without torch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, final

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from components.core.errors import GateFailedError
from components.rec.classifiers.base import ClassifierModel, Past

ROWS: Final = "rows"  # (B, F, W), see `Looked`
PAST: Final = ("past", "there")  # (B, T, K) and (B, T), see `Past`; T is the longest history
OUTPUT: Final = "logit"  # (B, L)
_OPSET: Final = 18
_NUM_CHECKED: Final = 100  # examples
_TOLERANCE: Final = 1e-4  # of a logit, or relative to it where it is above 1
_NOTES: Final = ("metadata_props", "doc_string", "producer_version")  # the exporter's: stacks, paths


@torch.no_grad()
def export(model: ClassifierModel, place: Path) -> None:
    """Write the network of a settled model, without dropout and with batch norm's running statistics. Equal
    weights give equal bytes.

    Raises:
        GateFailedError: onnxruntime answers differently from torch.
    """
    network, looked = _Served(deepcopy(model.network).cpu().eval()), _something(model)
    onnx.save(_exported(network, looked), place)
    expected_BL = network(*looked)
    difference_BL = (_answer(place, looked) - expected_BL).abs() / expected_BL.abs().clamp(min=1)
    if not bool((difference_BL <= _TOLERANCE).all()):
        raise GateFailedError(
            f"{place.name}: its logits differ from torch's by {float(difference_BL.max()):.2g}, need at most "
            f"{_TOLERANCE:g}"
        )


@final
class _Served(nn.Module):
    """A network that is asked with tensors alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows_BFW: Tensor, *past: Tensor) -> Tensor:
        logit_BL: Tensor = self.network(rows_BFW, None, Past(*past)) if past else self.network(rows_BFW)
        return logit_BL


def _something(model: ClassifierModel) -> tuple[Tensor, ...]:
    """Rows of the table, in any field's place; and histories of any length, where they are read."""
    generator = torch.Generator().manual_seed(0)
    table_RW = model.table.detach().cpu()

    def rows(*shape: int) -> Tensor:
        return table_RW[torch.randint(len(table_RW), shape, generator=generator)]

    rows_BFW = rows(_NUM_CHECKED, len(model.shape.names))
    if not model.shape.targets:
        return (rows_BFW,)
    length = max(field.length or 0 for field in model.layout.fields)
    count_B = torch.randint(1, length + 1, (_NUM_CHECKED, 1), generator=generator)
    there_BT = torch.arange(length) >= length - count_B
    state_BTK = rows(_NUM_CHECKED, length, len(model.shape.targets)).flatten(2)
    return rows_BFW, state_BTK * there_BT[:, :, None], there_BT


def _exported(network: nn.Module, looked: tuple[Tensor, ...]) -> Any:
    batch = {0: torch.export.Dim("B")}
    rows, *past = [batch for _ in looked]
    with _quietly():
        program = torch.onnx.export(
            network,
            looked,
            dynamo=True,
            opset_version=_OPSET,
            input_names=[ROWS, *PAST][: len(looked)],
            output_names=[OUTPUT],
            dynamic_shapes=(rows, tuple(past)) if past else (rows,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        for name in _NOTES:
            if name in part.DESCRIPTOR.fields_by_name:
                part.ClearField(name)
    return model


def _answer(place: Path, looked: tuple[Tensor, ...]) -> Tensor:
    session = onnxruntime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
    inputs = {name: some.numpy() for name, some in zip([ROWS, *PAST], looked, strict=False)}
    (logit_BL,) = session.run([OUTPUT], inputs)
    return torch.from_numpy(logit_BL)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of operators that nobody asked for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", message="The tensor attributes .* were assigned during export")
            yield
    finally:
        logger.setLevel(level)
