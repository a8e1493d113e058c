"""Differences of means: their intervals, their tests, and that the two agree."""

import numpy as np
import pytest
from scipy import stats

from analysis.tables.statistics import SMALLEST_SPREAD, difference_of_means, equivalence_p_value

LEVEL = 0.05


def by_seed(values, first=0):
    return dict(enumerate(map(float, values), first))


def drawn():
    """Pairs of samples, paired and not, with a lot of spread, a little and none."""
    rng = np.random.default_rng(0)
    for num_seeds in (2, 3, 5):
        for spread in (0.0, 0.001, 0.2, 0.6):
            for first in (0, num_seeds):  # of the second sample: the same seeds, or other ones
                yield (
                    by_seed(0.5 + rng.normal(0, spread, num_seeds)),
                    by_seed(rng.normal(0, spread, num_seeds), first),
                )


@pytest.mark.parametrize("first", [0, 2], ids=["paired", "welch"])
def test_differences_that_agree_by_chance_have_an_interval_all_the_same(first):
    found = difference_of_means(by_seed([0.5, 0.5]), by_seed([0, 0], first))
    spread = SMALLEST_SPREAD * 0.5  # of each sample without common seeds
    error, freedom = (spread / np.sqrt(2), 1) if first == 0 else (spread, 2)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, freedom, 0.5, error))
    assert found.p_value_at(0.51) == pytest.approx(2 * stats.t.sf(0.01 / error, freedom))


def test_zero_is_in_the_interval_if_and_only_if_the_test_is_not_significant():
    found = [difference_of_means(first, second) for first, second in drawn()]
    assert {each.p_value > LEVEL for each in found} == {True, False}
    for each in found:
        assert (each.low <= 0 <= each.high) == (each.p_value > LEVEL)
        assert each.p_value_at(0) == pytest.approx(each.p_value)


def test_the_interval_is_that_of_the_paired_t_test_where_the_differences_vary():
    first, second = np.random.default_rng(1).normal(size=(2, 5))
    low, high = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = difference_of_means(by_seed(first), by_seed(second))
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("first", [0, 3], ids=["paired", "welch"])
def test_samples_that_are_equal_but_for_rounding_do_not_differ(first):
    found = difference_of_means(by_seed([0.1 + 0.2] * 3), by_seed([0.3] * 3, first))
    assert (found.mean, found.low, found.high, found.p_value, found.p_value_at(0)) == (0, 0, 0, 1, 1)


def test_two_equal_differences_close_to_the_margin_are_not_equivalent():
    assert equivalence_p_value([0.5, 0.5], [0, 0], margin=0.51) == pytest.approx(
        stats.t.sf(0.01 / (SMALLEST_SPREAD * 0.5 / np.sqrt(2)), 1)
    )
