"""What the tasks of a pipeline hand each other: names, and the kinds of artifacts that KFP's UI shows."""

from typing import Final

RECIPE: Final = "recipe"  # the document, as JSON
OVERRIDES: Final = "overrides"  # free `key=value`s of a run
STATUS: Final = "status"  # how KFP says a pipeline ended
RESERVED: Final = frozenset({RECIPE, OVERRIDES, STATUS})
RUNS: Final = "runs"  # where records go
PARAMS: Final = "params"  # of a stage, as JSON: KFP's own numbers are doubles, 2.0 would come back as 2
PLACE: Final = "place"  # where a stage's artifact goes, with {key}
URI: Final = "uri"  # where it is
SHA256: Final = "sha256"
MESSAGE: Final = "message"  # how a run ended, in one line

# Artifact → the class of kfp.dsl that shows most of it.
TYPES: Final = {
    "interactions": "Dataset",
    "dataset": "Dataset",
    "policy": "Artifact",
    "model": "Model",
    "evaluation": "Metrics",
    "registration": "Artifact",
}
# Artifact → output → (class of kfp.dsl, file): pages that KFP's UI shows, copied out of our artifact.
PAGES: Final = {"evaluation": {"report": ("HTML", "report.html")}}


def input_uri(name: str) -> str:
    """The parameter with the URI of a stage's input."""
    return f"{name}_uri"


def planned_params(stage: str) -> str:
    """The plan's output with a stage's parameters."""
    return f"{stage}_params"


def planned_place(artifact: str) -> str:
    """The plan's output with the place of an artifact."""
    return f"{artifact}_place"
