"""ShakeDrop scales residual branches by random factors, one forward and another backward (Yamada et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.drop_path import Growth, rates_by_depth
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import shaken_samples
from tasks.regularizers.parts.checks import check_choice, check_number, check_rate
from tasks.runtime.streams import MaskStream

Level = Literal["sample", "channel", "element"]


@dataclass(frozen=True, kw_only=True)
class ShakeDrop(Regularizer):
    """y = shortcut + (b + alpha - b alpha) F(x) forward, (b + beta - b beta) backward, b ~ Ber(1 - drop_rate_l).

    b is drawn per sample, alpha and beta uniformly between their bounds per `level`. A branch that is not dropped
    (b = 1) is unchanged; a dropped one is multiplied by alpha, and its gradient by beta. Eval multiplies F(x) by the
    expected forward factor, 1 - drop_rate_l + drop_rate_l (alpha_low + alpha_high) / 2. Rates grow with depth as in
    DropPath.
    """

    drop_rate: float = 0.5  # in [0, 1), of the last branch
    alpha_low: float = -1.0  # <= alpha_high, finite
    alpha_high: float = 1.0  # >= alpha_low, finite
    beta_low: float = 0.0  # <= beta_high, finite
    beta_high: float = 1.0  # >= beta_low, finite
    growth: Growth = "linear"
    level: Level = "element"

    acts_on: ClassVar[tuple[str, ...]] = ("branch",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "F(x) <- (b + alpha - b alpha) F(x), b ~ Ber(1 - drop_rate l / L); beta for alpha backward"
    source: ClassVar[str] = "Yamada et al. 2019, section 4 (the rules of training forward, backward and test)"

    def __post_init__(self) -> None:
        """Check every field, and that no interval is empty."""
        check_rate(self, "drop_rate")
        check_choice(self, "growth", get_args(Growth))
        check_choice(self, "level", get_args(Level))
        for field in ("alpha_low", "alpha_high", "beta_low", "beta_high"):
            check_number(self, field)
        for name, low, high in (("alpha", self.alpha_low, self.alpha_high), ("beta", self.beta_low, self.beta_high)):
            if not -math.inf < low <= high < math.inf:
                raise ValueError(
                    f"ShakeDrop.{name}_low and ShakeDrop.{name}_high must be finite and in this order, "
                    f"got {low} and {high}."
                )

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """One module of random factors per branch, at the drop rate of its depth."""
        sites = self.chosen_sites(network)
        for site, rate in zip(sites, rates_by_depth(self.drop_rate, len(sites), self.growth), strict=True):
            site.fill(Shake(self, rate, context.masks(site.name)))
        return self


class Shake(nn.Module):
    """Random factors for the samples of one branch."""

    def __init__(self, settings: ShakeDrop, drop_rate: float, stream: MaskStream) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self._settings, self._stream = settings, stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels shake `x`."""
        return is_fused(x)

    def forward(self, x: Tensor) -> Tensor:
        """Multiplied by random factors in training, by the expected factor in eval mode; `x` itself at drop rate 0."""
        if self.drop_rate == 0:
            return x
        settings = self._settings
        if not self.training:
            return x * (1 - self.drop_rate + self.drop_rate * (settings.alpha_low + settings.alpha_high) / 2)
        num_axes = {"sample": 1, "channel": 2, "element": x.dim()}[settings.level]
        if self.runs_in_graph(x):
            bounds = (settings.alpha_low, settings.alpha_high), (settings.beta_low, settings.beta_high)
            return shaken_samples(x, self._stream, 1 - self.drop_rate, *bounds, num_axes)
        shape = (*x.shape[:num_axes], *[1] * (x.dim() - num_axes))
        whole = self._stream.bernoulli((len(x), *[1] * (x.dim() - 1)), 1 - self.drop_rate)
        alpha, beta = (
            (low + (high - low) * self._stream.uniform(shape, dtype=x.dtype)).to(x.dtype)
            for low, high in ((settings.alpha_low, settings.alpha_high), (settings.beta_low, settings.beta_high))
        )
        shaken: Tensor = _TwoFactors.apply(x, alpha.masked_fill(whole, 1), beta.masked_fill(whole, 1))
        return shaken


class _TwoFactors(torch.autograd.Function):
    """Multiplies by one factor forward and by another backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forward_factor: Tensor, backward_factor: Tensor) -> Tensor:
        ctx.save_for_backward(backward_factor)
        return x * forward_factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (backward_factor,) = ctx.saved_tensors
        return gradient * backward_factor, None, None
