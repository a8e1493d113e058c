"""The kernels of noise on weights, as torch's operators: see `operators` and `weight_kernels`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tasks.regularizers.fused.operators import BLOCK, launch, power

MODULE = "weight_kernels"


@torch.library.custom_op("regarena::prepare_noise", mutates_args=())
def prepare_noise(
    x: Tensor, weight: Tensor, scaled: Tensor, dtype: torch.dtype, law: list[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """The squares of x and the variances of weights, both in `dtype`, and divergences (programs,) of the weights.

    `law` are the kernel's speed, limit, floor, k1, k2 and k3.
    """
    squares, variances, divergences = outputs = _empty_prepared(x, weight, dtype)
    programs_of_x = math.ceil(x.numel() / BLOCK)
    launch(
        MODULE, "prepare_noise", (programs_of_x + len(divergences),),
        x, squares, weight, scaled, variances, divergences, programs_of_x, x.numel(), weight.numel(), *law,
        BLOCK=BLOCK,
    )  # fmt: skip
    return outputs


@prepare_noise.register_fake
def _(x: Tensor, weight: Tensor, scaled: Tensor, dtype: torch.dtype, law: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_prepared(x, weight, dtype)


@torch.library.custom_op("regarena::add_noise", mutates_args=())
def add_noise(mean: Tensor, variance: Tensor, seed: int, pass_number: Tensor, call: int, floor: float) -> Tensor:
    """The sum mean + sqrt(variance + floor) normal."""
    y = torch.empty_like(mean)
    grid, block = _cut(mean)
    launch(MODULE, "add_noise", grid, mean, variance, y, seed, pass_number, call, mean.numel(), floor, BLOCK=block)
    return y


@add_noise.register_fake
def _(mean: Tensor, variance: Tensor, seed: int, pass_number: Tensor, call: int, floor: float) -> Tensor:
    return torch.empty_like(mean)


@torch.library.custom_op("regarena::add_noise_backward", mutates_args=())
def add_noise_backward(
    gradient: Tensor, variance: Tensor, seed: int, pass_number: Tensor, call: int, floor: float
) -> Tensor:
    """The gradient for the variance."""
    of_variance = torch.empty_like(variance)
    grid, block = _cut(variance)
    size = variance.numel()
    launch(
        MODULE,
        "add_noise_backward",
        grid,
        gradient,
        variance,
        of_variance,
        seed,
        pass_number,
        call,
        size,
        floor,
        BLOCK=block,
    )
    return of_variance


@add_noise_backward.register_fake
def _(gradient: Tensor, variance: Tensor, seed: int, pass_number: Tensor, call: int, floor: float) -> Tensor:
    return torch.empty_like(variance)


@torch.library.custom_op("regarena::finish_weights", mutates_args=())
def finish_weights(
    x: Tensor, of_squares: Tensor | None, of_x: Tensor | None, weight: Tensor, scaled: Tensor,
    of_variances: Tensor | None, of_weight: Tensor | None, of_divergences: Tensor | None, needs_x: bool,
    law: list[float],
) -> list[Tensor]:  # fmt: skip
    """The gradients for the weight and its scaled log variance, and with `needs_x` that for x: see the kernel."""
    of_all = _empty_finished(x, weight, scaled, needs_x)
    size_of_x = x.numel() if needs_x else 0
    programs_of_x = math.ceil(size_of_x / BLOCK)
    launch(
        MODULE, "finish_weights", (programs_of_x + math.ceil(weight.numel() / BLOCK),),
        x, x if of_squares is None else of_squares, x if of_x is None else of_x, weight, scaled,
        weight if of_variances is None else of_variances, weight if of_weight is None else of_weight,
        weight if of_divergences is None else of_divergences, of_all[-1], *of_all[:2],
        programs_of_x, size_of_x, weight.numel(), *law,
        HAS_NOISE=of_variances is not None, HAS_MEAN_OF_X=of_x is not None, HAS_MEAN_OF_WEIGHT=of_weight is not None,
        HAS_DIVERGENCE=of_divergences is not None, BLOCK=BLOCK,
    )  # fmt: skip
    return of_all


@finish_weights.register_fake
def _(
    x: Tensor, of_squares: Tensor | None, of_x: Tensor | None, weight: Tensor, scaled: Tensor,
    of_variances: Tensor | None, of_weight: Tensor | None, of_divergences: Tensor | None, needs_x: bool,
    law: list[float],
) -> list[Tensor]:  # fmt: skip
    return _empty_finished(x, weight, scaled, needs_x)


def _empty_prepared(x: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    divergences = x.new_empty(math.ceil(weight.numel() / BLOCK), dtype=torch.float32)
    return torch.empty_like(x, dtype=dtype), torch.empty_like(weight, dtype=dtype), divergences


def _empty_finished(x: Tensor, weight: Tensor, scaled: Tensor, needs_x: bool) -> list[Tensor]:
    return [torch.empty_like(weight), torch.empty_like(scaled), *([torch.empty_like(x)] if needs_x else [])]


def _cut(x: Tensor) -> tuple[tuple[int], int]:
    """The grid, and the elements of one of the four groups of a program."""
    block = min(BLOCK, max(16, power(math.ceil(x.numel() / 4))))
    return (math.ceil(x.numel() / (4 * block)),), block
