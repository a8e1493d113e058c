"""What tests can tell at best: against the very tests of the ranking, on results that could not be clearer."""

import itertools

import numpy as np
import pytest
import scikit_posthocs
from result_rows import confirmed, frame
from scipy import stats

import analysis
from analysis.tables.power import power_notes, smallest_difference, smallest_friedman_p, smallest_nemenyi_p
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
    assert "can reach is 0.0625" in over_tasks
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
    assert "no pair can be told apart at 0.01" in power_notes(few, num_seeds=3, confidence=0.99)[1]
    assert "no pair" not in power_notes(few, num_seeds=3)[1]


@pytest.mark.parametrize(
    ("given", "num_seeds", "words"),
    [
        (cells("a", ("none", "x")), 1, "needs 2 seeds or more"),
        (cells("a", ("x", "y")), 5, "no task has the baseline 'none'"),
        (cells("a", ("none",)), 5, "no task has the baseline 'none' and somebody else"),
        ([], 5, "nothing is tested"),
        (cells("ab", ("none", "x")), 0, "Nothing is ranked"),
    ],
    ids=["one seed", "no baseline", "nobody but the baseline", "nothing", "only timing"],
)
def test_where_nothing_is_tested_it_says_why(given, num_seeds, words):
    (sentence,) = power_notes(given, num_seeds)
    assert words in sentence
