"""Noise on weights, drawn at the outputs of a layer: one normal per output instead of one per weight and sample.

If the weights are independent N(W, S), the output x W is N(x W, x^2 S). Drawing it directly gives each output its exact
distribution, and reduces the variance of the gradients (Kingma et al. 2015, arXiv:1506.02557, section 2.3).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.runtime.operators import Operator, call_operator
from tasks.runtime.streams import MaskStream
from tasks.sites import WeightLayer

FLOOR = 1e-8  # added to variances: the square root has no gradient at 0


def with_weights(layer: WeightLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `layer` would return with other weights."""
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    padding = cast("tuple[int, int]", layer.padding)
    stride, dilation = cast("tuple[int, int]", layer.stride), cast("tuple[int, int]", layer.dilation)
    return F.conv2d(x, weight, bias, stride, padding, dilation, layer.groups)


class Normals(Operator):
    """Standard normal numbers, one for each element of its input, which it does not read."""

    def __init__(self, stream: MaskStream) -> None:
        super().__init__()
        self._stream = stream

    def forward(self, x: Tensor) -> Tensor:
        """In the shape and number format of `x`."""
        return self._stream.normal(tuple(x.shape), x.dtype)


def with_noise(layer: WeightLayer, x: Tensor, mean: Tensor, weight_variance: Tensor, normals: Normals) -> Tensor:
    """The output `mean` of `layer` on `x`, with the noise of weights of variance `weight_variance`.

    The root is taken in 32 bits or more: in fp16 the floor would be 0, and the gradient of the root infinite.
    """
    variance = with_weights(layer, x.square(), weight_variance, None)
    variance = variance.to(torch.promote_types(variance.dtype, torch.float32))
    noise = (variance + FLOOR).sqrt() * call_operator(normals, mean.detach())
    return mean + noise.to(mean.dtype)
