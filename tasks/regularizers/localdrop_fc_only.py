"""LocalDrop on the dense layers only (Lu et al. 2021, table 1, "LocalDrop in FCNs")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.localdrop import Alternation
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_rate
from tasks.regularizers.parts.localdrop_sites import KeepScaling, UnitKeep
from tasks.regularizers.parts.spectral_tails import Norm, Shrinkage, charged_tails
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class LocalDropFcOnly(Regularizer):
    """Learned keep rates at the dense sites, and shrinkage of the dense layers except the output.

    As `localdrop`, without its parts for conv layers; here too the output layer counts in the penalty on the rates that
    it reads. A dense layer that reads a map has no masked input, so that C = lam there.
    """

    lam: float = 0.1  # >= 0
    m: int = 10  # >= 1, epochs at scale paper from one shrinkage to the next
    h_dense_fraction: float = 2000 / 2048  # in [0, 1], fraction of the singular values that is not shrunk
    unit_drop_rate: float = 0.5  # in [0, 1), initial value of the learned rates
    keep_interval_steps: int = 10  # >= 1; 1 in the paper
    c_norm: Norm = "l2"
    scaling: KeepScaling = "none"

    acts_on: ClassVar[tuple[str, ...]] = ("dense",)
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"lam": 0.0, "unit_drop_rate": 0.0, "keep_interval_steps": 10**9}
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "mean loss + lam / n sum_(dense l) ||theta_(l-1)||_2 sum_{j>h} sigma_j(W_l)"
    source: ClassVar[str] = "Lu et al. 2021, eqs. 10, 11 and algorithm 1; table 1"

    def __post_init__(self) -> None:
        """Check every field."""
        check_at_least(self, "lam", 0)
        check_count(self, "m", 1)
        check_rate(self, "h_dense_fraction", below_one=False)
        check_rate(self, "unit_drop_rate")
        check_count(self, "keep_interval_steps", 1)
        check_choice(self, "c_norm", get_args(Norm))
        check_choice(self, "scaling", get_args(KeepScaling))

    def period_epochs(self) -> int:
        """Epochs from one shrinkage to the next, at scale `paper`."""
        return self.m

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Learned masks at every dense site, and the dense layers whose singular values are penalised or shrunk."""
        keeps = {}
        for site in self.chosen_sites(network):
            keeps[site] = self._keep(site, context)
            site.fill(keeps[site])
        tails = charged_tails(network, keeps, self.h_dense_fraction, 0, self.c_norm)
        dense = [tail for tail in tails if isinstance(tail.layer, nn.Linear)]
        shrinkage = Shrinkage(lam=self.lam, every_epochs=context.scaled_epochs(self.m), tails=dense)
        return Alternation.of(list(keeps.values()), shrinkage, self.keep_interval_steps, context.num_train_samples)

    def _keep(self, site: Site, context: Context) -> UnitKeep:
        return UnitKeep(site, 1 - self.unit_drop_rate, context.masks(site.name), context.device, self.scaling)
