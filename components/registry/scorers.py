"""A classifier's artifact, asked as it is served."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from components.core.recipe.examples import FieldKind
from components.registry.served import classifier_files, is_stream, stream_files


class Asked(Protocol):
    """A field that a question must have."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> FieldKind | str: ...


class Scorer(Protocol):
    """See `Scorer` of `classifier_serving.py` and of `stream_serving.py`."""

    classes: list[str]

    @property
    def fields(self) -> Sequence[Asked]: ...

    def score(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]: ...


def load_scorer(model: Path) -> Scorer:
    """The scorer of a model artifact. It imports MLflow, which takes its time."""
    if is_stream(model):
        from components.registry import stream_serving

        return stream_serving.Scorer(stream_files(model))
    from components.registry import classifier_serving

    return classifier_serving.Scorer(classifier_files(model))
