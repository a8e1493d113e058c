"""Masks and noise by the fused kernels, differentiable: what regularizers call where `choice.is_fused` says so.

Masks have the distributions of the portable form, but other values: they are drawn with the stream's Philox key, not
with its generators. The backward pass draws the same mask again, so that only a few numbers are stored for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tasks.regularizers.fused import operators
from tasks.regularizers.fused.memory import dense, with_strides
from tasks.regularizers.fused.rates import Rate, ScheduledRate
from tasks.regularizers.parts.distortion import SHRINK_OF_1X1_KERNELS, SIZE_WITHOUT_NEXT_LAYER
from tasks.runtime.streams import MaskStream
from tasks.sites import WeightLayer
from tasks.theory.drop_rates import seed_rate

Masking = Callable[[Tensor], Tensor]


def masked_elements(x: Tensor, stream: MaskStream, drop_rate: Rate, *, is_inverted: bool = True) -> Tensor:
    """The product x keep, keep ~ Ber(1 - drop_rate) for each element; divided by the keep rate if `is_inverted`."""
    law = _KeepLaw.of(drop_rate, is_inverted)
    if law is None:
        return x
    x, draw = dense(x), stream.next_draw()
    return _linear(x, lambda each: operators.mask_elements(each, None, law.level, *draw, law.rate, law.scale, False))


def masked_units(x: Tensor, stream: MaskStream, keep_rates: Tensor, scale: float) -> Tensor:
    """The product x keep scale, keep ~ Ber(rate of the unit) for each element; `keep_rates` have a sample's shape."""
    x, draw, rates = dense(x), stream.next_draw(), keep_rates.detach()
    if not x.is_contiguous():  # channels last: rates in the order of memory
        rates = rates.permute(1, 2, 0).contiguous()
    return _linear(x, lambda each: operators.mask_elements(each, rates, None, *draw, 1.0, scale, False))


def noisy_elements(x: Tensor, stream: MaskStream, deviation: float) -> Tensor:
    """The product x (1 + deviation normal), one normal for each element."""
    x, draw = dense(x), stream.next_draw()
    return _linear(x, lambda each: operators.mask_elements(each, None, None, *draw, 1.0, deviation, True))


def masked_channels(x: Tensor, stream: MaskStream, drop_rate: Rate, *, is_inverted: bool = True) -> Tensor:
    """As `masked_elements` with one keep for each sample and channel of maps (B, C, H, W)."""
    x = dense(x)
    channels, size = x.shape[1], math.prod(x.shape[2:])
    row_stride, column_stride = (size, 1) if x.is_contiguous() else (1, channels)
    per_sample = channels * size
    rows = [len(x) * channels, size, channels, per_sample, row_stride, column_stride, per_sample]
    return _masked_rows(x, stream, rows, drop_rate, is_inverted)


def masked_samples(x: Tensor, stream: MaskStream, drop_rate: Rate, *, is_inverted: bool = True) -> Tensor:
    """As `masked_elements` with one keep for each sample."""
    x, size = dense(x), x[0].numel()
    return _masked_rows(x, stream, [len(x), size, 1, size, 0, 1, size], drop_rate, is_inverted)


def shaken_samples(
    x: Tensor,
    stream: MaskStream,
    keep_rate: float,
    forward: tuple[float, float],
    backward: tuple[float, float],
    num_axes: int,
) -> Tensor:
    """Each sample itself with probability `keep_rate`, else its product with factors uniform between bounds.

    The gradient of such a sample is multiplied by other factors.

    Args:
        x: of any shape.
        stream: of the draws.
        keep_rate: probability that a sample is unchanged, forward and backward.
        forward: bounds of the factors, the lower one first.
        backward: bounds of the gradient's factors.
        num_axes: number of leading axes, the samples' included, along which the factors differ.
    """
    x, draw = dense(x), stream.next_draw()
    sample_size, num_units = x[0].numel(), math.prod(x.shape[1:num_axes])
    stride = sample_size // num_units if x.is_contiguous() else 1  # of units, channels that lie last or elements
    units = [sample_size, stride, num_units]

    def shake(each: Tensor) -> Tensor:
        y: Tensor = operators.shake_samples(each, *draw, units, keep_rate, *forward, False)
        return y

    def shake_back(gradient: Tensor) -> Tensor:
        y: Tensor = operators.shake_samples(gradient, *draw, units, keep_rate, *backward, True)
        return y

    return _linear(x, shake, shake_back)


def masked_alike(x: Tensor, stream: MaskStream, drop_rate: Rate, *, is_inverted: bool = True) -> Tensor:
    """As `masked_elements` with one keep for each element of a sample, the same for all samples of the batch."""
    x, size = dense(x), x[0].numel()
    return _masked_rows(x, stream, [size, len(x), size, 0, 1, size, x.numel()], drop_rate, is_inverted)


def masked_grid(x: Tensor, stream: MaskStream, drop_rate: Rate, block_size: int) -> Tensor:
    """As `masked_elements` with one keep for each block of a fixed grid, over units (B, D) or maps (B, C, H, W)."""
    law = _KeepLaw.of(drop_rate, is_inverted=True)
    if law is None:
        return x
    x, draw, block = dense(x), stream.next_draw(), [block_size, block_size]
    return _linear(x, lambda each: operators.mask_maps(each, None, law.level, *draw, law.rate, block, True, law.scale))


def masked_blocks(x: Tensor, stream: MaskStream, drop_rate: Rate, block_size: int, *, is_realised: bool) -> Tensor:
    """The product x keep with the blocks of DropBlock dropped, divided by the fraction kept if `is_realised`.

    See `tasks.regularizers.parts.masking.block_mask`.
    """
    law = _BlockLaw.of(x, drop_rate, block_size)
    if law is None:
        return x
    x, draw, counts = dense(x), stream.next_draw(), None
    if is_realised:
        (counts,) = operators.measure_maps(
            x.detach(), None, law.level, *draw, law.rate, law.block, law.is_grid, False, False, 1, 1.0
        )
    return _linear(
        x,
        lambda each: operators.mask_maps(each, counts, law.level, *draw, law.rate, law.block, law.is_grid, scale=1.0),
    )


def distorted_blocks(
    x: Tensor,
    stream: MaskStream,
    drop_rate: Rate,
    block_size: int,
    *,
    step_size: float,
    layer: WeightLayer | None,
    is_official: bool,
    is_realised: bool,
) -> Tensor:
    """`masked_blocks`, with the noise of feature map distortion in place of what is dropped.

    Args:
        x: units (B, D) or maps (B, C, H, W).
        stream: of the draws.
        drop_rate: rate of the blocks.
        block_size: their side; 1 for single elements.
        step_size: size of the noise.
        layer: the next layer, whose largest weights give the sizes of the noise; None: 0.01 for all.
        is_official: the noise of the released code; else that of the paper, divided by the batch size, with one pattern
            for all samples and a sign for each.
        is_realised: divide by the fraction kept; else by the expected one, for blocks of one element only.
    """
    law = _BlockLaw.of(x, drop_rate, block_size)
    if law is None:
        return x
    x, draw = dense(x), stream.next_draw()
    weight = None if layer is None else layer.weight.detach()
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    has_one_tap = weight is not None and math.prod(weight.shape[2:]) == 1
    shrink = SHRINK_OF_1X1_KERNELS if is_official and has_one_tap else 1.0
    measures = operators.measure_maps(
        x.detach(), weight, law.level, *draw, law.rate, law.block, law.is_grid, True, not is_official, groups, shrink
    )
    counts, scale = (measures[0], 1.0) if is_realised else (None, law.scale)
    size = step_size if is_official else step_size / len(x)
    constant = SIZE_WITHOUT_NEXT_LAYER

    def distort(each: Tensor) -> Tensor:
        y: Tensor = operators.distort_maps(
            each, measures, law.level, *draw, law.rate, law.block, law.is_grid, is_realised, scale, size, constant,
            not is_official,
        )  # fmt: skip
        return y

    def mask(each: Tensor) -> Tensor:
        y: Tensor = operators.mask_maps(each, counts, law.level, *draw, law.rate, law.block, law.is_grid, scale)
        return y

    return _linear(x, distort, mask)


class _KeepLaw(NamedTuple):
    """How the kernels keep: at `rate`, or with `level` at 1 - rate level; and what they multiply by."""

    rate: float
    scale: float | None  # None: 1 / the rate at which they keep
    level: Tensor | None = None

    @classmethod
    def of(cls, drop_rate: Rate, is_inverted: bool) -> _KeepLaw | None:
        """None: everything is kept."""
        if isinstance(drop_rate, ScheduledRate):
            return cls(drop_rate.share, None if is_inverted else 1.0, drop_rate.level)
        return cls(1 - drop_rate, 1 / (1 - drop_rate) if is_inverted else 1.0) if drop_rate else None


class _BlockLaw(NamedTuple):
    """How the kernels draw blocks: the rate of seeds, or `_KeepLaw` where a block is one element."""

    rate: float  # with `level`: its factor, also of the rate of seeds, which is clipped at 1
    scale: float | None  # in place of the number of elements over that of the kept ones
    block: list[int]
    is_grid: bool
    level: Tensor | None

    @classmethod
    def of(cls, x: Tensor, drop_rate: Rate, block_size: int) -> _BlockLaw | None:
        """None: everything is kept."""
        height, width = x.shape[2:] if x.dim() == 4 else (1, x.shape[1])
        block = [min(block_size, height), min(block_size, width)]
        keep = _KeepLaw.of(drop_rate, is_inverted=True)
        if keep is None:
            return None
        if block == [1, 1]:
            return cls(keep.rate, keep.scale, block, True, keep.level)
        if isinstance(drop_rate, ScheduledRate):
            least = 1e-9  # the rate of seeds is proportional to the drop rate
            factor = drop_rate.share * seed_rate(least, block_size, height, width) / least
            return cls(factor, 1.0, block, False, keep.level)
        return cls(seed_rate(drop_rate, block_size, height, width), 1.0, block, False, None)


def _masked_rows(x: Tensor, stream: MaskStream, rows: list[int], drop_rate: Rate, is_inverted: bool) -> Tensor:
    law = _KeepLaw.of(drop_rate, is_inverted)
    if law is None:
        return x
    draw = stream.next_draw()
    return _linear(x, lambda each: operators.mask_rows(each, law.level, *draw, rows, law.rate, law.scale))


def _linear(x: Tensor, forward: Masking, backward: Masking | None = None) -> Tensor:
    """`forward(x)`; its gradient passes through `backward`, by default `forward`, a product with fixed factors."""
    y: Tensor = _Linear.apply(x, forward, backward or forward)
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: Masking, backward: Masking) -> Tensor:
        ctx.backward_of_x, ctx.strides = backward, x.stride()
        return forward(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.backward_of_x(with_strides(gradient, ctx.strides)), None, None
