"""DropBlock without overlaps: the units fall into fixed blocks, each kept or dropped whole (Pal et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.checks import check_count, check_rate
from tasks.regularizers.masking import apply_mask
from tasks.sites import Site
from tasks.streams import MaskStream


@dataclass(frozen=True, kw_only=True)
class DropBlockSample(Regularizer):
    """y = x z / (1 - drop_rate), z constant on blocks of `block_size` neighbouring units, Ber(1 - drop_rate) per block.

    The form that Pal et al. analyse: training a linear pair with it minimises the loss plus
    drop_rate / (1 - drop_rate) sum_i ||U_i V_i^T X||_F^2 over the blocks i (their Lemma 1). On maps the blocks are
    squares of the grid; those at the far border are cut.
    """

    drop_rate: float = 0.5  # in [0, 1)
    block_size: int = 5  # >= 1

    acts_on: ClassVar[tuple[str, ...]] = ("hidden", "dense", "conv")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y = x (w (x) 1_r) / (1 - drop_rate), w_i ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Pal et al. 2020, section 2, eq. 3"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_count(self, "block_size", 1)

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site."""
        return GridMask(self, context.masks(site.name))


class GridMask(nn.Module):
    """Keeps or drops the blocks of a fixed grid."""

    def __init__(self, settings: DropBlockSample, stream: MaskStream) -> None:
        super().__init__()
        self.drop_rate, self._block_size = settings.drop_rate, settings.block_size
        self._stream = stream

    def forward(self, x: Tensor) -> Tensor:
        """Masked and rescaled in training, `x` itself in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return x
        leading, spatial = (2, x.shape[2:]) if x.dim() == 4 else (1, x.shape[1:])
        blocks = [-(-size // self._block_size) for size in spatial]
        keep = self._stream.bernoulli((*x.shape[:leading], *blocks), 1 - self.drop_rate)
        for axis, size in enumerate(spatial, start=leading):
            keep = keep.repeat_interleave(self._block_size, dim=axis).narrow(axis, 0, size)
        return apply_mask(x, keep, 1 / (1 - self.drop_rate))
