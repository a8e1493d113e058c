"""Adaptive dropout learns keep rates against a bound on the Rademacher complexity (Zhai and Wang, ICLR 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Batch, Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.norms import NormLaw, can_be_fused, product_of_norms
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_rate
from tasks.regularizers.parts.joint_rates import HasRates, masks_read
from tasks.regularizers.parts.keep_rate_steps import KeepRateSteps
from tasks.regularizers.parts.localdrop_sites import Keep, UnitKeep
from tasks.sites import Site, WeightLayer

Norms = Literal["2,2", "1,inf", "inf,1"]
Scaling = Literal["fan_in", "printed", "none"]
EXPONENTS: Mapping[str, tuple[float, float]] = {"2,2": (2, 2), "1,inf": (1, math.inf), "inf,1": (math.inf, 1)}


@dataclass(frozen=True, kw_only=True)
class AdaptiveDropoutRC(Regularizer):
    """Dropout with one learned keep rate per unit; a Rademacher complexity bound penalises weights and rates.

    Reg = k sqrt(log(d) / n) max|X| prod_l max_j ||W_l[j]||_p ||theta_(l-1)||_q s_l over all layers that read masked
    units, with n samples of d features in the batch, k outputs, W_l[j] the weights into output unit j and theta the
    keep rates of what the layer reads, those of several sites multiplied. Layers that read no masked unit are left out:
    their norms would only rescale lam. A conv layer counts as a dense layer with its kernel's fan-in, and ||theta||_q^q
    is the fan-in times the mean of theta^q over the map. Block coordinate descent: the weights step at every step, with
    sampled masks; the rates step every `keep_interval_steps`, with the rates as multipliers, and are projected to
    [0.001, 1].

    With `layer_scaling` fan_in, s_l = sqrt(fan_in + outputs) / fan_in, divided by sqrt(log outputs) for the norms 2,2:
    a factor is then near 1 at the usual initial weights, whatever the width. `printed` divides by the outputs instead,
    as section 3.3 does, though its argument needs the fan-in: a factor is then near fan_in / outputs. `none` is theorem
    3.1 itself.
    Masks are not rescaled in training; eval multiplies by the rates.
    """

    lam: float = 0.01  # >= 0
    norms: Norms = "2,2"  # p of the weights, q of the keep rates
    input_drop_rate: float = 0.1  # in [0, 1), initial value of the learned rates
    conv_drop_rate: float = 0.25  # in [0, 1), likewise at conv sites
    unit_drop_rate: float = 0.5  # in [0, 1), likewise at dense sites
    keep_interval_steps: int = 10  # >= 1
    layer_scaling: Scaling = "fan_in"

    acts_on: ClassVar[tuple[str, ...]] = ("input", "conv", "dense")
    acts_on_tokens: ClassVar[bool] = True
    needs_layer_behind: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {
        "lam": 0.0,
        "input_drop_rate": 0.0,
        "conv_drop_rate": 0.0,
        "unit_drop_rate": 0.0,
        "keep_interval_steps": 10**9,
    }
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "loss + lam k sqrt(log(d) / n) max|X| prod_l max_j ||W_l[j]||_p ||theta_(l-1)||_q s_l"
    source: ClassVar[str] = "Zhai and Wang 2018, theorem 3.1 and section 3.3"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_choice(self, "norms", get_args(Norms))
        for field in ("input_drop_rate", "conv_drop_rate", "unit_drop_rate"):
            check_rate(self, field)
        check_count(self, "keep_interval_steps", 1)
        check_choice(self, "layer_scaling", get_args(Scaling))

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Learned masks at every site; a factor of the bound for every layer."""
        start = {"input": self.input_drop_rate, "conv": self.conv_drop_rate, "dense": self.unit_drop_rate}
        keeps: dict[Site, Keep] = {}
        for site in self.chosen_sites(network):
            keeps[site] = UnitKeep(site, 1 - start[site.kind], context.masks(site.name), context.device)
            site.fill(keeps[site])
        exponents = EXPONENTS[self.norms]
        read = masks_read(keeps, order=exponents[1])
        factors = [Factor(layer, keep, *exponents, self.layer_scaling) for layer, keep in read.items()]
        return _TwoBlocks(self, list(keeps.values()), factors)


@dataclass(frozen=True)
class Factor:
    """What one layer contributes to the product in the bound."""

    layer: WeightLayer
    keep: HasRates
    p: float
    q: float
    scaling: Scaling

    def value(self) -> Tensor:
        """max_j ||W[j]||_p ||theta||_q s, of degree 1 in W and in theta, differentiable in both."""
        weight = self.layer.weight.flatten(1)
        largest: Tensor = torch.linalg.vector_norm(weight, self.p, dim=1).amax()
        rates = self.keep.rates().flatten()
        norm: Tensor = torch.linalg.vector_norm(rates, self.q) * self.repetition(rates.numel())
        return largest * norm if self.scaling == "none" else largest * norm * self.scale()

    def repetition(self, num_rates: int) -> float:
        """The q-norm of fan_in rates over that of `num_rates` rates with the same mean q-th power."""
        return math.pow(self._sizes()[1] / num_rates, 1 / self.q)

    def scale(self) -> float:
        """The scale s."""
        if self.scaling == "none":
            return 1.0
        outputs, fan_in = self._sizes()
        logarithm = math.log(max(outputs, 2)) if (self.p, self.q) == (2, 2) else 1.0
        divisor = fan_in if self.scaling == "fan_in" else outputs
        return math.sqrt((fan_in + outputs) / logarithm) / divisor

    def _sizes(self) -> tuple[int, int]:
        outputs, *kernel = self.layer.weight.shape
        return outputs, math.prod(kernel)


def rademacher_penalty(factors: Sequence[Factor], batch: Batch) -> Tensor:
    """Reg of `AdaptiveDropoutRC`, without lam, for one batch."""
    num_outputs, num_features = batch.targets[0].numel(), batch.inputs[0].numel()
    constant = num_outputs * math.sqrt(math.log(num_features) / len(batch.inputs))
    fused = _fused_penalty(factors, batch, constant) if is_fused(batch.inputs) else None
    if fused is not None:
        return fused
    return torch.stack([factor.value() for factor in factors]).prod() * batch.inputs.abs().amax() * constant


def _fused_penalty(factors: Sequence[Factor], batch: Batch, constant: float) -> Tensor | None:
    """The same for fixed rates, in launches whose number does not grow with that of the layers; None if it cannot."""
    weights, rates = [factor.layer.weight for factor in factors], [factor.keep.rates() for factor in factors]
    if not can_be_fused(weights, rates):
        return None
    scales = [each.repetition(of.numel()) * each.scale() for each, of in zip(factors, rates, strict=True)]
    law = NormLaw(factors[0].p, factors[0].q, tuple(scales), constant)
    return product_of_norms(weights, rates, batch.inputs.abs().amax(), law)


class _TwoBlocks(Hooks):
    """The penalty on the weights at every step, and the steps on the rates."""

    def __init__(self, settings: AdaptiveDropoutRC, keeps: Sequence[Keep], factors: Sequence[Factor]) -> None:
        self._lam, self._factors = settings.lam, factors
        self._steps = KeepRateSteps(
            label="adaptive_dropout_rc",
            keeps=keeps,
            interval_steps=settings.keep_interval_steps,
            penalty_of_rates=self.penalty,
        )

    def period_steps(self) -> int:
        """The period of the steps on the rates."""
        return self._steps.period_steps()

    def penalty(self, step: Step) -> Tensor | None:
        if self._lam == 0 or step.batch is None:
            return None
        return self._lam * rademacher_penalty(self._factors, step.batch)

    def after_step(self, step: Step) -> None:
        self._steps.after_step(step)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return self._steps.after_epoch(epoch, network)
