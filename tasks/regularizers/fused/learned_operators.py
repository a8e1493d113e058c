"""The kernels of noise whose size is learned, as torch's operators: see `operators` and `learned_kernels`."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.regularizers.fused.operators import BLOCK, launch, power

TILE = 1024  # elements of one of the four groups of a program
SUMS = 64  # that a program adds at once
MODULE = "learned_kernels"


class Tiles(NamedTuple):
    """How a dense tensor is cut into tiles of units and positions."""

    num_units: int
    inner: int  # elements between two units
    num_positions: int  # of each unit
    units: int  # of a tile
    positions: int

    @classmethod
    def of(cls, x: Tensor, num_units: int) -> Tiles:
        """Units of the last axis, channels of maps, or all elements as one unit."""
        inner = math.prod(x.shape[2:]) if num_units > 1 and x.is_contiguous() else 1
        num_positions = x.numel() // num_units
        units = 1 if inner > 1 else min(power(num_units), 64)
        return cls(num_units, inner, num_positions, units, max(16, min(TILE // units, power(num_positions))))

    @property
    def grid(self) -> tuple[int, int]:
        """Numbers of programs."""
        return math.ceil(self.num_units / self.units), math.ceil(self.num_positions / (4 * self.positions))

    @property
    def arguments(self) -> tuple[int, ...]:
        """As the kernels take them."""
        return self.num_units, self.inner, self.num_positions

    @property
    def constants(self) -> dict[str, int]:
        """Likewise, at compile time."""
        return {"UNITS": self.units, "POSITIONS": self.positions}


@torch.library.custom_op("regarena::add_learned_noise", mutates_args=())
def add_learned_noise(
    x: Tensor, logits: Tensor, seed: int, pass_number: Tensor, call: int, speed: float, polynomial: list[float]
) -> tuple[Tensor, Tensor]:
    """The product x (1 + sqrt(alpha) normal), alpha = sigmoid(speed logits), and the divergence of all alpha."""
    y, divergence = torch.empty_like(x), x.new_empty((), dtype=torch.float32)
    tiles = Tiles.of(x, logits.numel())
    launch(
        MODULE, "scale_units", tiles.grid,
        x, y, logits, logits, divergence, seed, pass_number, call, *tiles.arguments, speed, 1.0, *polynomial, 0.0, 0.0,
        IS_RELAXED=False, HAS_NORM=False, **tiles.constants,
    )  # fmt: skip
    return y, divergence


@add_learned_noise.register_fake
def _(
    x: Tensor, logits: Tensor, seed: int, pass_number: Tensor, call: int, speed: float, polynomial: list[float]
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((), dtype=torch.float32)


@torch.library.custom_op("regarena::relax_mask", mutates_args=())
def relax_mask(
    x: Tensor, logit: Tensor, norm: Tensor | None, seed: int, pass_number: Tensor, call: int, temperature: float,
    entropy_factor: float, norm_factor: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The product of x and a relaxed mask, and the divergence of the mask; `norm` is that of the next weight."""
    y, divergence = torch.empty_like(x), x.new_empty((), dtype=torch.float32)
    tiles = Tiles.of(x, 1)
    launch(
        MODULE, "scale_units", tiles.grid,
        x, y, logit, logit if norm is None else norm, divergence, seed, pass_number, call, *tiles.arguments, 1.0,
        temperature, 0.0, 0.0, 0.0, entropy_factor, norm_factor,
        IS_RELAXED=True, HAS_NORM=norm is not None, **tiles.constants,
    )  # fmt: skip
    return y, divergence


@relax_mask.register_fake
def _(
    x: Tensor, logit: Tensor, norm: Tensor | None, seed: int, pass_number: Tensor, call: int, temperature: float,
    entropy_factor: float, norm_factor: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(x), x.new_empty((), dtype=torch.float32)


@torch.library.custom_op("regarena::scale_units_backward", mutates_args=())
def scale_units_backward(
    gradient: Tensor, x: Tensor, logits: Tensor, seed: int, pass_number: Tensor, call: int, speed: float,
    temperature: float, is_relaxed: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradient for x, and sums (programs, units) of what the learned logits get."""
    gradient_of_x, sums = _empty_gradients(x, logits)
    tiles = Tiles.of(x, logits.numel())
    launch(
        MODULE, "scale_units_backward", tiles.grid,
        gradient, x, gradient_of_x, sums, logits, seed, pass_number, call, *tiles.arguments, speed, temperature,
        IS_RELAXED=is_relaxed, **tiles.constants,
    )  # fmt: skip
    return gradient_of_x, sums


@scale_units_backward.register_fake
def _(
    gradient: Tensor, x: Tensor, logits: Tensor, seed: int, pass_number: Tensor, call: int, speed: float,
    temperature: float, is_relaxed: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return _empty_gradients(x, logits)


@torch.library.custom_op("regarena::finish_noise", mutates_args=())
def finish_noise(
    sums: Tensor | None, logits: Tensor, gradient_of_divergence: Tensor | None, speed: float, polynomial: list[float]
) -> Tensor:
    """The gradient for the logits of noise, from the sums and from the divergence."""
    gradient = torch.empty_like(logits)
    units = min(power(logits.numel()), SUMS)
    launch(
        MODULE, "finish_noise", (math.ceil(logits.numel() / units),),
        logits if sums is None else sums, logits,
        logits if gradient_of_divergence is None else gradient_of_divergence, gradient, logits.numel(),
        0 if sums is None else len(sums), speed, *polynomial,
        HAS_DIVERGENCE=gradient_of_divergence is not None, UNITS=units, SUMS=SUMS,
    )  # fmt: skip
    return gradient


@finish_noise.register_fake
def _(
    sums: Tensor | None, logits: Tensor, gradient_of_divergence: Tensor | None, speed: float, polynomial: list[float]
) -> Tensor:
    return torch.empty_like(logits)


@torch.library.custom_op("regarena::finish_mask", mutates_args=())
def finish_mask(
    sums: Tensor | None, logit: Tensor, norm: Tensor | None, weight: Tensor | None,
    gradient_of_divergence: Tensor | None, entropy_factor: float, norm_factor: float,
) -> list[Tensor]:  # fmt: skip
    """The gradient for the logit of a relaxed mask; with `weight` also that of the divergence for the weight."""
    gradients = _empty_of_mask(logit, weight)
    size = 0 if weight is None else weight.numel()
    launch(
        MODULE, "finish_mask", (1 + math.ceil(size / BLOCK),),
        logit if sums is None else sums, logit, logit if norm is None else norm,
        logit if weight is None else weight, logit if gradient_of_divergence is None else gradient_of_divergence,
        gradients[0], gradients[-1], 0 if sums is None else len(sums), size, entropy_factor, norm_factor,
        HAS_DIVERGENCE=gradient_of_divergence is not None, HAS_NORM=norm is not None, SUMS=BLOCK, BLOCK=BLOCK,
    )  # fmt: skip
    return gradients


@finish_mask.register_fake
def _(
    sums: Tensor | None, logit: Tensor, norm: Tensor | None, weight: Tensor | None,
    gradient_of_divergence: Tensor | None, entropy_factor: float, norm_factor: float,
) -> list[Tensor]:  # fmt: skip
    return _empty_of_mask(logit, weight)


def _empty_gradients(x: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    tiles = Tiles.of(x, logits.numel())
    return torch.empty_like(x), x.new_empty((tiles.grid[1], tiles.num_units), dtype=torch.float32)


def _empty_of_mask(logit: Tensor, weight: Tensor | None) -> list[Tensor]:
    return [torch.empty_like(logit), *([] if weight is None else [torch.empty_like(weight)])]
