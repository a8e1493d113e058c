"""The search problem of `tasks.attacks.grid` as tables, and the result of a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SUM, DIFFERENCE, ODDS = 0, 1, 2  # forms of a score as a function of three table entries, see `Problem`


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A grid as one table per axis: the score of a point is computed from three entries, without logarithms.

    A score increases with the loss. It is (t_1 + t_2) t_0 for the form SUM, max(t_1, t_2) - t_0 for DIFFERENCE, and
    max(t_1, t_2) / (t_0 + min(t_1, t_2)) for ODDS. numpy and compiled code round these operations in the same way (a
    fused multiply-add would differ), and rounding keeps the order along an axis.
    """

    form: int
    tables: Floats  # t_0, t_1, t_2, shape (3, num_points)
    outputs: Floats  # f_0 (of the true class), f_1, f_2, shape (3, num_points), ascending
    squares: Floats  # delta^2 from the middle of an axis outwards, (ceil(num_points / 2),)
    limit: float  # radius^2

    @property
    def num_points(self) -> int:
        """Points on each axis."""
        return len(self.outputs[0])


@dataclass(frozen=True)
class Found:
    """The result of a search: counts, the largest scores in any order, and whether labels flip there."""

    feasible: int
    flips: int
    scores: Floats
    flipped: NDArray[np.bool_]
