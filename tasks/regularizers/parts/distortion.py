"""The noise of feature map distortion, for units and for maps.

The distorted feature is f^ = f - m o eps with m = 1 - keep. One gradient step from eps = f on the Rademacher complexity
of the next layer leaves noise where m = 1, whose size is proportional to the largest weight of that layer on the
element.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.regularizers.parts.masking import NUMPY_DTYPES, apply_mask, dropped_positions
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, WeightLayer

SIZE_WITHOUT_NEXT_LAYER = 0.01  # of the released code, where no layer of the right kind follows
SHRINK_OF_1X1_KERNELS = 0.1  # likewise; a dense layer is a 1x1 kernel


class Noise(NamedTuple):
    """Noise at element e of sample i: table[e] * per_element[k] * per_sample[i], for the k-th element with noise."""

    table: Tensor  # broadcasts to one sample
    per_element: Tensor | None = None  # (number of elements with noise,)
    per_sample: Tensor | None = None  # (B,)


NoiseLaw = Callable[[Tensor, int, Tensor | None, MaskStream], Noise]
"""Draws the noise of a batch, from x, the number of elements with noise, K_M of the next layer (or None), a stream."""


def largest_weights(layer: WeightLayer) -> Tensor:
    """K_M: for each input unit (D,), or tap of each input channel (C, kh, kw), the largest weight over all outputs.

    It is the signed maximum, not that of absolute values (Tang et al. 2020, below eq. 14).
    """
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return weight.amax(0)
    return weight.view(layer.groups, -1, *weight.shape[1:]).amax(1).flatten(0, 1)


def weights_behind(site: Site, layer_type: type[nn.Module]) -> Callable[[], Tensor | None]:
    """A function that returns the current K_M of the layer that reads `site`; None if it has another type or shape."""
    layer = layer_behind(site, layer_type)
    return lambda: None if layer is None else largest_weights(layer)


def layer_behind(site: Site, layer_type: type[nn.Module]) -> WeightLayer | None:
    """The layer that reads `site`; None if it has another type or reads more than the site, e.g. a concatenation."""
    layer, shape = site.next_layer, site.shape
    if layer is None or shape is None or not isinstance(layer, layer_type):
        return None
    return layer if len(largest_weights(layer)) == shape[0] else None


def official_unit_noise(x: Tensor, num_elements: int, weights: Tensor | None, stream: MaskStream) -> Noise:
    """0.1 K_M[j] u with u ~ N(0, 1) for every element: what the released code, for maps only, does at 1x1 kernels.

    That is eqs. 15 and 16 with lam = 0, without 1 / N, and with one u per sample, which makes sigma_i redundant.
    """
    table = x.new_full((), SIZE_WITHOUT_NEXT_LAYER) if weights is None else weights * SHRINK_OF_1X1_KERNELS
    return Noise(table, per_element=stream.normal((num_elements,), x.dtype))


def paper_unit_noise(x: Tensor, num_elements: int, weights: Tensor | None, stream: MaskStream) -> Noise:
    """Eq. 15 with lam = 0: sigma_i K_M[j] u_j / N, one u ~ N(0, 1) per unit, one sign sigma_i = +-1 per sample."""
    size = x.new_full((), SIZE_WITHOUT_NEXT_LAYER) if weights is None else weights
    return _pattern_with_signs(size, x, stream)


def official_noise(x: Tensor, num_elements: int, weights: Tensor | None, stream: MaskStream) -> Noise:
    """The released code: mean over taps of K_M, a random sign for each channel and tap, times N(0, 1) per element."""
    if weights is None:
        table = x.new_full((), SIZE_WITHOUT_NEXT_LAYER)
    else:
        signs = stream.bernoulli(tuple(weights.shape), 0.5).to(x.dtype) * 2 - 1
        table = (weights * signs).mean((1, 2))[:, None, None]
        table = table * (SHRINK_OF_1X1_KERNELS if weights[0].numel() == 1 else 1.0)
    return Noise(table, per_element=stream.normal((num_elements,), x.dtype))


def paper_noise(x: Tensor, num_elements: int, weights: Tensor | None, stream: MaskStream) -> Noise:
    """Eq. 22: 1 / N times the mean over taps of K_M S', S' = +-1 per tap, U ~ N(0, 1) per (c, h, w), sigma_i = +-1."""
    size = x.new_full((), SIZE_WITHOUT_NEXT_LAYER)
    if weights is not None:
        signs = stream.bernoulli(tuple(weights.shape[1:]), 0.5).to(x.dtype) * 2 - 1
        size = (weights * signs).mean((1, 2))[:, None, None]
    return _pattern_with_signs(size, x, stream)


def _pattern_with_signs(size: Tensor, x: Tensor, stream: MaskStream) -> Noise:
    """`size` u / N with u ~ N(0, 1) for each element of one sample, and a sign for every sample of the batch."""
    selection = stream.normal(tuple(x.shape[1:]), x.dtype)
    rademacher = stream.bernoulli((len(x),), 0.5).to(x.dtype) * 2 - 1
    return Noise(size * selection / len(x), per_sample=rademacher)


def distorted(
    x: Tensor, keep: Tensor, scale: float | Tensor, noise: Callable[[int], Noise], step_size: float
) -> Tensor:
    """`scale * x` where kept; `scale * step_size * std(x) * noise` elsewhere, through which no gradient flows.

    Args:
        x: features (B, ...).
        keep: boolean, of the shape of `x`.
        scale: constant that broadcasts to one sample.
        noise: draws the noise of a number of elements. On a CPU, where draws are expensive, these are the dropped ones
            in the order of their indices; on an accelerator, which would have to count them first, all elements.
        step_size: gamma >= 0; 0 gives exactly the masked and scaled features.
    """
    y = apply_mask(x, keep, scale)
    if step_size == 0:
        return y

    size = step_size * deviation(x.detach()) * scale

    def sized(num_elements: int) -> Noise:
        drawn = noise(num_elements)
        return drawn._replace(table=(drawn.table * size).to(x.dtype))

    return distorted_where_dropped(y, keep, sized) if x.device.type == "cpu" else distorted_everywhere(y, keep, sized)


@torch.no_grad()
def distorted_where_dropped(y: Tensor, keep: Tensor, noise: Callable[[int], Noise]) -> Tensor:
    """`y`, the masked features (B, ...), with noise in place of its zeros, drawn for these elements only."""
    dropped = dropped_positions(keep)
    table, per_element, per_sample = noise(len(dropped))
    values = _entries(table, dropped, y.shape)
    if per_element is not None:
        values = values.mul_(per_element)
    if per_sample is not None:
        values = values.mul_(per_sample[dropped // y[0].numel()])
    constants = y.detach()  # shares memory with y, so that writing here replaces the zeros of y without a gradient
    if y.is_contiguous():
        constants.view(-1).scatter_(0, dropped, values)
    else:  # `dropped` are positions in the order of the indices, not of the memory
        constants.masked_scatter_(keep.logical_not(), values)
    return y


def _entries(table: Tensor, positions: Tensor, shape: torch.Size) -> Tensor:
    """The entries of a table, which broadcasts to one sample, at positions of a batch of this shape; on a CPU."""
    at, num_pixels = positions.numpy(), math.prod(shape[2:])
    if num_pixels > 1 and table.dim() == len(shape) - 1 and table.numel() == shape[1]:  # one for each channel
        entries, places = table.reshape(-1).repeat(shape[0]), at // num_pixels
    else:
        entries = table.expand(shape[1:]).reshape(-1)
        places = at - at // len(entries) * len(entries)  # numpy divides by a constant faster than torch
    return entries.index_select(0, torch.from_numpy(places))


def deviation(x: Tensor) -> float | Tensor:
    """`x.std(correction=0)`; on a CPU by numpy, where torch's own takes several times as long."""
    if x.device.type != "cpu" or x.dtype not in NUMPY_DTYPES or not x.is_contiguous():
        return x.std(correction=0)
    values = x.numpy().reshape(-1)
    with np.errstate(all="ignore"):  # the training loop reports a diverged network
        centred = values - values.mean()
        return math.sqrt(centred.dot(centred) / len(centred))


def distorted_everywhere(y: Tensor, keep: Tensor, noise: Callable[[int], Noise]) -> Tensor:
    """As `distorted_where_dropped`, with noise drawn for every element, also where the mask keeps it."""
    with torch.no_grad():
        table, per_element, per_sample = noise(y.numel())
        values = table.expand(y.shape)
        if per_element is not None:
            values = values * per_element.view(y.shape)
        if per_sample is not None:
            values = values * per_sample.view(-1, *(1 for _ in y.shape[1:]))
    return torch.where(keep, y, values)
