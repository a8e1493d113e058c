"""Masks that drop elements, and how they are applied. All masks have exactly the stated distribution.

On a CPU, numpy does most passes over memory: unlike torch it multiplies floats by a boolean mask without a float copy
of the mask, counts the mask with vector instructions, and allocates large memory pages. Small masks become factors (0
or the scale) by which torch multiplies: this takes the fewest calls, which dominate the cost in small networks. With
numba, large products take one pass instead of two. All ways give the same results, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tasks.runtime import compiled
from tasks.runtime.eager import eager
from tasks.runtime.streams import MaskStream
from tasks.theory.drop_rates import seed_rate

NUMPY_DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
MIN_COMPILED = 2**19  # elements: below, importing numba takes longer than it saves in a training
MAX_FACTORS = MIN_COMPILED - 1  # elements: factors are stored for the gradient and take four times the memory of a mask
MAX_TABLED = 2**17  # places of blocks: up to here their first pixels are in a table, one operation instead of six
LARGEST_KEPT_BYTES = 2**25  # glibc returns larger blocks to the system, so that each new one causes page faults


def masked(x: Tensor, stream: MaskStream, keep_rate: float, shape: tuple[int, ...] | None = None) -> Tensor:
    """`x * m / keep_rate` for a mask m of `shape` (that of `x`, or one that broadcasts to it), Ber(keep_rate)."""
    shape = tuple(x.shape) if shape is None else shape
    if takes_factors(x, math.prod(shape)):
        return x * element_factors(stream, shape, keep_rate, 1 / keep_rate, x.dtype)
    return apply_mask(x, stream.bernoulli(shape, keep_rate), 1 / keep_rate)


def dtype_of_masks(dtype: torch.dtype) -> torch.dtype:
    """The number format of masks and their scales for values of `dtype`: at least 32 bits.

    In 16 bits the scale itself would be rounded, which changes the mean; the product is rounded instead.
    """
    return torch.promote_types(dtype, torch.float32)


def takes_factors(x: Tensor, num_elements: int) -> bool:
    """Whether masks of `num_elements` for `x` are drawn and applied as factors."""
    return num_elements <= MAX_FACTORS and x.device.type == "cpu" and x.dtype in NUMPY_DTYPES


@eager
def element_factors(
    stream: MaskStream, shape: tuple[int, ...], keep_rate: float, scale: float, dtype: torch.dtype
) -> Tensor:
    """`scale` with probability `keep_rate`, else 0, independently for each element; on a CPU."""

    def draw(num: int) -> Sequence[Tensor]:
        return factors_of(stream.bernoulli((num, *shape), keep_rate), scale, dtype).unbind()

    drawn: Tensor = stream.ahead(("elements", *shape, keep_rate, scale), draw, math.prod(shape))
    return drawn


@eager
def block_factors(
    stream: MaskStream,
    shape: tuple[int, int, int, int],
    drop_rate: float,
    block_size: int,
    dtype: torch.dtype,
    is_rescaled: bool = True,
) -> tuple[Tensor, float]:
    """`block_mask` as factors, and the scale in them: `realised_scale` if `is_rescaled`, else 1; on a CPU."""

    def draw(num: int) -> Sequence[tuple[Tensor, float]]:
        keep = block_mask(stream, (num * shape[0], *shape[1:]), drop_rate, block_size).view(num, *shape).unbind()
        scales = [realised_scale(each) if is_rescaled else 1.0 for each in keep]
        return [(factors_of(each, scale, dtype), float(scale)) for each, scale in zip(keep, scales, strict=True)]

    factors, scale = stream.ahead(("blocks", *shape, drop_rate, block_size, is_rescaled), draw, math.prod(shape))
    return factors, scale


def apply_mask(x: Tensor, keep: Tensor, scale: float | Tensor) -> Tensor:
    """`x * keep * scale` in the precision of `x`, for a boolean mask `keep` and a constant that broadcast to `x`."""
    if takes_factors(x, keep.numel()):
        return x * factors_of(keep, scale, x.dtype)
    if x.device.type == "cpu" and x.dtype in NUMPY_DTYPES:
        # torch is faster at broadcasting a mask, unless the product is so large that its memory causes page faults.
        for_numpy = keep.shape == x.shape or x.numel() * x.element_size() > LARGEST_KEPT_BYTES
        if for_numpy and x.is_contiguous():
            return _masked_product(x, keep, scale)
    if x.dtype in NUMPY_DTYPES:
        return x * (keep.to(x.dtype) * (scale if isinstance(scale, float) else scale.to(x)))
    if isinstance(scale, float):
        return x * keep * scale
    return (x * keep * scale.to(x.device, dtype_of_masks(x.dtype)).reshape(scale.shape or (1,))).to(x.dtype)


@eager
def factors_of(keep: Tensor, scale: float | Tensor, dtype: torch.dtype) -> Tensor:
    """`keep * scale`, on a CPU."""
    if not isinstance(scale, Tensor):
        return torch.from_numpy(np.multiply(keep.numpy(), scale, dtype=NUMPY_DTYPES[dtype]))
    with np.errstate(all="ignore"):  # the training loop reports a diverged network
        return torch.from_numpy(np.multiply(keep.numpy(), scale.numpy(), dtype=NUMPY_DTYPES[dtype]))


@eager
def realised_scale(keep: Tensor) -> float | Tensor:
    """Number of elements / number kept, which keeps the mean of a constant input. 1 where nothing is kept."""
    if keep.device.type == "cpu":
        kept = np.count_nonzero(keep.numpy())
        return keep.numel() / kept if kept else 1.0
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
    num_places = (height - block_height + 1) * (width - block_width + 1)
    seeds = stream.positions(num_samples * channels * num_places, gamma).numpy()
    first_pixels = _first_pixels(seeds, num_samples * channels, num_places, (height, width), block)
    rows_of_block = np.arange(0, block_height * width, width)
    keep = np.ones(shape, dtype=np.bool_)
    runs = np.ndarray(keep.size - block_width + 1, dtype=f"V{block_width}", buffer=keep, strides=(1,))
    runs[first_pixels[:, None] + rows_of_block] = b"\0" * block_width  # a run of False, as wide as a block
    return torch.from_numpy(keep)


def _first_pixels(
    seeds: NDArray[np.int64], num_maps: int, num_places: int, map_: tuple[int, int], block: tuple[int, int]
) -> NDArray[np.int64]:
    """The first pixel of each block, in the flattened batch of maps, from the number of its place among all places."""
    first_pixels: NDArray[np.int64]
    if num_maps * num_places <= MAX_TABLED:
        first_pixels = _tabled_first_pixels(num_maps, map_, block)[seeds]
        return first_pixels
    maps = seeds // num_places
    first_pixels = _tabled_first_pixels(1, map_, block)[seeds - maps * num_places] + maps * (map_[0] * map_[1])
    return first_pixels


@lru_cache(maxsize=64)
def _tabled_first_pixels(num_maps: int, map_: tuple[int, int], block: tuple[int, int]) -> NDArray[np.int64]:
    """The first pixel of each place of a block: maps in order, in each of them rows in order."""
    rows, columns = np.arange(map_[0] - block[0] + 1) * map_[1], np.arange(map_[1] - block[1] + 1)
    maps = np.arange(num_maps) * (map_[0] * map_[1])
    first_pixels: NDArray[np.int64] = (maps[:, None, None] + rows[:, None] + columns).reshape(-1)
    return first_pixels


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
