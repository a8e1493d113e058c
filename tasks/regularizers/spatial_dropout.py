"""SpatialDropout drops whole feature maps (Tompson et al. 2015, arXiv:1411.4280, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import masked_channels
from tasks.regularizers.parts.checks import check_rate
from tasks.regularizers.parts.masking import masked
from tasks.runtime.streams import MaskStream
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class SpatialDropout(Regularizer):
    """y = x m / (1 - drop_rate) with one m ~ Ber(1 - drop_rate) per sample and channel; eval is the identity.

    It is DropBlock with a block as large as the map.
    """

    drop_rate: float = 0.1  # in [0, 1); keep 0.9 in Ghiasi et al. 2018, Tompson et al. give none

    acts_on: ClassVar[tuple[str, ...]] = ("conv",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "y[n, c] = x[n, c] m[n, c] / (1 - drop_rate), m ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Tompson et al. 2015, section 3.2; default of Ghiasi et al. 2018, table 1"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site."""
        return ChannelMask(self.drop_rate, context.masks(site.name))


class ChannelMask(nn.Module):
    """Keeps or drops the channels of maps (B, C, H, W)."""

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
            return masked_channels(x, self._stream, self.drop_rate)
        return masked(x, self._stream, 1 - self.drop_rate, (*x.shape[:2], 1, 1))
