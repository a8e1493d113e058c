"""Two-layer ReLU or Leaky ReLU networks whose output layer may be frozen: those of the thesis's chapters 5 and 6."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from tasks.attacks.two_layer import TwoLayer
from tasks.sites import Site, chain_next_layers

Top = Literal["trained", "frozen"]


class TwoLayerReLU(nn.Module):
    """f(x) = U s(Wx + b) + c with s(t) = max(t, slope t), and a dense site at the hidden units.

    With `top` trained, torch's default initialisation is used. With `top` frozen, only W is trained: there are no
    biases, the entries of U are +-1 / sqrt(width) with equal probability, and those of W are N(0, 1).

    Args:
        num_classes: number of outputs; one output is the margin of class 1 over class 0.
        in_channels, image_size: shape of one input, flattened to in_channels * image_size^2 features.
        width: m, hidden units.
        slope: alpha in [0, 1], the slope for negative t; 0 is ReLU, 1 a linear network.
        top: whether the output layer is trained or frozen.
        has_biases: whether the layers have biases if the output layer is trained.

    Source:
        Mianjy's thesis, section 5.2 (frozen top, standard normal W), sections 6.2 (Leaky ReLU) and 6.5.2 (trained).
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: int = 100,
        slope: float = 0.0,
        top: Top = "trained",
        has_biases: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= slope <= 1:
            raise ValueError(f"slope must lie in [0, 1] (0 is ReLU, 1 is linear), got {slope}.")
        if top not in get_args(Top):
            raise ValueError(f"top must be one of {', '.join(get_args(Top))}, got {top!r}.")
        num_features, is_trained = in_channels * image_size**2, top == "trained"
        has_biases = has_biases and is_trained
        self.input = Site("input", group=0)
        self.hidden = nn.Linear(num_features, width, bias=has_biases)
        self.activation = nn.ReLU() if slope == 0 else nn.LeakyReLU(slope)
        self.site = Site("dense", group=1)
        self.output = nn.Linear(width, num_classes, bias=has_biases)
        chain_next_layers(self)
        if not is_trained:
            with torch.no_grad():
                self.hidden.weight.normal_()
                self.output.weight.bernoulli_().mul_(2).sub_(1).div_(math.sqrt(width))
            self.output.requires_grad_(False)

    def input_gradients(self) -> TwoLayer | None:
        """Input gradients in closed form, for attacks; None if a regularizer fills a site."""
        if len(self.input.fillings) or len(self.site.fillings):
            return None
        return TwoLayer.of(nn.Sequential(self.hidden, self.activation, self.output))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, K) of inputs (B, ...)."""
        outputs: Tensor = self.output(self.site(self.activation(self.hidden(self.input(x).flatten(1)))))
        return outputs
