"""Triton kernels of products of norms over several layers. Import this module only where Triton is installed.

Tensors of all layers are read in one launch, by their addresses: `table` has for each layer, in 64 bits, the address of
its weight and of its rates, the number of its first row among the rows of all layers, and the sizes of a row and of the
rates. A weight is dense with its outputs outermost, so that the row of an output lies at one place in memory. Orders
of norms are 1, 2 and 0, which stands for the largest magnitude.
"""

from __future__ import annotations

import triton
import triton.language as tl

FIELDS = tl.constexpr(5)  # of the table


@triton.jit
def _multiply(a, b):
    return a * b


@triton.jit
def _layer_of(table, row, num_layers, LAYERS: tl.constexpr):
    layer = tl.arange(0, LAYERS)
    first_rows = tl.load(table + layer * FIELDS + 2, mask=layer < num_layers, other=2**62)
    return tl.sum((first_rows <= row).to(tl.int32)) - 1


@triton.jit
def _norm_at(address, size, ORDER: tl.constexpr, BLOCK: tl.constexpr):
    values_at = address.to(tl.pointer_type(tl.float32))
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, size, BLOCK):
        place = start + tl.arange(0, BLOCK)
        magnitudes = tl.abs(tl.load(values_at + place, mask=place < size, other=0.0))
        if ORDER == 0:
            total = tl.maximum(total, magnitudes)
        elif ORDER == 1:
            total += magnitudes
        else:
            total += magnitudes * magnitudes
    if ORDER == 0:
        norm = tl.max(total)
    elif ORDER == 1:
        norm = tl.sum(total)
    else:
        norm = tl.sqrt(tl.sum(total))
    return norm


@triton.jit
def measure_norms(
    table, norms, num_rows, num_layers, P: tl.constexpr, Q: tl.constexpr, LAYERS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write the P-norms of all rows, then the Q-norms of the rates of all layers."""
    program = tl.program_id(0)
    if program < num_rows:
        entry = table + _layer_of(table, program, num_layers, LAYERS) * FIELDS
        size = tl.load(entry + 3)
        address = tl.load(entry) + (program - tl.load(entry + 2)) * size * 4
        tl.store(norms + program, _norm_at(address, size, P, BLOCK))
    else:
        entry = table + (program - num_rows) * FIELDS
        tl.store(norms + program, _norm_at(tl.load(entry + 1), tl.load(entry + 4), Q, BLOCK))


@triton.jit
def multiply_norms(
    table, norms, scales, largest_input, value, largest, slopes, num_rows, num_layers, constant, LAYERS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the product over layers of the largest row norm, the norm of the rates and a scale, times constants.

    For each layer also the largest row norm, and the slope: the derivative in it, shared by the rows that have it.
    """
    layer = tl.arange(0, LAYERS)
    tops = tl.zeros((LAYERS,), tl.float32)
    shares = tl.full((LAYERS,), 1.0, tl.float32)
    for each in range(num_layers):
        first = tl.load(table + each * FIELDS + 2)
        last = tl.cast(num_rows, tl.int64)
        if each + 1 < num_layers:
            last = tl.load(table + (each + 1) * FIELDS + 2)
        top = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, last - first, BLOCK):
            row = start + tl.arange(0, BLOCK)
            top = tl.maximum(top, tl.load(norms + first + row, mask=row < last - first, other=0.0))
        best = tl.max(top)
        ties = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, last - first, BLOCK):
            row = start + tl.arange(0, BLOCK)
            ties += (tl.load(norms + first + row, mask=row < last - first, other=-1.0) == best).to(tl.float32)
        tops = tl.where(layer == each, best, tops)
        shares = tl.where(layer == each, tl.sum(ties), shares)
    exists = layer < num_layers
    factors = tl.load(norms + num_rows + layer, mask=exists, other=1.0)
    factors *= tl.load(scales + layer, mask=exists, other=1.0)
    whole = tl.where(exists, tops * factors, 1.0)
    others = tl.where(layer[:, None] == layer[None, :], 1.0, whole[None, :])
    constant *= tl.load(largest_input).to(tl.float32)
    tl.store(value, constant * tl.reduce(whole, 0, _multiply))
    tl.store(largest + layer, tops, mask=exists)
    tl.store(slopes + layer, constant * factors * tl.reduce(others, 1, _multiply) / shares, mask=exists)


@triton.jit
def slopes_of_norms(
    table, norms, largest, slopes, gradient, gradients, num_layers, P: tl.constexpr, LAYERS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradients for all weights, one layer after another: 0 but for the rows with the largest norm."""
    row = tl.program_id(0)
    layer = _layer_of(table, row, num_layers, LAYERS)
    entry = table + layer * FIELDS
    size = tl.load(entry + 3)
    within = (row - tl.load(entry + 2)) * size
    values_at = (tl.load(entry) + within * 4).to(tl.pointer_type(tl.float32))
    offset = within
    for each in range(layer):
        before = table + each * FIELDS
        offset += (tl.load(before + FIELDS + 2) - tl.load(before + 2)) * tl.load(before + 3)
    norm = tl.load(norms + row)
    slope = tl.load(slopes + layer) * tl.load(gradient).to(tl.float32)
    slope = tl.where(norm == tl.load(largest + layer), slope, 0.0)
    if P == 0:
        ties = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, size, BLOCK):
            place = start + tl.arange(0, BLOCK)
            magnitudes = tl.abs(tl.load(values_at + place, mask=place < size, other=-1.0))
            ties += ((magnitudes == norm) & (place < size)).to(tl.float32)
        slope /= tl.sum(ties)
    for start in range(0, size, BLOCK):
        place = start + tl.arange(0, BLOCK)
        values = tl.load(values_at + place, mask=place < size, other=0.0)
        signs = tl.where(values > 0, 1.0, tl.where(values < 0, -1.0, 0.0))
        if P == 0:
            of_norm = tl.where(tl.abs(values) == norm, signs, 0.0)
        elif P == 1:
            of_norm = signs
        else:
            of_norm = tl.where(norm > 0, values / tl.maximum(norm, 1e-38), 0.0)
        tl.store(gradients + offset + place, slope * of_norm, mask=place < size)
