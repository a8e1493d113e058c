"""Many seeds of a linear pair trained at once: one leading dimension, gradients written by hand, masks as ever.

The networks of the theory are so small that a step of autograd is nearly all overhead. Each seed keeps its own weights,
data order and masks, drawn from its own streams by the very modules that compete, so that its values equal those of
the same seed trained alone, up to rounding. It pays for batches of one to some dozens of samples; with a thousand,
matrix products are the whole cost, and one seed's stay in the cache where fifty seeds' do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Batch, Hooks
from tasks.theory.shallow_linear import LinearPair
from tasks.training import Point, Trained, Training

_HOOKS_OF_A_STEP = (
    "progress", "transform_raw", "transform_batch", "penalty", "compute_gradients", "after_step", "after_epoch",
    "should_stop", "finish",
)  # fmt: skip


class Stack:
    """Several linear pairs as one: W1 (S, hidden, inputs) and W2 (S, outputs, hidden), S the number of seeds.

    Args:
        networks: of equal shape, their sites filled by multiplicative masks or by nothing.
    """

    def __init__(self, networks: Sequence[LinearPair]) -> None:
        self._networks = networks
        self.first = torch.stack([network.first.weight.detach() for network in networks])
        self.second = torch.stack([network.second.weight.detach() for network in networks])

    def multipliers(self, batch_size: int) -> Tensor:
        """What the next masks multiply hidden units by, (S, B, hidden): each site is shown ones in training mode."""
        ones = self.first.new_ones(batch_size, self.first.shape[1])
        return torch.stack([network.site(ones) for network in self._networks])

    def step(self, inputs_SBD: Tensor, targets_SBO: Tensor, multipliers_SBH: Tensor, learning_rate: float) -> Tensor:
        """One step of gradient descent on the mean squared error of every seed; returns the losses (S,) before it.

        With h = m o (W1 x) and e = W2 h - y, the gradients of ||e||^2 are 2 e h' for W2 and 2 (m o (W2' e)) x' for W1.
        """
        batch_size = inputs_SBD.shape[1]
        hidden = torch.bmm(inputs_SBD, self.first.mT) * multipliers_SBH
        errors = torch.baddbmm(targets_SBO, hidden, self.second.mT, beta=-1)
        backward = torch.bmm(errors, self.second) * multipliers_SBH
        rate = -2 * learning_rate / batch_size
        self.second.baddbmm_(errors.mT, hidden, alpha=rate)
        self.first.baddbmm_(backward.mT, inputs_SBD, alpha=rate)
        return errors.square().sum((1, 2)) / batch_size

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the weights into the networks."""
        for network, first, second in zip(self._networks, self.first, self.second, strict=True):
            network.first.weight.copy_(first)
            network.second.weight.copy_(second)


@torch.no_grad()
def train_together(trainings: Sequence[Training]) -> list[Trained]:
    """Run several trainings of linear pairs that differ by their seeds alone; the same results as `run` of each.

    Args:
        trainings: as the task prepares them, one per seed, not begun; plain gradient descent, a multiplicative mask
            (dropout, DropBlock, ...) or nothing at the hidden site, and no other hook.

    Returns:
        What each leaves behind. The times are shares: the whole over the number of seeds. Nothing stops early.

    Raises:
        ValueError: if a network is no linear pair, the optimizer has momentum or weight decay, or a contestant has a
            hook that steps would have to call.

    Example:
        >>> from tasks import TASKS
        >>> from tasks.regularizers.dropout import Dropout
        >>> from tasks.task import Setting
        >>> task, seeds = TASKS["thesis-fig2-3-width-20"], (0, 1)
        >>> settings = [Setting(seed=seed, scale="smoke", learning_rate=0.01) for seed in seeds]
        >>> ends = train_together([task.prepare([("dropout", Dropout())], setting) for setting in settings])
        >>> [round(trained.final["test"]["minimum"], 4) for trained in ends]  # the same problem for both seeds
        [2.1788, 2.1788]
    """
    protocol = trainings[0].protocol
    stack = Stack([_linear_pair(training) for training in trainings])
    outcomes = [Trained() for _ in trainings]
    num_steps, index = protocol.epochs * len(trainings[0].batches), 0
    _measure(0, trainings, outcomes)
    for epoch in range(1, protocol.epochs + 1):
        losses = []
        for training in trainings:
            training.network.train()
        for batches in zip(*(training.batches.epoch() for training in trainings), strict=True):
            rate = trainings[0]._initial_learning_rate * protocol.learning_rate_factor(index / num_steps)
            inputs, targets = _stacked(batches)
            losses.append(stack.step(inputs, targets, stack.multipliers(inputs.shape[1]), rate))
            index += 1
        for outcome, loss in zip(outcomes, torch.stack(losses).mean(0), strict=True):
            outcome.epochs_run, outcome.num_steps = epoch, index
            outcome.curves.append(Point(epoch=epoch, split="train", metric="loss", value=float(loss)))
        if epoch % protocol.evaluate_every_epochs == 0 or epoch == protocol.epochs:
            stack.write_back()
            _measure(epoch, trainings, outcomes)
    return outcomes


def _measure(epoch: int, trainings: Sequence[Training], outcomes: Sequence[Trained]) -> None:
    for training, outcome in zip(trainings, outcomes, strict=True):
        outcome.final = training._measure(epoch, outcome)


def _stacked(batches: Sequence[Batch]) -> Iterator[Tensor]:
    """Inputs (S, B, D) and targets (S, B, O) of one step."""
    return (torch.stack(tensors) for tensors in zip(*batches, strict=True))


def _linear_pair(training: Training) -> LinearPair:
    network: nn.Module = training.network
    if not isinstance(network, LinearPair):
        raise ValueError(f"network must be a LinearPair, got {type(network).__name__}: train the seeds one by one.")
    group = training._optimizer.param_groups[0]
    if group["momentum"] or group["weight_decay"]:
        raise ValueError(
            f"momentum and weight decay must be 0, got {group['momentum']} and {group['weight_decay']}: train the "
            "seeds one by one."
        )
    for part in training.hooks.parts:
        own = [name for name in _HOOKS_OF_A_STEP if getattr(type(part), name) is not getattr(Hooks, name)]
        if own:
            raise ValueError(f"{type(part).__name__} has the hook {own[0]}: train the seeds one by one.")
    return network
