"""The units of inputs: the scale from pixels to network inputs, and the range of valid values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class InputSpace:
    """The map from inputs in natural units (grey levels in [0, 1] for images) to the values that a network receives.

    Formula:
        seen = scale_c x + offset_c, with x in natural units and c its channel (the first dimension after the batch).

    Attributes:
        scale, offset: one number for each channel, or one for all.
        low, high: the smallest and the largest valid x; None where every number is valid.

    Example:
        >>> import torch
        >>> space = InputSpace(scale=(2.0,), offset=(-1.0,), low=0.0, high=1.0)
        >>> space.seen(torch.tensor([[0.0, 0.75]])), space.natural(torch.tensor([[-1.0, 0.5]]))
        (tensor([[-1.0000,  0.5000]]), tensor([[0.0000, 0.7500]]))
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    low: float | None = None
    high: float | None = None

    @property
    def box(self) -> tuple[float, float] | None:
        """The range of valid inputs, in natural units."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def is_natural(self) -> bool:
        """Whether the network receives inputs in natural units."""
        return set(self.scale) == {1.0} and set(self.offset) == {0.0}

    def seen(self, natural: Tensor) -> Tensor:
        """Convert inputs (B, C, ...) from natural units to the values that the network receives."""
        return natural * _by_channel(self.scale, natural) + _by_channel(self.offset, natural)

    def natural(self, seen: Tensor) -> Tensor:
        """Convert inputs (B, C, ...) from the values that the network receives to natural units."""
        return (seen - _by_channel(self.offset, seen)) / _by_channel(self.scale, seen)


def _by_channel(values: Sequence[float], like: Tensor) -> Tensor | float:
    """The values shaped to broadcast over channels; a plain number if there is one for all channels."""
    return values[0] if len(values) == 1 else like.new_tensor(values).view(-1, *[1] * (like.dim() - 2))
