"""DropPath drops residual branches, each sample by itself (Huang et al. 2016; Larsson et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import masked_samples
from tasks.regularizers.parts.checks import check_choice, check_rate
from tasks.regularizers.parts.masking import masked
from tasks.runtime.streams import MaskStream

Growth = Literal["linear", "constant"]


@dataclass(frozen=True, kw_only=True)
class DropPath(Regularizer):
    """y = shortcut + F(x) m / (1 - drop_rate_l) with m ~ Ber(1 - drop_rate_l) per sample; eval has no mask.

    With `linear` growth the l-th of L branches has drop_rate_l = drop_rate l / L, so that early branches are rarely
    dropped; with `constant` growth all have `drop_rate`. Also known as stochastic depth.
    """

    drop_rate: float = 0.5  # in [0, 1), of the last branch
    growth: Growth = "linear"

    acts_on: ClassVar[tuple[str, ...]] = ("branch",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y = shortcut + F(x) m / (1 - drop_rate l / L), m ~ Ber(1 - drop_rate l / L)"
    source: ClassVar[str] = "Huang et al. 2016, eqs. 2 to 4; per sample as in Larsson et al. 2017"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_choice(self, "growth", get_args(Growth))

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """One mask module per branch, at the drop rate of its depth."""
        sites = self.chosen_sites(network)
        for site, rate in zip(sites, rates_by_depth(self.drop_rate, len(sites), self.growth), strict=True):
            site.fill(PathMask(rate, context.masks(site.name)))
        return self


class PathMask(nn.Module):
    """Keeps or drops whole samples of a branch."""

    def __init__(self, drop_rate: float, stream: MaskStream) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self._stream = stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return is_fused(x)

    def forward(self, x: Tensor) -> Tensor:
        """Masked and rescaled in training, `x` itself in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return x
        if self.runs_in_graph(x):
            return masked_samples(x, self._stream, self.drop_rate)
        return masked(x, self._stream, 1 - self.drop_rate, (len(x), *[1] * (x.dim() - 1)))


def rates_by_depth(drop_rate: float, num_branches: int, growth: Growth) -> list[float]:
    """Drop rates of the branches from the first to the last.

    Example:
        >>> rates_by_depth(0.5, 2, "linear"), rates_by_depth(0.5, 2, "constant")
        ([0.25, 0.5], [0.5, 0.5])
    """
    if growth == "constant":
        return [drop_rate] * num_branches
    return [drop_rate * depth / num_branches for depth in range(1, num_branches + 1)]
