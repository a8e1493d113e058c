import math

import pytest
from result_rows import confirmed, frame, row
from scipy import stats

import analysis

# Ranks of a, b, none on six tasks: a is always first.
VALUES = {"a": [0.9] * 6, "b": [0.8, 0.8, 0.8, 0.6, 0.8, 0.8], "none": [0.7] * 6}


def rows_of(values):
    return [
        each for name, means in values.items() for number, mean in enumerate(means)
        for each in confirmed(name, [mean], f"task{number}")
    ]  # fmt: skip


@pytest.mark.parametrize(("num_tasks", "p"), [(0, 1.0), (1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_reachable_p_halves_with_every_task(num_tasks, p):
    assert analysis.smallest_reachable_p(num_tasks) == p


@pytest.mark.parametrize("num_tasks", [4, 7])
def test_the_smallest_reachable_p_is_that_of_wilcoxons_exact_test_when_all_tasks_agree(num_tasks):
    gains = [0.01 * (place + 1) for place in range(num_tasks)]
    assert analysis.smallest_reachable_p(num_tasks) == pytest.approx(stats.wilcoxon(gains, method="exact").pvalue)


def test_friedman_and_the_critical_difference_agree_with_the_textbook_formulas(tmp_path):
    result = analysis.overall_significance(frame(tmp_path, rows_of(VALUES))).iloc[0]
    mean_ranks, k, n = [1.0, (2 * 5 + 3) / 6, (3 * 5 + 2) / 6], 3, 6
    friedman = 12 * n / (k * (k + 1)) * (sum(rank**2 for rank in mean_ranks) - k * (k + 1) ** 2 / 4)
    assert result["friedman_statistic"] == pytest.approx(friedman)
    assert result["friedman_p"] == pytest.approx(stats.chi2.sf(friedman, k - 1))
    # Demsar 2006, table 5: q at 0.05 for three classifiers is 2.343.
    assert result["critical_difference"] == pytest.approx(2.343 * math.sqrt(k * (k + 1) / (6 * n)), rel=1e-3)


def test_the_pairs_that_differ_are_those_further_apart_than_the_critical_difference(tmp_path):
    result = analysis.overall_significance(frame(tmp_path, rows_of(VALUES))).iloc[0]
    assert result["different_pairs"] == "a before none"  # 1.83 apart; b is 1.17 and 0.67 away, and 1.35 is needed


def test_fewer_than_three_tasks_give_the_sentence_but_no_test(tmp_path):
    values = {name: means[:2] for name, means in VALUES.items()}
    result = analysis.overall_significance(frame(tmp_path, rows_of(values))).iloc[0]
    assert math.isnan(result["friedman_p"])
    assert result["sentence"] == "With 2 tasks the smallest p that a paired test over tasks can reach is 0.5."


def test_a_contestant_skipped_on_a_task_is_left_out_with_a_note(tmp_path):
    rows = rows_of(VALUES) + rows_of({"d": [0.1] * 5})
    rows.append(row("task5", "d", "default", status="skipped", reason="no site"))
    result = analysis.overall_significance(frame(tmp_path, rows))
    assert result["num_regularizers"].tolist() == [3]
    assert "leaves out what is skipped on some task: d" in analysis.notes_of(result)[0]


def test_contestants_that_never_differ_are_not_tested(tmp_path):
    same = {name: [0.5] * 3 for name in ("a", "b", "none")}
    result = analysis.overall_significance(frame(tmp_path, rows_of(same))).iloc[0]
    assert math.isnan(result["friedman_p"])
    assert result["different_pairs"] == ""
