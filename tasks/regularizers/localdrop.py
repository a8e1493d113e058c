"""LocalDrop learns keep rates and trims the spectrum of every layer (Lu et al. 2021, arXiv:2103.00719)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.checks import check_at_least, check_choice, check_rate
from tasks.regularizers.localdrop_sites import BlockKeep, Keep, UnitKeep
from tasks.regularizers.thresholding import shrink_small_singular_values, tail_sums
from tasks.sites import Site, WeightLayer
from tasks.theory.drop_rates import KeepForm

Norm = Literal["l2", "rms"]


@dataclass(frozen=True, kw_only=True)
class LocalDrop(Regularizer):
    """Alternates descent with dropout of learned keep rates and shrinkage of the small singular values of the weights.

    The penalty is lam * Reg with Reg = sum_l ||theta_(l-1)|| sum_{j > h} sigma_j(W_l), theta the keep rates of what the
    layer l reads: one per unit for dense layers, a matrix for conv layers that follows from one learned DropBlock rate
    per site (`form`: its exact marginals, or the paper's union bound). Three things alternate:

    * every step: descent on the weights with sampled masks, the penalty left aside;
    * every `keep_interval_steps`: one gradient step on the keep rates, on the loss of the network with the rates
      themselves as multipliers, plus the penalty; then projection to [0.001, 1], drop rates to [0, 0.5];
    * every `m` epochs: the singular values beyond the first h of each layer but the output are shrunk by
      C = lam ||theta|| and stop at zero, which is the proximal step on the penalty.

    h is counted per layer kind: `h_dense_fraction` of the rank of dense layers, `h_conv` for each k x k kernel (at or
    above k: off; 1x1 kernels are always left alone). Masks are not rescaled in training; eval multiplies by the rates.
    With the printed norm `l2`, C is large against usual weights, so that shrinkage is nearly truncation; `rms` divides
    by the square root of the number of rates.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs from one shrinkage to the next
    h_dense_fraction: float = 2000 / 2048  # in [0, 1], share of the singular values that is left alone
    h_conv: int = 2  # >= 0
    block_size: int = 7  # >= 1
    unit_drop_rate: float = 0.5  # in [0, 1), where the learned rates of dense units start
    keep_interval_steps: int = 10  # >= 1
    c_norm: Norm = "l2"
    form: KeepForm = "exact"

    acts_on: ClassVar[tuple[str, ...]] = ("conv", "dense")
    off: ClassVar[dict[str, Scalar]] = {"lam": 0.0, "unit_drop_rate": 0.0, "keep_interval_steps": 10**9}
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "loss + lam sum_l ||theta_(l-1)|| sum_{j>h} sigma_j(W_l)"
    source: ClassVar[str] = "Lu et al. 2021, eqs. 10, 16, 22 and algorithm 1; eq. 24 with the missing clamp at zero"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_at_least(self, "m", 1)
        check_rate(self, "h_dense_fraction", below_one=False)
        check_at_least(self, "h_conv", 0)
        check_at_least(self, "block_size", 1)
        check_rate(self, "unit_drop_rate")
        check_at_least(self, "keep_interval_steps", 1)
        check_choice(self, "c_norm", get_args(Norm))
        check_choice(self, "form", get_args(KeepForm))

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Learned masks at every chosen site, and the layers behind them to shrink."""
        output = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
        stages = []
        for site in self.chosen_sites(network):
            keep = self._keep(site, context)
            site.fill(keep)
            if site.next_layer is not None and site.next_layer is not output:
                stages.append(_Stage(self, site.name, keep, site.next_layer))
        return _Alternation(self, [site.fillings[-1] for site in self.chosen_sites(network)], stages)

    def _keep(self, site: Site, context: Context) -> Keep:
        stream = context.masks(site.name)
        if site.kind == "conv":
            return BlockKeep(site, self.block_size, self.form, stream, context.device)
        return UnitKeep(site, 1 - self.unit_drop_rate, stream, context.device)


class _Stage:
    """One weight layer and the keep rates of what it reads: its share of the penalty, and its shrinkage."""

    def __init__(self, settings: LocalDrop, name: str, keep: Keep, layer: WeightLayer) -> None:
        self.name, self.keep, self.layer = name, keep, layer
        self._settings = settings
        self._is_conv = isinstance(layer, nn.Conv2d)
        kernel = min(layer.weight.shape[-2:])
        self.num_kept = settings.h_conv if self._is_conv else round(settings.h_dense_fraction * kernel)
        self.is_active = not (self._is_conv and kernel == 1)
        self.refresh()

    def refresh(self) -> None:
        """Measure the tail of the spectrum, which the penalty takes as constant between two shrinkages."""
        self._tail = tail_sums(self.layer.weight.detach(), self.num_kept).sum()

    def norm(self, rates: Tensor) -> Tensor:
        """||theta|| of one input channel's map, or of all units that a dense layer reads."""
        rms = rates.square().mean().sqrt()
        if self._settings.c_norm == "rms":
            return rms
        size = rates.numel() if self._is_conv else self.layer.weight.shape[1]
        return rms * math.sqrt(size)

    def penalty(self) -> Tensor:
        """This layer's share of Reg."""
        return self.norm(self.keep.rates()) * self._tail

    @torch.no_grad()
    def shrink(self) -> dict[str, float]:
        """Threshold the layer's singular values; returns what to log."""
        threshold = float(self._settings.lam * self.norm(self.keep.rates()))
        shrunk = shrink_small_singular_values(self.layer.weight, self.num_kept, threshold)
        self.layer.weight.copy_(shrunk.weight)
        self.refresh()
        return {
            f"localdrop.threshold/{self.name}": threshold,
            f"localdrop.next_singular_value/{self.name}": shrunk.next_value,
            f"localdrop.num_zeroed/{self.name}": float(shrunk.num_zeroed),
        }


class _Alternation(Hooks):
    """The two alternating parts: steps on the keep rates, and shrinkage of the weights."""

    def __init__(self, settings: LocalDrop, keeps: list[nn.Module], stages: list[_Stage]) -> None:
        self._settings = settings
        self._keeps = [keep for keep in keeps if isinstance(keep, Keep)]
        self._stages = [stage for stage in stages if stage.is_active]

    def after_step(self, step: Step) -> None:
        if (step.index + 1) % self._settings.keep_interval_steps or step.batch is None:
            return
        variables = [keep.variable.requires_grad_() for keep in self._keeps]
        step.network.eval()  # masks become multipliers, and batch norm uses its running averages
        objective = step.loss(step.batch)
        for stage in self._stages:
            objective = objective + self._settings.lam * stage.penalty()
        gradients = torch.autograd.grad(objective, variables, allow_unused=True)
        step.network.train()
        for keep, gradient in zip(self._keeps, gradients, strict=True):
            keep.descend(gradient, step.learning_rate)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        measured = {f"localdrop.drop_rate/{keep.name}": keep.mean_drop_rate() for keep in self._keeps}
        if epoch % self._settings.m == 0 and self._settings.lam > 0:
            for stage in self._stages:
                measured.update(stage.shrink())
        return measured
