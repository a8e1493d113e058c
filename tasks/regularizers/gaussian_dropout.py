"""Gaussian dropout multiplies units by noise of mean 1 (Srivastava et al. 2014, section 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import noisy_elements
from tasks.regularizers.parts.checks import check_choice, check_rate
from tasks.regularizers.parts.places import PLACES, UNIT_SITES, Where, sites_at
from tasks.runtime.streams import MaskStream
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class GaussianDropout(Regularizer):
    """y = x (1 + sqrt(alpha) eps) with eps ~ N(0, 1) per element; mean and variance are those of dropout.

    alpha = drop_rate / (1 - drop_rate) is the variance of dropout's rescaled mask. Eval is the identity.
    """

    drop_rate: float = 0.5  # in [0, 1): of the dropout with the same variance
    where: Where = "dense"

    acts_on: ClassVar[tuple[str, ...]] = UNIT_SITES
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y = x (1 + sqrt(drop_rate / (1 - drop_rate)) eps), eps ~ N(0, 1)"
    source: ClassVar[str] = "Srivastava et al. 2014, section 10"

    def __post_init__(self) -> None:
        """Check the rate and the sites."""
        check_rate(self, "drop_rate")
        check_choice(self, "where", PLACES)

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites that `where` names."""
        return sites_at(network, self.where)

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One noise module per site."""
        return GaussianNoise(self.drop_rate / (1 - self.drop_rate), context.masks(site.name))


class GaussianNoise(nn.Module):
    """Multiplicative noise N(1, variance)."""

    def __init__(self, variance: float, stream: MaskStream) -> None:
        super().__init__()
        self.variance = variance
        self._stream = stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels make the noise for `x`."""
        return is_fused(x)

    def forward(self, x: Tensor) -> Tensor:
        """Noisy in training, `x` itself in eval mode and at variance 0."""
        if not self.training or self.variance == 0:
            return x
        if self.runs_in_graph(x):
            return noisy_elements(x, self._stream, math.sqrt(self.variance))
        noise = self._stream.normal(tuple(x.shape), dtype=x.dtype)
        return x * noise.mul_(math.sqrt(self.variance)).add_(1)
