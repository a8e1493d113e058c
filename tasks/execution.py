"""How a network's passes are executed: number format, memory layout, compiler and CUDA graphs, as its switches say.

Whoever calls the network (the training loop, an evaluation, a contestant) gets what the switches ask for, and outputs
in 32-bit floats: losses, penalties and reported values are computed in these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tasks.switches import Switches

Forward = Callable[[Tensor], Tensor]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def execute_by(switches: Switches, network: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Let every call of `network`, whose sites are filled, be executed by `switches`; compilers are torch's `backend`.

    Raises:
        ValueError: for CUDA graphs on another device.
    """
    if switches.cuda_graphs and device.type != "cuda":
        raise ValueError(f"CUDA graphs need a CUDA device, got {device.type}.")
    if switches.channels_last:
        network.to(memory_format=torch.channels_last)
    if switches.text:
        network.forward = _Forward(network.forward, switches, device, backend)


class _Forward:
    """Takes the place of a network's `forward`."""

    def __init__(
        self, plain: Callable[[Tensor], Tensor], switches: Switches, device: torch.device, backend: str
    ) -> None:
        self._plain, self._switches, self._device, self._backend = plain, switches, device, backend
        self._forward = _compiled(plain, switches, backend) if switches.compile else plain

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._switches.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        dtype = DTYPES[self._switches.precision]
        with torch.autocast(self._device.type, dtype, enabled=dtype is not torch.float32):
            outputs = self._forward(inputs)
        outputs = outputs if dtype is torch.float32 else outputs.float()
        return outputs.clone() if self._switches.cuda_graphs else outputs  # the next replay writes where this one did

    def __deepcopy__(self, memo: dict[int, Any]) -> _Forward:
        """For a copy of the network, which is not compiled again: what is compiled belongs to one network."""
        switches = replace(self._switches, compile=False, cuda_graphs=False)
        return _Forward(copy.deepcopy(self._plain, memo), switches, self._device, self._backend)


def _compiled(forward: Forward, switches: Switches, backend: str) -> Forward:
    from torch._inductor import config  # with the compiler itself: seconds

    config.compile_threads = torch.get_num_threads()  # processes, rather: no more than the trial has processors
    compiled: Forward = torch.compile(
        forward, backend=backend, mode="reduce-overhead" if switches.cuda_graphs else None
    )
    return compiled


class Descent:
    """Backward pass and step of the optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it

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

    def step(self) -> None:
        """Move the weights if all gradients are finite."""
        gradients = self._gradients()
        if not bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all()):
            self.scale, self.num_good_steps = self.scale / 2, 0
            return
        super().step()
        self.num_good_steps += 1
        if self.num_good_steps == self.GROWTH_STEPS:
            self.scale, self.num_good_steps = self.scale * 2, 0

    def _gradients(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        return [parameter.grad for group in groups for parameter in group["params"] if parameter.grad is not None]


def descent_by(switches: Switches, optimizer: torch.optim.Optimizer) -> Descent:
    """How the optimizer descends under `switches`."""
    return ScaledDescent(optimizer) if switches.precision == "fp16" else Descent(optimizer)
