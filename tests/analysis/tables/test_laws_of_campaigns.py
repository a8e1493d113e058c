"""Laws of all tables on random campaigns that mix budgets, rules, versions, data, code, switches, files and folders."""

import numpy as np
import pandas as pd
import pytest
from all_tables import all_tables, ranked, ranking_of
from hypothesis import assume, given
from hypothesis import strategies as st
from random_campaigns import (
    MANY,
    ONE_GROUP,
    QUICK,
    RULES,
    SOME,
    campaigns,
    cells_of_each_group,
    large_campaign,
    of_other_groups,
    rows_of,
    scattered,
)

import analysis

COLUMNS = [
    "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed", "survivors_mean", "default_mean",
    "survivors_rank", "p_value", "p_holm", "outcome", "budget", "selection", "selection_optimism", "tune_seconds",
]  # fmt: skip


def check_order(folder, campaign, seed, tables):
    """The tables of the same rows, scattered over folders and files in two ways, are equal with all notes."""
    rows, rng = rows_of(campaign), np.random.default_rng(seed)
    assume(rows)
    loaded = [analysis.load_trials(scattered(folder / name, rows, rng)) for name in ("one", "other")]
    assert [sorted(trials["trial_id"]) for trials in loaded] == [sorted(each["trial_id"] for each in rows)] * 2
    one, other = map(tables, loaded)
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], obj=name)
        assert analysis.notes_of(table) == analysis.notes_of(other[name]), name


@QUICK
@given(campaign=campaigns(max_size=6), seed=st.integers(0, 1000))
def test_the_order_of_rows_files_and_folders_does_not_change_the_ranking(campaign, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    check_order(folder, campaign, seed, lambda trials: {"ranking": analysis.ranking_table(trials)})


@pytest.mark.slow
@SOME
@given(campaign=campaigns(), seed=st.integers(0, 1000))
def test_the_order_of_rows_files_and_folders_changes_no_table(campaign, seed, tmp_path_factory):
    check_order(tmp_path_factory.mktemp("order"), campaign, seed, all_tables)


def check_others(cells, others, rule):
    """Rows of other groups change neither the current rows of a large campaign nor its ranking."""
    base = large_campaign(cells)
    rows = rows_of(base)
    joined = pd.DataFrame([*of_other_groups(base, others, rule), *rows])
    kept, expected = (
        analysis.current_rows(each)[["trial_id", "dataset_fingerprint"]].fillna("").to_numpy().tolist()
        for each in (joined, pd.DataFrame(rows))
    )
    assert kept == expected
    before, after = ranking_of(rows), ranking_of(joined)
    pd.testing.assert_frame_equal(after.loc[before.index, COLUMNS], before[COLUMNS])


@QUICK
@given(campaigns(max_size=4, **ONE_GROUP), cells_of_each_group(), st.sampled_from(RULES[1:]))
def test_rows_of_other_groups_versions_and_rules_change_no_number(cells, others, rule):
    check_others(cells, others, rule)


@pytest.mark.slow
@MANY
@given(campaigns(max_size=6, **ONE_GROUP), cells_of_each_group(), st.sampled_from(RULES[1:]))
def test_rows_of_other_groups_versions_and_rules_change_no_number_of_many(cells, others, rule):
    check_others(cells, others, rule)


@pytest.mark.slow
@SOME
@given(campaigns(max_size=6, **ONE_GROUP), cells_of_each_group(), st.sampled_from(RULES[1:]))
def test_rows_of_other_groups_versions_and_rules_change_no_table(cells, others, rule):
    base = large_campaign(cells)
    rows = rows_of(base)
    known = {each["trial_id"] for each in rows}  # one trial on two data is refused by `load_curves`
    joined = [each for each in of_other_groups(base, others, rule) if each["trial_id"] not in known]
    before, after = all_tables(pd.DataFrame(rows)), all_tables(pd.DataFrame(rows + joined))
    before["ranking"], after["ranking"] = (
        ranked(each["ranking"]).drop(columns=["left_out", "reason"]).reset_index(drop=True) for each in (before, after)
    )
    del before["looks"]  # they count all rows of a data set, also those of other code
    for name, table in before.items():
        pd.testing.assert_frame_equal(after[name], table, obj=name, check_dtype=False)


@QUICK
@given(campaigns(groups=[0]), campaigns(groups=[3, 4]))
def test_rows_on_other_data_are_no_looks_at_these_data(cells, others):
    rows = [each for each in rows_of(cells) if each["test_value"] is not None]
    assume(rows)
    before, after = (analysis.looks_at_test_data(pd.DataFrame(each)) for each in (rows, rows + rows_of(others)))
    of_these = after[after["dataset_fingerprint"] == "data1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_these, before)


@pytest.mark.slow
@MANY
@given(campaigns(max_size=6, **ONE_GROUP), campaigns(names=["a", "b"], epochs=[6], **ONE_GROUP))
def test_contestants_with_another_budget_change_no_number(cells, others):
    base = large_campaign([cell for cell in cells if cell.name not in ("a", "b")])
    before, after = ranking_of(rows_of(base)), ranking_of(rows_of([*base, *others]))
    before = before[before["mean"].notna()]  # cells without a value share the last rank with all others without
    pd.testing.assert_frame_equal(after.loc[before.index, COLUMNS], before[COLUMNS])
