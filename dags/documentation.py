"""A recipe as the page that Airflow shows beside its DAG."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from components.core.recipe import ClassificationRecipe, RankingRecipe, Recipe, StreamRecipe
from components.core.recipe.judgement import Range

_PAGE = """\
{description}

| | |
|---|---|
{rows}

A stage whose inputs, parameters and code are unchanged is skipped: its artifact stands already.

```yaml
{text}
```
"""
_POLICIES = {
    "auto": "who wins is promoted at once",
    "approve": "who wins is promoted when somebody approves",
    "never": "who wins waits for `recloop promote`",
}


def document(file: Path, recipe: Recipe) -> str:
    """Markdown: what the recipe does, in a table, and its text."""
    return _PAGE.format(
        description=recipe.description.strip() or f"The recipe `{recipe.name}`.",
        rows="\n".join(f"| {name} | {told} |" for name, told in _rows(recipe)),
        text=file.read_text(encoding="utf-8").strip(),
    )


def _rows(recipe: Recipe) -> Iterator[tuple[str, str]]:
    places = ", ".join(f"`{place}`" for place in recipe.source.locations().values())
    training, promotion = recipe.training, recipe.promotion
    yield "source", f"`{recipe.source.kind}` {places}"
    yield "prepare", _prepared(recipe)
    yield "search", f"`{recipe.search.kind}`"
    yield "training", f"`{training.model.kind}`, {_learned(recipe)}, on `{training.device}`"
    yield (
        "promotion",
        f"`{promotion.metric}` must beat the champion's by more than {promotion.margin:g}; "
        f"{_required(recipe)}; {_POLICIES[promotion.policy]}",
    )
    yield "registered as", f"`{recipe.model_name}`"
    yield "artifacts in", f"`{recipe.workspace_uri}/{recipe.name}`"


def _prepared(recipe: Recipe) -> str:
    if isinstance(recipe, RankingRecipe):
        core = recipe.prepare.thresholds()
        told = (
            f"{core.users}-core"
            if core.users == core.items
            else f"{core.users} / {core.items}-core (users / items)"
        )
        return f"{told}, split `{recipe.split.kind}`"
    if isinstance(recipe, ClassificationRecipe):
        return f"{len(recipe.source.kinds())} fields, split `{recipe.split.kind}`"
    return f"in the order of time, the last {100 * recipe.prepare.test_tail:g} % test"


def _learned(recipe: Recipe) -> str:
    """What is chosen beside the model, and for how long it is trained."""
    if isinstance(recipe, RankingRecipe):
        chosen = f"sampler `{recipe.training.sampler.kind}`"
        return f"{chosen}, at most {recipe.training.epochs} epochs"
    if isinstance(recipe, ClassificationRecipe):
        return f"loss `{recipe.training.loss.kind}`, at most {recipe.training.epochs} epochs"
    return f"{recipe.training.batch_size} interactions a step, each once"


def _required(recipe: Recipe) -> str:
    """What no model may fall short of."""
    bounds: Iterable[tuple[str, Range]] = ()
    if isinstance(recipe, RankingRecipe):
        bounds = [(name, Range(min=floor)) for name, floor in recipe.promotion.floors.items()]
    elif isinstance(recipe, ClassificationRecipe | StreamRecipe):
        bounds = recipe.promotion.limits.items()
    return f"limits: {', '.join(f'`{name}` {_range(bound)}' for name, bound in bounds) or 'none'}"


def _range(limit: Range) -> str:
    bounds = (("≥", limit.min), ("≤", limit.max))
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
