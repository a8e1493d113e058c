"""Context managers with which an attack leaves a network's random numbers and batch statistics unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def own_stream(device: torch.device, generator: torch.Generator | None) -> Iterator[None]:
    """Let everything that draws from torch's global generator of a device draw from `generator` instead.

    Dropout layers draw from the global generator. Without this, an attack on a network in training mode would change
    the masks of the training around it. On exit the state of the global generator is restored, and `generator` has
    advanced by the draws. Without a `generator` the draws are those of the global one, which repeats them afterwards.

    Example:
        >>> before = torch.get_rng_state()
        >>> with own_stream(torch.device("cpu"), torch.Generator().manual_seed(1)):
        ...     drawn = torch.rand(3)
        >>> torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))
        True
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    before = _global_state(device)
    if generator is not None:
        _set_global_state(device, generator.get_state())
    try:
        yield
    finally:
        if generator is not None:
            generator.set_state(_global_state(device))
        _set_global_state(device, before)


@contextmanager
def kept_buffers(network: nn.Module) -> Iterator[None]:
    """Restore all buffers of a network in training mode: running means, variances and counts of batch normalisation.

    The forward passes inside still use the statistics of their own batch, as in training. In evaluation mode layers do
    not change their buffers, and nothing is copied.

    Example:
        >>> network = nn.BatchNorm1d(2)
        >>> with kept_buffers(network):
        ...     output = network(torch.full((3, 2), 5.0))
        >>> network.running_mean, int(network.num_batches_tracked)
        (tensor([0., 0.]), 0)
    """
    buffers = list(network.buffers()) if trains(network) else []
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)


def trains(network: nn.Module) -> bool:
    """Whether any part of the network is in training mode.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> trains(network), trains(network.eval())
        (True, False)
    """
    return any(module.training for module in network.modules())


def _global_state(device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.get_rng_state()
    state: Tensor = torch.get_device_module(device).get_rng_state(device)
    return state


def _set_global_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.get_device_module(device).set_rng_state(state, device)
