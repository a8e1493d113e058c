"""The flow penalty: the explicit regularizer of dropout on ReLU networks, without the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_choice, check_rate
from tasks.regularizers.parts.places import PLACES, Where, sites_at
from tasks.regularizers.parts.recorded_penalty import RecordedPenalty
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class FlowPenalty(Regularizer):
    """Penalty drop_rate / (1 - drop_rate) sum_j psi_j^2 over the flows psi_j = ||u_j|| a_j of the units j at the sites.

    u_j are the outgoing weights of a unit and a_j^2 is the mean square of its value over the batch. `where` names the
    sites as for dropout; only those that a dense layer reads are used. With the squared error and the last site only,
    the penalised loss of a batch is its expected loss under `dropout` at that site; `path_norm` with blocks of one unit
    is then the same penalty.
    """

    drop_rate: float = 0.5  # in [0, 1), of the equivalent dropout
    where: Where = "dense"

    acts_on: ClassVar[tuple[str, ...]] = ("hidden", "dense")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "loss + drop_rate / (1 - drop_rate) sum_j ||u_j||^2 mean_i h_ij^2"
    source: ClassVar[str] = "Mianjy's thesis, section 4.3 (the explicit form, with lambda)"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_choice(self, "where", PLACES)

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites of units that `where` names and a dense layer reads; it reads a map only after pooling."""
        sites = sites_at(network, self.where)
        return [site for site in sites if isinstance(site.next_layer, nn.Linear) and not site.is_spatial]

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The penalty at these sites."""
        return self if self.drop_rate == 0 else RecordedPenalty(self.chosen_sites(network), self.of_layer)

    def of_layer(self, weight: Tensor, hidden_BD: Tensor) -> Tensor:
        """The penalty, from U (outputs x units) and the hidden units of a batch."""
        squared_flows = weight.square().sum(0) * hidden_BD.square().mean(0)
        return self.drop_rate / (1 - self.drop_rate) * squared_flows.sum()
