"""Losses of classes against their formulas, in plain float64."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from components.core.errors import InvalidInputError
from components.core.recipe.classification import (
    ALL_CANDIDATES,
    Controlled,
    Controller,
    CrossEntropy,
    Focal,
    Hinge,
    KullbackLeibler,
    Weighted,
)
from components.core.strategy import Strategy
from components.rec.controller import ControllerNetwork, read_controller
from components.rec.losses.base import ClassLoss
from components.rec.losses.candidates import CandidateLosses
from components.rec.losses.controlled import ControlledLoss

SINGLE = {
    "cross_entropy": CrossEntropy(),
    "focal": Focal(),
    "focal-0.5": Focal(gamma=0.5),
    "kl": KullbackLeibler(),
    "kl-0.4": KullbackLeibler(smoothing=0.4),
    "hinge": Hinge(),
    "hinge-logit": Hinge(of="logit"),
}
EACH = pytest.mark.parametrize("config", SINGLE.values(), ids=SINGLE)
CPU = torch.device("cpu")


def make(config: Strategy) -> ClassLoss:
    return config.load()(config)


def softmax(logits: list[float]) -> list[float]:
    """Of one logit z, of the logits −z / 2 and z / 2."""
    logits = [-logits[0] / 2, logits[0] / 2] if len(logits) == 1 else logits
    exponentials = [math.exp(logit - max(logits)) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def plain(config: Strategy, logits: list[float], label: int) -> float:
    """One example's loss, as the papers write it."""
    p = softmax(logits)
    others = [c for c in range(len(p)) if c != label]
    if isinstance(config, CrossEntropy):
        return -math.log(p[label])
    if isinstance(config, Focal):
        return -((1 - p[label]) ** config.gamma) * math.log(p[label])
    if isinstance(config, KullbackLeibler):
        s = config.smoothing
        y = [(1 - s) * (c == label) + s / len(p) for c in range(len(p))]
        return sum(y_c * math.log(y_c / p_c) for y_c, p_c in zip(y, p, strict=True) if y_c > 0)
    assert isinstance(config, Hinge)
    score = p
    if config.of == "logit":
        score = [-logits[0] / 2, logits[0] / 2] if len(logits) == 1 else logits
    return max(0.0, 1 + max(score[c] for c in others) - score[label])


@EACH
@pytest.mark.parametrize("num_logits", [1, 3, 5])
def test_a_loss_is_its_formula(config: Strategy, num_logits: int) -> None:
    generator = torch.Generator().manual_seed(1)
    logit_BL = 3 * torch.randn(60, num_logits, generator=generator, dtype=torch.float64)
    label_B = torch.randint(0, max(2, num_logits), (60,), generator=generator)
    expected = [plain(config, *example) for example in zip(logit_BL.tolist(), label_B.tolist(), strict=True)]
    np.testing.assert_allclose(make(config)(logit_BL, label_B).numpy(), expected, rtol=1e-9, atol=1e-12)


@EACH
@pytest.mark.parametrize("num_logits", [1, 3])
def test_its_gradient_is_that_of_finite_differences(config: Strategy, num_logits: int) -> None:
    generator = torch.Generator().manual_seed(2)
    logit_BL = torch.randn(20, num_logits, generator=generator, dtype=torch.float64).requires_grad_()
    label_B = torch.randint(0, max(2, num_logits), (20,), generator=generator)
    loss = make(config)
    assert torch.autograd.gradcheck(lambda logit: loss(logit, label_B), logit_BL)
    assert torch.autograd.gradgradcheck(lambda logit: loss(logit, label_B), logit_BL)  # eq. 13 needs it


@EACH
@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5).filter(lambda x: len(x) != 2),
    label=st.integers(0, 4),
)
def test_no_logit_is_too_large(config: Strategy, logits: list[float], label: int) -> None:
    logit_BL = torch.tensor([logits], requires_grad=True)
    value_B = make(config)(logit_BL, torch.tensor([label % max(2, len(logits))]))
    value_B.sum().backward()
    assert value_B.shape == (1,)
    assert logit_BL.grad is not None
    assert torch.isfinite(value_B).all()
    assert torch.isfinite(logit_BL.grad).all()
    assert (value_B >= -1e-6).all()


@pytest.mark.parametrize("num_logits", [1, 4])
def test_kl_of_hard_labels_and_focal_without_gamma_are_the_cross_entropy(num_logits: int) -> None:
    logit_BL = 30 * torch.randn(50, num_logits, generator=torch.Generator().manual_seed(3))
    label_B = torch.arange(50) % max(2, num_logits)
    expected = make(CrossEntropy())(logit_BL, label_B)
    assert torch.allclose(make(KullbackLeibler(smoothing=0))(logit_BL, label_B), expected)
    assert torch.allclose(make(Focal(gamma=0))(logit_BL, label_B), expected)


def test_one_logit_is_as_good_as_two() -> None:
    """All losses of z are those of the logits −z / 2 and z / 2, and the hinge's margin is ±z."""
    z_B = torch.linspace(-8, 8, 40, dtype=torch.float64)
    label_B = torch.arange(40) % 2
    two_B2 = torch.stack([-z_B / 2, z_B / 2], dim=1)
    for config in SINGLE.values():
        assert torch.allclose(make(config)(z_B[:, None], label_B), make(config)(two_B2, label_B))
    sign_B = 2.0 * label_B - 1
    assert torch.allclose(make(Hinge(of="logit"))(z_B[:, None], label_B), (1 - sign_B * z_B).relu())


def test_a_weighted_loss_is_equation_8() -> None:
    logit_BL, label_B = torch.randn(30, 3), torch.arange(30) % 3
    each_BT = torch.stack([make(config)(logit_BL, label_B) for config in ALL_CANDIDATES], dim=1)
    weights = (0.1, 0.2, 0.3, 0.4)
    expected = each_BT @ torch.tensor(weights)
    assert torch.allclose(make(Weighted(weights=weights))(logit_BL, label_B), expected)
    assert torch.allclose(make(Weighted())(logit_BL, label_B), each_BT.mean(dim=1))  # AL-1


# -- with a controller

CONFIG = Controlled(controller=Controller(hidden=(8,), dropout=0.5), temperature=0.5)


def make_controller(num_classes: int = 3) -> ControllerNetwork:
    """One that has an opinion."""
    generator = torch.Generator().manual_seed(4)
    controller = ControllerNetwork(CONFIG.controller, num_classes, 4, generator=generator)
    with torch.no_grad():
        controller.output.weight.normal_(generator=generator)
    return controller


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_new_controller_prefers_no_loss_and_a_trained_one_looks_at_label_and_prediction(
    num_classes: int,
) -> None:
    logit_BL = torch.tensor([[2.0], [2.0], [-1.0]]) if num_classes == 2 else 2 * torch.eye(3)
    label_B = torch.tensor([0, 1, 1])
    new = ControllerNetwork(CONFIG.controller, num_classes, 4, generator=torch.Generator()).eval()
    assert torch.allclose(new(label_B, logit_BL), torch.full((3, 4), -math.log(4)))
    log_alpha_BT = make_controller(num_classes).eval()(label_B, logit_BL)
    assert torch.allclose(log_alpha_BT.exp().sum(dim=1), torch.ones(3))
    assert not torch.allclose(log_alpha_BT[0], log_alpha_BT[1])  # other labels
    assert not torch.allclose(log_alpha_BT[1], log_alpha_BT[2])  # other predictions


def test_without_noise_a_controlled_loss_has_the_weights_of_its_controller() -> None:
    logit_BL, label_B = torch.randn(30, 3, requires_grad=True), torch.arange(30) % 3
    controller = make_controller()
    loss = ControlledLoss(CONFIG.model_copy(update={"gumbel": False}), controller, torch.Generator())
    value_B = loss(logit_BL, label_B)
    alpha_BT = controller(label_B, logit_BL).exp().detach()
    expected_B = (alpha_BT * CandidateLosses(ALL_CANDIDATES)(logit_BL, label_B)).sum(dim=1)
    assert torch.allclose(value_B, expected_B)
    # the weights are given: neither the controller nor, through it, the prediction has a gradient
    of_loss, of_expected = (torch.autograd.grad(x.sum(), logit_BL)[0] for x in (value_B, expected_B))
    assert torch.allclose(of_loss, of_expected)


def test_a_controlled_loss_draws_from_its_own_noise_and_goes_on_where_it_was() -> None:
    logit_BL, label_B = torch.randn(30, 3), torch.arange(30) % 3
    loss, again = (
        ControlledLoss(CONFIG, make_controller(), torch.Generator().manual_seed(seed)) for seed in (5, 6)
    )
    state = {name: tensor.clone() for name, tensor in loss.state().items()}
    first = loss(logit_BL, label_B)
    assert not torch.allclose(first, loss(logit_BL, label_B))
    again.load_state(state)
    assert torch.equal(again(logit_BL, label_B), first)


def test_a_policys_controller_must_fit(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"has no controller\.safetensors"):
        read_controller(CONFIG, 3, tmp_path, CPU)
    controller = make_controller()
    save_file(controller.state_dict(), tmp_path / "controller.safetensors")
    read = read_controller(CONFIG, 3, tmp_path, CPU).state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in controller.state_dict().items())
    with pytest.raises(InvalidInputError, match="policy: its controller is of 3 classes, the data have 5"):
        read_controller(CONFIG, 5, tmp_path, CPU)
    wider = CONFIG.model_copy(update={"controller": Controller(hidden=(9,))})
    with pytest.raises(InvalidInputError, match="its patch needs"):
        read_controller(wider, 3, tmp_path, CPU)
