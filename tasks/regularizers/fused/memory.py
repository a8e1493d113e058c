"""How tensors lie in memory for the fused kernels, which number elements in the order of memory."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor) -> Tensor:
    """The tensor as kernels take it: contiguous, or with channels last."""
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.contiguous()


def with_strides(tensor: Tensor, strides: tuple[int, ...]) -> Tensor:
    """The tensor with these strides, those of a tensor of its shape that `dense` returned."""
    if tensor.stride() == strides:
        return tensor
    return tensor.new_empty_strided(tensor.shape, strides).copy_(tensor)
