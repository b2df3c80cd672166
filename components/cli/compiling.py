"""`recloop compile`: a recipe as a Kubeflow pipeline."""

from collections.abc import Sequence
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.store import open_store


def compile_to(file: Path, overrides: Sequence[str], output: str) -> None:
    """Write a recipe's pipeline to a path; `-` is standard output.

    Raises:
        InvalidInputError: kfp is not installed here, or the recipe cannot be a pipeline.
    """
    try:
        from pipelines.compiling import compile_recipe
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"kfp", "google"}:
            raise
        raise InvalidInputError(
            "compile needs kfp, in an environment of its own (it holds back what Airflow and MLflow need): "
            "python -m venv kubeflow && kubeflow/bin/pip install 'recloop[kubeflow]'"
        ) from error
    text = compile_recipe(file, overrides)
    if output == "-":
        print(text, end="")
    else:
        open_store(output).write_bytes(output, text.encode())
