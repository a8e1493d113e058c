"""The tests behind the tables, on plain arrays: interval of a mean, paired comparison, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

Numbers = Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]

_EQUAL = 1e-12  # differences below this share of the values are rounding, not an effect


def mean_interval(values: Numbers, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean, `mean ± t_{n-1} s / sqrt(n)`; two NaN for fewer than two values.

    >>> [round(float(end), 4) for end in mean_interval([1.0, 2.0, 3.0])]
    [-0.4841, 4.4841]
    """
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def next_value_interval(values: Numbers, confidence: float = 0.95) -> tuple[float, float]:
    """Where one further run is expected: `mean ± t_{n-1} s sqrt(1 + 1/n)`; two NaN for fewer than two values.

    Wider than `mean_interval`: a single reported run scatters by itself, however well our own mean is known.
    """
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) * math.sqrt(1 + 1 / len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def paired_p_value(first: Numbers, second: Numbers) -> float:
    """Two-sided p of the paired t-test, `t = mean(d) sqrt(n) / s(d)` with `d = first - second`; NaN for n < 2.

    The t-test and not Wilcoxon's: with the usual 5 seeds the smallest p that Wilcoxon can give is 2 / 2^5 = 0.0625, so
    it could never call a difference significant. Pairs without any difference give 1. Accuracies on a small test set
    are coarse, so the same difference may come out for every seed; that gives what the signs alone can say, 2 / 2^n.

    >>> paired_p_value([0.5, 0.7, 0.9], [0.5, 0.7, 0.9])
    1.0
    """
    if len(first) < 2:
        return math.nan
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    largest = max(float(np.max(np.abs(first))), float(np.max(np.abs(second))))
    if float(np.max(np.abs(difference))) <= _EQUAL * largest:
        return 1.0
    if float(np.ptp(difference)) <= _EQUAL * largest:
        return smallest_paired_p(len(first))  # no spread to judge by: t is infinite, the signs are all there is
    return float(stats.ttest_rel(first, second).pvalue)


def smallest_paired_p(num_pairs: int) -> float:
    """The smallest two-sided p that a sign test or an exact Wilcoxon test on n pairs can reach: 2 / 2^n, at most 1.

    >>> smallest_paired_p(3), smallest_paired_p(0)
    (0.25, 1.0)
    """
    if num_pairs < 0:
        raise ValueError(f"The number of pairs must be >= 0, got {num_pairs}.")
    return min(1.0, 2.0 / 2.0**num_pairs)


def holm(p_values: Numbers) -> list[float]:
    """Holm's step-down correction of one family of p values; a NaN is no member of the family and stays NaN.

    >>> [round(p, 4) for p in holm([0.01, 0.04, float("nan"), 0.03])]
    [0.03, 0.06, nan, 0.06]
    """
    raw = np.asarray(p_values, dtype=float)
    corrected = np.full(len(raw), math.nan)
    present = ~np.isnan(raw)
    if present.any():
        corrected[present] = multipletests(raw[present], method="holm")[1]
    return [float(p) for p in corrected]
