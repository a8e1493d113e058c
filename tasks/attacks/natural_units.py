"""Attacks in the natural units of inputs, on networks that see them on another scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.attacks.attack import Weights
from tasks.input_space import InputSpace
from tasks.regularizers.base import gradients_of


@dataclass(frozen=True)
class NaturalGradients:
    """Scores of points in natural units, and gradients by these: `tasks.attacks.attack.InputGradients`.

    Args:
        network: what is attacked.
        space: the natural units.
        gradients: how gradients are taken, in the training's number format.
    """

    network: nn.Module
    space: InputSpace
    gradients: Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor | None]] = gradients_of

    def scores(self, points: Tensor) -> Tensor:
        """Scores (B, K)."""
        with torch.no_grad():
            scores: Tensor = self.network(self.space.seen(points))
        return scores

    def scores_and_gradients(self, points: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """Scores (B, K) and the gradient of the weighted scores; 0 where it overflows in 16 bits."""
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            scores: Tensor = self.network(self.space.seen(points))
            objective = (scores * weights(scores.detach()).to(scores.dtype)).sum()
        (gradient,) = self.gradients(objective, [points])
        return scores.detach(), torch.zeros_like(points) if gradient is None else gradient
