"""Triton kernels of noise on weights whose variance is learned. Import this module only where Triton is installed.

A weight w has noise of variance alpha w^2 with log alpha = speed a - log(w^2 + floor), clipped to [-limit, limit]. Its
divergence from the prior is k1 - k1 sigmoid(k2 + k3 log alpha) + log(1 + 1 / alpha) / 2. Tensors are dense, and
elements are numbered in the order of memory.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tasks.regularizers.fused.kernels import MASK, _four_normals, _philox
from tasks.regularizers.fused.learned_kernels import _log_sigmoid, _sigmoid


@triton.jit
def _log_alpha(weight, scaled, speed, limit, floor):
    """Log alpha, and whether it is not clipped."""
    log_alpha = speed * scaled - tl.log(weight * weight + floor)
    return tl.minimum(tl.maximum(log_alpha, -limit), limit), tl.abs(log_alpha) <= limit


@triton.jit
def prepare_noise(
    x, squares, weight, scaled, variances, divergences, num_programs_of_x, size_of_x, size_of_weight, speed, limit,
    floor, k1, k2, k3, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write x^2, the variances of the weights, and for each program of weights the sum of their divergences."""
    program = tl.program_id(0).to(tl.int64)
    if program < num_programs_of_x:
        place = program * BLOCK + tl.arange(0, BLOCK)
        values = tl.load(x + place, mask=place < size_of_x, other=0.0).to(tl.float32)
        tl.store(squares + place, (values * values).to(squares.dtype.element_ty), mask=place < size_of_x)
    else:
        program -= num_programs_of_x
        place = program * BLOCK + tl.arange(0, BLOCK)
        exists = place < size_of_weight
        values = tl.load(weight + place, mask=exists, other=1.0).to(tl.float32)
        log_alpha, _ = _log_alpha(values, tl.load(scaled + place, mask=exists, other=0.0), speed, limit, floor)
        variance = tl.exp(log_alpha) * values * values
        tl.store(variances + place, variance.to(variances.dtype.element_ty), mask=exists)
        divergence = k1 - k1 * _sigmoid(k2 + k3 * log_alpha) - 0.5 * _log_sigmoid(log_alpha)
        tl.store(divergences + program, tl.sum(tl.where(exists, divergence, 0.0)))


@triton.jit(do_not_specialize=["seed", "call"])
def add_noise(mean, variance, y, seed, pass_number, call, size, floor, BLOCK: tl.constexpr):
    """Write y = mean + sqrt(variance + floor) normal."""
    program = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    normals = _four_normals(_philox(seed, tl.load(pass_number), call, MASK, program * BLOCK + lane))
    for group in tl.static_range(4):
        place = (program * 4 + group) * BLOCK + lane
        exists = place < size
        spread = tl.maximum(tl.load(variance + place, mask=exists, other=0.0).to(tl.float32), 0.0)
        values = tl.load(mean + place, mask=exists, other=0.0).to(tl.float32)
        noisy = values + tl.sqrt(spread + floor) * normals[group]
        tl.store(y + place, noisy.to(y.dtype.element_ty), mask=exists)


@triton.jit(do_not_specialize=["seed", "call"])
def add_noise_backward(
    gradient, variance, gradient_of_variance, seed, pass_number, call, size, floor, BLOCK: tl.constexpr
):
    """Write the gradient for the variance."""
    program = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    normals = _four_normals(_philox(seed, tl.load(pass_number), call, MASK, program * BLOCK + lane))
    for group in tl.static_range(4):
        place = (program * 4 + group) * BLOCK + lane
        exists = place < size
        spread = tl.maximum(tl.load(variance + place, mask=exists, other=0.0).to(tl.float32), 0.0)
        arriving = tl.load(gradient + place, mask=exists, other=0.0).to(tl.float32)
        slope = arriving * normals[group] * 0.5 / tl.sqrt(spread + floor)
        tl.store(gradient_of_variance + place, slope.to(gradient_of_variance.dtype.element_ty), mask=exists)


@triton.jit
def finish_weights(
    x, of_squares, of_x, weight, scaled, of_variances, of_weight, of_divergence, gradient_of_x, gradient_of_weight,
    gradient_of_scaled, num_programs_of_x, size_of_x, size_of_weight, speed, limit, floor, k1, k2, k3,
    HAS_NOISE: tl.constexpr, HAS_MEAN_OF_X: tl.constexpr, HAS_MEAN_OF_WEIGHT: tl.constexpr,
    HAS_DIVERGENCE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradients for x, the weight and a.

    With HAS_NOISE they have the part that comes through x^2 and the variances; `of_x` and `of_weight` are the parts
    that come through the mean; with HAS_DIVERGENCE there is that of the divergence.
    """
    program = tl.program_id(0).to(tl.int64)
    if program < num_programs_of_x:
        place = program * BLOCK + tl.arange(0, BLOCK)
        exists = place < size_of_x
        slopes = tl.zeros((BLOCK,), tl.float32)
        if HAS_NOISE:
            values = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
            slopes += 2 * values * tl.load(of_squares + place, mask=exists, other=0.0).to(tl.float32)
        if HAS_MEAN_OF_X:
            slopes += tl.load(of_x + place, mask=exists, other=0.0).to(tl.float32)
        tl.store(gradient_of_x + place, slopes.to(gradient_of_x.dtype.element_ty), mask=exists)
    else:
        place = (program - num_programs_of_x) * BLOCK + tl.arange(0, BLOCK)
        exists = place < size_of_weight
        values = tl.load(weight + place, mask=exists, other=1.0).to(tl.float32)
        own = tl.load(scaled + place, mask=exists, other=0.0)
        log_alpha, is_free = _log_alpha(values, own, speed, limit, floor)
        slopes = tl.zeros((BLOCK,), tl.float32)
        of_log_alpha = tl.zeros((BLOCK,), tl.float32)
        if HAS_NOISE:
            arriving = tl.load(of_variances + place, mask=exists, other=0.0).to(tl.float32)
            slopes += arriving * tl.exp(log_alpha) * 2 * values
            of_log_alpha += arriving * tl.exp(log_alpha) * values * values
        if HAS_MEAN_OF_WEIGHT:
            slopes += tl.load(of_weight + place, mask=exists, other=0.0).to(tl.float32)
        if HAS_DIVERGENCE:
            inside = k2 + k3 * log_alpha
            slope = -k1 * k3 * _sigmoid(inside) * _sigmoid(-inside) - 0.5 * _sigmoid(-log_alpha)
            of_log_alpha += tl.load(of_divergence).to(tl.float32) * slope
        of_log_alpha = tl.where(is_free, of_log_alpha, 0.0)
        slopes -= of_log_alpha * 2 * values / (values * values + floor)
        tl.store(gradient_of_weight + place, slopes.to(gradient_of_weight.dtype.element_ty), mask=exists)
        tl.store(gradient_of_scaled + place, of_log_alpha * speed, mask=exists)
