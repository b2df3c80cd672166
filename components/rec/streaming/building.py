"""From a recipe's training section to a learner, by how embeddings get their sizes."""

from collections.abc import Callable

import torch

from components.core.hashing import derive_seed
from components.core.recipe.stream import AutoEmb, Darts, Esapn, FixedSize, StreamTraining
from components.rec.streaming.embeddings import Embeddings, SizedEmbeddings
from components.rec.streaming.esapn import EsapnLearner
from components.rec.streaming.history import History
from components.rec.streaming.learner import FixedLearner, StreamLearner
from components.rec.streaming.model import SIDES, Side, StreamModel
from components.rec.streaming.policy_network import PolicyNetwork
from components.rec.streaming.soft import SoftEmbeddings, SoftLearner
from components.rec.streaming.weighers import FreeWeigher, FrequencyWeigher, Weigher

Build = Callable[..., StreamLearner]


def build_learner(training: StreamTraining, num_classes: int, seed: int) -> StreamLearner:
    """A learner that has seen nothing yet."""
    build: Build = training.embedding.load()
    return build(training.embedding, training, num_classes, seed)


def fixed(config: FixedSize, training: StreamTraining, num_classes: int, seed: int) -> StreamLearner:
    """FIXED."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    embeddings: dict[Side, Embeddings] = {
        side: SizedEmbeddings((config.size,), training.model.init_std, generator=generator) for side in SIDES
    }
    return FixedLearner(_model(training, embeddings, num_classes, generator), training.learning_rate)


def esapn(config: Esapn, training: StreamTraining, num_classes: int, seed: int) -> StreamLearner:
    """ESAPN."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    embeddings: dict[Side, Embeddings] = {
        side: SizedEmbeddings(config.sizes, training.model.init_std, config.num_losses, generator=generator)
        for side in SIDES
    }
    model = _model(training, embeddings, num_classes, generator)
    shape = (len(config.sizes), config.num_frequencies, config.frequency_dim, config.hidden)
    networks = {side: PolicyNetwork(*shape, generator=generator) for side in SIDES}
    return EsapnLearner(
        model,
        networks,
        History(config.history),
        learning_rate=training.learning_rate,
        policy_learning_rate=config.policy_learning_rate,
        generator=_search_generator(seed),
    )


def darts(config: Darts, training: StreamTraining, num_classes: int, seed: int) -> StreamLearner:
    """DARTS."""
    return _soft(config, training, num_classes, seed, lambda _: FreeWeigher(len(config.sizes)))


def autoemb(config: AutoEmb, training: StreamTraining, num_classes: int, seed: int) -> StreamLearner:
    """AutoEmb."""
    shape = (len(config.sizes), config.num_frequencies, config.frequency_dim, config.hidden)
    return _soft(config, training, num_classes, seed, lambda drawn: FrequencyWeigher(*shape, generator=drawn))


def _soft(
    config: Darts | AutoEmb,
    training: StreamTraining,
    num_classes: int,
    seed: int,
    weigher: Callable[[torch.Generator], Weigher],
) -> StreamLearner:
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
    std = training.model.init_std
    embeddings: dict[Side, Embeddings] = {
        side: SoftEmbeddings(config.sizes, std, weigher(generator), generator=generator) for side in SIDES
    }
    return SoftLearner(
        _model(training, embeddings, num_classes, generator),
        History(config.history),
        learning_rate=training.learning_rate,
        weights_learning_rate=config.weights_learning_rate,
        generator=_search_generator(seed),
    )


def _model(
    training: StreamTraining, embeddings: dict[Side, Embeddings], num_classes: int, generator: torch.Generator
) -> StreamModel:
    build: Callable[..., StreamModel] = training.model.load()
    return build(embeddings, num_classes, training.model.hidden, generator=generator)


def _search_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "search"))
