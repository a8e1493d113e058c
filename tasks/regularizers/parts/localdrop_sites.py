"""Masks with learned keep rates: per unit for dense layers, keep matrices for conv layers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.regularizers.fused.choice import has_fused_maps, is_fused
from tasks.regularizers.fused.masks import masked_blocks, masked_units
from tasks.regularizers.fused.rates import ScheduledRate
from tasks.regularizers.parts.masking import apply_mask, block_factors, block_mask, factors_of, takes_factors
from tasks.runtime.streams import MaskStream
from tasks.sites import Site
from tasks.theory.drop_rates import KeepForm, coverage_counts, keep_matrix

KeepScaling = Literal["none", "start"]

MIN_KEEP_RATE = 1e-3  # a unit that is never kept has no gradient and could not come back
MAX_BLOCK_DROP_RATE = 0.5
STEPS_AHEAD = 8  # for which masks of units are drawn at once; their rates change every ten steps by default


class Keep(nn.Module, ABC):
    """Masks with a learned rate: multiplies by a sampled mask in training and by the rates themselves in eval mode.

    Both are divided by `divisor`, a constant.
    """

    variable: Tensor  # the learned variable; a buffer, so that the network's optimizer does not change it

    def __init__(self, name: str, stream: MaskStream, divisor: float = 1.0) -> None:
        super().__init__()
        self.name = name
        self._stream, self._divisor = stream, divisor

    @abstractmethod
    def rates(self) -> Tensor:
        """Keep rates in [0, 1] that broadcast to one sample at the site, differentiable in `variable`."""

    @abstractmethod
    def sample(self, x: Tensor) -> Tensor:
        """A boolean keep mask for the batch `x`."""

    @abstractmethod
    def project(self, variable: Tensor) -> Tensor:
        """The nearest allowed value of the variable."""

    @abstractmethod
    def mean_drop_rate(self) -> float:
        """The learned drop rate, averaged over units, for logging."""

    def forward(self, x: Tensor) -> Tensor:
        """Masked in training, multiplied by the rates in eval mode."""
        if self.training:
            return self.masked(x)
        return x * (self.rates() / self._divisor)

    def masked(self, x: Tensor) -> Tensor:
        """`x` times a sampled mask, divided by `divisor`."""
        return apply_mask(x, self.sample(x), 1 / self._divisor)

    @torch.no_grad()
    def descend(self, gradient: Tensor | None, learning_rate: float) -> None:
        """One projected gradient step; none if the gradient is None (the loss is independent of it, or overflowed)."""
        self.variable.requires_grad_(False)
        if gradient is not None:
            self.variable.copy_(self.project(self.variable - learning_rate * gradient))


class UnitKeep(Keep):
    """One keep rate per unit of a dense layer; with `scaling` start, outputs are divided by the initial rate."""

    def __init__(
        self, site: Site, keep_rate: float, stream: MaskStream, device: torch.device, scaling: KeepScaling = "none"
    ) -> None:
        super().__init__(site.name, stream, divisor=keep_rate if scaling == "start" else 1.0)
        assert site.shape is not None
        self.register_buffer("variable", torch.full(site.shape, keep_rate, device=device))

    def rates(self) -> Tensor:
        """The learned variable itself."""
        return self.variable

    def sample(self, x: Tensor) -> Tensor:
        """Ber(rate of the unit) for every sample."""
        return self._stream.bernoulli_each(len(x), self.variable)

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return is_fused(x)

    def masked(self, x: Tensor) -> Tensor:
        """As `Keep.masked`; small masks are drawn ahead until the rates change."""
        if self.runs_in_graph(x):
            return masked_units(x, self._stream, self.variable, 1 / self._divisor)
        if not takes_factors(x, x.numel()):
            return super().masked(x)
        rates = hashlib.blake2b(self.variable.detach().numpy().tobytes(), digest_size=16).hexdigest()

        def draw(num: int) -> Sequence[Tensor]:
            keep = self._stream.bernoulli_each(num * len(x), self.variable).view(num, *x.shape)
            return factors_of(keep, 1 / self._divisor, x.dtype).unbind()

        factors: Tensor = self._stream.ahead(("units", *x.shape, rates), draw, x.numel(), STEPS_AHEAD)
        return x * factors

    def project(self, variable: Tensor) -> Tensor:
        """Clamp to [MIN_KEEP_RATE, 1]."""
        return variable.clamp(MIN_KEEP_RATE, 1)

    def mean_drop_rate(self) -> float:
        """1 - mean keep rate."""
        return 1 - float(self.variable.mean())


class BlockKeep(Keep):
    """One learned DropBlock rate d for a conv site, initially 0; the keep matrix follows from it."""

    def __init__(self, site: Site, block_size: int, form: KeepForm, stream: MaskStream, device: torch.device) -> None:
        super().__init__(site.name, stream)
        assert site.shape is not None
        self._height, self._width = site.shape[-2:]
        self._block_size, self._form = block_size, form
        self.register_buffer("variable", torch.zeros((), device=device))
        self._counts = coverage_counts(block_size, self._height, self._width).to(device, self.variable.dtype)

    def rates(self) -> Tensor:
        """The keep matrix (H, W) of the learned rate."""
        return keep_matrix(self.variable, self._block_size, self._height, self._width, self._form, self._counts)

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return has_fused_maps(x, overlap=True)

    def masked(self, x: Tensor) -> Tensor:
        """As `Keep.masked`; small masks are drawn ahead until the rate changes.

        A CPU draws nothing at rate 0; on a GPU, reading the rate would wait for the device.
        """
        if self.runs_in_graph(x):
            rate = ScheduledRate(1.0, self.variable.detach())
            return masked_blocks(x, self._stream, rate, self._block_size, is_realised=False)
        if self.variable.device.type == "cpu" and float(self.variable) == 0:
            return x
        if not takes_factors(x, x.numel()):
            return super().masked(x)
        shape: tuple[int, int, int, int] = tuple(x.shape)  # type: ignore[assignment]  # four sizes
        factors, _ = block_factors(
            self._stream, shape, float(self.variable), self._block_size, x.dtype, is_rescaled=False
        )
        return x * factors

    def sample(self, x: Tensor) -> Tensor:
        """DropBlock masks at the learned rate."""
        batch, channels, height, width = x.shape
        return block_mask(self._stream, (batch, channels, height, width), self.variable.detach(), self._block_size)

    def project(self, variable: Tensor) -> Tensor:
        """Clamp to [0, MAX_BLOCK_DROP_RATE]."""
        return variable.clamp(0, MAX_BLOCK_DROP_RATE)

    def mean_drop_rate(self) -> float:
        """The learned rate d."""
        return float(self.variable)
