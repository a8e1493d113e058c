"""Means that are equal but for the rounding of floating-point numbers are ties, in every table."""

from fractions import Fraction
from functools import reduce
from operator import add
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed
from scipy import stats

import analysis
from analysis.tables.bayes import _largest
from analysis.tables.score_cost import on_front
from analysis.tables.ties import without_rounding

SUMMED_OTHERWISE = {"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}  # their sums differ by 1e-16
ROUNDED_OTHERWISE = {"a": [0.0, 0.3], "b": [0.1, 0.2]}  # so do these, even if they are added exactly


def trials_of(values, **more):
    return pd.DataFrame([each for name, scores in values.items() for each in confirmed(name, scores, **more)])


def test_shares_of_correct_samples_tie_exactly_where_fractions_do():
    num_samples, rng = 1597, np.random.default_rng(0)
    correct = rng.integers(0, num_samples + 1, size=(2000, 2, 5))
    correct[:1000, 1, -1] += (correct[:1000, 0] - correct[:1000, 1]).sum(axis=1)  # equal sums, some beyond [0, n]
    means = np.array([[fmean((of_name / num_samples).tolist()) for of_name in pair] for pair in correct])
    sizes = np.abs(correct / num_samples).mean(axis=2)
    exact = [[sum(Fraction(int(k), num_samples) for k in of_name) for of_name in pair] for pair in correct]
    expected = [stats.rankdata([float(sum(map(int, of_name))) for of_name in pair]) for pair in correct]
    assert [len(set(pair)) for pair in exact] == [len(set(pair)) for pair in without_rounding(means, sizes).tolist()]
    assert stats.rankdata(without_rounding(means, sizes), axis=1).tolist() == np.array(expected).tolist()
    assert sum(a != b for a, b in means[:1000]) > 0, "without the rule rounding decides some of them"


def test_no_finite_value_ties_with_an_infinite_or_a_missing_one():
    means = np.array([np.inf, 1.0, np.nan, np.inf, 1.0 + 1e-15])
    np.testing.assert_array_equal(without_rounding(means, np.ones(5)), [np.inf, 1.0, np.nan, np.inf, 1.0])


@pytest.mark.parametrize("values", [SUMMED_OTHERWISE, ROUNDED_OTHERWISE])
def test_the_ranking_and_the_mean_ranks_agree_on_what_is_a_tie(values):
    trials = trials_of(values)
    ranks = analysis.ranking_table(trials)
    assert ranks["rank"].tolist() == [1.5] * 4
    assert analysis.rank_intervals(trials, num_draws=2)["mean_rank"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("values", [SUMMED_OTHERWISE, ROUNDED_OTHERWISE])
def test_survivors_tie_as_well(values):
    trials = trials_of({name: [*scores, None] for name, scores in values.items()}, metric="loss", higher=False)
    assert analysis.ranking_table(trials)["survivors_rank"].dropna().tolist() == [1.5, 1.5]
    assert analysis.ranking_table(trials)["rank"].tolist() == [1.5] * 4


def test_of_equal_means_the_dearer_is_not_on_the_front():
    a, b = (reduce(add, scores) / 3 for scores in SUMMED_OTHERWISE.values())  # since Python 3.12, sum rounds once
    assert a != b
    for loss in ([a, b], [b, a]):
        assert on_front(np.array(loss), np.array([1.0, 2.0])).tolist() == [True, False]


def test_a_difference_of_exactly_the_rope_is_half_equivalent():
    rows = trials_of({"a": [0.51], "b": [0.5]}, task="t1"), trials_of({"a": [0.37], "b": [0.36]}, task="t2")
    (found,) = analysis.signed_rank_probabilities(pd.concat(rows, ignore_index=True), rope=0.01).to_dict("records")
    weights = np.random.default_rng(0).dirichlet([0.5, 1.0, 1.0], 4000)
    expected = _largest(np.array([0.25, 0.25]), weights, 0.25)  # exact in binary
    assert (found["better"], found["equivalent"], found["worse"]) == pytest.approx(expected)
