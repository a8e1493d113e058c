"""Training of a linear network with many seeds at once: batched tensors, and gradients without autograd.

The networks of the theory are so small that a step of autograd is mostly overhead. Each seed keeps its own weights,
data order and masks, drawn from its own streams by the regularizer's own modules, so that its values equal those of
the same seed trained alone, up to rounding: matrix products round differently by the memory layout of their factors.
The gain is largest for batches of one to some dozens of samples, and for small layers. Where matrix products dominate
the cost, few seeds at once are best, whose activations stay in the cache.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Protocol as Interface
from typing import runtime_checkable

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Batch, History, Hooks
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.sites import sites_of
from tasks.training import Training, finite

_HOOKS_OF_A_STEP = (
    "progress", "transform_raw", "transform_batch", "penalty", "compute_gradients", "after_step", "after_epoch",
    "should_stop", "finish",
)  # fmt: skip
_NUM_PROBES = 4  # random inputs on which a network is compared with the chain of its layers and multipliers
_TOLERANCE = 1e-4  # of that comparison, relative to the largest output


@runtime_checkable
class LinearChain(Interface):
    """x -> W_{k+1} site_k (W_k ... site_1 (W_1 x)): a network without biases, with a site after each hidden layer."""

    def linear_layers(self) -> list[nn.Linear]:
        """The weight layers, from the input to the output."""


class Stack:
    """Several linear chains as one batched network.

    Args:
        networks: linear chains of equal shape, whose sites are empty or filled by multiplicative masks.

    Attributes:
        weights: W_1..W_{k+1}, each (S, d_l, d_{l-1}), S the number of networks.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._layers = [_layers(network) for network in networks]
        self._sites = [sites_of(network) for network in networks]
        self.weights = [
            torch.stack([layer.weight.detach() for layer in alike]) for alike in zip(*self._layers, strict=True)
        ]

    def multipliers(self, batch_size: int) -> list[Tensor]:
        """The factors of the next masks, (S, B, d_l) for each hidden layer l: the sites' outputs for inputs of ones."""
        multipliers = []
        for weight, sites in zip(self.weights, zip(*self._sites, strict=True), strict=False):
            ones = weight.new_ones(batch_size, weight.shape[1])
            multipliers.append(torch.stack([site(ones) for site in sites]))
        return multipliers

    def step(
        self, inputs_SBD: Tensor, targets_SBO: Tensor, multipliers: Sequence[Tensor], learning_rate: float
    ) -> Tensor:
        """One step of gradient descent on the mean squared error of every seed; returns the losses (S,) before it.

        With h_0 = x, h_l = m_l o (W_l h_{l-1}) and e = W_{k+1} h_k - y, the gradient of ||e||^2 for W_l is
        2 b_l h_{l-1}', where b_{k+1} = e and b_l = m_l o (W_{l+1}' b_{l+1}).
        """
        hidden = [inputs_SBD]
        for weight, multiplier in zip(self.weights, multipliers, strict=False):  # the last layer has none
            hidden.append(torch.bmm(hidden[-1], weight.mT).mul_(multiplier))
        errors = torch.baddbmm(targets_SBO, hidden[-1], self.weights[-1].mT, beta=-1)
        batch_size = inputs_SBD.shape[1]
        rate, backward = -2 * learning_rate / batch_size, errors
        for place in reversed(range(len(self.weights))):
            weight = self.weights[place]
            below = torch.bmm(backward, weight).mul_(multipliers[place - 1]) if place else backward
            weight.baddbmm_(backward.mT, hidden[place], alpha=rate)
            backward = below
        return errors.square().sum((1, 2)) / batch_size

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the weights to the networks."""
        for layers, weights in zip(self._layers, zip(*self.weights, strict=True), strict=True):
            for layer, weight in zip(layers, weights, strict=True):
                layer.weight.copy_(weight)


@torch.no_grad()
def train_together(trainings: Sequence[Training]) -> list[Trained]:
    """Run several trainings of linear chains that differ only in their seeds; same results as `run` of each.

    Args:
        trainings: as the task prepares them, one per seed, not started; with plain gradient descent, a multiplicative
            mask (dropout, DropBlock, ...) or nothing at the hidden sites, and no other hook.

    Returns:
        The result of each. The training time of each is the total divided by the number of seeds. None stops early.

    Raises:
        ValueError: for a training that `reason_against` rejects.
        Diverged: when the loss of one of them, or the value that selects its best epoch, is not finite.

    Example:
        >>> from tasks.experiments import TASKS
        >>> from tasks.regularizers.dropout import Dropout
        >>> from tasks.task import Setting
        >>> task, seeds = TASKS["thesis-fig2-3-width-20"], (0, 1)
        >>> settings = [Setting(seed=seed, scale="smoke", learning_rate=0.01) for seed in seeds]
        >>> ends = train_together([task.prepare([("dropout", Dropout())], setting) for setting in settings])
        >>> [round(trained.final["test"]["minimum"], 4) for trained in ends]  # the same problem for both seeds
        [2.1788, 2.1788]
    """
    for training in trainings:
        if reason := reason_against(training):
            raise ValueError(f"{reason}: train the seeds one by one.")
    protocol, stack = trainings[0].protocol, Stack([training.network for training in trainings])
    runs = [_Run(training) for training in trainings]
    for run in runs:
        run.measure(0)
    for epoch in range(1, protocol.epochs + 1):
        started = time.perf_counter()
        losses = _epoch(stack, trainings, first_step=(epoch - 1) * len(trainings[0].batches))
        share = (time.perf_counter() - started) / len(runs)
        for run, loss in zip(runs, losses, strict=True):
            run.note(epoch, loss, share)
        if epoch in protocol.evaluated_epochs():
            stack.write_back()
            for run in runs:
                run.measure(epoch)
    return [run.trained for run in runs]


def reason_against(training: Training) -> str | None:
    """Why `train_together` cannot run this training, which has not started; None if it can."""
    network = training.network
    if training.protocol.switches != Switches():
        return f"all switches must be off, got {training.protocol.switches.text}"
    if reason := training.optimizer_settings.reason_against_plain_steps():
        return reason
    for part in training.hooks.parts:
        own = [name for name in _HOOKS_OF_A_STEP if getattr(type(part), name) is not getattr(Hooks, name)]
        if own:
            return f"{type(part).__name__} has the hook {own[0]}"
    if not isinstance(network, LinearChain):
        return f"the network must be a chain of linear layers, got {type(network).__name__}"
    if len(list(network.parameters())) != len(_layers(network)):
        return "the regularizer adds parameters to the network"
    return None if _is_masked_chain(network) else "the regularizer does more than multiply hidden units"


class _Run:
    """One seed's part of a joint training: what `Training.run` does besides the steps."""

    def __init__(self, training: Training) -> None:
        self.trained, self._training, self._values = Trained(), training, list[float]()

    def note(self, epoch: int, loss: float, seconds: float) -> None:
        """Record an epoch."""
        trained = self.trained
        trained.train_seconds += seconds
        trained.num_steps += len(self._training.batches)
        trained.epochs_run = epoch
        trained.add_points(epoch, {"train": {"loss": finite(loss, "training loss of", epoch)}})

    def measure(self, epoch: int) -> None:
        """Evaluate the network; after an epoch, update the best one."""
        trained, (metric, higher_is_better) = self.trained, self._training._selection
        trained.final = self._training._measure(epoch, trained)
        if epoch == 0:
            return
        self._values.append(finite(trained.final["validation"][metric], f"validation {metric} after", epoch))
        history = History(
            network=self._training.network,
            values=self._values,
            higher_is_better=higher_is_better,
            num_evaluations=len(self._values),
        )
        if history.newest_is_best:
            trained.best = trained.final


def _epoch(stack: Stack, trainings: Sequence[Training], first_step: int) -> list[float]:
    """Make all steps of one epoch; returns the mean loss of each seed."""
    protocol, num_steps = trainings[0].protocol, trainings[0].protocol.epochs * len(trainings[0].batches)
    for training in trainings:
        training.network.train()
    losses = []
    for index, batches in enumerate(zip(*(training.batches.epoch() for training in trainings), strict=True)):
        factor = protocol.learning_rate_factor((first_step + index) / num_steps)
        inputs, targets = _stacked(batches)
        rate = trainings[0].optimizer_settings.learning_rate * factor
        losses.append(stack.step(inputs, targets, stack.multipliers(inputs.shape[1]), rate))
    return torch.stack(losses).mean(0).tolist()


def _stacked(batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """Inputs (S, B, D) and targets (S, B, O) of one step."""
    return torch.stack([batch.inputs for batch in batches]), torch.stack([batch.targets for batch in batches])


def _layers(network: nn.Module) -> list[nn.Linear]:
    assert isinstance(network, LinearChain)
    return network.linear_layers()


@torch.no_grad()
def _is_masked_chain(network: nn.Module) -> bool:
    """Whether, in training mode, the network is a chain with multipliers that do not depend on its inputs.

    Two copies draw the same masks: one computes the outputs, the other the multipliers. With a regularizer that changes
    weights, or whose effect on hidden units depends on their values, the outputs differ.
    """
    computing, showing = (copy.deepcopy(network).train() for _ in range(2))
    layers, sites = _layers(computing), sites_of(showing)
    if len(sites) != len(layers) - 1:
        return False
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(_NUM_PROBES, layers[0].in_features, generator=generator).to(layers[0].weight)
    expected = inputs
    for layer, site in zip(layers, sites, strict=False):
        expected = (expected @ layer.weight.T) * site(inputs.new_ones(_NUM_PROBES, layer.out_features))
    expected = expected @ layers[-1].weight.T
    return bool((computing(inputs) - expected).abs().max() <= _TOLERANCE * expected.abs().max())
