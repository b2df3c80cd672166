"""A trained network as ONNX, for serving without torch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from components.core.errors import GateFailedError
from components.rec.classifiers.base import ClassifierModel

INPUT: Final = "rows"  # (B, F, W), see `pooled`
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
    network, rows_BFW = deepcopy(model.network).cpu().eval(), _some_rows(model)
    onnx.save(_exported(network, rows_BFW), place)
    expected_BL = network(rows_BFW)
    difference_BL = (_answer(place, rows_BFW) - expected_BL).abs() / expected_BL.abs().clamp(min=1)
    if not bool((difference_BL <= _TOLERANCE).all()):
        raise GateFailedError(
            f"{place.name}: its logits differ from torch's by {float(difference_BL.max()):.2g}, need at most "
            f"{_TOLERANCE:g}"
        )


def _some_rows(model: ClassifierModel) -> Tensor:
    """(B, F, W) of the table, in any field's place."""
    shape = (_NUM_CHECKED, len(model.layout.fields))
    row_BF = torch.randint(len(model.table), shape, generator=torch.Generator().manual_seed(0))
    return model.table.detach().cpu()[row_BF]


def _exported(network: nn.Module, rows_BFW: Tensor) -> Any:
    with _quietly():
        program = torch.onnx.export(
            network,
            (rows_BFW,),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("B")},),
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


def _answer(place: Path, rows_BFW: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
    (logit_BL,) = session.run([OUTPUT], {INPUT: rows_BFW.numpy()})
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
            yield
    finally:
        logger.setLevel(level)
