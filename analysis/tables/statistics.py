"""The intervals and tests behind the tables, on plain arrays: t intervals, paired tests, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.rows.rounding import ROUNDING

Numbers = Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]

LEVEL = 0.05  # of the tests whose result is told in words
# Lower bound of the standard deviation of paired differences, relative to their mean. Accuracies on a small test set
# take few distinct values, so a tiny standard deviation over a few seeds is chance ("fudge factor" of Tusher et al.
# 2001).
SMALLEST_SPREAD = 0.05
UNBOUNDED = (-math.inf, math.inf)
_FEWEST_JUDGED = 5  # values, for `range_without_outliers`


def mean_interval(
    values: Numbers, confidence: float = 0.95, bounds: tuple[float, float] = UNBOUNDED
) -> tuple[float, float]:
    """Confidence interval of the mean by Student's t, `m ± t_{n-1} s / sqrt(n)`, as (low, high).

    If it exceeds the bounds [a, b] of the metric, the interval is computed for the logit of `q = (m - a) / (b - a)` by
    the delta method, `logit(q) ± t_{n-1} s / (sqrt(n) (b - a) q (1 - q))`, and transformed back (the logit interval of
    a proportion, Newcombe 2001, with s^2 / n as its variance). This interval contains m and lies within the bounds.
    Both ends are NaN for fewer than two values or for values that are not finite.

    >>> [round(float(end), 4) for end in mean_interval([1.0, 2.0, 3.0])]
    [-0.4841, 4.4841]
    >>> [round(float(end), 4) for end in mean_interval([0.9, 0.99, 1.0], bounds=(0.0, 1.0))]
    [0.3532, 0.9992]
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    mean = float(np.mean(values))
    half = _quantile((1 + confidence) / 2, len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _interval_within(bounds, mean, half)


def _interval_within(bounds: tuple[float, float], mean: float, half: float) -> tuple[float, float]:
    """The interval `mean ± half`, or the logit interval of `mean_interval` if that exceeds the bounds."""
    low, high = bounds
    if low <= mean - half and mean + half <= high:
        return mean - half, mean + half
    share = (mean - low) / (high - low)
    if not 0 < share < 1:
        return mean, mean  # all values are equal to one bound
    slope = half / ((high - low) * share * (1 - share))
    ends = special.expit(special.logit(share) + np.array([-slope, slope]))
    return float(low + (high - low) * ends[0]), float(low + (high - low) * ends[1])


def next_value_interval(values: Numbers, confidence: float = 0.95, other_std: float = math.nan) -> tuple[float, float]:
    """Prediction interval of one further run, `mean ± t_{n-1} s sqrt(1 + 1/n)`; (NaN, NaN) for fewer than two values.

    It is wider than `mean_interval`, because a single run varies however well the mean is known. If the standard
    deviation u of the further run is known (`other_std`), it takes the place of s: `mean ± t_{n-1} sqrt(u^2 + s^2 / n)`
    with n - 1 degrees of freedom, which is conservative.
    """
    if len(values) < 2:
        return math.nan, math.nan
    spread = float(np.std(values, ddof=1))
    variance = (spread if math.isnan(other_std) else other_std) ** 2 + spread**2 / len(values)
    half = _quantile((1 + confidence) / 2, len(values) - 1) * math.sqrt(variance)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def paired_p_value(first: Numbers, second: Numbers) -> float:
    """Two-sided p of the paired t-test, `t = mean(d) sqrt(n) / s` with `d = first - second`; NaN for n < 2.

    It is not Wilcoxon's test, because with the usual 5 seeds the smallest p of that test is 2 / 2^5 = 0.0625, so no
    difference could be significant at 5 %. `s` is the standard deviation of d, but at least `SMALLEST_SPREAD` times
    |mean(d)|, because on a coarse metric differences can agree by chance; the smallest p is therefore `smallest_t_p`.
    If all differences are zero, p is 1. If a value is infinite (a failed seed of an unbounded metric), only signs can
    be compared: p is that of the sign test, `2 P(B(n, 1/2) <= k)`, at most 1, with n pairs that differ and k of the
    rarer sign.

    >>> paired_p_value([0.5, 0.7, 0.9], [0.5, 0.7, 0.9])
    1.0
    """
    if len(first) < 2:
        return math.nan
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        above, below = int((one > other).sum()), int((one < other).sum())
        return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
    difference = one - other
    if _are_equal(one, other):
        return 1.0
    return 2 * _tail(abs(float(np.mean(difference))) / _standard_error(difference), len(difference) - 1)


def equivalence_p_value(first: Numbers, second: Numbers, margin: float) -> float:
    """The p of the equivalence test of two paired samples by two one-sided t-tests (TOST, Schuirmann 1987).

    `max(P(T >= (m + margin) sqrt(n) / s), P(T <= (m - margin) sqrt(n) / s))` with n - 1 degrees of freedom, m the mean
    of the differences and s their standard deviation, at least `SMALLEST_SPREAD` times |m|. A p below the level shows
    that the mean difference is within ± margin. NaN for n < 2 or an infinite value.

    >>> equivalence_p_value([0.5, 0.51, 0.49], [0.5, 0.5, 0.5], margin=0.1) < 0.05
    True
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if len(difference) < 2 or not np.isfinite(difference).all():
        return math.nan
    error = _standard_error(difference)
    mean = float(np.mean(difference))
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    freedom = len(difference) - 1
    return max(_tail((mean + margin) / error, freedom), _tail((margin - mean) / error, freedom))


def smallest_t_p(num_pairs: int) -> float:
    """The smallest p of `paired_p_value` with n pairs, at the largest t, `sqrt(n) / SMALLEST_SPREAD`; 1 for n < 2.

    >>> round(smallest_t_p(2), 4)
    0.0225
    """
    return 2 * _tail(math.sqrt(num_pairs) / SMALLEST_SPREAD, num_pairs - 1) if num_pairs > 1 else 1.0


def _tail(t: float, freedom: float) -> float:
    """P(T > t) of Student's t distribution, as `scipy.stats.t.sf`, but many times faster."""
    return float(special.stdtr(freedom, -t))


def _quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution, as `scipy.stats.t.ppf`."""
    return float(special.stdtrit(freedom, probability))


def _standard_error(difference: np.ndarray) -> float:
    """The standard error of the mean of paired differences; their standard deviation is at least `SMALLEST_SPREAD`."""
    spread = max(float(np.std(difference, ddof=1)), SMALLEST_SPREAD * abs(float(np.mean(difference))))
    return spread / math.sqrt(len(difference))


def _are_equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all pairs are equal but for rounding errors."""
    return float(np.max(np.abs(one - other))) <= ROUNDING * float(max(np.max(np.abs(one)), np.max(np.abs(other))))


def smallest_paired_p(num_pairs: int) -> float:
    """The smallest two-sided p of a sign test or an exact Wilcoxon signed-rank test with n pairs: 2 / 2^n, at most 1.

    >>> smallest_paired_p(3), smallest_paired_p(0)
    (0.25, 1.0)
    """
    if num_pairs < 0:
        raise ValueError(f"The number of pairs must be >= 0, got {num_pairs}.")
    return min(1.0, 2.0 / 2.0**num_pairs)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two means, its confidence interval, and the two-sided p; NaN with too few values.

    The interval agrees with the test: a 95 % interval contains 0 if and only if p is above 5 %.
    """

    mean: float
    low: float
    high: float
    p_value: float
    error: float = math.nan  # standard error of the mean
    freedom: float = math.nan  # degrees of freedom

    def p_value_at(self, value: float) -> float:
        """Two-sided p of the hypothesis that the true difference is `value`; 5 % at the ends of a 95 % interval.

        >>> paired = difference_of_means({0: 1.0, 1: 2.0, 2: 4.0}, {0: 0.5, 1: 0.5, 2: 0.5})
        >>> welch = difference_of_means({0: 1.0, 1: 2.0}, {2: 0.5, 3: 0.7, 4: 0.1})
        >>> [round(each.p_value_at(end), 6) for each in (paired, welch) for end in (each.low, each.high)]
        [0.05, 0.05, 0.05, 0.05]
        """
        if math.isnan(self.error):
            return math.nan
        distance = abs(self.mean - value)
        if self.error == 0:
            return 1.0 if distance == 0 else 0.0
        return 2 * _tail(distance / self.error, self.freedom)

    def within(self, low: float, high: float) -> Difference:
        """The same with an interval within the bounds of the difference, by the logit if it exceeds them.

        >>> nearly_all = difference_of_means({0: 0.9, 1: 0.97, 2: 0.99}, {0: 0.0, 1: 0.0, 2: 0.0})
        >>> nearly_all.high > 1, nearly_all.within(-1, 1).high < 1
        (True, True)
        """
        if math.isnan(self.low):
            return self
        ends = _interval_within((low, high), self.mean, self.high - self.mean)
        return replace(self, low=ends[0], high=ends[1])


_NO_DIFFERENCE = Difference(mean=0.0, low=0.0, high=0.0, p_value=1.0, error=0.0)


def difference_of_means(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95
) -> Difference:
    """The mean of `first` less the mean of `second`, both mappings from seeds to values.

    Paired over the common seeds if there are two or more: runs of one seed share initial weights and the order of the
    data, so that part of their variance cancels. Otherwise by Welch's test, which needs two values on each side:
    `t = (m1 - m2) / sqrt(e1 + e2)`, `e = s^2 / n`, with Satterthwaite's `(e1 + e2)^2 / sum(e^2 / (n - 1))` degrees of
    freedom. Each standard deviation s, of the differences or of each side, is at least `SMALLEST_SPREAD` times
    |m1 - m2|, in the interval as in the test. Values that are equal but for rounding errors have the difference 0.

    >>> difference_of_means({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}).mean
    0.5
    """
    common = [seed for seed in first if seed in second]
    if len(common) >= 2:
        one, other = (np.array([values[seed] for seed in common], dtype=float) for values in (first, second))
        p_value = paired_p_value(one, other)
        if not (np.isfinite(one).all() and np.isfinite(other).all()):
            mean = float(np.mean([first[seed] - second[seed] for seed in common]))
            return Difference(mean=mean, low=math.nan, high=math.nan, p_value=p_value)
        if _are_equal(one, other):
            return _NO_DIFFERENCE
        return _difference(float(np.mean(one - other)), _standard_error(one - other), len(common) - 1, confidence)
    one, other = (np.array(list(values.values()), dtype=float) for values in (first, second))
    mean = float(one.mean() - other.mean()) if len(one) and len(other) else math.nan
    if min(len(one), len(other)) < 2:
        return Difference(mean=mean, low=math.nan, high=math.nan, p_value=math.nan)
    pooled = float(np.concatenate([one, other]).std())
    if pooled <= ROUNDING * float(np.abs(np.concatenate([one, other])).max()):
        return _NO_DIFFERENCE
    errors = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    smallest = (SMALLEST_SPREAD * mean) ** 2 * np.array([1 / len(one), 1 / len(other)])
    errors = np.maximum(errors, smallest)  # the lower bound of the standard deviation, as in paired_p_value
    freedom = float(errors.sum() ** 2 / (errors**2 / [len(one) - 1, len(other) - 1]).sum())
    return _difference(mean, math.sqrt(errors.sum()), freedom, confidence)


def _difference(mean: float, error: float, freedom: float, confidence: float) -> Difference:
    half = _quantile((1 + confidence) / 2, freedom) * error
    p_value = 2 * _tail(abs(mean) / error, freedom)
    return Difference(mean=mean, low=mean - half, high=mean + half, p_value=p_value, error=error, freedom=freedom)


def mean_of_differences(parts: Sequence[Mapping[int, float]], confidence: float = 0.95) -> Difference:
    """The mean over K tasks of paired differences by seed; the tasks are given and not drawn at random.

    A seed draws initial weights, masks and, on some tasks, training images on every task, so that the differences of
    different tasks are correlated. The standard error is therefore that of each seed's sum over the tasks: with d_ks
    the difference on task k of n_k seeds and m_k their mean,

        e^2 = n / (n - 1) sum over s of (sum over k of (d_ks - m_k) / n_k)^2 / K^2,   n = the smallest n_k,

    with n - 1 degrees of freedom. If all tasks have the same seeds, e is the standard error of the mean of the seeds'
    means over the tasks. It is at least what the lower bound of the standard deviation gives,
    `SMALLEST_SPREAD |mean of m_k| / sqrt(n)`. NaN without parts, and if one has fewer than two seeds or a value that
    is not finite.

    >>> first, second = {0: 0.5, 1: 1.5, 2: 3.5}, {0: 3.5, 1: 2.5, 2: 0.5}
    >>> alone, twice, against = (mean_of_differences(parts) for parts in ([first], [first, first], [first, second]))
    >>> round(twice.error / alone.error, 4), twice.freedom, against.error < alone.error / 2
    (1.0, 2, True)
    """
    if not parts or any(len(part) < 2 or not all(map(math.isfinite, part.values())) for part in parts):
        return Difference(mean=math.nan, low=math.nan, high=math.nan, p_value=math.nan)
    fewest, means = min(map(len, parts)), [fmean(part.values()) for part in parts]
    by_seed: dict[int, float] = {}
    for part, its_mean in zip(parts, means, strict=True):
        for seed, value in part.items():
            by_seed[seed] = by_seed.get(seed, 0.0) + (value - its_mean) / len(part)
    mean = fmean(means)
    variance = fewest / (fewest - 1) * math.fsum(each**2 for each in by_seed.values()) / len(parts) ** 2
    variance = max(variance, (SMALLEST_SPREAD * mean) ** 2 / fewest)
    if not variance:
        return Difference(mean=mean, low=mean, high=mean, p_value=1.0, error=0.0)
    return _difference(mean, math.sqrt(variance), fewest - 1, confidence)


def holm(p_values: Numbers) -> list[float]:
    """Holm's step-down correction of one family of p values; NaNs are not counted in the family and stay NaN.

    Of m values the i-th smallest becomes `max over j <= i of (m - j + 1) p_(j)`, at most 1 (Holm 1979). The
    `multipletests` of statsmodels is not used, because it runs the garbage collector in each call, which dominates the
    time of a ranking.

    >>> [round(p, 4) for p in holm([0.01, 0.04, float("nan"), 0.03])]
    [0.03, 0.06, nan, 0.06]
    """
    raw = np.asarray(p_values, dtype=float)
    corrected = np.full(len(raw), math.nan)
    order = np.argsort(raw, kind="stable")[: np.count_nonzero(~np.isnan(raw))]  # NaN are sorted to the end
    corrected[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(len(order), 0, -1)), 1.0)
    return [float(p) for p in corrected]


def spans_decades(smallest: float, largest: float, decades: float = 2.0) -> bool:
    """Whether positive values span more than this many decades, so that a logarithmic axis is needed.

    >>> spans_decades(1e-6, 0.1), spans_decades(0.9, 0.95), spans_decades(0.0, 1.0)
    (True, False, False)
    """
    return bool(smallest > 0 and largest / smallest > 10**decades)


def range_without_outliers(values: ArrayLike, lows: ArrayLike, highs: ArrayLike) -> tuple[float, float]:
    """The range of an axis for values with intervals, in which a few outlying ones do not press the others together.

    Values are outlying beyond three times the distance of the quartiles from these (Tukey's outer fences); the median
    width of the intervals counts as a distance where it is larger. Intervals are cut at the fences. Fewer than five
    values, and values without any distance, are not judged.

    Args:
        values: (n,), some may be NaN.
        lows: (n,), lower ends of their intervals; NaN where there is none.
        highs: (n,), upper ends.

    Returns:
        The smallest and largest value or end of an interval within the fences; NaN if there are no values.

    >>> values = [0.90, 0.91, 0.92, 0.93, 0.1]
    >>> range_without_outliers(values, values, values)
    (0.9, 0.93)
    """
    means, low, high = (np.asarray(each, dtype=float) for each in (values, lows, highs))
    known = np.isfinite(means)
    means, low, high = means[known], low[known], high[known]
    if not len(means):
        return math.nan, math.nan
    low, high = np.where(np.isfinite(low), low, means), np.where(np.isfinite(high), high, means)
    first, third = np.quantile(means, [0.25, 0.75])
    reach = 3 * max(third - first, float(np.median(high - low)))
    if len(means) < _FEWEST_JUDGED or reach == 0:
        return float(low.min()), float(high.max())
    is_near = (means >= first - reach) & (means <= third + reach)
    smallest, largest = low[is_near].min(), high[is_near].max()
    return float(max(smallest, first - reach)), float(min(largest, third + reach))
