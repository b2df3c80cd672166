"""A recipe as the page that Airflow shows beside its DAG."""

from pathlib import Path

from components.core.recipe import Recipe

_PAGE = """\
{description}

| | |
|---|---|
| source | {source} |
| prepare | {core}-core, split `{split}` |
| search | `{search}` |
| training | `{model}`, sampler `{sampler}`, at most {epochs} epochs, on `{device}` |
| promotion | `{metric}` must beat the champion's by more than {margin:g}; floors: {floors}; {policy} |
| registered as | `{registered}` |
| artifacts in | `{workspace}` |

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
    core = recipe.prepare.thresholds()
    return _PAGE.format(
        description=recipe.description.strip() or f"The recipe `{recipe.name}`.",
        source=f"`{recipe.source.kind}` "
        + ", ".join(f"`{place}`" for place in recipe.source.locations().values()),
        core=core.users if core.users == core.items else f"{core.users} / {core.items} (users / items) ",
        split=recipe.prepare.split.kind,
        search=recipe.search.kind,
        model=recipe.training.model.kind,
        sampler=recipe.training.sampler.kind,
        epochs=recipe.training.epochs,
        device=recipe.training.device,
        metric=recipe.promotion.metric,
        margin=recipe.promotion.margin,
        policy=_POLICIES[recipe.promotion.policy],
        floors=", ".join(f"`{name}` ≥ {floor:g}" for name, floor in recipe.promotion.floors.items())
        or "none",
        registered=recipe.model_name,
        workspace=f"{recipe.workspace_uri}/{recipe.name}",
        text=file.read_text(encoding="utf-8").strip(),
    )
