"""AMER's step 2: interactions of rising order on shared weights."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.recipe.classification import Amer, ClassificationTraining, Mlp
from components.core.recipe.search import AmerForFields
from components.rec.classification import build_classifier
from components.rec.fields import Examples, FieldData, FieldTable, Layout
from components.rec.searchers.amer.fields import search
from components.rec.searchers.amer.interactions import CandidateLearner, _base, _crossed
from components.rec.searchers.base import SearchResult

from .field_worlds import MIXED, make_field_data, make_layout
from .stopping import stopped_and_gone_on


def interactions_alone(**changes: int | float) -> AmerForFields:
    return AmerForFields.model_validate({"steps": ["interactions"], **changes})


SMALL = interactions_alone(rounds=2, keep=4, chosen=3, epochs=6, learning_rate=0.01, examples=150)
MLP = Mlp(hidden=(6, 4), dropout=0, batch_norm=False)
TRAINING = ClassificationTraining(model=Amer(dim=3, mlp=MLP), batch_size=50, metric="logloss")


def test_interactions_rise_by_one_field() -> None:
    assert _crossed([(0,), (1,), (2,)], 3) == [(0, 1), (0, 2), (1, 2)]
    assert _crossed([(0, 1), (1, 2)], 4) == [(0, 1), (1, 2), (0, 1, 2), (0, 1, 3), (1, 2, 3)]
    assert _crossed([(0, 1, 2)], 3) == [(0, 1, 2)]


def learner_of(
    data: FieldData, candidates: list[Any], training: ClassificationTraining = TRAINING
) -> CandidateLearner:
    draw = torch.Generator().manual_seed(4)
    learner = CandidateLearner(training, data, _base(training, data, {}, 1), candidates, {}, draw, seed=1)
    for parameter in [*learner.model.parameters(), learner.candidate_CDH]:
        torch.nn.init.normal_(parameter, std=0.5, generator=draw)
    return learner


def slow_logit(learner: Any, rows_FD: Tensor, candidate: tuple[int, ...], weight_DH: Tensor) -> Tensor:
    """Of one example: the fields and one product side by side, through a first layer of both's weights."""
    product = rows_FD[list(candidate)].prod(dim=0)
    mlp = learner.model.network.mlp
    weight = torch.cat([mlp.layers[0].weight, weight_DH.T], dim=1)
    hidden = (weight @ torch.cat([rows_FD.flatten(), product]) + mlp.layers[0].bias).relu()
    return learner.model.network.output(mlp.layers[1](hidden).relu())


def test_a_step_gives_each_example_one_candidate_and_all_alike() -> None:
    data = make_field_data(make_layout(MIXED))
    candidates = [(0, 1), (2, 4), (1, 2, 3), (0, 4)]
    learner, twin = (learner_of(data, candidates) for _ in range(2))
    which = twin._assigned(50)
    counts = Counter(which.tolist())
    assert sorted(counts.values()) == [12, 12, 13, 13]
    batch = data.train.select(torch.arange(50))
    learner.step(batch)
    rows_BFD = twin.model.look_up(batch).rows_BFW
    logits = torch.stack(
        [
            slow_logit(twin, rows_FD, candidates[one], twin.candidate_CDH[one])
            for rows_FD, one in zip(rows_BFD, which.tolist(), strict=True)
        ]
    )
    loss = binary_cross_entropy_with_logits(logits.squeeze(1), batch.label_B.float())
    assert float(learner._loss_sum) / 50 == pytest.approx(float(loss.detach()), rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert learner.candidate_CDH.grad is not None
    assert twin.candidate_CDH.grad is not None
    assert torch.allclose(learner.candidate_CDH.grad, twin.candidate_CDH.grad, atol=1e-6)
    for name, parameter in learner.model.network.named_parameters():
        expected = twin.model.network.get_parameter(name).grad
        assert parameter.grad is not None
        assert expected is not None
        assert torch.allclose(parameter.grad, expected, atol=1e-6), name


def test_each_candidate_is_worth_what_it_is_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.rec.searchers.amer.interactions._NUMBERS_AT_ONCE", 2 * 60 * 6)
    data = make_field_data(make_layout(MIXED))
    candidates = [(0, 1), (2, 4), (1, 2, 3), (0, 4), (3, 4)]
    learner = learner_of(data, candidates)
    batch = data.valid.select(torch.arange(60))
    found = learner.measure(batch)
    rows_BFD = learner.model.look_up(batch).rows_BFW.detach()
    for one, value, weight in zip(candidates, found, learner.candidate_CDH.detach(), strict=True):
        logits = torch.stack([slow_logit(learner, rows_FD, one, weight) for rows_FD in rows_BFD]).detach()
        expected = binary_cross_entropy_with_logits(logits.squeeze(1), batch.label_B.float())
        assert value == pytest.approx(float(expected), rel=1e-4)
    assert learner.model.training


def parity_world(num_fields: int = 5) -> FieldData:
    """Two values a field; the label says whether fields 1 and 3 agree. Only their product knows."""
    layout = Layout(tuple(FieldTable(f"f{n}", "categorical", None, 4) for n in range(num_fields)))

    def part(size: int, seed: int) -> Examples:
        generator = torch.Generator().manual_seed(seed)
        code = torch.randint(2, 4, (size, num_fields), generator=generator, dtype=torch.int32)
        return Examples(layout, code, (), (code[:, 1] == code[:, 3]).long())

    return FieldData(layout, ("0", "1"), part(2000, 1), part(500, 2))


def run(place: Path, data: FieldData, config: AmerForFields = SMALL, seed: int = 1) -> SearchResult:
    place.mkdir(exist_ok=True)
    checkpoint = Checkpoint(str(place / "policy"), place, "key")
    return search(config, TRAINING, data, seed=seed, checkpoint=checkpoint)


def test_the_interaction_that_knows_is_found(tmp_path: Path) -> None:
    data = parity_world()
    config = interactions_alone(rounds=2, keep=4, chosen=2, epochs=12, learning_rate=0.01)
    result = run(tmp_path / "a", data, config)
    best = result.policy.decision["products"]
    assert {"f1", "f3"} <= set(best[0]["fields"])
    assert result.policy.patch["model.interactions"] == [one["fields"] for one in best]
    assert result.policy.decision["tried"][0] == 10
    assert result.policy.epochs == 12
    assert best[0]["logloss"] <= best[1]["logloss"] < 0.69


def test_what_was_learned_goes_into_the_model(tmp_path: Path) -> None:
    """Without its shortcut the model with one interaction says what the search said."""
    data = parity_world()
    training = TRAINING.model_copy(update={"model": Amer(dim=3, mlp=MLP, shortcut=False)})
    config = interactions_alone(rounds=1, keep=1, chosen=1, epochs=4, learning_rate=0.01)
    checkpoint = Checkpoint(str(tmp_path / "policy"), tmp_path, "key")
    result = search(config, training, data, seed=1, checkpoint=checkpoint)
    model = build_classifier(result.policy.apply(training), data, seed=5)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    (best,) = result.policy.decision["products"]
    assert data.validate(model, "logloss")["logloss"] == pytest.approx(best["logloss"], rel=1e-4)


def test_a_model_with_a_shortcut_begins_with_what_was_learned(tmp_path: Path) -> None:
    data = parity_world()
    result = run(tmp_path / "a", data)
    model = build_classifier(result.policy.apply(TRAINING), data, seed=5)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    assert data.validate(model, "logloss")["logloss"] < 1


def test_it_ends_where_there_is_no_interaction_left(tmp_path: Path) -> None:
    config = interactions_alone(rounds=6, keep=50, chosen=15, epochs=6, learning_rate=0.01)
    result = run(tmp_path / "a", small_world(3), config)
    assert result.policy.decision["tried"] == [3, 4]
    assert len(result.policy.patch["model.interactions"]) == 4
    with pytest.raises(InvalidInputError, match="there is one field, which has no interactions"):
        run(tmp_path / "b", small_world(1), config)


def test_a_field_with_one_value_does_no_harm(tmp_path: Path) -> None:
    """Its products are those of the others, scaled."""
    data = parity_world()
    train, valid = (
        Examples(part.layout, part.code_NS.clone(), (), part.label_N) for part in (data.train, data.valid)
    )
    for part in (train, valid):
        part.code_NS[:, 0] = 2
    config = interactions_alone(rounds=2, keep=4, chosen=2, epochs=12, learning_rate=0.01)
    result = run(tmp_path / "a", FieldData(data.layout, data.classes, train, valid), config)
    assert {"f1", "f3"} <= set(result.policy.patch["model.interactions"][0])


def small_world(num_fields: int) -> FieldData:
    data = parity_world()
    layout = Layout(data.layout.fields[:num_fields])
    train, valid = (
        Examples(layout, part.code_NS[:, :num_fields], (), part.label_N) for part in (data.train, data.valid)
    )
    return FieldData(layout, data.classes, train, valid)


def test_a_search_is_made_by_its_seed_alone(tmp_path: Path) -> None:
    data = make_field_data(make_layout(MIXED))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (
        run(tmp_path / name, data, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert one.policy == same.policy
    assert one.policy != other.policy


@pytest.mark.parametrize("steps", [5, 41, 60])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_field_data(make_layout(MIXED))
    expected, found = stopped_and_gone_on(
        CandidateLearner, steps, lambda name: run(tmp_path / name, data), monkeypatch
    )
    assert found.policy == expected.policy
    assert expected.weights is not None
    assert found.weights is not None
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())
