"""Preprocessing: how images of bytes become what a network takes. Applied batch by batch, on the device of training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


class Preprocessing(ABC):
    """A map from images (B, C, H, W) of bytes to images of floats of the same shape."""

    @abstractmethod
    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The images as the network takes them."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The same map, with what it was fitted to on `device`."""


@dataclass(frozen=True, kw_only=True)
class ChannelNormalisation(Preprocessing):
    """(x / 255 - mean) / std, channel by channel; `mean` and `std` are in [0, 1] units."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The images, normalised. Product and sum are rounded one by one, so that every processor agrees."""
        scale = torch.tensor([1 / (255 * std) for std in self.std], device=images_BCHW.device)
        shift = torch.tensor([-mean / std for mean, std in zip(self.mean, self.std, strict=True)])
        return images_BCHW.float().mul_(scale[:, None, None]).add_(shift.to(images_BCHW.device)[:, None, None])

    def to(self, device: torch.device) -> Self:
        """Itself: it holds numbers only."""
        return self
