"""The values that a metric can take: what an interval may not leave, and what a seed without a value counts as."""

from __future__ import annotations

import math


def bounds_of(metric: str) -> tuple[float, float]:
    """Smallest and largest value of a metric: shares of right answers lie in [0, 1], of others nothing is known.

    >>> bounds_of("top5_accuracy"), bounds_of("excess_objective")
    ((0.0, 1.0), (-inf, inf))
    """
    return (0.0, 1.0) if metric.rpartition("_")[2] == "accuracy" else (-math.inf, math.inf)


def worst_value(metric: str, higher_is_better: bool) -> float:
    """What a seed that failed counts as: the worst value that its metric has, infinitely bad where there is none.

    It follows from the metric alone, so that no contestant's score depends on how the others did.

    >>> worst_value("accuracy", True), worst_value("excess_objective", False)
    (0.0, inf)
    """
    low, high = bounds_of(metric)
    return low if higher_is_better else high
