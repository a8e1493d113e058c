"""Where the fused kernels are used instead of the portable form of masks."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from torch import Tensor

INTERPRETER = "TRITON_INTERPRET"  # 1: kernels run on a CPU, slowly, to test them
LARGEST_MAP = 2**14  # pixels: a program holds a whole map in its registers
LARGEST_SIDE_OF_BLOCKS = 128  # of maps with blocks that overlap, which take products with matrices of this size

_DEVICES = {"cuda"}


@cache
def is_available() -> bool:
    """Whether Triton is installed; torch's packages for CUDA bring it."""
    return importlib.util.find_spec("triton") is not None


def is_fused(x: Tensor) -> bool:
    """Whether masks of `x` are made by fused kernels: on a CUDA device, or in Triton's interpreter."""
    is_interpreted = x.device.type == "cpu" and os.environ.get(INTERPRETER) == "1"
    is_there = x.device.type in _DEVICES or is_interpreted
    return is_there and is_available() and x.is_floating_point() and x.element_size() <= 4 and x.numel() > 0


def has_fused_maps(x: Tensor, *, overlap: bool) -> bool:
    """Likewise for masks of blocks on maps (B, C, H, W) or units (B, D); `overlap`: whether blocks may overlap."""
    height, width = x.shape[2:] if x.dim() == 4 else (1, x.shape[-1])
    is_small = max(height, width) <= LARGEST_SIDE_OF_BLOCKS if overlap else height * width <= LARGEST_MAP
    return is_fused(x) and x.dim() in (2, 4) and is_small


@contextmanager
def fused_on_meta() -> Iterator[None]:
    """A context in which torch's `meta` device counts as a GPU, to count kernels without a GPU."""
    _DEVICES.add("meta")
    try:
        yield
    finally:
        _DEVICES.discard("meta")
