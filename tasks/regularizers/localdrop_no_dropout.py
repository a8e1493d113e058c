"""LocalDrop without masks, only with shrinkage (Lu et al. 2021, table 1, "LocalDrop without dropout")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_at_least, check_count, check_rate
from tasks.regularizers.parts.spectral_tails import Shrinkage, charged_tails


@dataclass(frozen=True, kw_only=True)
class LocalDropNoDropout(Regularizer):
    """Every `m` epochs, sigma_j <- max(sigma_j - lam, 0) for j > h, in every layer but the output.

    h is counted as in `localdrop`. The printed objective (eq. 12) has no lam; here lam is the threshold.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs at scale paper from one shrinkage to the next
    h_dense_fraction: float = 2000 / 2048  # in [0, 1], fraction of the singular values that is not shrunk
    h_conv: int = 2  # >= 0, of a 3x3 kernel; at or above 3: off

    off: ClassVar[dict[str, Scalar]] = {"lam": 0.0}
    formula: ClassVar[str] = "mean loss + lam / n sum_l sum_{j>h} sigma_j(W_l)"
    source: ClassVar[str] = "Lu et al. 2021, eqs. 12, 17 and table 1"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_count(self, "m", 1)
        check_rate(self, "h_dense_fraction", below_one=False)
        check_count(self, "h_conv", 0)

    def period_epochs(self) -> int:
        """Epochs from one shrinkage to the next, at scale `paper`."""
        return self.m

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without a layer that could be shrunk for some h."""
        if not charged_tails(network, {}, 0.0, 0, "l2"):
            return "LocalDropNoDropout needs a conv or dense layer before the output; the network has none."
        return None

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The shrinkage of all layers but the output."""
        tails = charged_tails(network, {}, self.h_dense_fraction, self.h_conv, "l2")
        return Shrinkage(lam=self.lam, every_epochs=context.scaled_epochs(self.m), tails=tails)
