"""Masks that drop elements, and how they are applied. Every law here is exact; only the way of drawing is quick."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.streams import MaskStream
from tasks.theory.drop_rates import seed_rate


def apply_mask(x: Tensor, keep: Tensor, scale: float | Tensor) -> Tensor:
    """`x * keep * scale` in the precision of `x`, for a boolean mask `keep` that broadcasts to `x`."""
    return x * (keep * torch.as_tensor(scale, dtype=x.dtype))


def realised_scale(keep: Tensor) -> Tensor:
    """Numel / (number kept): what makes the mean of a constant input come out exact. 1 where nothing is kept."""
    kept = keep.sum().double()
    return torch.where(kept > 0, keep.numel() / kept.clamp(min=1), 1.0)


def block_mask(stream: MaskStream, shape: tuple[int, int, int, int], drop_rate: float, block_size: int) -> Tensor:
    """Keep mask (B, C, H, W) of DropBlock: seeds Ber(gamma) per sample and channel, the union of their blocks dropped.

    A block hangs on its top left corner and lies wholly on the map; `block_size` is cut to the map on each axis. Each
    pixel is kept with probability (1 - gamma)^n, n the number of blocks that cover it (Ghiasi et al. 2018, alg. 1).
    """
    num_samples, channels, height, width = shape
    block_height, block_width = min(block_size, height), min(block_size, width)
    rows, columns = height - block_height + 1, width - block_width + 1
    gamma = seed_rate(drop_rate, block_size, height, width)
    if stream.device.type != "cpu":
        seeds = stream.bernoulli((num_samples, channels, rows, columns), gamma).float()
        padding = (block_width - 1, block_width - 1, block_height - 1, block_height - 1)
        return F.max_pool2d(F.pad(seeds, padding), (block_height, block_width), stride=1) == 0
    seeds = stream.positions(num_samples * channels * rows * columns, gamma)
    maps, place = seeds // (rows * columns), seeds % (rows * columns)
    corners = maps * (height * width) + place // columns * width + place % columns
    offsets = (torch.arange(block_height)[:, None] * width + torch.arange(block_width)).flatten()
    keep = torch.ones(shape, dtype=torch.bool)
    keep.view(-1)[(corners[:, None] + offsets).flatten()] = False
    return keep
