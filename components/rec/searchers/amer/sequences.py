"""AMER's step 1: residual blocks for histories (AMER-1)."""

import torch

from components.core.checkpoint import Checkpoint
from components.core.hashing import derive_seed
from components.core.policy import Policy
from components.core.recipe.ranking import RankingTraining
from components.core.recipe.search import AmerForSequences
from components.core.recipe.sequences import Blocks
from components.rec.data import RankingData
from components.rec.loop import Fit, Schedule, fit
from components.rec.objective import build_model, passes_of
from components.rec.ranking_learner import RankingLearner
from components.rec.searchers.amer.children import measure_children, patch_of, told
from components.rec.searchers.amer.finals import winner_of
from components.rec.searchers.amer.oneshot import OneShotLearner, ProbedPasses
from components.rec.searchers.amer.paths import Path, random_paths
from components.rec.searchers.base import SearchResult
from components.rec.sequences.blocks import BlocksModel
from components.rec.sequences.passes import SequencePasses


def search(
    config: AmerForSequences,
    training: RankingTraining,
    data: RankingData,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> SearchResult:
    """Train a one-shot model, look at random children on its weights, and fine-tune the best of them. The one
    that then validates best is the policy, its weights are W′ (AMER §2.3, step 1)."""
    assert isinstance(training.model, Blocks)
    children = torch.Generator().manual_seed(derive_seed(seed, "search", "children"))
    user_S = _some_users(config, data, children)
    probes = random_paths(config, config.probes, children)
    model = _one_shot(config, training.model, data, seed)
    trajectory = _train(
        config,
        training,
        data,
        model,
        ProbedPasses(_passes(training, data), data, user_S, probes),
        seed,
        checkpoint,
    )
    model.load_state_dict(trajectory.weights)
    paths = random_paths(config, config.children, children)
    winner = winner_of(
        paths,
        lambda some: measure_children(model, some, data, user_S, training.metric),
        lambda path, place: _fine_tune(
            config, training, data, model, path, seed, checkpoint.part(f"child-{place}", "")
        ),
        told=told,
        patched=patch_of,
        metric=training.metric,
        top=config.top,
    )
    trajectory.seconds += winner.seconds
    policy = Policy(
        kind=config.kind,
        patch=winner.patch,
        decision={
            **winner.decision,
            "looked_at_by": {"users": len(user_S)},
            training.metric: winner.value,
        },
        best_epoch=trajectory.best_epoch,
        epochs=trajectory.epochs,
    )
    return SearchResult(policy, trajectory, winner.weights)


def _train(
    config: AmerForSequences,
    training: RankingTraining,
    data: RankingData,
    model: BlocksModel,
    passes: ProbedPasses,
    seed: int,
    checkpoint: Checkpoint,
) -> Fit:
    per_epoch = -(-len(passes) // training.batch_size)
    learner = OneShotLearner(config, training, data, model, per_epoch * config.epochs, seed)
    schedule = Schedule.of(training, epochs=config.epochs, patience=config.patience)
    return fit(learner, passes, schedule, seed=seed, checkpoint=checkpoint, name="search")


def _fine_tune(
    config: AmerForSequences,
    training: RankingTraining,
    data: RankingData,
    model: BlocksModel,
    path: Path,
    seed: int,
    checkpoint: Checkpoint,
) -> Fit:
    """A child that goes on from the shared weights; where it gets no better, it is what it was."""
    small = config.fine_tune
    section = training.model_copy(
        update={
            "model": training.model.model_copy(update={"blocks": path}),
            "learning_rate": small.learning_rate,
        }
    )
    child = build_model(section, data, seed)
    weights = model.state_dict()
    child.load_state_dict({name: weights[name] for name in child.state_dict()})
    schedule = Schedule.of(section, epochs=small.epochs, patience=small.epochs, from_start=True)
    learner = RankingLearner(section, data, child, seed)
    return fit(
        learner, passes_of(section, data), schedule, seed=seed, checkpoint=checkpoint, name="fine-tuning"
    )


def _one_shot(config: AmerForSequences, model: Blocks, data: RankingData, seed: int) -> BlocksModel:
    """The weights of all layers of all blocks. Which child it is by itself does not matter: it is always told
    which one to follow."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    path = random_paths(config, 1, torch.Generator().manual_seed(0))[0]
    built = BlocksModel(
        model.model_copy(update={"blocks": path}), data, generator=generator, choices=config.layers
    )
    return built.to(data.user.device)


def _some_users(config: AmerForSequences, data: RankingData, generator: torch.Generator) -> torch.Tensor:
    asked = torch.nonzero(data.valid.counts).flatten()
    order = torch.randperm(len(asked), generator=generator)[: config.users].to(asked.device)
    return asked[order].sort().values


def _passes(training: RankingTraining, data: RankingData) -> SequencePasses:
    passes = passes_of(training, data)
    assert isinstance(passes, SequencePasses)
    return passes
