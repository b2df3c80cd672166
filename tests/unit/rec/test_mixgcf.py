"""MixGCF against its definition, with the layers of both models made from dense matrices."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, softplus

from components.compiled import available
from components.core.errors import InvalidInputError
from components.core.recipe.ranking import LightGcn, MixGcfMixer, Ngcf, RankingTraining
from components.core.recipe.reading import build_recipe
from components.rec.data import PairBatch, RankingData
from components.rec.models import lightgcn, ngcf, propagation
from components.rec.models.base import HopEncoded, RankingModel
from components.rec.objective import PairwiseObjective, build_model, build_negatives
from components.rec.samplers.base import Mixed, Mixer

LIGHTGCN = RankingTraining(model=LightGcn(dim=6, num_layers=2), sampler=MixGcfMixer(num_candidates=5))
NGCF = RankingTraining(
    model=Ngcf(dim=6, layer_dims=(5, 4), message_dropout=0), sampler=MixGcfMixer(num_candidates=5)
)
both_models = pytest.mark.parametrize("training", [LIGHTGCN, NGCF], ids=["lightgcn", "ngcf"])


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not available():
        pytest.skip("Numba is not installed")
    if not request.param:
        for module in (lightgcn, ngcf, propagation):
            monkeypatch.setattr(module, "takes_kernels", lambda _: False, raising=False)


def dense_layers(model: RankingModel, training: RankingTraining, data: RankingData) -> list[Tensor]:
    """(U + I, D) of each hop."""
    adjacency = torch.zeros(data.num_users + data.num_items, data.num_users + data.num_items)
    adjacency[data.user, data.item + data.num_users] = 1
    adjacency += adjacency.T.clone()
    scale = adjacency.sum(1).clamp(min=1).rsqrt()
    graph = scale[:, None] * adjacency * scale
    layers = [torch.cat([model.users, model.items])]
    for hop in range(2):
        below = layers[-1]
        spread = graph @ below
        if training.model.kind == "ngcf":
            own, product = model.neighbor_weights[hop], model.product_weights[hop]
            spread = leaky_relu((spread + below) @ own + (spread * below) @ product, 0.2)
        layers.append(spread)
    return layers


def parts(
    training: RankingTraining, layers: list[Tensor], user_B: Tensor, item_BK: Tensor, users: int
) -> Tensor:
    """(B, K, L) what each hop of the item contributes to the score."""
    if training.model.kind == "ngcf":
        return torch.stack([(at[user_B][:, None] * at[item_BK + users]).sum(2) for at in layers], 2)
    pooled_BD = torch.stack(layers).mean(0)[user_B]
    return torch.stack([(pooled_BD[:, None] * at[item_BK + users]).sum(2) for at in layers], 2) / len(layers)


@pytest.mark.usefixtures("form")
@both_models
def test_hops_add_up_to_scores_and_are_the_layers(training: RankingTraining, clustered: RankingData) -> None:
    model = build_model(training, clustered, seed=1)
    model.optimizer(0.01)
    encoded = model.encode()
    assert isinstance(encoded, HopEncoded)
    generator = torch.Generator().manual_seed(2)
    user_B, item_BK = clustered.user[:50], torch.randint(0, 30, (50, 4), generator=generator)
    expected = parts(training, dense_layers(model, training, clustered), user_B, item_BK, 40)
    pairs, plain = encoded.hop_pairs(user_B, item_BK), encoded.pairs(user_B, item_BK)
    assert torch.allclose(pairs.score_BKL, expected, atol=1e-6)
    assert torch.allclose(pairs.score_BKL.sum(2), plain.score_BK, atol=1e-6)
    assert torch.allclose(pairs.user_l2_B, plain.user_l2_B)
    assert torch.equal(pairs.ego_BKD, model.items[item_BK])


@pytest.mark.usefixtures("form")
@both_models
def test_the_objective_and_its_gradient_are_those_of_mixed_embeddings(
    training: RankingTraining, clustered: RankingData
) -> None:
    batch = PairBatch(clustered.user[:50], clustered.item[:50])
    generator = torch.Generator().manual_seed(2)
    item_BNL = torch.randint(0, 30, (50, 2, 3), generator=generator)
    share_BNL = torch.rand(50, 2, 3, generator=generator)

    model = build_model(training, clustered, seed=1)
    model.optimizer(0.01)
    encoded = model.encode()
    assert isinstance(encoded, HopEncoded)
    found = PairwiseObjective(training).of_mixed(encoded, batch, Mixed(item_BNL, share_BNL))
    (found.loss_T[0] + found.l2_T[0]).backward()

    twin = build_model(training, clustered, seed=1)
    layers = dense_layers(twin, training, clustered)
    mixed_BND = [
        share_BNL[:, :, hop, None] * at[batch.item + 40][:, None]
        + (1 - share_BNL[:, :, hop, None]) * at[item_BNL[:, :, hop] + 40]
        for hop, at in enumerate(layers)
    ]
    if training.model.kind == "ngcf":
        users, items, negatives = torch.cat(layers, 1), torch.cat(layers, 1), torch.cat(mixed_BND, 2)
    else:
        users = items = torch.stack(layers).mean(0)
        negatives = torch.stack(mixed_BND).mean(0)
    user_BD, positive_BD = users[batch.user], items[batch.item + 40]
    margin_BN = (user_BD[:, None] * negatives).sum(2) - (user_BD * positive_BD).sum(1, keepdim=True)
    loss = softplus(margin_BN).sum(1).mean()
    ego = twin.users[batch.user], twin.items[batch.item], mixed_BND[0]
    l2 = sum(part.square().sum() for part in ego) / 2 / 50
    (loss + l2).backward()

    assert torch.allclose(found.loss_T[0], loss, atol=1e-6)
    assert torch.allclose(found.l2_T[0], l2, atol=1e-6)
    for (name, parameter), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(parameter.grad.to_dense(), other.grad, atol=1e-6), name


@pytest.mark.usefixtures("form")
@both_models
def test_each_hop_takes_its_best_unobserved_candidate(
    training: RankingTraining, clustered: RankingData
) -> None:
    model = build_model(training, clustered, seed=1)
    model.optimizer(0.01)
    encoded, mixer = model.encode(), build_negatives(MixGcfMixer(num_candidates=400), clustered)
    assert isinstance(mixer, Mixer)
    assert isinstance(encoded, HopEncoded)
    batch = PairBatch(clustered.user[:50], clustered.item[:50])
    mixed = mixer.mix(encoded, batch, 2, generator=torch.Generator().manual_seed(1))
    again = mixer.mix(encoded, batch, 2, generator=torch.Generator().manual_seed(1))
    everything = torch.arange(30).expand(50, -1)
    score_BIL = parts(training, dense_layers(model, training, clustered), batch.user, everything, 40)
    for b, user in enumerate(batch.user.tolist()):
        score_BIL[b, clustered.train.select(torch.tensor([user])).values] = -torch.inf
    best_BL = score_BIL.argmax(1)  # 400 draws of about 21 items leave none out
    assert torch.equal(mixed.item_BNL, best_BL[:, None].expand(-1, 2, -1))
    assert mixed.share_BNL.shape == (50, 2, 3)
    assert float(mixed.share_BNL.min()) >= 0
    assert float(mixed.share_BNL.max()) < 1
    assert torch.equal(mixed.share_BNL, again.share_BNL)


def test_a_model_without_a_graph_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"mixgcf.*'mf', need one of lightgcn, ngcf"):
        build_recipe(
            {
                "name": "x",
                "source": {"kind": "files", "path": "x"},
                "training": {"sampler": {"kind": "mixgcf"}},
            },
            place="x",
        )
