"""Attacks in the natural units of inputs, on networks that take inputs on another scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tasks.attacks.attack import InputGradients, Weights
from tasks.input_space import InputSpace
from tasks.regularizers.base import gradients_of

Gradients = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor | None]]


@runtime_checkable
class KnowsInputGradients(Protocol):
    """A network with a fast implementation of its input gradients, which may not support all regularizers."""

    def input_gradients(self) -> InputGradients | None:
        """The fast implementation; None if the network's sites are filled by something that it does not support."""


def natural_gradients(network: nn.Module, space: InputSpace, gradients: Gradients = gradients_of) -> InputGradients:
    """Input gradients in natural units: by the network's own fast implementation if it applies, or `NaturalGradients`.

    Example:
        >>> type(natural_gradients(nn.Linear(2, 1), InputSpace())).__name__
        'NaturalGradients'
    """
    quick = network.input_gradients() if isinstance(network, KnowsInputGradients) else None
    return quick if quick is not None and space.is_natural else NaturalGradients(network, space, gradients)


@dataclass(frozen=True)
class NaturalGradients:
    """Scores of points in natural units, and gradients by these points (`tasks.attacks.attack.InputGradients`).

    Args:
        network: the attacked network.
        space: the natural units.
        gradients: computes gradients, e.g. with loss scaling.
    """

    network: nn.Module
    space: InputSpace
    gradients: Gradients = gradients_of

    def scores(self, points: Tensor) -> Tensor:
        """Scores (B, K)."""
        with torch.no_grad():
            scores: Tensor = self.network(self.space.seen(points))
        return scores

    def scores_and_gradients(self, points: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """Scores (B, K) and the gradient of the weighted scores; 0 if it overflows in fp16."""
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            scores: Tensor = self.network(self.space.seen(points))
            objective = (scores * weights(scores.detach()).to(scores.dtype)).sum()
        (gradient,) = self.gradients(objective, [points])
        return scores.detach(), torch.zeros_like(points) if gradient is None else gradient
