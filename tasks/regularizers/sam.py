"""Sharpness-aware minimisation uses the gradient at a nearby worse point (Foret et al. 2021, arXiv:2010.01412)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from tasks.regularizers.base import Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least


@dataclass(frozen=True, kw_only=True)
class SAM(Regularizer):
    """The gradient at w is replaced by the one at w + rho g / ||g||_2, g the gradient at w over all parameters.

    Each step runs two forward and backward passes. The reported loss is that at w, and the running statistics of batch
    norm are updated at w only. Other regularizers draw new masks for the second pass; their penalties are in both.
    """

    rho: float = 0.05  # >= 0, length of the step along the gradient; 0 is off

    off: ClassVar[dict[str, Scalar]] = {"rho": 0.0}
    formula: ClassVar[str] = "gradient <- gradient at w + rho g / ||g||, g = gradient at w"
    source: ClassVar[str] = "Foret et al. 2021, algorithm 1 (p = 2)"

    def __post_init__(self) -> None:
        """Check the radius."""
        check_at_least(self, "rho", 0)

    def compute_gradients(self, backward: Callable[[], Tensor], step: Step) -> Tensor:
        """Gradients at the nearby worse point; the weights are restored exactly."""
        loss = backward()
        if self.rho == 0:
            return loss
        moved: list[Tensor] = [parameter for parameter in step.network.parameters() if parameter.grad is not None]
        before = [parameter.detach().clone() for parameter in moved]
        _move_uphill(moved, self.rho)
        with _frozen_statistics(step.network):
            backward()
        _move_to(moved, before)
        return loss


@torch.no_grad()
def _move_uphill(parameters: list[Tensor], rho: float) -> None:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length = get_total_norm(gradients)
    factor = rho / length.clamp(min=torch.finfo(length.dtype).tiny)  # at a stationary point nothing moves
    torch._foreach_add_(parameters, torch._foreach_mul(gradients, factor))


@torch.no_grad()
def _move_to(parameters: list[Tensor], places: list[Tensor]) -> None:
    torch._foreach_copy_(parameters, places)


@contextmanager
def _frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norm normalises by the batch, without updating its running statistics."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
