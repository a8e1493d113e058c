"""Products of norms over several layers by the fused kernels: two launches forward and one backward, for all layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.operators import launch, power

BLOCK = 256  # numbers of a row that a program reads at once
ROWS = 1024  # norms that the program which multiplies them reads at once
MAX_LAYERS = 128
MODULE = "norm_kernels"


class NormLaw(NamedTuple):
    """The product over layers of max_j ||W[j]||_p ||theta||_q scale, times a constant."""

    p: float  # 1, 2 or infinity
    q: float
    scales: tuple[float, ...]
    constant: float


def can_be_fused(weights: Sequence[Tensor], rates: Sequence[Tensor]) -> bool:
    """Whether the kernels take these: 32 bits, rows at one place in memory, and rates that need no gradient."""
    are_fused = all(map(is_fused, (*weights, *rates))) and 0 < len(weights) <= MAX_LAYERS
    return (
        are_fused
        and all(each.dtype == torch.float32 for each in (*weights, *rates))
        and all(_has_whole_rows(weight) for weight in weights)
        and all(each.is_contiguous() and not each.requires_grad for each in rates)
    )


def product_of_norms(weights: Sequence[Tensor], rates: Sequence[Tensor], largest_input: Tensor, law: NormLaw) -> Tensor:
    """The product of `law`, times `largest_input`, 0-dim; differentiable in the weights.

    Args:
        weights: (outputs, ...), see `can_be_fused`.
        rates: theta of each layer, of any shape.
        largest_input: 0-dim.
        law: see there.
    """
    value: Tensor = _ProductOfNorms.apply(law, largest_input, list(rates), *weights)
    return value


class _ProductOfNorms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, law: NormLaw, largest_input: Tensor, rates: list[Tensor], *weights: Tensor) -> Tensor:
        norms = measure_norms(list(weights), rates, law.p, law.q)
        value: Tensor
        value, largest, slopes = multiply_norms(
            norms, list(weights), rates, largest_input, list(law.scales), law.constant
        )
        ctx.law, ctx.rates = law, rates
        ctx.save_for_backward(norms, largest, slopes, *weights)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        norms, largest, slopes, *weights = ctx.saved_tensors
        flat: Tensor = slopes_of_norms(norms, largest, slopes, gradient, weights, ctx.rates, ctx.law.p)
        parts = torch.split(flat, [weight.numel() for weight in weights])
        gradients = [part.as_strided(each.shape, each.stride()) for part, each in zip(parts, weights, strict=True)]
        return None, None, None, *gradients


@torch.library.custom_op("regarena::measure_norms", mutates_args=())
def measure_norms(weights: list[Tensor], rates: list[Tensor], p: float, q: float) -> Tensor:
    """The p-norms of the rows of all weights, then the q-norms of all rates."""
    norms = _empty_norms(weights)
    launch(
        MODULE, "measure_norms", (len(norms),),
        _table(weights, rates), norms, len(norms) - len(weights), len(weights),
        P=_order(p), Q=_order(q), LAYERS=power(len(weights)), BLOCK=BLOCK,
    )  # fmt: skip
    return norms


@measure_norms.register_fake
def _(weights: list[Tensor], rates: list[Tensor], p: float, q: float) -> Tensor:
    return _empty_norms(weights)


@torch.library.custom_op("regarena::multiply_norms", mutates_args=())
def multiply_norms(
    norms: Tensor, weights: list[Tensor], rates: list[Tensor], largest_input: Tensor, scales: list[float],
    constant: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The product; for each layer the largest norm of a row, and the slope in it for each row that has it."""
    value, largest, slopes = outputs = _empty_products(norms, len(weights))
    launch(
        MODULE, "multiply_norms", (1,),
        _table(weights, rates), norms, _constants(tuple(scales), norms.device), largest_input, value, largest, slopes,
        len(norms) - len(weights), len(weights), constant, LAYERS=power(len(weights)), BLOCK=ROWS,
    )  # fmt: skip
    return outputs


@multiply_norms.register_fake
def _(
    norms: Tensor, weights: list[Tensor], rates: list[Tensor], largest_input: Tensor, scales: list[float],
    constant: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return _empty_products(norms, len(weights))


@torch.library.custom_op("regarena::slopes_of_norms", mutates_args=())
def slopes_of_norms(
    norms: Tensor, largest: Tensor, slopes: Tensor, gradient: Tensor, weights: list[Tensor], rates: list[Tensor],
    p: float,
) -> Tensor:  # fmt: skip
    """The gradients for all weights, one after another, each in the order of its weight in memory."""
    gradients = _empty_flat(norms, weights)
    launch(
        MODULE, "slopes_of_norms", (len(norms) - len(weights),),
        _table(weights, rates), norms, largest, slopes, gradient, gradients, len(weights),
        P=_order(p), LAYERS=power(len(weights)), BLOCK=BLOCK,
    )  # fmt: skip
    return gradients


@slopes_of_norms.register_fake
def _(
    norms: Tensor, largest: Tensor, slopes: Tensor, gradient: Tensor, weights: list[Tensor], rates: list[Tensor],
    p: float,
) -> Tensor:  # fmt: skip
    return _empty_flat(norms, weights)


def _table(weights: Sequence[Tensor], rates: Sequence[Tensor]) -> Tensor:
    """The table of the kernels; tensors that stay where they are have one, which is copied to the device once."""
    fields, first_row = [], 0
    for weight, each in zip(weights, rates, strict=True):
        outputs = len(weight)
        fields += [weight.data_ptr(), each.data_ptr(), first_row, weight.numel() // outputs, each.numel()]
        first_row += outputs
    return _constants(tuple(fields), weights[0].device)


@lru_cache(maxsize=64)
def _constants(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers on a device: integers of 64 bits, or floats of 32."""
    return torch.tensor(numbers, dtype=torch.int64 if isinstance(numbers[0], int) else torch.float32, device=device)


def _has_whole_rows(weight: Tensor) -> bool:
    is_dense = weight.is_contiguous() or (weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last))
    return is_dense and weight.stride(0) == weight.numel() // len(weight)


def _order(p: float) -> int:
    return 0 if p == math.inf else int(p)


def _empty_norms(weights: Sequence[Tensor]) -> Tensor:
    return weights[0].new_empty(sum(map(len, weights)) + len(weights))


def _empty_products(norms: Tensor, num_layers: int) -> tuple[Tensor, Tensor, Tensor]:
    return norms.new_empty(()), norms.new_empty(num_layers), norms.new_empty(num_layers)


def _empty_flat(norms: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return norms.new_empty(sum(weight.numel() for weight in weights))
