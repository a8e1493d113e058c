"""The squared weighted trace norm, which dropout in matrix completion induces (Mianjy's thesis, section 4.2)."""

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
    """A network that completes a matrix by U V' and knows the observed frequencies of its rows and columns."""

    # Methods alone: since Python 3.12 `isinstance` does not find the buffers of a module.

    def factors(self) -> tuple[Tensor, Tensor]:
        """U (a, d) and V (b, d)."""

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """P (a,) and q (b,), float64, each with sum 1."""


@dataclass(frozen=True, kw_only=True)
class WeightedTraceNorm(Regularizer):
    """Penalty beta ||diag(sqrt p) U V' diag(sqrt q)||_*^2 on factors of width d, beta d = drop_rate / (1 - drop_rate).

    p and q are the frequencies of the rows and columns among the observed entries in training. If entries are sampled
    from the product of p and q, dropout's expected penalty is at least this one, with equality where all hidden units
    contribute equally; so both objectives have the same minimum. Ratings are not sampled like that: which users rate a
    film depends on the film.
    """

    drop_rate: float = 0.2  # in [0, 1), of the equivalent dropout

    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) / d ||diag(sqrt p) U V' diag(sqrt q)||_*^2"
    source: ClassVar[str] = "Mianjy's thesis, proposition 4; Salakhutdinov and Srebro 2010; the default is regarena's"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks that are not a factor pair."""
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
        """The penalty, from the weighted trace norm and the width."""
        return dropout_strength(self.drop_rate) / width * norm.square()


class _Penalty(Hooks):
    def __init__(self, of_norm: Callable[[Tensor, int], Tensor], network: FactorPair) -> None:
        self._of_norm, self._network = of_norm, network
        dtype = network.factors()[0].dtype
        self._row_scales, self._column_scales = (p.sqrt().to(dtype)[:, None] for p in network.frequencies())

    def penalty(self, step: Step) -> Tensor:
        U, V = self._network.factors()
        return self._of_norm(trace_norm_of_factors(self._row_scales * U, self._column_scales * V), U.shape[1])
