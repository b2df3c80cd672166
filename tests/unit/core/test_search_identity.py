"""What a search's cache key is made of."""

from components.core.recipe import RankingRecipe, RankingTraining, SearchParams
from components.core.recipe.search import AutoSample


def test_what_only_retraining_reads_does_not_search_again() -> None:
    base = SearchParams(search=AutoSample(), training=RankingTraining(), seed=1)
    retraining = RankingTraining(warm_start="none", epochs=7, patience=3)
    assert SearchParams(search=AutoSample(), training=retraining, seed=1).identity() == base.identity()
    other = SearchParams(search=AutoSample(), training=RankingTraining(learning_rate=0.1), seed=1)
    assert other.identity() != base.identity()


def test_a_seed_of_the_training_leaves_the_data_alone() -> None:
    source = {"kind": "synthetic"}
    plain, same, other = (
        RankingRecipe.model_validate({"name": "r", "source": source, "seed": 5, "training": {"seed": seed}})
        for seed in (None, 5, 6)
    )
    for name, params in plain.stage_params().items():
        assert same.stage_params()[name].identity() == params.identity()
    changed = {
        name
        for name, params in plain.stage_params().items()
        if other.stage_params()[name].identity() != params.identity()
    }
    assert changed == {"search", "retrain"}
