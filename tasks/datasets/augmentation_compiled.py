"""Augmentation as compiled loops: the same results as `tasks.datasets.augmentation`, bit for bit, but much faster.

The loops use integers only and copy bytes, so that there are no rounding errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.datasets.augmentation import FRACTION_BITS, Moves, turns_of
from tasks.runtime.compiled import compiled

Array = NDArray[Any]


def moved(images_NCHW: Tensor, chosen_B: Tensor, moves: Moves) -> Tensor:
    """The chosen images (indices in the split) after `moves`; see `tasks.datasets.augmentation.moved`."""
    out = torch.empty((len(chosen_B), *images_NCHW.shape[1:]), dtype=torch.uint8)
    shifts = _or(moves.shifts_2B, torch.zeros(2, len(chosen_B), dtype=torch.int32))
    mirrored = _or(moves.mirrored_B, torch.zeros(len(chosen_B), dtype=torch.bool))
    images, chosen = images_NCHW.numpy(), chosen_B.numpy()
    if moves.turns_2B is None:
        _shift(images, chosen, shifts, mirrored, out.numpy())
    else:
        _turn(images, chosen, shifts, mirrored, moves.turns_2B.numpy(), out.numpy())
    return out


def load() -> None:
    """Compile the loops, or load them from disk, so that it does not count in the first step's time."""
    images, chosen = torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    moved(images, chosen, Moves(None, None, None))
    moved(images, chosen, Moves(None, None, turns_of(torch.zeros(1))))


def _or(drawn: Tensor | None, nothing: Tensor) -> Array:
    return (nothing if drawn is None else drawn).numpy()


@compiled
def _shift(images: Array, chosen: Array, shifts: Array, mirrored: Array, out: Array) -> None:
    """Crop and flip: the source columns are the same for all rows.

    The inner loop has no branches, and its indices are unsigned (signed ones need a check for negative values): this is
    twice as fast.
    """
    num_images, channels, height, width = out.shape
    places = np.empty(width, np.uint32)
    masks = np.empty(width, np.uint8)
    for b in range(num_images):
        image, down, right = images[chosen[b]], shifts[0, b], shifts[1, b]
        sign, start = (-1, width - 1) if mirrored[b] else (1, 0)
        for column in range(width):
            place = start + sign * column + right
            inside = (place >= 0) & (place < width)
            places[column] = place * inside
            masks[column] = inside * np.uint8(255)
        for row in range(height):
            mask = np.uint8(255) if 0 <= row + down < height else np.uint8(0)
            source_row = np.uint32(min(max(row + down, 0), height - 1))
            for c in range(channels):
                source, target = image[c, source_row], out[b, c, row]
                for column in range(width):
                    target[column] = source[places[column]] & masks[column] & mask


@compiled
def _turn(images: Array, chosen: Array, shifts: Array, mirrored: Array, turns: Array, out: Array) -> None:
    """Crop, flip and rotate: compute the sources of the pixels of one row, then copy them for all channels."""
    num_images, channels, height, width = out.shape
    bits = FRACTION_BITS
    places = np.empty(width, np.uint32)
    masks = np.empty(width, np.uint8)
    for b in range(num_images):
        image = images[chosen[b]].reshape(channels, height * width)
        down, right = np.int32(shifts[0, b]), np.int32(shifts[1, b])
        cosine, sine = np.int32(turns[0, b]), np.int32(turns[1, b])
        sign, start = (np.int32(-1), np.int32(width - 1)) if mirrored[b] else (np.int32(1), np.int32(0))
        for row in range(height):
            v = 2 * row - (height - 1)
            row_start = np.int32(cosine * v + (height << bits) - sine * (width - 1))
            column_start = np.int32((width << bits) - sine * v - cosine * (width - 1))
            for column in range(width):
                step = np.int32(2 * column)
                y = np.int32(row_start + sine * step) >> (bits + 1)
                x = np.int32(column_start + cosine * step) >> (bits + 1)
                source_y = y + down
                source_x = start + sign * x + right
                inside = (
                    (x >= 0) & (x < width) & (y >= 0) & (y < height)
                    & (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
                )  # fmt: skip
                places[column] = (source_y * width + source_x) * inside
                masks[column] = inside * np.uint8(255)
            for c in range(channels):
                source, target = image[c], out[b, c, row]
                for column in range(width):
                    target[column] = source[places[column]] & masks[column]
