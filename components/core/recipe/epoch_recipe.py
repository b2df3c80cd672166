"""What recipes share whose models pass their data many times: a split, and validation to stop by."""

from abc import ABC
from collections.abc import Collection, Iterator

from components.core.recipe.base import Recipe
from components.core.recipe.prepare import GivenSplit, LeaveOneOutSplit, RandomSplit, TemporalSplit
from components.core.recipe.training import EpochTraining


class EpochRecipe(Recipe, ABC):
    """A recipe that splits its data into train, valid and test."""

    training: EpochTraining

    def _contradictions(self) -> Iterator[str]:
        split, parts = self.split, self.parts
        if (parts is not None) != (split.kind == "given"):
            yield (
                f"prepare.split.kind: got '{split.kind}', but source.parts is "
                f"{'not set' if parts is None else 'set'}; a source in parts goes with 'given'"
            )
        elif not self.has_validation:
            needs = "needs validation data; give prepare.split a valid part"
            if self.search.kind not in {"none", "policy"}:
                yield f"search.kind: got '{self.search.kind}', which {needs}"
            if self.training.warm_check is not None:
                yield f"training.warm_check: {needs}"
        yield from super()._contradictions()

    @property
    def parts(self) -> Collection[str] | None:
        """Names of the parts that the source comes in; None where it is not split."""
        return getattr(self.source, "parts", None)

    @property
    def split(self) -> RandomSplit | TemporalSplit | LeaveOneOutSplit | GivenSplit:
        """How train, valid and test come apart."""
        split: RandomSplit | TemporalSplit | LeaveOneOutSplit | GivenSplit = self.prepare.split
        return split

    @property
    def has_validation(self) -> bool:
        """Whether prepare sets something aside for validation."""
        split = self.split
        if isinstance(split, GivenSplit):
            return split.valid_fraction > 0 or "valid" in (self.parts or ())
        return isinstance(split, LeaveOneOutSplit) or split.ratio[1] > 0
