"""Projections onto the sets of allowed perturbed inputs; a point inside does not change, bit for bit.

With a box and a ball, points are first clipped to the box and then projected onto the ball. The result is always in the
ball, and in the box too if the centre of the ball is. For l_inf the order makes no difference then, and the result is
the nearest point of the intersection. For l_2 the order matters: ball before box gives another point.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

NormName = Literal["linf", "l2"]
Projection = Callable[[Tensor], Tensor]


def l2(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    """Nearest points in the l_2 balls around the centres.

    Formula:
        Pi(x') = x + (x' - x) min(1, nu / ||x' - x||_2).

    Args:
        points: x', shape (B, ...); the norm is over all dimensions but the first.
        centres: x, of the same shape.
        radius: nu >= 0.

    Returns:
        A tensor of the same shape.

    Source:
        Section 6.2, the set Delta(x); section 6.5.2.

    Example:
        >>> l2(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.zeros(2, 2), 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    moves = points - centres
    norms = torch.linalg.vector_norm(moves.flatten(1), dim=1).view(-1, *[1] * (points.dim() - 1))
    outside = norms > radius
    return torch.where(outside, centres + moves * (radius / torch.where(outside, norms, 1)), points)


def uniform_in_linf(centres: Tensor, radius: float, generator: torch.Generator | None = None) -> Tensor:
    """Uniform draws from the l_inf balls around the centres, shape (B, ...); without a generator, from the global one.

    Example:
        >>> draws = uniform_in_linf(torch.zeros(1000, 2), 0.5, torch.Generator().manual_seed(0))
        >>> bool((draws.abs() <= 0.5).all()), bool(draws.abs().max() > 0.49)
        (True, True)
    """
    return centres + radius * (2 * _uniform(centres, centres.shape, generator) - 1)


def uniform_in_l2(centres: Tensor, radius: float, generator: torch.Generator | None = None) -> Tensor:
    """Uniform draws from the l_2 balls around the centres: their lengths are nu u^(1/d), u uniform on [0, 1].

    Example:
        >>> draws = uniform_in_l2(torch.zeros(1000, 2), 0.5, torch.Generator().manual_seed(0))
        >>> bool((draws.norm(dim=1) <= 0.5).all()), bool(draws.norm(dim=1).mean() > 0.32)  # 2/3 of the radius
        (True, True)
    """
    flat = centres.flatten(1)
    moves = torch.randn(flat.shape, generator=generator, device=centres.device, dtype=centres.dtype)
    lengths = radius * _uniform(centres, (len(flat), 1), generator) ** (1 / flat.shape[1])
    moves *= lengths / torch.linalg.vector_norm(moves, dim=1, keepdim=True)
    return centres + moves.view_as(centres)


STARTS: dict[NormName, Callable[[Tensor, float, torch.Generator | None], Tensor]] = {
    "linf": uniform_in_linf,
    "l2": uniform_in_l2,
}


def projection(norm: NormName, centres: Tensor, radius: float, bounds: tuple[float, float] | None) -> Projection:
    """A projection onto the box, then the ball, for points around fixed centres; it may overwrite its argument.

    Formula:
        l_inf: Pi(x')_i = min(max(x'_i, x_i - nu), x_i + nu); l_2: see `l2`. Before it, x' is clipped to `bounds`.

    Source:
        Section 6.2, the set Delta(x); section 6.5.2. The box is not stated in the thesis: table 6-I is reproduced with
        [0, 1] for PGD-2, and without one otherwise.

    Example:
        >>> project = projection("linf", torch.tensor([[0.9, 0.5]]), 0.3, (0.0, 1.0))
        >>> project(torch.tensor([[2.0, -1.0]])), project(torch.tensor([[0.7, 0.6]]))
        (tensor([[1.0000, 0.2000]]), tensor([[0.7000, 0.6000]]))
    """
    into_ball = BALLS[norm](centres, radius)
    return into_ball if bounds is None else lambda points: into_ball(points.clamp_(*bounds))


def _linf_ball(centres: Tensor, radius: float) -> Projection:
    low, high = centres - radius, centres + radius
    return lambda points: points.clamp_(low, high)


def _l2_ball(centres: Tensor, radius: float) -> Projection:
    return partial(l2, centres=centres, radius=radius)


BALLS: dict[NormName, Callable[[Tensor, float], Projection]] = {"linf": _linf_ball, "l2": _l2_ball}


def _uniform(like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)
