"""What is registered of a model: code and files that answer without this package, and how it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from components.core.recipe.examples import FieldKind

_CLASSIFIER_FILES: Final = {
    **{name: f"{name}.parquet" for name in ("fields", "values", "edges", "value_embeddings")},
    "network": "network.onnx",
    "classes": "classes.json",
}
_STREAM_FILES: Final = {
    **{name: f"{name}.parquet" for name in ("user_embeddings", "item_embeddings", "network")},
    "classes": "classes.json",
}
_HERE: Final = Path(__file__).parent
_TYPES: Final[Mapping[FieldKind, str]] = {
    "categorical": "string",
    "numeric": "double",
    "multi_valued": "strings",
    "history": "strings",
}


@final
@dataclass(frozen=True, kw_only=True)
class Served:
    """A model as MLflow serves it.

    Attributes:
        name: of the logged model.
        code: MLflow runs this file where the model is loaded.
        packages: modules that the code imports.
        files: by the names that the code knows.
        inputs, outputs: column → its type in MLflow's words, and `strings` for lists of text.
        params: what a question may set anew, with its default.
        example: column → values, a question to begin with.
    """

    name: str
    code: Path
    packages: tuple[str, ...]
    files: Mapping[str, Path]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    params: Mapping[str, int]
    example: Mapping[str, Sequence[Any]]


def recommender(files: Mapping[str, Path], user_id: str) -> Served:
    """A ranking model: user ids in, items out.

    Args:
        files: `user_embeddings`, `item_embeddings`, `popularity` and `seen`.
    """
    return Served(
        name="recommender",
        code=_HERE / "serving.py",
        packages=("mlflow", "numpy", "pandas", "pyarrow"),
        files=files,
        inputs={"user_id": "string"},
        outputs={"user_id": "string", "rank": "long", "item_id": "string", "score": "double"},
        params={"k": 20},
        example={"user_id": [user_id]},
    )


def classifier_files(model: Path) -> dict[str, Path]:
    """Where a model artifact has what `classifier_serving.py` reads, by the names that it knows."""
    return {name: model / file for name, file in _CLASSIFIER_FILES.items()}


def is_stream(model: Path) -> bool:
    """Whether a classifier's artifact is that of a stream."""
    return (model / _STREAM_FILES["network"]).exists()


def stream_files(model: Path) -> dict[str, Path]:
    """Where a model artifact has what `stream_serving.py` reads, by the names that it knows."""
    return {name: model / file for name, file in _STREAM_FILES.items()}


def stream(model: Path, classes: Sequence[str], example: Mapping[str, Sequence[Any]]) -> Served:
    """A model that follows a stream: raw ids of users and items in, probabilities of classes out.

    Args:
        model: the artifact's directory.
        example: user and item of some interactions.
    """
    return Served(
        name="classifier",
        code=_HERE / "stream_serving.py",
        packages=("mlflow", "numpy", "pandas", "pyarrow"),
        files=stream_files(model),
        inputs={"user": "string", "item": "string"},
        outputs={"class": "string", **{f"probability_{name}": "double" for name in classes}},
        params={},
        example=example,
    )


def classifier(
    model: Path,
    kinds: Mapping[str, FieldKind],
    classes: Sequence[str],
    example: Mapping[str, Sequence[Any]],
) -> Served:
    """A classifier: values of fields in, probabilities of classes out.

    Args:
        model: the artifact's directory.
        kinds: field → what it holds.
        example: field → values of some examples.
    """
    return Served(
        name="classifier",
        code=_HERE / "classifier_serving.py",
        packages=("mlflow", "numpy", "onnxruntime", "pandas", "pyarrow"),
        files=classifier_files(model),
        inputs={name: _TYPES[kind] for name, kind in kinds.items()},
        outputs={"class": "string", **{f"probability_{name}": "double" for name in classes}},
        params={},
        example=example,
    )
