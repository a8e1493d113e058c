"""From the processor's memory to the device of training, without making the processor wait."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a copy to an accelerator is queued there like any other work.

    A usual copy waits until the device has done all that is queued. One from page-locked memory does not.
    """
    if device.type == "cpu" or tensor.device == device:
        return tensor
    if device.type == "meta":
        return tensor.to(device)  # no numbers are sent
    return tensor.pin_memory().to(device, non_blocking=True)
