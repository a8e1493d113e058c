"""Numbers of a training's passes, which the fused kernels read from the device.

A compiled pass or a CUDA graph repeats the numbers that its code was given, but reads its tensors anew. So that it
draws other masks in every pass, kernels draw by (key of the stream, number of the pass, call of the stream in this
pass): the pass is a tensor on the device, and the two others are the same whenever the code runs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tasks.runtime.kernel_devices import has_kernels
from tasks.runtime.state import State

FIRST_ASIDE = 2**31  # of the numbers below 2^32: a training has fewer passes


class Draw(NamedTuple):
    """What identifies a draw of a fused kernel: no two draws of a training have the same three numbers."""

    key: int  # of the stream; 63 bits
    pass_number: Tensor  # int64, 0-dim, on the device
    call: int  # of the stream in this pass, from 0; below 2^24


class Passes:
    """The number of the current pass, among those of the training or those aside (see `Streams.aside`).

    Every pass has a tensor of its own, so that a backward pass finds the number of its forward pass, whatever ran in
    between. The number is filled in on the device, which waits for nothing. Where there are no kernels, nothing is made
    or counted.
    """

    def __init__(self) -> None:
        self._current, self._other = _Counter(0), _Counter(FIRST_ASIDE)

    @property
    def are_counted(self) -> bool:
        """Whether a device with kernels asked for them."""
        return self._current.on_device is not None

    def number(self) -> Tensor:
        """Of the current pass.

        Raises:
            RuntimeError: if no device with kernels asked for it.
        """
        if self._current.on_device is None:
            raise RuntimeError("Passes are counted only for devices with kernels; call show_on first.")
        return self._current.on_device

    def show_on(self, device: torch.device) -> None:
        """Count from now on, and keep the number on `device`, if this has kernels."""
        if has_kernels(device) and not self.are_counted:
            for counter in (self._current, self._other):
                counter.on_device = torch.full((), counter.number, dtype=torch.int64, device=device)

    def begin(self) -> None:
        """Begin the next pass, if passes are counted."""
        if self._current.on_device is not None:
            self._current.go_to(self._current.number + 1)

    def swap(self) -> None:
        """Go on with the other passes."""
        self._current, self._other = self._other, self._current

    def state(self) -> State:
        """Both numbers."""
        return {"numbers": [self._current.number, self._other.number]}

    def restore(self, state: State) -> None:
        """Set both numbers."""
        for counter, number in zip((self._current, self._other), state["numbers"], strict=True):
            counter.go_to(number)


class _Counter:
    """A number, and the same on the device."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.on_device: Tensor | None = None

    def go_to(self, number: int) -> None:
        self.number = number
        if self.on_device is not None:
            self.on_device = self.on_device.new_full((), number)
