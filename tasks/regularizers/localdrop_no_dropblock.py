"""LocalDrop on conv kernels without masks (Lu et al. 2021, table 2, "LocalDrop without DB")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_at_least, check_count
from tasks.regularizers.parts.spectral_tails import Shrinkage, SpectralTail, charged_tails


@dataclass(frozen=True, kw_only=True)
class LocalDropNoDropblock(Regularizer):
    """Every `m` epochs, sigma_j <- max(sigma_j - lam, 0) for j > h, in every k x k kernel with k > 1.

    h is counted as in `localdrop`. This is LocalDrop without DropBlock on a residual network whose only dense layer is
    the output.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs at scale paper from one shrinkage to the next
    h_conv: int = 2  # >= 0, of a 3x3 kernel; at or above 3: off

    off: ClassVar[dict[str, Scalar]] = {"lam": 0.0}
    formula: ClassVar[str] = "mean loss + lam / n sum_(conv l) sum_(kernels) sum_{j>h} sigma_j"
    source: ClassVar[str] = "Lu et al. 2021, eq. 17 and table 2"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_count(self, "m", 1)
        check_count(self, "h_conv", 0)

    def period_epochs(self) -> int:
        """Epochs from one shrinkage to the next, at scale `paper`."""
        return self.m

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without a kernel that has more than one singular value."""
        if not _conv_tails(network, 0):
            return "LocalDropNoDropblock needs a conv layer with kernels larger than 1x1; the network has none."
        return None

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The shrinkage of all conv layers."""
        return Shrinkage(
            lam=self.lam, every_epochs=context.scaled_epochs(self.m), tails=_conv_tails(network, self.h_conv)
        )


def _conv_tails(network: nn.Module, h_conv: int) -> list[SpectralTail]:
    tails = charged_tails(network, {}, 1.0, h_conv, "l2")
    return [tail for tail in tails if isinstance(tail.layer, nn.Conv2d)]
