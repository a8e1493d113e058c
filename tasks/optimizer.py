"""The optimizer, and the backward pass and step that are made with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tasks.regularizers.base import OptimizerSettings, gradients_of
from tasks.runtime.switches import Switches
from tasks.sites import Site

_FUSED_DEVICES = ("cpu", "cuda")


def optimizer_by(settings: OptimizerSettings, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that the settings name, on the trained parameters of `network`.

    Raises:
        ValueError: for a name that there is not.
    """
    if settings.optimizer not in OPTIMIZERS:
        raise ValueError(f"The optimizer must be one of {', '.join(OPTIMIZERS)}, got {settings.optimizer!r}.")
    return OPTIMIZERS[settings.optimizer](network, settings)


def stochastic_gradient_descent(network: nn.Module, settings: OptimizerSettings) -> torch.optim.SGD:
    """Torch's SGD on the trained parameters of `network`, in one pass through memory where that is safe."""
    optimizer = torch.optim.SGD(
        _parameter_groups(network, settings.weight_decay),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
    )
    optimizer.register_step_pre_hook(_fuse_where_safe)
    return optimizer


def adam(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Adam:
    """Torch's Adam on the trained parameters of `network`, with its usual decay rates."""
    return torch.optim.Adam(_parameter_groups(network, settings.weight_decay), lr=settings.learning_rate)


OPTIMIZERS: dict[str, Callable[[nn.Module, OptimizerSettings], torch.optim.Optimizer]] = {
    "sgd": stochastic_gradient_descent,
    "adam": adam,
}


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for the network's own parameters; none for those that regularizers brought into its sites.

    Frozen parameters (`requires_grad` is False) stand in neither group.
    """
    brought = {id(p) for site in network.modules() if isinstance(site, Site) for p in site.fillings.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    own = [p for p in trained if id(p) not in brought]
    others = [p for p in trained if id(p) in brought]
    groups: list[dict[str, object]] = [{"params": own, "weight_decay": weight_decay}]
    return [*groups, {"params": others, "weight_decay": 0.0}] if others else groups


def _fuse_where_safe(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    """Choose the fused step for the groups that it is right for, torch's own choice for the others.

    It takes a weight, its gradient and its momentum for equally laid out (torch 2.14 checks nothing), which they are
    unless a contestant has put another tensor into the place of one, by a transpose, say; and it cannot begin the
    momentum of one weight beside those of others.
    """
    for group in optimizer.param_groups:
        stepped = [parameter for parameter in group["params"] if parameter.grad is not None]
        momenta = [optimizer.state.get(parameter, {}).get("momentum_buffer") for parameter in stepped]
        begun = {momentum is not None for momentum in momenta}
        can_be = len(begun) == 1 and all(map(_lie_alike, stepped, momenta))
        group["fused"] = can_be or None


def _lie_alike(parameter: Tensor, momentum: Tensor | None) -> bool:
    assert parameter.grad is not None
    layout = _layout(parameter)
    return (
        _layout(parameter.grad) == layout
        and (momentum is None or _layout(momentum) == layout)
        and (parameter.is_contiguous() or parameter.is_contiguous(memory_format=torch.channels_last))
        and parameter.is_floating_point()
        and parameter.device.type in _FUSED_DEVICES
    )


def _layout(tensor: Tensor) -> list[int]:
    """The strides that matter."""
    return [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


class Descent:
    """Backward pass and step of the optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it

    def gradients(self, objective: Tensor, variables: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The gradient for each variable, which is none of the optimizer's; None where there is none to step along."""
        return gradients_of(objective, variables)

    def step(self) -> None:
        """Move the weights."""
        self._optimizer.step()


class ScaledDescent(Descent):
    """The same where activations are 16-bit floats of little range: a scaled loss keeps small gradients above zero.

    Gradients are true ones as soon as `backward` is over, so that whoever calls it twice in one step (SAM) or looks
    at them needs to know nothing. A step whose gradients overflowed is left out and the scale is halved; it is doubled
    after GROWTH_STEPS good ones (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). torch's GradScaler takes
    its scale back once per step only.
    """

    INITIAL_SCALE = 2.0**16
    GROWTH_STEPS = 2000

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer)
        self.scale, self.num_good_steps = self.INITIAL_SCALE, 0

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, whose backward pass is scaled."""
        super().backward(loss * self.scale)
        torch._foreach_mul_(self._gradients(), 1 / self.scale)

    def gradients(self, objective: Tensor, variables: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """A step with scaled gradients; where one overflows, the step is skipped and the scale is halved."""
        scaled = super().gradients(objective * self.scale, variables)
        if not _are_finite([gradient for gradient in scaled if gradient is not None]):
            self._halve_scale()
            return [None] * len(scaled)
        return [None if gradient is None else gradient / self.scale for gradient in scaled]

    def step(self) -> None:
        """Move the weights if all gradients are finite."""
        if not _are_finite(self._gradients()):
            self._halve_scale()
            return
        super().step()
        self.num_good_steps += 1
        if self.num_good_steps == self.GROWTH_STEPS:
            self.scale, self.num_good_steps = self.scale * 2, 0

    def _halve_scale(self) -> None:
        self.scale, self.num_good_steps = self.scale / 2, 0

    def _gradients(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        return [parameter.grad for group in groups for parameter in group["params"] if parameter.grad is not None]


def descent_by(switches: Switches, optimizer: torch.optim.Optimizer) -> Descent:
    """How the optimizer descends under `switches`."""
    return ScaledDescent(optimizer) if switches.precision == "fp16" else Descent(optimizer)


def _are_finite(gradients: Sequence[Tensor]) -> bool:
    finite = [gradient.isfinite().all() for gradient in gradients]
    return not finite or bool(torch.stack(finite).all())  # at once: each look waits for the device
