"""The squared weighted trace norm: what dropout in matrix completion amounts to at its best (Mianjy, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_rate
from tasks.theory.matrix_completion import dropout_strength, trace_norm_of_factors


@runtime_checkable
class FactorPair(Protocol):
    """A network that completes a matrix by the product UV' of two factors, and knows how often rows are observed."""

    row_probabilities: Tensor
    column_probabilities: Tensor

    def factors(self) -> tuple[Tensor, Tensor]:
        """U (a, d) and V (b, d)."""


@dataclass(frozen=True, kw_only=True)
class WeightedTraceNorm(Regularizer):
    """Penalty beta ||diag(sqrt p) U V' diag(sqrt q)||_*^2 on factors of width d, beta d = drop_rate / (1 - drop_rate).

    p and q are how often the rows and columns of the matrix are observed in training. Where places are drawn from the
    product of p and q, dropout's mean penalty is never below this one, and equal to it where all hidden units
    contribute alike; so both have the same minimum. Ratings are not drawn so: popular films have other users.
    """

    drop_rate: float = 0.2  # in [0, 1), of the dropout it stands for

    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) / d ||diag(sqrt p) U V' diag(sqrt q)||_*^2"
    source: ClassVar[str] = "Mianjy's thesis, proposition 4; Salakhutdinov and Srebro 2010; the default is regarena's"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

    def skip_reason(self, network: nn.Module) -> str | None:
        """It is a norm of one matrix."""
        if isinstance(network, FactorPair):
            return None
        return "WeightedTraceNorm needs a network that completes a matrix by two factors; this one does not."

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The penalty on the factors."""
        if self.drop_rate == 0:
            return self
        assert isinstance(network, FactorPair)
        return _Penalty(self.of_norm, network)

    def of_norm(self, norm: Tensor, width: int) -> Tensor:
        """The penalty, from the norm."""
        return dropout_strength(self.drop_rate) / width * norm.square()


class _Penalty(Hooks):
    def __init__(self, of_norm: Callable[[Tensor, int], Tensor], network: FactorPair) -> None:
        self._of_norm, self._network = of_norm, network
        probabilities = network.row_probabilities, network.column_probabilities
        dtype = network.factors()[0].dtype
        self._row_scales, self._column_scales = (p.sqrt().to(dtype)[:, None] for p in probabilities)

    def penalty(self, step: Step) -> Tensor:
        U, V = self._network.factors()
        return self._of_norm(trace_norm_of_factors(self._row_scales * U, self._column_scales * V), U.shape[1])
