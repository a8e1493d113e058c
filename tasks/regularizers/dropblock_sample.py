"""DropBlock as Pal et al. 2020 analyse it: the units form fixed blocks, each kept or dropped as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.fused.choice import has_fused_maps
from tasks.regularizers.fused.masks import masked_grid
from tasks.regularizers.parts.checks import check_choice, check_count, check_rate
from tasks.regularizers.parts.masking import apply_mask, factors_of, takes_factors
from tasks.runtime.eager import eager
from tasks.runtime.streams import MaskStream
from tasks.sites import Site
from tasks.theory.keep_rates import equal_rate_keep

Blocks = Literal["separate", "overlapping"]
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DropBlockSample(Regularizer):
    """y = x z / (1 - drop_rate), z constant on blocks of `block_size` neighbouring units, Ber(1 - drop_rate) per block.

    The form that Pal et al. analyse: training a linear network U V^T with it minimises the loss plus
    drop_rate / (1 - drop_rate) sum_i ||U_i V_i^T X||_F^2 over the blocks i (their Lemma 1). On maps the blocks are
    the squares of a grid; those at the bottom and right borders may be cut.

    `overlapping` blocks are those of DropBlock, with the same keep rate for each unit: a unit is kept if all n seeds
    whose blocks cover it are kept, so seeds are kept at the rate (1 - drop_rate)^(1/n). Blocks may overhang the layer,
    so that n is block_size for every unit, and block_size^2 for every pixel. (The rate that the paper prints is for a
    unit that is kept if any of its seeds is kept: see `equal_rate_keep`.)
    """

    drop_rate: float = 0.5  # in [0, 1)
    block_size: int = 5  # >= 1; at or above the width, a separate block holds all units
    blocks: Blocks = "separate"

    acts_on: ClassVar[tuple[str, ...]] = ("hidden", "dense", "conv")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y = x (w (x) 1_r) / (1 - drop_rate), w_i ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Pal et al. 2020, section 2, eq. 3; section 5.3 for overlapping blocks, corrected"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "drop_rate")
        check_count(self, "block_size", 1)
        check_choice(self, "blocks", get_args(Blocks))

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site."""
        return GridMask(self, context.masks(site.name))


class GridMask(nn.Module):
    """Keeps or drops blocks of units (B, D), or of maps (B, C, H, W) for each channel by itself."""

    def __init__(self, settings: DropBlockSample, stream: MaskStream) -> None:
        super().__init__()
        self.drop_rate, self._block_size = settings.drop_rate, settings.block_size
        self._draw, self._stream = DRAWS[settings.blocks], stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels mask `x`."""
        return self._draw is separate_blocks and has_fused_maps(x, overlap=False)

    def forward(self, x: Tensor) -> Tensor:
        """Masked and rescaled in training, `x` itself in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return x
        if self.runs_in_graph(x):
            return masked_grid(x, self._stream, self.drop_rate, self._block_size)
        keep_rate = 1 - self.drop_rate
        axes = 2 if x.dim() == 4 else 1
        leading, spatial = tuple(x.shape[:-axes]), tuple(x.shape[-axes:])
        if not takes_factors(x, x.numel()):
            keep = self._draw(self._stream, leading, spatial, keep_rate, self._block_size)
            return apply_mask(x, keep, 1 / keep_rate)

        def draw(num: int) -> Sequence[Tensor]:
            several = (num * leading[0], *leading[1:])
            keep = self._draw(self._stream, several, spatial, keep_rate, self._block_size)
            return factors_of(keep, 1 / keep_rate, x.dtype).view(num, *x.shape).unbind()

        factors: Tensor = self._stream.ahead(("grid", *x.shape, keep_rate), draw, x.numel())
        return x * factors


def separate_blocks(stream: MaskStream, leading: Shape, spatial: Shape, keep_rate: float, block_size: int) -> Tensor:
    """Keep mask (*leading, *spatial): the blocks of a fixed grid are kept at `keep_rate`; the last ones may be cut."""
    keep = stream.bernoulli((*leading, *(-(-size // block_size) for size in spatial)), keep_rate)
    if keep.device.type == "cpu":
        return _enlarged(keep, spatial, block_size)
    for axis, size in enumerate(spatial, start=len(leading)):
        keep = keep.repeat_interleave(block_size, dim=axis).narrow(axis, 0, size)
    return keep


@eager
def _enlarged(keep: Tensor, spatial: Shape, block_size: int) -> Tensor:
    """One element per block to `spatial`, by numpy, which does that several times as fast as torch."""
    blocks = keep.numpy()
    for axis, size in enumerate(reversed(spatial), start=1):
        widths = np.diff(np.minimum(np.arange(blocks.shape[-axis] + 1) * block_size, size))
        blocks = blocks.repeat(widths, -axis)
    return torch.from_numpy(blocks)


def overlapping_blocks(stream: MaskStream, leading: Shape, spatial: Shape, keep_rate: float, block_size: int) -> Tensor:
    """Keep mask (*leading, *spatial): drops the union of the blocks of dropped seeds; each unit has `keep_rate`."""
    seed_keep = equal_rate_keep(keep_rate, block_size ** len(spatial))
    dropped = stream.bernoulli((*leading, *(size + block_size - 1 for size in spatial)), seed_keep).logical_not()
    pool = F.max_pool2d if len(spatial) == 2 else F.max_pool1d
    return pool(dropped.float(), block_size, stride=1) == 0


DRAWS: Mapping[str, Callable[[MaskStream, Shape, Shape, float, int], Tensor]] = {
    "separate": separate_blocks,
    "overlapping": overlapping_blocks,
}
