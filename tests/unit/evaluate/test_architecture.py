"""A model's architecture as a page draws it."""

from components.core.recipe.classification import Amer, DeepFm, Mlp
from components.core.recipe.sequences import Block, Blocks
from components.evaluate.report.architecture import architecture


def test_blocks_are_drawn_from_the_first_to_the_last() -> None:
    blocks = (
        Block(layer="gru", norm="none", activation="identity"),
        Block(layer="zero"),
        Block(layer="attention2", activation="gelu"),
    )
    drawn = architecture(Blocks(dim=8, max_length=15, blocks=blocks).model_dump(mode="json"))
    assert drawn is not None
    assert (
        drawn.told
        == "history → GRU, both ways → self-attention, 2 heads → its sum and its last place; then score"
    )
    [[chain], [_]] = drawn.stages
    assert list(chain[0].lines) == ["the last 15 items", "8 numbers each"]
    assert list(chain[1].lines) == ["added to what comes in"]
    assert list(chain[2].lines) == ["normalised first", "GELU", "added to what comes in"]


def test_fields_histories_and_interactions_go_into_the_mlp_and_around_it() -> None:
    mlp = Mlp(hidden=(40, 8), activations=("dice", "identity"))
    model = Amer(mlp=mlp, interactions=(("user", "item"),), blocks=(Block(layer="target"),))
    drawn = architecture(model.model_dump(mode="json"), ["item", "user"], ["item"])
    assert drawn is not None
    inputs, ways, _ = drawn.stages
    assert [chain[0].name for chain in inputs] == ["fields", "history", "interactions"]
    assert list(inputs[2][0].lines) == ["user ⊙ item"]
    assert [[part.name for part in chain] for chain in ways] == [["40 units", "8 units"], ["shortcut"]]
    assert [list(part.lines) for part in ways[0]] == [["Dice"], []]
    alone = Amer(mlp=mlp, interactions=(("user", "item"),), deep=False, shortcut=False)
    drawn = architecture(alone.model_dump(mode="json"), ["item", "user"])
    assert drawn is not None
    inputs, ways, _ = drawn.stages
    assert [chain[0].name for chain in inputs] == ["fields", "interactions"]
    assert list(ways[0][0].lines) == ["Dice", "without the interactions"]
    assert len(ways) == 1


def test_a_model_that_is_told_by_its_name_is_not_drawn() -> None:
    assert architecture(DeepFm().model_dump(mode="json"), ["item"]) is None
