"""Drop rates that a schedule changes, as the fused kernels take them.

Compiled code and CUDA graphs repeat the numbers that they were given, so a rate that changes must be read from the
device. All masks of a schedule share one number there, its level, which takes one launch where it changes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tasks.runtime.kernel_devices import has_kernels
from tasks.runtime.state import State


class Level:
    """A number that a schedule changes, initially 1; where there are kernels, also as a tensor (0-dim) on the device.

    Every value has a tensor of its own, so that a backward pass finds that of its forward pass. It is no state of the
    training: the schedule sets it again.
    """

    def __init__(self, device: torch.device) -> None:
        self.value = 1.0
        self.on_device: Tensor | None = torch.ones((), device=device) if has_kernels(device) else None

    def set(self, value: float) -> None:
        """Change it."""
        if self.on_device is not None and value != self.value:
            self.on_device = self.on_device.new_full((), value)
        self.value = value

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to do."""


class ScheduledRate(NamedTuple):
    """The drop rate share level, at most 1."""

    share: float
    level: Tensor  # 0-dim, on the device


Rate = float | ScheduledRate
