"""Cutout sets one square of each training image to zero (DeVries and Taylor 2017, arXiv:1708.04552, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from tasks.regularizers.base import Batch, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_rate
from tasks.regularizers.parts.places import reason_without_images
from tasks.runtime.sending import send


@dataclass(frozen=True, kw_only=True)
class Cutout(Regularizer):
    """Sets a square of each normalised image to zero, centred uniformly on its pixels and cut at the border.

    The side is a fraction of the image: 16 of 32 pixels for CIFAR-10, 8 of 32 for CIFAR-100 in the paper. With side L,
    between L^2 / 4 and L^2 pixels are set to zero.
    """

    side_fraction: float = 0.5  # in [0, 1], of the image's height

    acts_on: ClassVar[tuple[str, ...]] = ("input",)
    off: ClassVar[dict[str, Scalar]] = {"side_fraction": 0.0}
    formula: ClassVar[str] = "x[centre - L/2 : centre + L/2] <- 0, L = round(side_fraction * height)"
    source: ClassVar[str] = "DeVries and Taylor 2017, section 3.2"

    def __post_init__(self) -> None:
        """Check the side."""
        check_rate(self, "side_fraction", below_one=False)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without images at an input site."""
        return reason_without_images(self, network)

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """The batch with one square of each image set to zero."""
        height, width = batch.inputs.shape[2:]
        side = round(self.side_fraction * height)
        if side == 0:
            return batch
        device, num_images = batch.inputs.device, len(batch.inputs)
        corners = [step.rng.integers(size, size=(num_images, 1)) - side // 2 for size in (height, width)]
        tops, lefts = (send(torch.from_numpy(each), device) for each in corners)
        rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
        in_rows = (rows >= tops) & (rows < tops + side)
        in_columns = (columns >= lefts) & (columns < lefts + side)
        hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        return Batch(batch.inputs.masked_fill(hole, 0), batch.targets)
