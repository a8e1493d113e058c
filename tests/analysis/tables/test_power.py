"""What tests can tell at best: against the very tests of the ranking, on results that could not be clearer."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from result_rows import confirmed, frame, row
from scipy import stats
from statsmodels.stats.power import TTestPower

import analysis
from analysis.tables.overall import smallest_friedman_p, smallest_nemenyi_p
from analysis.tables.power import POWER, detectable_difference, power_notes, smallest_difference
from analysis.tables.statistics import holm, paired_p_value


@pytest.mark.parametrize(("num_tasks", "num_regularizers"), [(3, 3), (4, 3), (3, 5), (6, 4)])
def test_no_order_of_the_contestants_gives_friedman_or_nemenyi_a_smaller_p(num_tasks, num_regularizers, tmp_path):
    values = {f"r{place}": [0.5 + 0.1 * place] * num_tasks for place in range(num_regularizers)}
    rows = [
        row for name, means in values.items() for number, mean in enumerate(means)
        for row in confirmed(name, [mean], f"task{number}")
    ]  # fmt: skip
    result = analysis.overall_significance(frame(tmp_path, rows)).iloc[0]
    assert smallest_friedman_p(num_tasks, num_regularizers) == pytest.approx(result["friedman_p"])
    ranks = np.tile(np.arange(1.0, num_regularizers + 1), (num_tasks, 1))
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(ranks).to_numpy()
    assert smallest_nemenyi_p(num_tasks, num_regularizers) == pytest.approx(nemenyi.min(), abs=1e-6)
    assert (result["different_pairs"] != "") == (smallest_nemenyi_p(num_tasks, num_regularizers) < 0.05)


def test_three_contestants_on_three_tasks_enumerated():
    orders = list(itertools.permutations((1.0, 2.0, 3.0)))
    p_values = [
        stats.friedmanchisquare(*zip(*ranks, strict=True)).pvalue for ranks in itertools.product(orders, repeat=3)
    ]
    assert min(p_values) == pytest.approx(smallest_friedman_p(3, 3))


@pytest.mark.parametrize(("num_seeds", "num_comparisons"), [(3, 1), (5, 7), (10, 30)])
def test_a_difference_of_the_size_stated_is_where_significance_begins(num_seeds, num_comparisons):
    scatter = np.linspace(-1, 1, num_seeds) / np.std(np.linspace(-1, 1, num_seeds), ddof=1)
    needed = smallest_difference(num_seeds, num_comparisons)
    for factor, is_significant in ((0.99, False), (1.01, True)):
        clearest = paired_p_value(1 + scatter + factor * needed, np.ones(num_seeds))
        corrected = holm([clearest, *[1.0] * (num_comparisons - 1)])
        assert (corrected[0] < 0.05) is is_significant


def cells(tasks, regularizers):
    return [(task, name) for task in tasks for name in regularizers]


def test_every_test_has_the_smallest_p_of_that_test():
    on_a_task, over_tasks = power_notes(cells("abcde", ("none", "x", "y", "z")), num_seeds=5)
    assert "The smallest p of the paired t-test over 5 seeds is 1.5e-06" in on_a_task
    assert "3 comparison(s)" in on_a_task
    assert "signed-rank test is 0.0625" in over_tasks
    assert f"{smallest_friedman_p(5, 4):.3g}" in over_tasks
    assert f"{smallest_nemenyi_p(5, 4):.3g}" in over_tasks


def test_only_contestants_that_run_on_all_tasks_count_over_them():
    given = [*cells("abc", ("none", "x")), *cells("ab", ("y", "z"))]
    _, over_tasks = power_notes(given, num_seeds=5)
    assert "0.25" in over_tasks
    assert "needs 3 tasks and 3 contestants" in over_tasks


def test_where_no_pair_could_be_told_apart_it_says_so():
    few = cells("abc", ("none", "x", "y"))
    assert 0.01 < smallest_nemenyi_p(3, 3) < 0.05
    assert "no pair can differ significantly at 0.01" in power_notes(few, num_seeds=3, confidence=0.99)[1]
    assert "no pair" not in power_notes(few, num_seeds=3)[1]


@pytest.mark.parametrize(
    ("given", "num_seeds", "words"),
    [
        (cells("a", ("none", "x")), 1, "needs 2 seeds or more"),
        (cells("a", ("x", "y")), 5, "no task has the baseline 'none'"),
        (cells("a", ("none",)), 5, "no task has the baseline 'none' and another contestant"),
        ([], 5, "nothing is tested"),
        (cells("ab", ("none", "x")), 0, "Nothing is ranked"),
    ],
    ids=["one seed", "no baseline", "nobody but the baseline", "nothing", "only timing"],
)
def test_where_nothing_is_tested_it_says_why(given, num_seeds, words):
    (sentence,) = power_notes(given, num_seeds)
    assert words in sentence


@pytest.mark.parametrize(("num_seeds", "num_comparisons"), [(2, 1), (3, 1), (5, 1), (5, 7), (10, 30), (50, 5)])
def test_the_difference_that_is_found_agrees_with_that_of_statsmodels(num_seeds, num_comparisons):
    theirs = TTestPower().solve_power(nobs=num_seeds, alpha=0.05 / num_comparisons, power=POWER)
    assert detectable_difference(num_seeds, num_comparisons) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("num_nulls", "draws"), [(0, 200), (2, 100)], ids=["alone", "among others"])
def test_the_ranking_finds_the_difference_that_the_plan_states_as_often_as_it_says(num_nulls, draws):
    """The tasks of one ranking are campaigns of their own: Holm's correction is within a task."""
    seeds = 5
    rng = np.random.default_rng(num_nulls)
    effect = detectable_difference(seeds, 1 + num_nulls)
    rows = []
    for task in range(draws):
        base = rng.normal(size=seeds)  # what runs of one seed share
        own = rng.normal(size=(2 + num_nulls, seeds)) / math.sqrt(2)  # so that differences have standard deviation 1
        own[1] += effect
        for name, values in zip(("none", "better", "x", "y"), base + own, strict=False):
            rows += [
                {"task": f"t{task}", "regularizer": name, "seed": s, "test_value": v} for s, v in enumerate(values)
            ]
    like = row(role="default", test=0.5, metric="score", hp={})
    table = analysis.ranking_table(pd.DataFrame([{**like, "trial_id": str(n), **each} for n, each in enumerate(rows)]))
    wins = int((table.loc[table["task"] != "overall"].query("regularizer == 'better'")["outcome"] == "win").sum())
    interval = stats.binomtest(wins, draws).proportion_ci(0.999)
    assert interval.high > POWER
    assert num_nulls or interval.low < POWER  # Holm finds at least what Bonferroni's level would


def test_where_no_difference_could_be_significant_the_plan_says_so():
    assert math.isinf(detectable_difference(2, 30))
    many = cells("a", ("none", *map(str, range(30))))
    assert "no difference can be significant after" in power_notes(many, num_seeds=2)[0]
    found = detectable_difference(5, 30)
    assert f"true difference of {found:.2g} standard deviations" in power_notes(many, num_seeds=5)[0]
