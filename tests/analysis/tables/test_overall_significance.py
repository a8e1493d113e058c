import math

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from result_rows import confirmed, frame, row
from scipy import stats

import analysis
from analysis.figures.critical_difference import groups_of
from analysis.tables.common_tasks import common_block
from analysis.tables.overall import friedman_by_scale, significance_of
from analysis.tables.verdicts import overall_sentences

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
    assert result["sentence"] == (
        "With 2 tasks and 3 contestants in common nothing is tested over tasks: Friedman's test needs 3 of each."
    )


def test_without_a_task_in_common_a_sentence_says_so(tmp_path):
    rows = rows_of({"a": [0.1]}) + [{**each, "task": "elsewhere"} for each in rows_of({"b": [0.1]})]
    result = analysis.overall_significance(frame(tmp_path, rows)).iloc[0]
    assert result["num_tasks"] == 0
    assert result["sentence"] == "No task has values of all contestants, so nothing is compared over tasks."


def test_a_contestant_skipped_on_a_task_is_left_out_with_a_note(tmp_path):
    rows = rows_of(VALUES) + rows_of({"d": [0.1] * 2})
    rows += [row(f"task{place}", "d", "default", status="skipped", reason="no site") for place in range(2, 6)]
    result = analysis.overall_significance(frame(tmp_path, rows))
    assert result[["num_regularizers", "num_tasks"]].to_numpy().tolist() == [[3, 6]]
    assert "of the 3 contestants with a rank on every task; left out: d" in analysis.notes_of(result)[0]


def test_a_task_that_some_contestant_skips_is_left_out_where_that_keeps_more_ranks(tmp_path):
    rows = rows_of(VALUES) + rows_of({"d": [0.1] * 5})
    rows.append(row("task5", "d", "default", status="skipped", reason="no site"))
    result = analysis.overall_significance(frame(tmp_path, rows))
    assert result[["num_regularizers", "num_tasks"]].to_numpy().tolist() == [[4, 5]]
    assert "the 5 tasks that all contestants have in common; left out: task5" in analysis.notes_of(result)[0]


def test_the_pairs_are_those_of_the_same_ranks_as_the_table_with_missing_and_skipped_cells(tmp_path):
    values = {name: [0.9 - place / 10 + task / 1000 for task in range(8)] for place, name in enumerate("abcdef")}
    rows = [
        each for each in rows_of(values) if (each["task"], each["regularizer"]) not in {("task1", "e"), ("task1", "f")}
    ]
    rows += [row(task="task7", regularizer="filler", role="default", status="skipped", reason="no site")]
    trials = frame(tmp_path, rows)
    result, table = analysis.overall_significance(trials).iloc[0], analysis.ranking_table(trials)
    means = table[table["task"] == "overall"].set_index("regularizer")["mean_rank"].dropna()
    assert means.to_dict() == pytest.approx({name: place + 1.0 for place, name in enumerate("abcdef")})
    expected = {
        f"{better} before {worse}"
        for better in means.index
        for worse in means.index
        if means[worse] - means[better] > result["critical_difference"]
    }
    assert set(result["different_pairs"].split("; ")) == expected
    ranks = pd.DataFrame({name: [place + 1.0] * 7 for place, name in enumerate("abcdef")})  # on the tasks in common
    p_values = scikit_posthocs.posthoc_nemenyi_friedman(ranks.to_numpy())
    names = list("abcdef")
    assert expected == {
        f"{names[i]} before {names[j]}" for i in range(6) for j in range(i + 1, 6) if p_values.iloc[i, j] < 0.05
    }


def test_contestants_that_never_differ_are_not_tested(tmp_path):
    same = {name: [0.5] * 3 for name in ("a", "b", "none")}
    result = analysis.overall_significance(frame(tmp_path, rows_of(same))).iloc[0]
    assert math.isnan(result["friedman_p"])
    assert result["different_pairs"] == ""


def test_no_pair_differs_where_friedmans_test_is_not_significant(tmp_path):
    ranks = {"a": [3, 2, 4, 4, 5], "b": [4, 4, 1, 2, 4], "c": [6, 1, 2, 6, 2], "d": [2, 6, 6, 3, 3], "e": [5] * 4 + [6]}
    ranks["f"] = [1, 3, 3, 1, 1]  # its mean rank is 3.4 before that of e, and the critical difference is 3.37
    assert stats.friedmanchisquare(*ranks.values()).pvalue > 0.1
    trials = frame(tmp_path, rows_of({name: [1 - rank / 10 for rank in each] for name, each in ranks.items()}))
    table = analysis.ranking_table(trials)
    result = significance_of(table).iloc[0]
    assert max(map(np.mean, ranks.values())) - np.mean(ranks["f"]) > result["critical_difference"]
    assert result["different_pairs"] == ""
    (tested,) = friedman_by_scale(table).values()
    assert groups_of(tested) == [(0, 5)], "one bar joins all"
    assert "do not differ significantly" in " ".join(overall_sentences(table)["smoke"])


def test_both_the_tasks_and_the_contestants_left_out_are_named():
    ranks = pd.DataFrame({"a": [1, 1, 1], "b": [2, 2, None], "c": [3, 3, 2], "nowhere": [None] * 3}, dtype=float)
    note = common_block(ranks.set_axis(["t1", "t2", "t3"])).note
    assert "over the 2 tasks that all contestants have in common; left out: t3." in note
    assert note.endswith("No rank on any task: nowhere.")
