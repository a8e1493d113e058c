"""Early stopping keeps the weights of the best validation value (Prechelt 1998, section 2)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from tasks.regularizers.base import Context, History, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_rate


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Regularizer):
    """Stops when the validation value has not improved for a number of evaluations, and restores the best weights.

    The patience is a fraction of the planned evaluations (at least one evaluation), so that it means the same at every
    scale; 1 switches the method off. Lu et al. 2021 do not give a patience; the default is 50 of 800 epochs.
    """

    patience_fraction: float = 0.0625  # in [0, 1] of the planned evaluations

    off: ClassVar[dict[str, Scalar]] = {"patience_fraction": 1.0}
    formula: ClassVar[str] = "stop when max(v_1..v_t) was reached patience evaluations ago; return its weights"
    source: ClassVar[str] = "Prechelt 1998, section 2; Lu et al. 2021, table 1 (patience not given there)"

    def __post_init__(self) -> None:
        """Check the patience."""
        check_rate(self, "patience_fraction", below_one=False)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Hooks that keep the best weights; none at patience 1."""
        return _Watcher(self.patience_fraction) if self.patience_fraction < 1 else self


@dataclass
class _Watcher(Hooks):
    patience_fraction: float
    num_since_best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def should_stop(self, history: History) -> bool:
        if history.newest_is_best:
            self.num_since_best = 0
            self.best_weights = copy.deepcopy(history.network.state_dict())
            return False
        self.num_since_best += 1
        return self.num_since_best >= max(1, round(self.patience_fraction * history.num_evaluations))

    def finish(self, network: nn.Module) -> bool:
        if self.num_since_best == 0:
            return False
        network.load_state_dict(self.best_weights)
        return True
