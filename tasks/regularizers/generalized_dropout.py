"""Generalized dropout: masks with a given mean and covariance (Pal et al. 2020, section 3, Lemma 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import masked_elements, noisy_elements
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_number, check_rate
from tasks.regularizers.parts.masking import dtype_of_masks
from tasks.runtime.streams import MaskStream
from tasks.sites import Site

Law = Literal["independent", "block", "exponential"]
Values = Literal["binary", "gaussian"]


@dataclass(frozen=True, kw_only=True)
class GeneralizedDropout(Regularizer):
    """y = x z / mean with masks z of E[z_i] = mean and Cov(z_i, z_j) = deviation^2 R_ij; eval is the identity.

    `law` sets the correlation R of the units: `independent` (identity), `block` (1 within blocks of `block_size`
    neighbours, the last one shorter where they do not divide the width, 0 across) or `exponential`
    (correlation^|i-j|). `binary` masks take the values 0 and mean / keep with keep = mean^2 / (mean^2 + deviation^2).
    At mean = keep and deviation = sqrt(keep (1 - keep)) these are 0 and 1: `independent` is then dropout and `block`
    is `dropblock_sample`. `gaussian` masks have the same moments. With the squared error and a linear layer that reads
    the units, the expected loss depends on the mask through these moments only.

    The fields span a family that can be tuned. `CorrelatedMask` takes any mean vector and covariance matrix; its
    docstring shows how to make a regularizer of it.
    """

    law: Law = "independent"
    values: Values = "binary"
    mean: float = 0.5  # not 0
    deviation: float = 0.5  # >= 0, standard deviation of an entry of the mask
    block_size: int = 5  # >= 1, used by the law `block`
    correlation: float = 0.5  # in [0, 1], of neighbours, used by the law `exponential`

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "hidden")
    off: ClassVar[dict[str, Scalar]] = {"deviation": 0.0}
    formula: ClassVar[str] = "y = x z / mean, E[z] = mean, Cov(z) = deviation^2 R"
    source: ClassVar[str] = "Pal et al. 2020, Lemma 10"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice(self, "law", get_args(Law))
        check_choice(self, "values", get_args(Values))
        check_number(self, "mean")
        if self.mean == 0 or not math.isfinite(self.mean):
            raise ValueError(
                f"GeneralizedDropout.mean must be finite and not 0, since masks are divided by it, got {self.mean}."
            )
        check_at_least(self, "deviation", 0)
        check_count(self, "block_size", 1)
        check_rate(self, "correlation", below_one=False)

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site."""
        return FamilyMask(self, context.masks(site.name))

    def moments(self, width: int) -> tuple[Tensor, Tensor]:
        """Mean (width,) and covariance (width, width) of the masks, in float64."""
        unit = torch.arange(width)
        correlations = {
            "independent": torch.eye(width, dtype=torch.float64),
            "block": (unit[:, None] // self.block_size == unit // self.block_size).double(),
            "exponential": torch.tensor(self.correlation, dtype=torch.float64) ** (unit[:, None] - unit).abs(),
        }
        return torch.full((width,), self.mean, dtype=torch.float64), correlations[self.law] * self.deviation**2


class FamilyMask(nn.Module):
    """Draws the masks of one family, already divided by their mean."""

    def __init__(self, settings: GeneralizedDropout, stream: MaskStream) -> None:
        super().__init__()
        self._settings, self._stream = settings, stream
        self._relative_deviation = settings.deviation / abs(settings.mean)

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return is_fused(x) and self._settings.law == "independent"

    def forward(self, x: Tensor) -> Tensor:
        """Masked in training, `x` itself in eval mode and at deviation 0."""
        if not self.training or self._relative_deviation == 0:
            return x
        if self.runs_in_graph(x):
            return self._fused(x)
        return (x * self._mask(len(x), x.shape[1], dtype_of_masks(x.dtype))).to(x.dtype)

    def _fused(self, x: Tensor) -> Tensor:
        """The law `independent` in one launch."""
        if self._settings.values == "gaussian":
            return noisy_elements(x, self._stream, self._relative_deviation)
        return masked_elements(x, self._stream, 1 - 1 / (1 + self._relative_deviation**2))

    def _mask(self, num_samples: int, width: int, dtype: torch.dtype) -> Tensor:
        if self._settings.law == "block":
            size = self._settings.block_size
            return self._draw(num_samples, -(-width // size), dtype).repeat_interleave(size, dim=1)[:, :width]
        mask = self._draw(num_samples, width, dtype)
        return self._correlated(mask) if self._settings.law == "exponential" else mask

    def _draw(self, num_samples: int, width: int, dtype: torch.dtype) -> Tensor:
        """Independent entries of mean 1."""
        if self._settings.values == "gaussian":
            return 1 + self._relative_deviation * self._stream.normal((num_samples, width), dtype=dtype)
        keep_rate = 1 / (1 + self._relative_deviation**2)
        return self._stream.bernoulli((num_samples, width), keep_rate).to(dtype) / keep_rate

    def _correlated(self, fresh: Tensor) -> Tensor:
        """Each unit copies its left neighbour with probability `correlation`, and otherwise takes its fresh entry.

        Two units at distance k share one entry with probability correlation^k and are independent otherwise, so that
        this is their correlation, whatever the distribution of an entry.
        """
        takes_fresh = self._stream.bernoulli(tuple(fresh.shape), 1 - self._settings.correlation)
        position = torch.arange(fresh.shape[1], device=fresh.device)
        origin = torch.where(takes_fresh, position, 0).cummax(dim=1).values
        return fresh.gather(1, origin)
