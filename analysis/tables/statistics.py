"""The tests behind the tables, on plain arrays: interval of a mean, paired comparison, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two means with its interval and the two-sided p of no difference; NaN for too few values."""

    mean: float
    low: float
    high: float
    p_value: float


def difference_of_means(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95
) -> Difference:
    """Mean of `first` less mean of `second`, values by seed.

    Paired over the seeds that both have, where these are two or more: runs of one seed share initial weights and the
    order of the data, so that part of their scatter cancels. Else Welch's test, which needs two values of each.

    >>> difference_of_means({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}).mean
    0.5
    """
    common = [seed for seed in first if seed in second]
    if len(common) >= 2:
        differences = [first[seed] - second[seed] for seed in common]
        low, high = mean_interval(differences, confidence)
        p_value = paired_p_value([first[seed] for seed in common], [second[seed] for seed in common])
        return Difference(mean=float(np.mean(differences)), low=low, high=high, p_value=p_value)
    one, other = (np.array(list(values.values()), dtype=float) for values in (first, second))
    mean = float(one.mean() - other.mean()) if len(one) and len(other) else math.nan
    if min(len(one), len(other)) < 2:
        return Difference(mean=mean, low=math.nan, high=math.nan, p_value=math.nan)
    if np.ptp(one) + np.ptp(other) <= _EQUAL * float(np.abs(np.concatenate([one, other])).max()):
        same = abs(mean) <= _EQUAL * float(np.abs(one).max())
        p_value = 1.0 if same else 2 / math.comb(len(one) + len(other), len(one))  # all that the ranks can say
        return Difference(mean=mean, low=mean, high=mean, p_value=p_value)
    test = stats.ttest_ind(one, other, equal_var=False)
    interval = test.confidence_interval(confidence)
    return Difference(mean=mean, low=float(interval.low), high=float(interval.high), p_value=float(test.pvalue))


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


def spans_decades(smallest: float, largest: float, decades: float = 2.0) -> bool:
    """Whether positive values spread so far that only a logarithmic axis shows them all.

    >>> spans_decades(1e-6, 0.1), spans_decades(0.9, 0.95), spans_decades(0.0, 1.0)
    (True, False, False)
    """
    return smallest > 0 and largest / smallest > 10**decades
