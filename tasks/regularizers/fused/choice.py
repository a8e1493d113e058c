"""Where the fused kernels are used instead of the portable form of masks."""

from __future__ import annotations

from torch import Tensor

from tasks.runtime.kernel_devices import has_kernels

LARGEST_MAP = 2**14  # pixels: a program holds a whole map in its registers
LARGEST_SIDE_OF_BLOCKS = 128  # of maps with blocks that overlap, which take products with matrices of this size


def is_fused(x: Tensor) -> bool:
    """Whether masks of `x` are made by fused kernels: on a CUDA device, or in Triton's interpreter."""
    return has_kernels(x.device) and x.is_floating_point() and x.element_size() <= 4 and x.numel() > 0


def has_fused_maps(x: Tensor, *, overlap: bool) -> bool:
    """Likewise for masks of blocks on maps (B, C, H, W) or units (B, D); `overlap`: whether blocks may overlap."""
    if not is_fused(x) or x.dim() not in (2, 4):
        return False
    height, width = x.shape[2:] if x.dim() == 4 else (1, x.shape[-1])
    return max(height, width) <= LARGEST_SIDE_OF_BLOCKS if overlap else height * width <= LARGEST_MAP
