"""Exhaustive search over a grid of perturbations of three scores, which compares the losses of attacks.

The network is the identity on R^3, class 1 is the true class, and every point x + delta of a cubic grid with
||delta|| <= nu is a candidate. The points are ranked by the loss that an attack maximises; the result is the number of
points among the first k at which the label flips.

Not all points need be visited. Along the third axis the feasible points of a column (i, j) are an interval around its
middle. On it each loss increases, or first decreases and then increases, so that its maximum is at an end. A point
among the first k lies in one of the k columns with the largest maxima: only these are searched. With 800 points per
axis these are 640,000 columns instead of 487,799,080 points.

Source: Mianjy, PhD thesis (Johns Hopkins University), section 6.5.1 and figure 6-2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.attacks.grid_problem import DIFFERENCE, ODDS, SUM, Floats, Found, Problem
from tasks.attacks.loss import LOSS_NAMES, LossName
from tasks.runtime import compiled
from tasks.table import unknown_name_message
from tasks.theory.checks import require_count, require_nonnegative

Integers = NDArray[np.intp]

MOST_APART = 500.0  # largest difference of scores, whose exponentials must not overflow


@dataclass(frozen=True, kw_only=True)
class GridSearch:
    """The result of a search."""

    feasible: int  # number of grid points within the radius
    flips: int  # number of feasible points that are classified wrongly
    flips_in_top: dict[int, int]  # k -> number of flips among the k points with the largest losses
    losses: Floats  # the largest losses in descending order, as many as the largest k (or all points)


def grid_search(
    inputs: Sequence[float],
    box: float,
    radius: float,
    num_points: int,
    loss: LossName,
    top: Sequence[int] = (10, 100, 1000),
) -> GridSearch:
    """Count the label flips among the points of a grid that have the largest losses.

    Formula:
        {delta in G^3 : ||delta||_2 <= nu}, G = `num_points` equidistant points on [-b, b] with both ends; a point flips
        the label where max(x_2 + delta_2, x_3 + delta_3) > x_1 + delta_1.

    Args:
        inputs: x, three numbers; the first is the score of the true class.
        box: b > 0.
        radius: nu >= 0.
        num_points: on each axis, >= 2.
        loss: a name in `tasks.attacks.loss.LOSSES`.
        top: the numbers k >= 1 of points with the largest losses. The order of points with equal losses is arbitrary:
            for `margin` all of them flip or none does, and for the other losses such points are mirror images of each
            other, except for rounding.

    Returns:
        The counts. The thesis's grid is [3, 2, 1] with b = .51, nu = .7078, 800 points: 487,799,080 are feasible and
        172 flip; of the first 10, 100, 1000 by `margin` 10, 100, 172 flip, and none by the other three losses.

    Source:
        Section 6.5.1. It has the open interval (-.51, .51) and does not say where the 800 points are; without the ends
        112 points flip, at the centres of 800 cells 148. The ranking of the losses is the same.

    Raises:
        ValueError: if an argument lies outside the range above, or the loss is unknown.

    Example:
        >>> found = grid_search([3.0, 2.0, 1.0], box=0.51, radius=0.7078, num_points=800, loss="margin")
        >>> found.feasible, found.flips, found.flips_in_top
        (487799080, 172, {10: 10, 100: 100, 1000: 172})
    """
    problem, most = grid_problem(inputs, box, radius, num_points, loss), _largest(top)
    return _counted(
        _compiled().columns(problem, most) if compiled.is_available() else columns(problem, most), loss, top
    )


def exhaustive_grid_search(
    inputs: Sequence[float],
    box: float,
    radius: float,
    num_points: int,
    loss: LossName,
    top: Sequence[int] = (10, 100, 1000),
) -> GridSearch:
    """As `grid_search`, by visiting every point.

    Example:
        >>> grid = {"inputs": [1.2, 1.0, 0.0], "box": 0.5, "radius": 0.6, "num_points": 20, "top": (10,)}
        >>> found = exhaustive_grid_search(loss="cross_entropy", **grid)
        >>> found.feasible, found.flips, found.flips_in_top
        (5792, 1948, {10: 10})
        >>> grid_search(loss="cross_entropy", **grid).flips_in_top
        {10: 10}
    """
    problem, most = grid_problem(inputs, box, radius, num_points, loss), _largest(top)
    return _counted(
        _compiled().exhaust(problem, most) if compiled.is_available() else exhaust(problem, most), loss, top
    )


def columns(problem: Problem, num_top: int) -> Found:
    """Search by columns, in numpy."""
    n, (f0, f1, f2) = problem.num_points, problem.outputs
    half = np.abs(2 * np.arange(n) - (n - 1)) // 2  # distance from the middle, an index of `squares`
    reach = _reach(problem)
    high = (n // 2 - 1 + reach)[half[:, None], half]  # the last feasible index of each column
    low = n - 1 - high
    lengths = np.maximum(high - low + 1, 0)
    first_flip = np.searchsorted(f2, f0, side="right")[:, None]  # along a column, if the second class does not win
    flips = np.where(f1 > f0[:, None], lengths, np.maximum(high + 1 - np.maximum(low, first_flip), 0))
    rows, cols = np.ogrid[:n, :n]
    best = _score(problem, rows, cols, high)
    if problem.form == ODDS:
        best = np.maximum(best, _score(problem, rows, cols, low))
    best[lengths == 0] = -np.inf
    i, j = np.unravel_index(_largest_places(best.ravel(), num_top), best.shape)
    which, k = _ragged(low[i, j], lengths[i, j])
    i, j = i[which], j[which]
    scores = _score(problem, i, j, k)
    places = _largest_places(scores, num_top)
    flipped = np.maximum(f1[j[places]], f2[k[places]]) > f0[i[places]]
    return Found(int(lengths.sum()), int(flips.sum()), scores[places], flipped)


def exhaust(problem: Problem, num_top: int) -> Found:
    """Visit every point, one slab at a time, in numpy."""
    n, (f0, f1, f2) = problem.num_points, problem.outputs
    squares = problem.squares[np.abs(2 * np.arange(n) - (n - 1)) // 2]
    rows, cols = np.ogrid[:n, :n]
    flipping = np.maximum(f1[rows], f2[cols])
    feasible = flips = 0
    scores, flipped = np.empty(0), np.empty(0, np.bool_)
    for i in range(n):
        inside = (squares[i] + squares[rows]) + squares[cols] <= problem.limit
        flips_here = (flipping > f0[i])[inside]
        feasible, flips = feasible + int(inside.sum()), flips + int(flips_here.sum())
        scores = np.concatenate([scores, _score(problem, i, rows, cols)[inside]])
        flipped = np.concatenate([flipped, flips_here])
        places = _largest_places(scores, num_top)
        scores, flipped = scores[places], flipped[places]
    return Found(feasible, flips, scores, flipped)


def grid_problem(inputs: Sequence[float], box: float, radius: float, num_points: int, loss: LossName) -> Problem:
    """The tables of a grid; arguments as for `grid_search`."""
    point = np.asarray(inputs, np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise ValueError(f"inputs must be three finite numbers, got {inputs!r}.")
    require_nonnegative("box", box)
    require_nonnegative("radius", radius)
    require_count("num_points", num_points, at_least=2)
    if np.ptp(point) + 2 * box > MOST_APART:
        raise ValueError(
            f"Scores on the grid must differ by at most {MOST_APART:g}, since their exponentials are compared, "
            f"got inputs {inputs!r} and box {box:g}."
        )
    if box == 0:
        raise ValueError("box must be positive, got 0: all points of the grid would be equal.")
    if loss not in LOSS_NAMES:
        raise ValueError(unknown_name_message("loss", str(loss), list(LOSS_NAMES)))
    # As linspace, but exactly symmetric, which linspace is not: `squares` is used for both halves of an axis.
    deltas = box * (2 * np.arange(num_points) - (num_points - 1)) / (num_points - 1)
    outputs = point[:, None] + deltas
    form, tables = _tables(loss, outputs)
    squares = np.square(deltas[num_points // 2 :])
    return Problem(form=form, tables=tables, outputs=outputs, squares=squares, limit=radius**2)


def _tables(loss: LossName, outputs: Floats) -> tuple[int, Floats]:
    """Form and tables of a loss."""
    if loss == "margin":  # -log(1 + e^-score)
        return DIFFERENCE, outputs
    f0, f1, f2 = outputs - outputs.mean()  # losses do not change if a constant is added to all scores
    if loss == "cross_entropy":  # log(1 + score)
        return SUM, np.stack([np.exp(-f0), np.exp(f1), np.exp(f2)])
    if loss == "reflected":  # -log(1 - score)
        return SUM, np.stack([-np.exp(f0), np.exp(-f1), np.exp(-f2)])
    return ODDS, np.exp([f0, f1, f2])  # log_p: -log(1 + 1 / score)


def _loss(loss: LossName, scores: Floats) -> Floats:
    if loss == "cross_entropy":
        return np.log1p(scores)
    if loss == "reflected":
        return -np.log1p(-scores)
    if loss == "margin":
        return -np.logaddexp(0, -scores)
    return -np.log1p(1 / scores)


def _score(problem: Problem, i: Any, j: Any, k: Any) -> Floats:
    """Scores of points by their indices, which broadcast together."""
    right, second, third = (table[index] for table, index in zip(problem.tables, (i, j, k), strict=True))
    if problem.form == SUM:
        scores = (second + third) * right
    elif problem.form == DIFFERENCE:
        scores = np.maximum(second, third) - right
    else:
        scores = np.maximum(second, third) / (right + np.minimum(second, third))
    result: Floats = scores
    return result


def _reach(problem: Problem) -> Integers:
    """Number of feasible points of a column on one side of its middle, by the distances of i and j from the middle.

    The root gives the number up to rounding, which is corrected by testing the neighbouring points.
    """
    squares, most = problem.squares, len(problem.squares)
    sums = squares[:, None] + squares
    # Distances from the middle are 0, h, 2h, .. for an odd number of points, and h/2, 3h/2, .. for an even one.
    is_odd = problem.num_points % 2
    spacing = math.sqrt(squares[1]) if is_odd else 2 * math.sqrt(squares[0])
    roots = np.sqrt(np.maximum(problem.limit - sums, 0)) / spacing
    reach = np.minimum((roots + (1.0 if is_odd else 0.5)).astype(np.intp), most)
    more = (reach < most) & (sums + squares[np.minimum(reach, most - 1)] <= problem.limit)
    fewer = (reach > 0) & (sums + squares[np.maximum(reach - 1, 0)] > problem.limit)
    corrected: Integers = reach + more - fewer
    return corrected


def _largest_places(values: Floats, number: int) -> Integers:
    """Indices of the largest values, in any order; -inf, which marks infeasible points, is left out."""
    if number < len(values):
        places = np.argpartition(values, len(values) - number)[len(values) - number :]
        return places[values[places] > -np.inf]
    return np.flatnonzero(values > -np.inf)


def _ragged(starts: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Concatenated intervals of integers: for each element the index of its interval, and its value."""
    which = np.repeat(np.arange(len(starts)), lengths)
    within = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return which, starts[which] + within


def _largest(top: Sequence[int]) -> int:
    if not top:
        raise ValueError("top must name at least one number of points, got none.")
    for number in top:
        require_count("top", number)
    return max(top)


def _counted(found: Found, loss: LossName, top: Sequence[int]) -> GridSearch:
    order = np.argsort(-found.scores, kind="stable")
    flipped = np.cumsum(found.flipped[order])
    return GridSearch(
        feasible=found.feasible,
        flips=found.flips,
        flips_in_top={k: int(flipped[min(k, len(flipped)) - 1]) if len(flipped) else 0 for k in top},
        losses=_loss(loss, found.scores[order]),
    )


def _compiled() -> Any:
    from tasks.attacks import grid_compiled  # imports numba, which takes a while

    return grid_compiled
