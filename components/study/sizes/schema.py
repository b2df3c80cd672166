"""A study of embedding sizes: streams, and what decides on sizes, in the form of ESAPN's §3."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from components.core.recipe.stream import Embedding, FixedSize, StreamMlp
from components.core.strategy import Config
from components.study.schema import Asked, Name, Seed, Study


class SizeMethod(Config):
    """What a method puts into a recipe: a size for all, or a search for sizes."""

    embedding: Embedding = Field(description="how embeddings get their sizes")


class SizesStudy(Study):
    """Sizes that are fixed, and searches for sizes."""

    compares: Literal["sizes"] = Field(description="what its methods are")
    models: Annotated[dict[Name, StreamMlp], Field(min_length=1)] = Field(
        description="by the names that the tables have for them"
    )
    methods: Annotated[dict[Name, SizeMethod], Field(min_length=2)] = Field(
        description="by the names that the tables have for them, in their order"
    )
    ours: Name = Field(description="the method that the others are baselines of")
    fixed: Name = Field(description="the method of one size, by which memory and speed are measured")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        default=(1, 2, 3, 4, 5), description="that every cell trains with; the stream is the same for all"
    )

    @property
    def methods_compared(self) -> Sequence[str]:
        return list(self.methods)

    def _contradictions(self) -> Iterator[str]:
        yield from super()._contradictions()
        fixed = self.methods.get(self.fixed)
        if fixed and not isinstance(fixed.embedding, FixedSize):
            yield f"fixed: {self.fixed!r} is of kind {fixed.embedding.kind!r}, need one of kind 'fixed'"
        if self.ours == self.fixed:
            yield f"ours: got {self.ours!r}, which is `fixed`; need another"

    def _names(self) -> Iterator[Asked]:
        yield from super()._names()
        yield "ours", [self.ours], list(self.methods)
        yield "fixed", [self.fixed], list(self.methods)
