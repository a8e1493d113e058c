"""Block coordinate descent on learned keep rates: steps on the rates at fixed weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.regularizers.base import Hooks, Step
from tasks.regularizers.parts.localdrop_sites import Keep


@dataclass(frozen=True, kw_only=True)
class KeepRateSteps(Hooks):
    """Every `interval_steps`, one projected gradient step on the keep rates, at the learning rate of the weights.

    The objective is the mean loss of the network on the batch, in eval mode, where the rates themselves are the
    multipliers (mean field: a sampled mask carries no gradient to its rate), plus `penalty_of_rates`.
    """

    label: str  # prefix of the names of logged values
    keeps: Sequence[Keep]
    interval_steps: int
    penalty_of_rates: Callable[[Step], Tensor | None]  # None: no penalty

    def after_step(self, step: Step) -> None:
        """Step on the rates after every `interval_steps` steps."""
        if (step.index + 1) % self.interval_steps or step.batch is None or not self.keeps:
            return
        variables = [keep.variable.requires_grad_() for keep in self.keeps]
        step.network.eval()  # masks become multipliers, and batch norm uses its running averages
        objective, penalty = step.loss(step.batch), self.penalty_of_rates(step)
        objective = objective if penalty is None else objective + penalty
        gradients = step.gradients(objective, variables)
        step.network.train()
        for keep, gradient in zip(self.keeps, gradients, strict=True):
            keep.descend(gradient, step.learning_rate)

    def period_steps(self) -> int:
        """Steps from one step on the rates, which costs about as much as one on the weights, to the next."""
        return self.interval_steps if self.keeps else 1

    def after_epoch(self, epoch: int, network: torch.nn.Module) -> Mapping[str, float]:
        """The mean drop rate of every site."""
        return {f"{self.label}.drop_rate/{keep.name}": keep.mean_drop_rate() for keep in self.keeps}
