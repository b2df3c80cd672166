"""What weighs candidate losses: AutoLoss's controller (§2.4), or weights that all examples share."""

from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from components.core.errors import InvalidInputError
from components.core.policy import CONTROLLER_FILE
from components.core.recipe.classification import Controlled, Controller
from components.rec.classifiers.base import probabilities
from components.rec.mlp import Mlp, fully_connected
from components.rec.weights import load_tensors


@final
class ControllerNetwork(nn.Module):
    """Weighs the losses of each example by its label y and its prediction ŷ (AutoLoss §2.4, Figure 1).

    Of two classes y and ŷ are a number each, of C > 2 classes C numbers each. An MLP and a softmax follow;
    the last layer begins with zeros, so that α = 1 / T at first, as for AutoSample's samplers.

    Args:
        num_classes: C; its own weights tell it too, so that they are not taken for those of other data.
        num_losses: T.
        generator: (CPU) draws the initial weights.
    """

    num_classes: Tensor

    def __init__(
        self, config: Controller, num_classes: int, num_losses: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        num_inputs = 2 if num_classes == 2 else 2 * num_classes
        self.mlp = Mlp(config, num_inputs, generator=generator)
        self.output = fully_connected(self.mlp.outputs, num_losses, generator=generator)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("num_classes", torch.tensor(num_classes))

    def forward(self, label_B: Tensor, logit_BL: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, T) log α.

        Args:
            dropout: randomness of dropout while training; None means no dropout.
        """
        p_BC = probabilities(logit_BL)
        y_BC = torch.zeros_like(p_BC, requires_grad=False).scatter_(1, label_B[:, None], 1)
        if logit_BL.shape[1] == 1:  # the second class says it all
            y_BC, p_BC = y_BC[:, 1:], p_BC[:, 1:]
        output_BT: Tensor = self.output(self.mlp(torch.cat([y_BC, p_BC], dim=1), dropout))
        return output_BT.log_softmax(dim=1)


@final
class SharedWeights(nn.Module):
    """The same weights for all examples (AutoLoss eq. 8), with the interface of the controller."""

    def __init__(self, num_losses: int) -> None:
        super().__init__()
        self.logit_T = nn.Parameter(torch.zeros(num_losses))

    def forward(self, label_B: Tensor, logit_BL: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(B, T) log α, every row the same."""
        del logit_BL, dropout
        return self.logit_T.log_softmax(dim=0).expand(len(label_B), -1)


def read_controller(
    config: Controlled, num_classes: int, policy: Path, device: torch.device
) -> ControllerNetwork:
    """The controller that a search left in its policy.

    Raises:
        InvalidInputError: there is none, or it is one of other classes or another shape.
    """
    path = policy / CONTROLLER_FILE
    if not path.is_file():
        raise InvalidInputError(f"policy: has no {CONTROLLER_FILE}, which its 'controlled' loss needs")
    tensors = load_tensors(path, device)
    of_classes = int(tensors["num_classes"]) if "num_classes" in tensors else 0
    if of_classes != num_classes:
        raise InvalidInputError(
            f"policy: its controller is of {of_classes} classes, the data have {num_classes}"
        )
    controller = ControllerNetwork(
        config.controller, num_classes, len(config.losses), generator=torch.Generator()
    )
    expected = {name: tuple(tensor.shape) for name, tensor in controller.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        raise InvalidInputError(f"policy: its controller has the tensors {found}, its patch needs {expected}")
    controller.load_state_dict(tensors)
    return controller.to(device)
