"""DropBlock drops square regions of a map (Ghiasi et al. 2018, arXiv:1810.12890)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.fused.choice import has_fused_maps
from tasks.regularizers.fused.masks import masked_blocks
from tasks.regularizers.parts.checks import check_choice, check_count, check_factor, check_rate
from tasks.regularizers.parts.masking import (
    apply_mask,
    block_factors,
    block_mask,
    dtype_of_masks,
    realised_scale,
    takes_factors,
)
from tasks.regularizers.parts.places import rates_by_group
from tasks.regularizers.parts.schedules import RateSchedule, ScheduledMask
from tasks.runtime.streams import MaskStream
from tasks.theory.drop_rates import keep_matrix

Schedule = Literal["linear", "constant"]
Scaling = Literal["realised", "expected"]


@dataclass(frozen=True, kw_only=True)
class DropBlock(Regularizer):
    """Seeds ~ Ber(gamma) each drop a block of block_size^2 pixels, per sample and channel; blocks may overlap.

    gamma = drop_rate H W / (b^2 (H - b + 1) (W - b + 1)): `drop_rate` is the expected fraction that blocks cover, with
    overlaps counted repeatedly, so the fraction dropped is slightly smaller. A block larger than the map is cut. At a
    hidden site the units are a 1 x D map. The output is divided by the kept fraction: the `realised` one of the whole
    batch (the paper), or the `expected` one of each position, which makes E[y] = x. With the `linear` schedule the rate
    grows linearly from 0. With a `group_factor` below 1, earlier groups of layers drop less: the rate of a site is
    drop_rate times group_factor to the power of (last group - its group). The paper uses 0.25 on ResNet-50, with sites
    in the last two groups only.
    """

    drop_rate: float = 0.1  # in [0, 1)
    block_size: int = 7  # >= 1, cut to the map
    schedule: Schedule = "linear"
    scaling: Scaling = "realised"
    group_factor: float = 1.0  # in (0, 1]

    acts_on: ClassVar[tuple[str, ...]] = ("conv", "hidden")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y = x m |m| / sum(m), m = 0 on the union of the blocks of seeds Ber(gamma)"
    source: ClassVar[str] = "Ghiasi et al. 2018, algorithm 1; Lu et al. 2021, eq. 26 and section 5.2"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "drop_rate")
        check_count(self, "block_size", 1)
        check_choice(self, "schedule", get_args(Schedule))
        check_choice(self, "scaling", get_args(Scaling))
        check_factor(self, "group_factor")

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Block masks at every site, and the schedule of their rates."""
        masks, sites = [], self.chosen_sites(network)
        for site, rate in zip(sites, rates_by_group(self.drop_rate, self.group_factor, sites), strict=True):
            masks.append(BlockMask(replace(self, drop_rate=rate), context.masks(site.name)))
            site.fill(masks[-1])
        return RateSchedule.of(masks, context.device) if self.schedule == "linear" else self


class BlockMask(ScheduledMask):
    """DropBlock at one site; a schedule may change `drop_rate`."""

    def __init__(self, settings: DropBlock, stream: MaskStream) -> None:
        super().__init__(settings.drop_rate)
        self._block_size, self._scaling = settings.block_size, settings.scaling
        self._stream = stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return self._scaling == "realised" and has_fused_maps(x, overlap=True)

    def forward(self, x: Tensor) -> Tensor:
        """Masked and rescaled in training, `x` itself in eval mode and at drop rate 0."""
        if not self.training:
            return x
        if self.runs_in_graph(x):
            return masked_blocks(x, self._stream, self.kernel_rate, self._block_size, is_realised=True)
        if self.drop_rate == 0:
            return x
        map_shape: tuple[int, int, int, int] = (
            tuple(x.shape) if x.dim() == 4 else (len(x), 1, 1, x.shape[1])  # type: ignore[assignment]  # four sizes
        )
        if self._scaling == "realised" and takes_factors(x, x.numel()):
            factors, _ = block_factors(self._stream, map_shape, self.drop_rate, self._block_size, x.dtype)
            return x * factors.view(x.shape)
        keep = block_mask(self._stream, map_shape, self.drop_rate, self._block_size)
        if self._scaling == "realised":
            return apply_mask(x, keep.view(x.shape), realised_scale(keep))
        rate = torch.full((), self.drop_rate, dtype=torch.float64, device=x.device)  # filled there, not copied
        expected = keep_matrix(rate, self._block_size, map_shape[2], map_shape[3]).to(dtype_of_masks(x.dtype))
        return apply_mask(x, keep.view(x.shape), 1 / expected.view(1, *x.shape[1:]) if x.dim() == 2 else 1 / expected)
