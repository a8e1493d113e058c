"""Max-norm keeps every unit's incoming weights inside a ball (Srivastava et al. 2014, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least
from tasks.sites import WeightLayer, trained_layers


@dataclass(frozen=True, kw_only=True)
class MaxNorm(Regularizer):
    """After each step, w_r <- w_r min(1, limit / ||w_r||_2) for the incoming weights w_r of every unit r.

    For a conv layer w_r are all weights of one output channel (c_in x height x width). Biases and frozen layers are
    left alone.
    """

    limit: float = 4.0  # > 0; 3 to 4 in Srivastava et al. 2014

    off: ClassVar[dict[str, Scalar]] = {"limit": 1e30}
    formula: ClassVar[str] = "w_r <- w_r min(1, limit / ||w_r||_2)"
    source: ClassVar[str] = "Srivastava et al. 2014, section 5.1; Mianjy and Arora 2020, algorithm 1"

    def __post_init__(self) -> None:
        """Check the limit."""
        check_at_least(self, "limit", 0)
        if self.limit == 0:
            raise ValueError(f"MaxNorm.limit must be > 0 (at 0 every weight would vanish), got {self.limit}.")

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """A projector of the network's conv and dense weights."""
        return _Projector(self.limit, list(trained_layers(network).values()))


@dataclass
class _Projector(Hooks):
    limit: float
    layers: list[WeightLayer]

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        for layer in self.layers:
            weight = layer.weight
            norms = weight.flatten(1).norm(dim=1)
            factors = (self.limit / norms.clamp(min=torch.finfo(norms.dtype).tiny)).clamp(max=1)
            weight.mul_(factors.view(-1, *[1] * (weight.dim() - 1)))
