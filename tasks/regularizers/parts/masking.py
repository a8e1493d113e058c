"""Masks that drop elements, and how they are applied. All masks have exactly the stated distribution.

On a CPU, numpy does the passes over memory: unlike torch it multiplies floats by a boolean mask without a float copy of
the mask, counts the mask with vector instructions, and asks the system for large pages. With numba, large products take
one pass instead of two, with the same result bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.runtime import compiled
from tasks.runtime.eager import eager
from tasks.runtime.streams import MaskStream
from tasks.theory.drop_rates import seed_rate

NUMPY_DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
MIN_COMPILED = 2**19  # elements: trainings with smaller maps are too short to make up for the import of numba
LARGEST_KEPT_BYTES = 2**25  # glibc returns larger blocks to the system, so that each new one causes page faults


def apply_mask(x: Tensor, keep: Tensor, scale: float | Tensor) -> Tensor:
    """`x * keep * scale` in the precision of `x`, for a boolean mask `keep` and a constant that broadcast to `x`."""
    # torch is faster at broadcasting a mask, unless the product is so large that its memory causes page faults.
    for_numpy = keep.shape == x.shape or x.numel() * x.element_size() > LARGEST_KEPT_BYTES
    if for_numpy and x.device.type == "cpu" and x.dtype in NUMPY_DTYPES and x.is_contiguous():
        return _masked_product(x, keep, scale)
    if x.dtype in NUMPY_DTYPES:
        return x * (keep.to(x.dtype) * (scale if isinstance(scale, float) else scale.to(x)))
    # In 16 bits the scale itself would be rounded, which changes the mean; the product is rounded instead.
    if isinstance(scale, float):
        return x * keep * scale
    return (x * keep * scale.to(x.device, torch.float32).reshape(scale.shape or (1,))).to(x.dtype)


def realised_scale(keep: Tensor) -> Tensor:
    """Number of elements / number kept, which keeps the mean of a constant input. 1 where nothing is kept."""
    if keep.device.type == "cpu":
        kept = np.count_nonzero(keep.numpy())
        return torch.tensor(keep.numel() / kept if kept else 1.0, dtype=torch.float64)
    num_kept = keep.sum()
    return torch.where(num_kept > 0, keep.numel() / num_kept.double().clamp(min=1), 1.0)


def dropped_positions(keep: Tensor) -> Tensor:
    """Sorted positions (int64) in the flattened mask, a tensor on the CPU, at which it is False."""
    return torch.from_numpy(np.flatnonzero(np.logical_not(keep.numpy())))


def block_mask(
    stream: MaskStream, shape: tuple[int, int, int, int], drop_rate: float | Tensor, block_size: int
) -> Tensor:
    """Keep mask (B, C, H, W) of DropBlock: seeds Ber(gamma) per sample and channel, the union of their blocks dropped.

    A seed is the top left corner of its block, which lies entirely inside the map; `block_size` is cut to the map on
    each axis. Each pixel is kept with probability (1 - gamma)^n, n the number of blocks that cover it (Ghiasi et al.
    2018, algorithm 1). A learned rate is a tensor, so that it need not be read from an accelerator.
    """
    num_samples, channels, height, width = shape
    block_height, block_width = min(block_size, height), min(block_size, width)
    on_cpu = stream.device.type == "cpu"
    gamma = seed_rate(float(drop_rate) if on_cpu else drop_rate, block_size, height, width)
    if block_height == block_width == 1:
        return stream.bernoulli(shape, 1 - gamma)
    if on_cpu:
        return _block_mask_of_runs(stream, shape, float(gamma), (block_height, block_width))
    rows, columns = height - block_height + 1, width - block_width + 1
    seeds = stream.bernoulli((num_samples, channels, rows, columns), gamma)
    padding = (block_width - 1, block_width - 1, block_height - 1, block_height - 1)
    return F.max_pool2d(F.pad(seeds.float(), padding), (block_height, block_width), stride=1) == 0


def _block_mask_of_runs(
    stream: MaskStream, shape: tuple[int, int, int, int], gamma: float, block: tuple[int, int]
) -> Tensor:
    """`block_mask` on a CPU: for each seed, write one run of False of the block's width in each of its rows."""
    num_samples, channels, height, width = shape
    block_height, block_width = block
    rows, columns = height - block_height + 1, width - block_width + 1
    seeds = stream.positions(num_samples * channels * rows * columns, gamma)
    maps, place = np.divmod(seeds.numpy(), rows * columns)
    row, column = np.divmod(place, columns)
    corners = maps * (height * width) + row * width + column
    keep = np.ones(shape, dtype=np.bool_)
    pixels = keep.reshape(-1)
    runs = np.ndarray(len(pixels) - block_width + 1, dtype=f"V{block_width}", buffer=keep, strides=(1,))
    dropped = np.zeros((), dtype=runs.dtype)  # a run of False: as many bytes as a block is wide
    for down in range(block_height):
        runs[corners + down * width] = dropped
    return torch.from_numpy(keep)


@eager
def _masked_product(x: Tensor, keep: Tensor, scale: float | Tensor) -> Tensor:
    product: Tensor = _MaskedProduct.apply(x, keep, scale)
    return product


class _MaskedProduct(torch.autograd.Function):
    """`x * keep * scale` in one or two passes; all that is stored for the gradient is the mask."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float | Tensor) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        values = x.detach().numpy()
        constant = scale.numpy() if isinstance(scale, Tensor) else scale
        is_full = keep.shape == x.shape
        if is_full and x.numel() >= MIN_COMPILED and np.ndim(constant) == 0 and compiled.is_available():
            from tasks.regularizers.parts.masking_compiled import masked_product

            return torch.from_numpy(masked_product(values, keep.numpy(), float(constant)))
        with np.errstate(all="ignore"):  # the training loop reports a diverged network
            factors = np.multiply(keep.numpy(), constant, dtype=NUMPY_DTYPES[x.dtype])
            product = np.multiply(values, factors, out=factors if is_full else None)
        return torch.from_numpy(product)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return apply_mask(gradient, keep, ctx.scale), None, None
