"""Max-norm bounds the l_2 norm of every unit's incoming weights (Srivastava et al. 2014, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least, check_choice
from tasks.regularizers.parts.places import PLACES, Where, sites_at
from tasks.sites import WeightLayer, front_layers, trained_layers


@dataclass(frozen=True, kw_only=True)
class MaxNorm(Regularizer):
    """After each step, w_r <- w_r min(1, limit / ||w_r||_2) for the incoming weights w_r of every unit r.

    For a conv layer w_r are all weights of one output channel (c_in x height x width). Biases and frozen layers are not
    changed. `where` names the layers: `all`, the `dense` ones, the `conv` ones, or only the dense layer that produces
    the units of the `last` dense site, which dropout with the same `where` drops.

    The curve `max_norm.projections` is the number of projections in each epoch that changed a weight.
    """

    limit: float = 4.0  # > 0; 3 to 4 in Srivastava et al. 2014
    where: Where = "all"

    off: ClassVar[dict[str, Scalar]] = {"limit": 1e30}
    formula: ClassVar[str] = "w_r <- w_r min(1, limit / ||w_r||_2)"
    source: ClassVar[str] = "Srivastava et al. 2014, section 5.1; Mianjy and Arora 2020, algorithm 1"

    def __post_init__(self) -> None:
        """Check the limit."""
        check_at_least(self, "limit", 0)
        if self.limit == 0:
            raise ValueError(f"MaxNorm.limit must be > 0 (at 0 every weight would vanish), got {self.limit}.")
        check_choice(self, "where", PLACES)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks in which `where` names no trained layer."""
        if self._chosen_layers(network):
            return None
        return f"MaxNorm with where={self.where!r} finds no layer with trained weights in the network."

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Hooks that project the chosen weights."""
        return _Projector(self.limit, self._chosen_layers(network), torch.zeros((), device=context.device))

    def _chosen_layers(self, network: nn.Module) -> list[WeightLayer]:
        trained = list(trained_layers(network).values())
        if self.where == "last":
            fronts = front_layers(network)
            last = [fronts[site] for site in sites_at(network, "last") if site in fronts]
            return [layer for layer in last if any(layer is each for each in trained)]
        kinds = {"dense": nn.Linear, "conv": nn.Conv2d}.get(self.where, nn.Module)
        return [layer for layer in trained if isinstance(layer, kinds)]


@dataclass
class _Projector(Hooks):
    limit: float
    layers: list[WeightLayer]
    num_projections: Tensor  # on the training's device, so that no step waits for it

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        if not self.layers:
            return
        weights = [layer.weight for layer in self.layers]
        norms = torch.cat([weight.flatten(1).norm(dim=1) for weight in weights])  # of all units of all layers
        self.num_projections += (norms > self.limit).sum()
        factors = (self.limit / norms.clamp(min=torch.finfo(norms.dtype).tiny)).clamp(max=1)
        of_layers = torch.split(factors, [len(weight) for weight in weights])
        broadcast = [each.view(-1, *[1] * (w.dim() - 1)) for each, w in zip(of_layers, weights, strict=True)]
        torch._foreach_mul_(weights, broadcast)

    def after_epoch(self, epoch: int, network: nn.Module) -> dict[str, float]:
        count = float(self.num_projections)
        self.num_projections.zero_()
        return {"max_norm.projections": count}
