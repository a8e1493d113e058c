"""Rounding errors: which differences are none."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-12  # relative to the values; smaller differences are rounding errors of floating-point numbers


def is_rounding(differences: np.ndarray, sizes: np.ndarray | float) -> np.ndarray:
    """Whether differences of numbers of these sizes are rounding errors.

    >>> is_rounding(np.array([0.3 - (0.1 + 0.2), 1e-9]), np.array([0.3, 0.3])).tolist()
    [True, False]
    """
    rounding: np.ndarray = np.abs(differences) <= ROUNDING * sizes
    return rounding
