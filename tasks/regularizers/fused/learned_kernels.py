"""Triton kernels of noise whose size is learned. Import this module only where Triton is installed.

Two laws of a factor f at each element, both differentiable in a learned logit a: Gaussian noise f = 1 + sqrt(alpha) n,
alpha = sigmoid(speed a), one a for each unit; and the relaxed mask f = (1 - z) / (1 - d) with drop rate d = sigmoid(a)
and z = sigmoid((a + logit(u)) / temperature), one a for all. Units lie `inner` elements apart, as channels of maps or
as the last axis. A program has a tile of units and positions; its draws are those of `kernels`, with the number of the
tile's lane as index. The kernels of both directions have the same tiles, so that they draw the same numbers.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tasks.regularizers.fused.kernels import MASK, _four_normals, _philox

LEAST_EXPONENT = tl.constexpr(-80.0)  # exp(80) is finite in 32 bits
LEAST_UNIFORM = tl.constexpr(1e-7)  # of both ends of [0, 1], where the logit is infinite


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-tl.maximum(x, LEAST_EXPONENT)))


@triton.jit
def _log_sigmoid(x):
    return tl.minimum(x, 0.0) - tl.log(1 + tl.exp(-tl.abs(x)))


@triton.jit
def _relaxed(word, logit, temperature):
    """The factor of the relaxed mask, and its derivative in the logit."""
    uniform = tl.minimum(tl.maximum(tl.uint_to_uniform_float(word), LEAST_UNIFORM), 1 - LEAST_UNIFORM)
    exponent = (logit + tl.log(uniform / (1 - uniform))) / temperature
    factor = _sigmoid(-exponent) * (1 + tl.exp(logit))
    return factor, factor * (_sigmoid(logit) - _sigmoid(exponent) / temperature)


@triton.jit
def _factors(words, own, temperature, IS_RELAXED: tl.constexpr):
    """Four factors, and their derivatives in `own`: the logit of a relaxed mask, or the deviation of the noise."""
    if IS_RELAXED:
        f0, s0 = _relaxed(words[0], own, temperature)
        f1, s1 = _relaxed(words[1], own, temperature)
        f2, s2 = _relaxed(words[2], own, temperature)
        f3, s3 = _relaxed(words[3], own, temperature)
    else:
        s0, s1, s2, s3 = _four_normals(words)
        f0 = 1 + own * s0
        f1 = 1 + own * s1
        f2 = 1 + own * s2
        f3 = 1 + own * s3
    return (f0, f1, f2, f3), (s0, s1, s2, s3)


@triton.jit
def _own(logits, unit, num_units, speed, IS_RELAXED: tl.constexpr):
    """For each unit of a tile: the logit of a relaxed mask, or the deviation of the noise."""
    own = tl.load(logits + unit, mask=unit < num_units, other=0.0).to(tl.float32)
    if not IS_RELAXED:
        own = tl.sqrt(_sigmoid(speed * own))
    return own


@triton.jit
def _place(position, unit, num_units, inner):
    """Where the elements (units, positions) lie in memory."""
    within = (position // inner * num_units * inner + position % inner)[None, :]
    return within + (unit * inner)[:, None]


@triton.jit(do_not_specialize=["seed", "call"])
def scale_units(
    x, y, logits, norm, divergence, seed, pass_number, call, num_units, inner, num_positions, speed, temperature, c1,
    c2, c3, entropy_factor, norm_factor, IS_RELAXED: tl.constexpr, HAS_NORM: tl.constexpr, UNITS: tl.constexpr,
    POSITIONS: tl.constexpr,
):  # fmt: skip
    """Write y = x f, and the divergence of the law from its prior.

    The divergence of the noise is the sum of - log(alpha) / 2 - c1 alpha - c2 alpha^2 - c3 alpha^3. That of the mask is
    entropy_factor (d log d + (1 - d) log(1 - d)), and with HAS_NORM also norm_factor norm^2 / (1 - d).
    """
    first, chunk = tl.program_id(0).to(tl.int64) * UNITS, tl.program_id(1).to(tl.int64)
    unit, lane = first + tl.arange(0, UNITS), tl.arange(0, POSITIONS)
    own = _own(logits, unit, num_units, speed, IS_RELAXED)
    index = (unit * tl.num_programs(1) + chunk)[:, None] * POSITIONS + lane[None, :]
    words = _philox(seed, tl.load(pass_number), call, MASK, index)
    factors, _ = _factors(words, own[:, None], temperature, IS_RELAXED)
    for group in tl.static_range(4):
        position = (chunk * 4 + group) * POSITIONS + lane
        exists = (unit < num_units)[:, None] & (position < num_positions)[None, :]
        place = _place(position, unit, num_units, inner)
        values = tl.load(x + place, mask=exists, other=0.0)
        tl.store(y + place, (values.to(tl.float32) * factors[group]).to(y.dtype.element_ty), mask=exists)
    if (first == 0) & (chunk == 0):
        if IS_RELAXED:
            logit = tl.load(logits).to(tl.float32)
            drop, keep = _sigmoid(logit), _sigmoid(-logit)
            total = entropy_factor * (drop * _log_sigmoid(logit) + keep * _log_sigmoid(-logit))
            if HAS_NORM:
                length = tl.load(norm).to(tl.float32)
                total += norm_factor * length * length * (1 + tl.exp(logit))
        else:
            total = tl.zeros((), tl.float32)
            for start in range(0, num_units, UNITS):
                which = start + tl.arange(0, UNITS)
                logit = speed * tl.load(logits + which, mask=which < num_units, other=0.0).to(tl.float32)
                alpha = _sigmoid(logit)
                terms = 0.5 * _log_sigmoid(logit) + alpha * (c1 + alpha * (c2 + alpha * c3))
                total -= tl.sum(tl.where(which < num_units, terms, 0.0))
        tl.store(divergence, total)


@triton.jit(do_not_specialize=["seed", "call"])
def scale_units_backward(
    gradient, x, gradient_of_x, sums, logits, seed, pass_number, call, num_units, inner, num_positions, speed,
    temperature, IS_RELAXED: tl.constexpr, UNITS: tl.constexpr, POSITIONS: tl.constexpr,
):  # fmt: skip
    """Write gradient f, and for each unit and program the sum of gradient x times the derivative of f."""
    first, chunk = tl.program_id(0).to(tl.int64) * UNITS, tl.program_id(1).to(tl.int64)
    unit, lane = first + tl.arange(0, UNITS), tl.arange(0, POSITIONS)
    own = _own(logits, unit, num_units, speed, IS_RELAXED)
    index = (unit * tl.num_programs(1) + chunk)[:, None] * POSITIONS + lane[None, :]
    words = _philox(seed, tl.load(pass_number), call, MASK, index)
    factors, slopes = _factors(words, own[:, None], temperature, IS_RELAXED)
    total = tl.zeros((UNITS,), tl.float32)
    for group in tl.static_range(4):
        position = (chunk * 4 + group) * POSITIONS + lane
        exists = (unit < num_units)[:, None] & (position < num_positions)[None, :]
        place = _place(position, unit, num_units, inner)
        values = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
        arriving = tl.load(gradient + place, mask=exists, other=0.0).to(tl.float32)
        tl.store(gradient_of_x + place, (arriving * factors[group]).to(gradient_of_x.dtype.element_ty), mask=exists)
        total += tl.sum(arriving * values * slopes[group], axis=1)
    tl.store(sums + chunk * num_units + unit, total, mask=unit < num_units)


@triton.jit
def _sum_of(sums, unit, num_units, num_sums, UNITS: tl.constexpr, SUMS: tl.constexpr):
    """For each unit the sum over programs, always in the same order."""
    total = tl.zeros((UNITS,), tl.float32)
    for start in range(0, num_sums, SUMS):
        number = start + tl.arange(0, SUMS)
        exists = (number < num_sums)[None, :] & (unit < num_units)[:, None]
        part = tl.load(sums + number[None, :] * num_units + unit[:, None], mask=exists, other=0.0)
        total += tl.sum(part, axis=1)
    return total


@triton.jit
def finish_noise(
    sums, logits, gradient_of_divergence, gradient_of_logits, num_units, num_sums, speed, c1, c2, c3,
    HAS_DIVERGENCE: tl.constexpr, UNITS: tl.constexpr, SUMS: tl.constexpr,
):  # fmt: skip
    """Write the gradient for the learned a of each unit: that of y by its sums, and that of the divergence."""
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    alpha = _sigmoid(speed * tl.load(logits + unit, mask=unit < num_units, other=0.0).to(tl.float32))
    of_deviation = _sum_of(sums, unit, num_units, num_sums, UNITS, SUMS)
    slope = of_deviation * 0.5 * tl.sqrt(alpha) * (1 - alpha)
    if HAS_DIVERGENCE:
        of_alpha = 0.5 + alpha * (c1 + alpha * (2 * c2 + alpha * 3 * c3))
        slope -= tl.load(gradient_of_divergence).to(tl.float32) * (1 - alpha) * of_alpha
    tl.store(gradient_of_logits + unit, slope * speed, mask=unit < num_units)


@triton.jit
def finish_mask(
    sums, logit, norm, weight, gradient_of_divergence, gradient_of_logit, gradient_of_weight, num_sums, size,
    entropy_factor, norm_factor, HAS_DIVERGENCE: tl.constexpr, HAS_NORM: tl.constexpr, SUMS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradient for the logit of the drop rate, and with HAS_NORM that of the divergence for the weight."""
    program = tl.program_id(0).to(tl.int64)
    at = tl.load(logit).to(tl.float32)
    scale = tl.zeros((), tl.float32)
    if HAS_DIVERGENCE:
        scale = tl.load(gradient_of_divergence).to(tl.float32)
    if program == 0:
        slope = tl.sum(_sum_of(sums, tl.arange(0, 1), 1, num_sums, 1, SUMS))
        slope += scale * entropy_factor * _sigmoid(at) * _sigmoid(-at) * at
        if HAS_NORM:
            length = tl.load(norm).to(tl.float32)
            slope += scale * norm_factor * length * length * tl.exp(at)
        tl.store(gradient_of_logit, slope)
    else:
        if HAS_NORM:
            place = (program - 1) * BLOCK + tl.arange(0, BLOCK)
            values = tl.load(weight + place, mask=place < size, other=0.0).to(tl.float32)
            slopes = values * (scale * norm_factor * 2 * (1 + tl.exp(at)))
            tl.store(gradient_of_weight + place, slopes.to(gradient_of_weight.dtype.element_ty), mask=place < size)
