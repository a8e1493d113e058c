"""The squared nuclear norm, which dropout on two linear layers induces (Cavazza et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_rate
from tasks.regularizers.parts.hidden_pair import SpectralPenalty, hidden_pairs, paired_sites
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class NuclearNorm(Regularizer):
    """Penalty beta ||U V^T X||_*^2 / N on linear layers U V^T of width d, beta = drop_rate / (1 - drop_rate) / d.

    For all factors with the same product, dropout's penalty (`path_norm`) is at least this one, with equality for
    balanced factors; so both objectives have the same minimum. X are the N training inputs (see `HiddenPair`).
    """

    drop_rate: float = 0.5  # in [0, 1), of the equivalent dropout

    acts_on: ClassVar[tuple[str, ...]] = ("hidden",)
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) / d ||U V^T X||_*^2 / N"
    source: ClassVar[str] = "Pal et al. 2020, theorem 6 at block size 1; Cavazza et al. 2018"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

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
        return self.drop_rate / (1 - self.drop_rate) / width * singular_values.sum().square()
