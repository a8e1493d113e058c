"""The path norm: the explicit regularizer of dropout on the last hidden layer (Pal et al. 2020, Lemma 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_count, check_rate
from tasks.regularizers.parts.recorded_penalty import RecordedPenalty
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class PathNorm(Regularizer):
    """Penalty drop_rate / (1 - drop_rate) sum_i ||U_i H_i||_F^2 / B over blocks i of block_size hidden units.

    H (units x B) are the units at the last hidden or dense site, U is the weight of the layer that reads them. In a
    two-layer linear network H = V^T X, and for block size 1 the sum is sum_i ||u_i||^2 ||v_i^T X||^2. With the squared
    error, the penalised loss of a batch is its expected loss under dropout (block size 1) or `dropblock_sample`. The
    last block may be shorter.
    """

    drop_rate: float = 0.5  # in [0, 1), of the equivalent dropout
    block_size: int = 1  # >= 1

    acts_on: ClassVar[tuple[str, ...]] = ("hidden", "dense")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) sum_i ||U_i H_i||^2 / B"
    source: ClassVar[str] = "Pal et al. 2020, eq. 2, Lemma 1 and Corollary 11 (with its missing factor)"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_count(self, "block_size", 1)

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The last of its sites that a dense layer reads."""
        return [site for site in super().chosen_sites(network) if isinstance(site.next_layer, nn.Linear)][-1:]

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The penalty at the site."""
        if self.drop_rate == 0:
            return self
        return RecordedPenalty(self.chosen_sites(network), self.of_layer)

    def of_layer(self, weight: Tensor, hidden_BD: Tensor) -> Tensor:
        """The penalty, from U (outputs x units) and the hidden units of a batch."""
        outgoing, incoming = self._gram(weight), self._gram(hidden_BD)
        return self.drop_rate / (1 - self.drop_rate) / len(hidden_BD) * (outgoing * incoming).sum()

    def _gram(self, rows: Tensor) -> Tensor:
        """Inner products of the columns within each block, over the rows."""
        missing = -rows.shape[1] % self.block_size
        blocks = F.pad(rows, (0, missing)).reshape(len(rows), -1, self.block_size).movedim(0, 1)
        gram: Tensor = blocks.mT @ blocks
        return gram
