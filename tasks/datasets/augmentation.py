"""Random crops, flips and rotations of batches of uint8 images, on the device of training.

Each image has its own draws. All its transformations are applied by one gather: for each pixel of the result, the index
of the source pixel. The result is that of cropping, then flipping, then rotating the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CROP_PADDING = 4  # pixels on each side, as in nearly all CIFAR papers (He et al. 2016, section 4.2)
MAX_DEGREES = 15.0  # of a rotation, either way (Tang et al. 2020, experiments on conv layers)
FRACTION_BITS = 20  # of sines and cosines: whole numbers give the same pixels on every processor


class Moves(NamedTuple):
    """The transformations drawn for the images of a batch; None for a kind that is not used.

    Attributes:
        shifts_2B: offset of the crop in rows and columns, in [-CROP_PADDING, CROP_PADDING] pixels.
        mirrored_B: whether left and right are exchanged.
        turns_2B: cosine and sine of the angle (counter-clockwise), in units of 2^-FRACTION_BITS.
    """

    shifts_2B: Tensor | None
    mirrored_B: Tensor | None
    turns_2B: Tensor | None


def draw_moves(augmentation: Sequence[str], num_images: int, generator: torch.Generator) -> Moves:
    """Draw the transformations that `augmentation` names, independently for each image."""
    device = generator.device
    shifts = mirrored = turns = None
    if "crop" in augmentation:
        corners = torch.randint(0, 2 * CROP_PADDING + 1, (2, num_images), generator=generator, device=device)
        shifts = (corners - CROP_PADDING).int()
    if "flip" in augmentation:
        mirrored = torch.rand(num_images, generator=generator, device=device) < 0.5
    if "rotation" in augmentation:
        uniform = torch.rand(num_images, generator=generator, device=device, dtype=torch.float64)
        turns = turns_of((2 * uniform - 1) * MAX_DEGREES)
    return Moves(shifts, mirrored, turns)


def turns_of(degrees_B: Tensor) -> Tensor:
    """Cosines and sines (2, B) of angles, as integers in units of 2^-FRACTION_BITS."""
    radians_B = degrees_B.double() * (math.pi / 180)
    return torch.stack([radians_B.cos(), radians_B.sin()]).mul_(1 << FRACTION_BITS).round_().int()


def moved(images_BCHW: Tensor, moves: Moves) -> Tensor:
    """The images after `moves`; pixels from outside the image are 0.

    Rotations use the nearest source pixel.
    """
    if moves == (None, None, None):
        return images_BCHW
    num_images, channels, height, width = images_BCHW.shape
    rows, columns = _turned(height, width, moves.turns_2B, images_BCHW.device)
    inside = _within(rows, height) & _within(columns, width) if moves.turns_2B is not None else None
    if moves.mirrored_B is not None:
        columns = torch.where(moves.mirrored_B[:, None, None], width - 1 - columns, columns)
    if moves.shifts_2B is not None:
        rows, columns = (at + by[:, None, None] for at, by in zip((rows, columns), moves.shifts_2B, strict=True))
        within = _within(rows, height) & _within(columns, width)
        inside = within if inside is None else inside & within
    places = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    places_BP = places.expand(num_images, height, width).reshape(num_images, 1, -1)
    pixels = images_BCHW.flatten(2).gather(2, places_BP.long().expand(-1, channels, -1))
    if inside is not None:
        pixels *= inside.expand(num_images, height, width).reshape(num_images, 1, -1)
    return pixels.view(images_BCHW.shape)


def _turned(height: int, width: int, turns_2B: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Source row and column of each pixel of the rotated image; they may lie outside of the image.

    With u and v the column and row from the centre in half pixels, the source column is u cos(angle) - v sin(angle),
    and the source row u sin(angle) + v cos(angle), rounded to the nearest pixel.
    """
    rows = torch.arange(height, device=device, dtype=torch.int32)[None, :, None]
    columns = torch.arange(width, device=device, dtype=torch.int32)[None, None, :]
    if turns_2B is None:
        return rows, columns
    cosines, sines = turns_2B[:, :, None, None]
    v, u = 2 * rows - (height - 1), 2 * columns - (width - 1)
    return (
        (sines * u + cosines * v + (height << FRACTION_BITS)) >> (FRACTION_BITS + 1),
        (cosines * u - sines * v + (width << FRACTION_BITS)) >> (FRACTION_BITS + 1),
    )


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)
