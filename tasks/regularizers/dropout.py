"""Dropout sets random units to zero while training (Srivastava et al. 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import masked_alike, masked_elements
from tasks.regularizers.parts.checks import check_choice, check_rate
from tasks.regularizers.parts.masking import MAX_FACTORS, apply_mask, element_factors, takes_factors
from tasks.regularizers.parts.places import PLACES, UNIT_SITES, Where, sites_at
from tasks.regularizers.parts.schedules import ScheduledMask
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, sites_of

Share = Literal["element", "batch"]


@dataclass(frozen=True, kw_only=True)
class Dropout(Regularizer):
    """y = x m / (1 - drop_rate) with m ~ Ber(1 - drop_rate), independent for every element; eval is the identity.

    With `share` = `batch` all samples of a batch share one mask, so that whole columns of the next matrix product can
    be left out: the expected objective is the same with fewer random numbers, and the gradients have more variance.
    `where` names the sites: `dense` (and hidden units), `conv`, `all` of them, or only the `last` dense one. The drop
    rate at conv sites is conv_factor drop_rate; that of the input is input_drop_rate. A conv_factor of 0.5 and an
    input_drop_rate of 0.1 give the keep rates 0.9 (input), 0.75 (conv) and 0.5 (dense) of Zhai and Wang 2018.
    """

    drop_rate: float = 0.5  # in [0, 1)
    where: Where = "dense"
    conv_factor: float = 1.0  # in [0, 1]
    input_drop_rate: float = 0.0  # in [0, 1)
    share: Share = "element"  # one mask for each sample, or one for the batch

    acts_on: ClassVar[tuple[str, ...]] = UNIT_SITES
    also_acts_on: ClassVar[str] = "the input, where input_drop_rate > 0"
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0, "input_drop_rate": 0.0}
    formula: ClassVar[str] = "y = x m / (1 - drop_rate), m ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Srivastava et al. 2014, section 4"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "drop_rate")
        check_choice(self, "where", PLACES)
        check_rate(self, "conv_factor", below_one=False)
        check_rate(self, "input_drop_rate")
        check_choice(self, "share", get_args(Share))

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The input site if input_drop_rate > 0, then the sites that `where` names."""
        return (sites_of(network, ("input",)) if self.input_drop_rate else []) + sites_at(network, self.where)

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site, with a stream of its own."""
        rates = {"input": self.input_drop_rate, "conv": self.conv_factor * self.drop_rate}
        rate = rates.get(site.kind, self.drop_rate)
        return ElementMask(rate, context.masks(site.name), is_shared=self.share == "batch")


class ElementMask(ScheduledMask):
    """Dropout of single elements.

    Args:
        drop_rate: in [0, 1).
        stream: of the masks.
        is_shared: whether all samples of a batch share one mask.
        is_inverted: whether kept elements are divided by the keep rate in training; otherwise all elements are
            multiplied by it in eval mode.
    """

    def __init__(
        self, drop_rate: float, stream: MaskStream, *, is_shared: bool = False, is_inverted: bool = True
    ) -> None:
        super().__init__(drop_rate)
        self.is_shared, self.is_inverted = is_shared, is_inverted
        self._stream = stream
        self.is_watched = False  # whether the mask of the first sample is stored, see `tasks.sites.watch_mask`
        self.current_mask: Tensor | None = None

    @property
    def divisor(self) -> float:
        """The divisor of kept elements in training."""
        return 1 - self.drop_rate if self.is_inverted else 1.0

    def next_mask(self, shape: tuple[int, ...]) -> Tensor | None:
        """Draw the mask (True: kept) for activations of `shape`; None at drop rate 0.

        If all samples share a mask, its batch dimension is 1.
        """
        if self.drop_rate == 0:
            return None
        shape = (1, *shape[1:]) if self.is_shared else shape
        if self._stream.device.type != "cpu" or math.prod(shape) > MAX_FACTORS:
            return self._watched(self._stream.bernoulli(shape, 1 - self.drop_rate))
        return self._watched(self._next_factors(shape, torch.float32) != 0)

    def _next_factors(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return element_factors(self._stream, shape, 1 - self.drop_rate, 1 / self.divisor, dtype)

    def _watched(self, mask: Tensor) -> Tensor:
        if self.is_watched:
            self.current_mask = mask[0].clone()
        return mask

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`; they store no mask that could be watched."""
        return is_fused(x) and not self.is_watched

    def forward(self, x: Tensor) -> Tensor:
        """Masked in training; in eval mode, the mean over masks. `x` itself at drop rate 0."""
        if not self.training:
            return x if self.is_inverted else x * (1 - self.drop_rate)
        if self.runs_in_graph(x):
            form = masked_alike if self.is_shared else masked_elements
            return form(x, self._stream, self.kernel_rate, is_inverted=self.is_inverted)
        if self.drop_rate == 0:
            return x
        shape = (1, *x.shape[1:]) if self.is_shared else tuple(x.shape)
        if takes_factors(x, math.prod(shape)):
            factors = self._next_factors(shape, x.dtype)
            if self.is_watched:
                self._watched(factors != 0)
            return x * factors
        mask = self.next_mask(shape)
        return x if mask is None else apply_mask(x, mask, 1 / self.divisor)
