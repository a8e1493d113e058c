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
        ValueError: for an unknown optimizer name.
    """
    if settings.optimizer not in OPTIMIZERS:
        raise ValueError(f"The optimizer must be one of {', '.join(OPTIMIZERS)}, got {settings.optimizer!r}.")
    return OPTIMIZERS[settings.optimizer](network, settings)


def stochastic_gradient_descent(network: nn.Module, settings: OptimizerSettings) -> torch.optim.SGD:
    """Torch's SGD on the trained parameters of `network`, with torch's fused step where that is safe."""
    optimizer = torch.optim.SGD(
        _parameter_groups(network, settings.weight_decay),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
    )
    fuse = _FuseWhereSafe()
    optimizer.register_step_pre_hook(fuse)
    optimizer.register_load_state_dict_post_hook(fuse.forget)
    return optimizer


def adam(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Adam:
    """Torch's Adam on the trained parameters of `network`, with its usual decay rates."""
    return torch.optim.Adam(_parameter_groups(network, settings.weight_decay), lr=settings.learning_rate)


def adam_with_decoupled_decay(network: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """Torch's AdamW on the trained parameters of `network`, with its usual decay rates."""
    return torch.optim.AdamW(_parameter_groups(network, settings.weight_decay), lr=settings.learning_rate)


OPTIMIZERS: dict[str, Callable[[nn.Module, OptimizerSettings], torch.optim.Optimizer]] = {
    "sgd": stochastic_gradient_descent,
    "adam": adam,
    "adamw": adam_with_decoupled_decay,
}


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for the network's own parameters; none for those that regularizers added at its sites.

    Frozen parameters (`requires_grad` is False) are in neither group.
    """
    added = {id(p) for site in network.modules() if isinstance(site, Site) for p in site.fillings.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    own = [p for p in trained if id(p) not in added]
    others = [p for p in trained if id(p) in added]
    groups: list[dict[str, object]] = [{"params": own, "weight_decay": weight_decay}]
    return [*groups, {"params": others, "weight_decay": 0.0}] if others else groups


class _FuseWhereSafe:
    """Uses the fused step for parameter groups where it is correct, and torch's default elsewhere.

    The fused step assumes the same memory layout for a weight, its gradient and its momentum, and does not check it
    (torch 2.14). A regularizer can break this by replacing one of them, for example by a transposed tensor. The fused
    step also needs momentum buffers for all weights of a group or for none. What was found is kept until a layout
    changes, since the whole check takes as long as several small kernels for each weight.
    """

    def __init__(self) -> None:
        self._checked: _Layouts | None = None

    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Called before each step."""
        layouts = [
            None if parameter.grad is None else (parameter.stride(), parameter.grad.stride())
            for group in optimizer.param_groups
            for parameter in group["params"]
        ]
        if layouts == self._checked:
            return
        is_settled = all([_choose_step(optimizer, group) for group in optimizer.param_groups])
        self._checked = layouts if is_settled else None

    def forget(self, optimizer: torch.optim.Optimizer) -> None:
        """Called after a state was loaded, whose momenta may lie in memory in another way."""
        self._checked = None


_Layouts = list[tuple[tuple[int, ...], tuple[int, ...]] | None]


def _choose_step(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    """Set `fused` of a parameter group; returns whether it has all momentum buffers that it will have."""
    stepped = [parameter for parameter in group["params"] if parameter.grad is not None]
    momenta = [optimizer.state.get(parameter, {}).get("momentum_buffer") for parameter in stepped]
    begun = {momentum is not None for momentum in momenta}
    is_safe = len(begun) == 1 and all(map(_can_fuse, stepped, momenta))
    group["fused"] = is_safe or None
    return begun <= {True} or not group["momentum"]


def _can_fuse(parameter: Tensor, momentum: Tensor | None) -> bool:
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
    """The strides of the dimensions longer than 1; the others do not affect the layout."""
    return [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


class Descent:
    """Backward pass and step of the optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it

    def gradients(self, objective: Tensor, variables: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The gradient for each variable (none of them a parameter of the optimizer); None where it cannot be used."""
        return gradients_of(objective, variables)

    def step(self) -> None:
        """Move the weights."""
        self._optimizer.step()


class ScaledDescent(Descent):
    """Descent with loss scaling, for fp16 activations: scaling the loss keeps small gradients from rounding to zero.

    Gradients are unscaled at the end of `backward`, so that code that calls it twice in one step (SAM) or reads the
    gradients needs no special case. A step whose gradients overflowed is skipped and the scale is halved, down to 1; it
    is doubled after GROWTH_STEPS good steps (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). torch's
    GradScaler is not used since it can unscale only once per step.
    """

    INITIAL_SCALE = 2.0**16
    GROWTH_STEPS = 2000

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer)
        self.scale, self.num_good_steps = self.INITIAL_SCALE, 0

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`; the scale is applied before the backward pass and removed after it."""
        super().backward(loss * self.scale)
        torch._foreach_mul_(self._gradients(), 1 / self.scale)

    def gradients(self, objective: Tensor, variables: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Unscaled gradients; all None, and the scale halved, if one of them overflowed."""
        scaled = super().gradients(objective * self.scale, variables)
        unscaled = [None if gradient is None else gradient / self.scale for gradient in scaled]
        if _are_finite([gradient for gradient in unscaled if gradient is not None]):
            return unscaled
        self._halve_scale()
        return [None] * len(unscaled)

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
        self.scale, self.num_good_steps = max(self.scale / 2, 1.0), 0

    def _gradients(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        return [parameter.grad for group in groups for parameter in group["params"] if parameter.grad is not None]


def descent_by(switches: Switches, optimizer: torch.optim.Optimizer) -> Descent:
    """The descent for `switches`: with loss scaling for fp16, else without."""
    return ScaledDescent(optimizer) if switches.precision == "fp16" else Descent(optimizer)


def _are_finite(gradients: Sequence[Tensor]) -> bool:
    """Whether all numbers are finite: one kernel for dozens of gradients, and one wait for the device.

    The operator is that of torch's GradScaler; it also multiplies by a scale, here 1. The gradients are dense.
    """
    if not gradients:
        return True
    one, overflowed = gradients[0].new_ones(1, dtype=torch.float32), gradients[0].new_zeros(1, dtype=torch.float32)
    for dtype in {gradient.dtype for gradient in gradients}:
        of_dtype = [gradient for gradient in gradients if gradient.dtype == dtype]
        torch._amp_foreach_non_finite_check_and_unscale_(of_dtype, overflowed, one)
    return not bool(overflowed)
