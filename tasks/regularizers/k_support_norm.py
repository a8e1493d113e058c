"""The squared spectral k-support norm, which DropBlock on two linear layers induces (Pal et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_count, check_rate
from tasks.regularizers.parts.hidden_pair import SpectralPenalty, hidden_pairs, paired_sites
from tasks.sites import Site
from tasks.theory.structured import k_support_norm_squared


@dataclass(frozen=True, kw_only=True)
class KSupportNorm(Regularizer):
    """Penalty beta ||U V^T X||_(r)^2 / N on linear layers U V^T of k blocks, beta = drop_rate / (1 - drop_rate) / k.

    ||A||_(r) is the spectral k-support norm of order r = block_size: the l_2 norm of the largest singular values
    combined with the l_1 norm of the others. Width d has k = ceil(d / r) blocks, the last one shorter if r does not
    divide d, and one block of all units if r is above d. X are the N training inputs (see `HiddenPair`).

    For all factors with the same product, the penalty of `dropblock_sample` (`path_norm` with this block size) is at
    least this one: it is the sum of ||U_i H_i||_F^2 over the k blocks; ||U_i H_i||_F = ||U_i H_i||_(r), since U_i H_i
    has at most rank r; and k times a sum of k squares is at least the square of the sum, which by the triangle
    inequality is at least the norm of the whole. If r divides d, both penalties are equal at the minimum of the
    objective of `dropblock_sample`. Block size 1 is `nuclear_norm`.
    """

    drop_rate: float = 0.5  # in [0, 1), of the equivalent DropBlock
    block_size: int = 5  # >= 1; at or above the width: one block of all units

    acts_on: ClassVar[tuple[str, ...]] = ("hidden",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) / ceil(d / r) ||U V^T X||_(r)^2 / N"
    source: ClassVar[str] = "Pal et al. 2020, theorem 6 and corollary 8"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_count(self, "block_size", 1)

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The hidden sites between two dense layers."""
        return paired_sites(network)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The penalty on every pair of linear layers around a hidden site."""
        if self.drop_rate == 0:
            return self
        return SpectralPenalty(hidden_pairs(network), self.of_spectrum)

    def of_spectrum(self, singular_values: Tensor, width: int) -> Tensor:
        """The penalty, from the singular values of U V^T X / sqrt(N)."""
        num_blocks = math.ceil(width / self.block_size)
        strength = self.drop_rate / (1 - self.drop_rate) / num_blocks
        return strength * k_support_norm_squared(singular_values, self.block_size)
