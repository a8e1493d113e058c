"""The search of `tasks.attacks.grid` in tables: what every way of searching is given, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SUM, DIFFERENCE, ODDS = 0, 1, 2  # how a score comes from one table for each axis, see `Problem`


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A grid in tables of one axis each: scores of points are made of three numbers, without logarithms.

    A score increases with the loss. It is (t_1 + t_2) t_0 for the form SUM, max(t_1, t_2) - t_0 for DIFFERENCE, and
    max(t_1, t_2) / (t_0 + min(t_1, t_2)) for ODDS. All are made of operations that numpy and compiled code round alike,
    and rounding keeps the order along an axis; a fused multiply-add would not come out the same.
    """

    form: int
    tables: Floats  # t_0, t_1, t_2, shape (3, num_points)
    outputs: Floats  # f_0 (of the right class), f_1, f_2, shape (3, num_points), ascending
    squares: Floats  # delta^2 from the middle of an axis outwards, (ceil(num_points / 2),)
    limit: float  # radius^2

    @property
    def num_points(self) -> int:
        """On each axis."""
        return len(self.outputs[0])


@dataclass(frozen=True)
class Found:
    """What every way of searching finds; the largest scores and whether the labels flip there, in any order."""

    feasible: int
    flips: int
    scores: Floats
    flipped: NDArray[np.bool_]
