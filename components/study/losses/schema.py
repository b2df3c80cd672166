"""A study of losses: a grid of data, models, and what decides on the loss, in the form of AutoLoss's §3."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from components.core.recipe.classification import (
    ClassificationLoss,
    ClassificationMetric,
    ClassifierConfig,
    Controlled,
    CrossEntropy,
    Weighted,
)
from components.core.recipe.search import AutoLoss, Bohb, ClassifierSearch, NoSearch
from components.core.recipe.training import Count
from components.core.strategy import Config
from components.study.schema import Asked, Name, Seed, Study

# a single loss, losses with weights that are given, weights that all examples share, weights of each example;
# or whatever a policy says
Group = Literal["fixed", "combined", "shared", "per example", "taken"]
Several = Annotated[tuple[Name, ...], Field(min_length=2)]


class LossMethod(Config):
    """What a method puts into a recipe: a loss, or a search that decides on one."""

    loss: ClassificationLoss = Field(default=CrossEntropy(), description="what is minimised")
    search: ClassifierSearch = Field(default=NoSearch(), description="what decides on the loss, if anything")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.search.kind != "none" and self.loss != CrossEntropy():
            raise ValueError(f"loss: got {self.loss.kind!r}, but the search decides on it; name one of them")
        return self

    @property
    def group(self) -> Group:
        """Where AutoLoss §3.4 puts it."""
        if isinstance(self.search, AutoLoss):
            return "per example" if self.search.per_example else "shared"
        if isinstance(self.search, NoSearch):
            return "combined" if isinstance(self.loss, Weighted | Controlled) else "fixed"
        return "shared" if isinstance(self.search, Bohb) else "taken"


class Where(Config):
    """Models on data sets."""

    data: tuple[Name, ...] = Field(default=(), description="on these data sets; none named: on all")
    models: tuple[Name, ...] = Field(default=(), description="with these models; none named: with all")


class Grid(Where):
    """Methods that are compared, and where."""

    methods: Several = Field(description="in the order of the table")


class Updates(Where):
    """How often the controller of `ours` learns."""

    every: Annotated[tuple[Count, ...], Field(min_length=2)] = Field(
        description="f: training steps from one of the controller to the next"
    )


class Place(Config):
    """A model on a data set."""

    data: Name = Field(description="a data set")
    model: Name = Field(description="a model")


class Transfer(Config):
    """A policy that was searched in one place trains in others, frozen."""

    source: Place = Field(alias="from", description="where methods search")
    to: Annotated[tuple[Place, ...], Field(min_length=1)] = Field(
        description="where the policy of the same seed is taken over"
    )
    methods: Several = Field(description="those without a search train as always")


class LossesStudy(Study):
    """Losses alone, and searches among them."""

    compares: Literal["losses"] = Field(description="what its methods are")
    models: Annotated[dict[Name, ClassifierConfig], Field(min_length=1)] = Field(
        description="by the names that the tables have for them"
    )
    methods: Annotated[dict[Name, LossMethod], Field(min_length=2)] = Field(
        description="by the names that the tables have for them"
    )
    ours: Name = Field(description="the method that the others are baselines of")
    comparison: Grid = Field(description="Table 2: all methods")
    ablations: Grid | None = Field(default=None, description="Table 3: what the parts of `ours` are worth")
    transfers: tuple[Transfer, ...] = Field(
        default=(), description="Figure 3: policies that are carried over"
    )
    updates: Updates | None = Field(default=None, description="Figure 4 (b), (c): f of `ours`")
    metric: ClassificationMetric = Field(default="auc", description="what validation looks at")
    warm_start: Literal["search", "none"] = Field(
        default="search",
        description="after a search train from its weights, or from random ones as all do that do not search",
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        default=(1, 2, 3, 4, 5),
        description="that every cell trains with; the data's split is the recipe's own",
    )

    @property
    def methods_compared(self) -> Sequence[str]:
        return list(self.methods)

    @property
    def cross_entropy(self) -> str | None:
        """The method that is plain cross-entropy, which others are measured by."""
        plain = (name for name, one in self.methods.items() if one == LossMethod())
        return next(plain, None)

    def searches(self, method: str) -> bool:
        """Whether a method decides on a loss before it trains."""
        return self.methods[method].search.kind != "none"

    def grouped(self, group: Group) -> list[str]:
        """The methods of a group that are compared, but for `ours`."""
        return [
            name
            for name in self.comparison.methods
            if name != self.ours and self.methods[name].group == group
        ]

    def pairs(self, where: Where) -> list[tuple[str, str]]:
        """Data and model of a section."""
        return [(data, model) for data in where.data or self.data for model in where.models or self.models]

    def _contradictions(self) -> Iterator[str]:
        yield from super()._contradictions()
        for section, where in self._sections().items():
            if isinstance(where, Grid) and self.ours not in where.methods:
                yield f"{section}.methods: got {list(where.methods)}, need {self.ours!r} (ours) among them"
        for number, transfer in enumerate(self.transfers):
            known = [name for name in transfer.methods if name in self.methods]
            if not any(map(self.searches, known)):
                yield f"transfers.{number}.methods: got {list(known)}, need one that searches"
            if transfer.source in transfer.to:
                told = f"{transfer.source.data}, {transfer.source.model}"
                yield f"transfers.{number}.to: got {told}, where the policy comes from"
        ours = self.methods.get(self.ours)
        if self.updates and ours and not isinstance(ours.search, AutoLoss):
            yield f"updates: {self.ours!r} (ours) has no search of kind 'autoloss', which alone has updates"

    def _sections(self) -> dict[str, Where]:
        """Those that say where something is compared."""
        asked = {"comparison": self.comparison, "ablations": self.ablations, "updates": self.updates}
        return {name: where for name, where in asked.items() if where is not None}

    def _names(self) -> Iterator[Asked]:
        yield from super()._names()
        methods = list(self.methods)
        yield "ours", [self.ours], methods
        for section, where in self._sections().items():
            yield f"{section}.data", where.data, list(self.data)
            yield f"{section}.models", where.models, list(self.models)
            if isinstance(where, Grid):
                yield f"{section}.methods", where.methods, methods
        for number, transfer in enumerate(self.transfers):
            yield f"transfers.{number}.methods", transfer.methods, methods
            ends = {"from": transfer.source, **{f"to.{n}": target for n, target in enumerate(transfer.to)}}
            for end, named in ends.items():
                yield f"transfers.{number}.{end}.data", [named.data], list(self.data)
                yield f"transfers.{number}.{end}.model", [named.model], list(self.models)

    def _once(self) -> dict[str, Sequence[Any]]:
        found = super()._once()
        for section, where in self._sections().items():
            if isinstance(where, Grid):
                found[f"{section}.methods"] = where.methods
        if self.updates:
            found["updates.every"] = self.updates.every
        for number, transfer in enumerate(self.transfers):
            found[f"transfers.{number}.methods"] = transfer.methods
            found[f"transfers.{number}.to"] = [f"{end.data}, {end.model}" for end in transfer.to]
        return found
