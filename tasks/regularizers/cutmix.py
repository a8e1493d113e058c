"""CutMix pastes a box of one image into another and mixes the labels by area (Yun et al. 2019, arXiv:1905.04899)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from tasks.regularizers.base import Batch, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least
from tasks.regularizers.parts.places import reason_without_images

Box = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True, kw_only=True)
class CutMix(Regularizer):
    """Pastes one box per batch from each image's neighbour; labels are mixed by the fraction of pixels kept.

    With lam ~ Beta(alpha, alpha) the box has sqrt(1 - lam) times the image's sides; its centre is uniform over the
    pixels, and it is cut at the border. lam is then recomputed from the box's area. Needs images and class targets.
    """

    alpha: float = 1.0  # >= 0; 1 makes the area uniform, 0 is off

    acts_on: ClassVar[tuple[str, ...]] = ("input",)
    off: ClassVar[dict[str, Scalar]] = {"alpha": 0.0}
    needs_class_targets: ClassVar[bool] = True
    formula: ClassVar[str] = "x[box] <- x'[box], y <- lam y + (1 - lam) y', lam = 1 - |box| / (H W)"
    source: ClassVar[str] = "Yun et al. 2019, eqs. 1 and 2"

    def __post_init__(self) -> None:
        """Check alpha."""
        check_at_least(self, "alpha", 0)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without images at an input site."""
        return reason_without_images(self, network)

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """The batch with one box of each image replaced."""
        if self.alpha == 0:
            return batch
        height, width = batch.inputs.shape[2:]
        lam = float(step.rng.beta(self.alpha, self.alpha))
        return paste(batch, random_box(height, width, math.sqrt(1 - lam), step.rng))


def random_box(height: int, width: int, side: float, rng: np.random.Generator) -> Box:
    """A box with `side` (in [0, 1]) times the image's sides; its centre is uniform, and it is cut at the border."""
    slices = []
    for size in (height, width):
        centre, half = int(rng.integers(size)), int(side * size / 2)
        slices.append(slice(max(centre - half, 0), min(centre + half, size)))
    return slices[0], slices[1]


def paste(batch: Batch, box: Box) -> Batch:
    """`box` of each image taken from its neighbour in the batch, and targets mixed by area."""
    rows, columns = box
    height, width = batch.inputs.shape[2:]
    lam = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    inputs = batch.inputs.clone()
    inputs[:, :, rows, columns] = batch.inputs.roll(1, 0)[:, :, rows, columns]
    return Batch(inputs, batch.targets * lam + batch.targets.roll(1, 0) * (1 - lam))
