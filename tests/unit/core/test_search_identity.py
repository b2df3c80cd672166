"""What a search's cache key is made of."""

from components.core.recipe import SearchParams, Training
from components.core.recipe.search import AutoSample


def test_what_only_retraining_reads_does_not_search_again() -> None:
    base = SearchParams(search=AutoSample(), training=Training(), seed=1)
    retraining = Training(warm_start="none", epochs=7, patience=3)
    assert SearchParams(search=AutoSample(), training=retraining, seed=1).identity() == base.identity()
    other = SearchParams(search=AutoSample(), training=Training(learning_rate=0.1), seed=1)
    assert other.identity() != base.identity()
