"""The range of each metric: it bounds confidence intervals and gives the value of a failed seed."""

from __future__ import annotations

import math


def bounds_of(metric: str) -> tuple[float, float]:
    """Smallest and largest value of a metric: [0, 1] for accuracies, unbounded for all others.

    >>> bounds_of("top5_accuracy"), bounds_of("excess_objective")
    ((0.0, 1.0), (-inf, inf))
    """
    return (0.0, 1.0) if metric.rpartition("_")[2] == "accuracy" else (-math.inf, math.inf)


def worst_value(metric: str, higher_is_better: bool) -> float:
    """The value given to a failed seed: the worst value of the metric, plus or minus infinity if it is unbounded.

    It depends on the metric alone, so that no contestant's score depends on the scores of others.

    >>> worst_value("accuracy", True), worst_value("excess_objective", False)
    (0.0, inf)
    """
    low, high = bounds_of(metric)
    return low if higher_is_better else high
