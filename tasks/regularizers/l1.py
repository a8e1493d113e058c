"""L1 adds the sum of the weights' magnitudes to the loss (Tibshirani 1996)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least
from tasks.sites import trained_layers


@dataclass(frozen=True, kw_only=True)
class L1(Regularizer):
    """Penalty rate * sum |w| over the trained weights of conv and dense layers; biases are not penalised.

    A weight that layers share counts once. The subgradient is rate * sign(w), 0 at w = 0; unlike that of weight decay,
    its size does not depend on |w|.
    """

    rate: float = 1e-5  # >= 0

    off: ClassVar[dict[str, Scalar]] = {"rate": 0.0}
    formula: ClassVar[str] = "loss + rate sum |w|"
    source: ClassVar[str] = "Tibshirani 1996, section 2.1 (Lagrangian form); the default is regarena's"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_at_least(self, "rate", 0)

    def skip_reason(self, network: nn.Module) -> str | None:
        """It needs a layer whose weights are trained."""
        return None if trained_layers(network) else "L1 needs a trained conv or dense layer; the network has none."

    def penalty(self, step: Step) -> Tensor | None:
        """The weighted sum of magnitudes, nothing at rate 0."""
        layers = trained_layers(step.network).values()
        if self.rate == 0 or not layers:
            return None
        total: Tensor = _SumOfMagnitudes.apply(*(layer.weight for layer in layers))
        return self.rate * total


class _SumOfMagnitudes(torch.autograd.Function):
    """sum |w| over several tensors, and its gradient sign(w), in a few kernels for all of them."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(*weights)
        return torch.stack(torch._foreach_norm(weights, 1)).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        signs = torch._foreach_sign(ctx.saved_tensors)
        torch._foreach_mul_(signs, gradient)
        return tuple(signs)
