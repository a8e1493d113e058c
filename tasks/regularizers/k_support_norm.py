"""The squared spectral k-support norm: what DropBlock on a linear pair amounts to at its best (Pal et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.checks import check_at_least, check_rate
from tasks.regularizers.hidden_pair import SpectralPenalty, hidden_pairs
from tasks.theory.structured import k_support_norm_squared


@dataclass(frozen=True, kw_only=True)
class KSupportNorm(Regularizer):
    """Penalty beta ||U V^T X||_(r)^2 / N on a linear pair of width d, beta = (r / d) drop_rate / (1 - drop_rate).

    ||A||_(r) is the spectral k-support norm with k = r = block_size: Euclidean on the largest singular values, their
    sum on the smaller ones. Over all factors of one product the penalty of `dropblock_sample` (`path_norm` with this
    block size) is never below this one, and at the minimum of its objective both are equal. Block size 1 is
    `nuclear_norm`.
    """

    drop_rate: float = 0.5  # in [0, 1), of the blocks it stands for
    block_size: int = 5  # >= 1

    acts_on: ClassVar[tuple[str, ...]] = ("hidden",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + (r / d) drop_rate / (1 - drop_rate) ||U V^T X||_(r)^2 / N"
    source: ClassVar[str] = "Pal et al. 2020, theorem 6 and corollary 8"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_at_least(self, "block_size", 1)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The penalty on every hidden pair."""
        if self.drop_rate == 0:
            return self
        return SpectralPenalty(hidden_pairs(network), self.of_spectrum)

    def of_spectrum(self, singular_values: Tensor, width: int) -> Tensor:
        """The penalty, from the singular values of U V^T X / sqrt(N)."""
        strength = self.block_size / width * self.drop_rate / (1 - self.drop_rate)
        return strength * k_support_norm_squared(singular_values, self.block_size)
