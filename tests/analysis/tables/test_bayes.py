"""The Bayesian signed-rank test, against its closed form where all tasks say the same, and its authors' program."""

import baycomp
import numpy as np
import pandas as pd
import pytest
from result_rows import confirmed
from scipy import stats

import analysis

DRAWS = 20_000


def trials_of(differences, metric="accuracy", higher=True):
    """Two contestants on as many tasks: `b` has 0.4, `a` more by these differences."""
    return pd.DataFrame(
        [
            each
            for place, difference in enumerate(differences)
            for name, value in (("a", 0.4 + difference), ("b", 0.4))
            for each in confirmed(name, [value, value], f"t{place}", metric=metric, higher=higher)
        ]
    )


def probabilities(differences, rope=0.01):
    table = analysis.signed_rank_probabilities(trials_of(differences), rope, DRAWS)
    return table[["better", "equivalent", "worse"]].to_numpy()[0]


@pytest.mark.parametrize("num_tasks", [2, 3, 8])
def test_where_all_tasks_agree_the_posterior_is_that_of_the_weight_of_no_difference(num_tasks):
    """theta_better = 1 - w_0^2 is largest where w_0 < sqrt(1/2), and w_0 ~ Beta(1/2, n)."""
    better = stats.beta.cdf(np.sqrt(0.5), 0.5, num_tasks)
    assert probabilities([0.1] * num_tasks) == pytest.approx([better, 1 - better, 0], abs=4 / np.sqrt(DRAWS))
    assert probabilities([-0.1] * num_tasks) == pytest.approx([0, 1 - better, better], abs=4 / np.sqrt(DRAWS))


def test_another_contestant_changes_no_probability_of_a_pair():
    trials = trials_of([0.02, 0.01, -0.01, 0.03])
    more = pd.DataFrame([each for task in ("t1", "t3") for each in confirmed("aa", [0.3, 0.5], task)])
    before, after = (analysis.signed_rank_probabilities(each) for each in (trials, pd.concat([trials, more])))
    assert len(after) == 3  # the first of which is over other tasks
    of_pair = after[after["regularizer"].eq("a") & after["rival"].eq("b")].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_pair, before)


def test_differences_inside_the_region_are_practically_equivalent():
    assert probabilities([0.004, -0.009, 0.0]).tolist() == [0, 1, 0]


@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
def test_the_authors_program_gives_the_same_probabilities(rope):
    differences = np.random.default_rng(3).normal(0.02, 0.04, 9).round(4)
    drawn = baycomp.SignedRankTest.sample(np.full(9, 0.4), 0.4 + differences, rope=rope, nsamples=DRAWS, random_state=0)
    worse, equivalent, better = np.bincount(drawn.argmax(axis=1), minlength=3) / DRAWS
    assert probabilities(differences, rope) == pytest.approx([better, equivalent, worse], abs=6 / np.sqrt(DRAWS))


def test_less_is_better_where_the_metric_says_so():
    rows = trials_of([0.1, 0.2, 0.3], "x_accuracy", higher=False)
    table = analysis.signed_rank_probabilities(rows)
    assert table["worse"].item() > 0.9


def test_tasks_without_a_share_of_right_answers_are_named_and_left_out():
    rows = pd.concat([trials_of([0.1, 0.2]), trials_of([0.3] * 3, "excess_objective").query("task == 't2'")])
    table = analysis.signed_rank_probabilities(rows)
    assert table["num_tasks"].tolist() == [2]
    assert analysis.notes_of(table) == ["The signed-rank test leaves out tasks whose metric is not an accuracy: t2."]


def test_a_negative_region_is_refused():
    with pytest.raises(ValueError, match=r"rope must be >= 0.*got -1"):
        analysis.signed_rank_probabilities(trials_of([0.1]), rope=-1)
