"""A task whose network is a chain of linear layers: several seeds of a training run as one stack of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.linear.many_seeds import reason_against, train_together
from tasks.protocol_task import ProtocolTask
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.task import Regularizers, Setting
from tasks.training import Training


@dataclass(frozen=True, kw_only=True)
class ChainTask(ProtocolTask):
    """A task whose network is a linear chain. Its seeds train together where the steps are plain gradient descent."""

    most_seeds_together: int = 10  # more gain little, and would leave cores of the machine idle

    def seeds_together(self, regularizers: Regularizers, switches: Switches) -> int:
        """`most_seeds_together` for regularizers that only multiply hidden units, or do nothing; else 1."""
        learning_rate = self.default_learning_rate("smoke")
        probe = Setting(seed=0, scale="smoke", learning_rate=learning_rate, switches=switches)
        return 1 if reason_against(self.prepare(regularizers, probe)) else self.most_seeds_together

    def train_together(self, trainings: Sequence[Training]) -> list[Trained]:
        """Train them as one stack of networks."""
        return train_together(trainings)
