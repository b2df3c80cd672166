"""A study of whole models: each with a search of its own, in the form of AMER's §3."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from components.core.recipe.classification import ClassifierConfig
from components.core.recipe.ranking import ModelConfig
from components.core.strategy import Config
from components.study.schema import Asked, Name, Seed, Study

AnyModel = Annotated[ClassifierConfig | ModelConfig, Field(union_mode="left_to_right")]


class ModelEntry(Config):
    """A line of the tables: a model, what is searched for it, and how it is trained."""

    model: AnyModel = Field(description="of the recipe's training section")
    search: dict[str, Any] = Field(default={"kind": "none"}, description="the recipe's search section")
    policy_of: Name | None = Field(
        default=None, description="takes over what the search of another line found, in place of a search"
    )
    training: dict[str, Any] = Field(
        default={}, description="the rest of the recipe's training section, where it is another"
    )


class ModelsStudy(Study):
    """Models of one task."""

    compares: Literal["models"] = Field(description="what its lines are")
    models: Annotated[dict[Name, ModelEntry], Field(min_length=2)] = Field(
        description="by the names that the tables have for them, in their order"
    )
    ours: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="the lines that the others are baselines of"
    )
    metric: str | None = Field(
        default=None,
        description="that validation decides by; else each recipe's",
    )
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="of the evaluation, such as auc and logloss, or ndcg@10 and sampled_hit_ratio@1"
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        default=(1, 2, 3, 4), description="that every line trains with; the data's split is the recipe's own"
    )  # AMER §3.2: four runs

    @property
    def methods_compared(self) -> Sequence[str]:
        return ()

    def model_section(self, name: str) -> dict[str, Any]:
        return self.models[name].model.model_dump(mode="json")

    def _contradictions(self) -> Iterator[str]:
        yield from super()._contradictions()
        for name, entry in self.models.items():
            if "model" in entry.training:
                yield f"models.{name}.training: has a model; name it beside"
            if entry.policy_of is None:
                continue
            source = self.models.get(entry.policy_of)
            if "search" in entry.model_fields_set:
                yield f"models.{name}: has both search and policy_of, need one of them"
            if source is not None and (source.policy_of or source.search.get("kind") == "none"):
                asked = f"models.{name}.policy_of"
                yield f"{asked}: {entry.policy_of!r} searches nothing, need a line with a search"

    def _names(self) -> Iterator[Asked]:
        yield from super()._names()
        yield "ours", list(self.ours), list(self.models)
        for name, entry in self.models.items():
            if entry.policy_of is not None:
                yield f"models.{name}.policy_of", [entry.policy_of], list(self.models)

    def _once(self) -> dict[str, Sequence[Any]]:
        return {**super()._once(), "ours": self.ours, "metrics": self.metrics}
