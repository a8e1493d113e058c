"""Laws of all tables on random campaigns that mix budgets, selection rules, versions, groups, files and folders."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_campaigns import RULES, TASKS, RandomCell, campaigns, rows_of, scattered
from result_rows import row

import analysis
from analysis.tables.over_tasks import STATISTICS, statistics_of

QUICK = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(QUICK, max_examples=60)
SOME = settings(QUICK, max_examples=12)  # of all tables, which take a second
ONE_GROUP = {"groups": [0], "versions": [""], "rules": ["best_validation"]}
ONE_TASK = {**ONE_GROUP, "tasks": TASKS[:1], "min_size": 3, "max_size": 4}
OTHERS = ["p", "q", "r", "s", "t"]  # more contestants than a random campaign has
COLUMNS = [
    "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed", "survivors_mean", "default_mean",
    "survivors_rank", "p_value", "p_holm", "outcome", "budget", "selection", "selection_optimism", "tune_seconds",
]  # fmt: skip


def ranking_of(rows):
    """The rows of the tasks in a ranking, by task and contestant."""
    table = analysis.ranking_table(pd.DataFrame(rows))
    ranked = table[table["status"].ne("not comparable") & table["task"].ne("overall")]
    return ranked.set_index(["task", "regularizer"]).sort_index()


def complete(cell, epochs=3):
    """The cell with five confirm and two default trials: more than a random cell has."""
    padded = {"confirm": (*cell.confirm, *[0.5] * 5)[:5], "default": (*cell.default, *[0.5] * 2)[:2]}
    return replace(cell, tuned=(0.5, *cell.tuned), epochs=epochs, **padded)


def large_campaign(cells):
    """A campaign whose group, versions, rule and budget stay those of most, whatever random campaign joins it."""
    empty = {"tuned": (), "default": (), "confirm": (), "minute": 0, "is_timed": False}
    plain = {"group": 0, "version": "", "rule": "best_validation", "epochs": 3}
    fillers = [RandomCell(task=task, name=name, **plain, **empty) for task in TASKS for name in OTHERS]
    return [complete(each) for each in (*cells, *fillers)]


def tables_of(trials, statistics):
    made = {"ranking": analysis.ranking_table(trials), **dict(statistics_of(trials, statistics))}
    if statistics:
        made |= {"timing": analysis.timing_table(trials), "overall": analysis.overall_significance(trials)}
    return made


def check_order(folder, campaign, seed, statistics=()):
    """The tables of the same rows, scattered over folders and files in two ways, are equal with all notes."""
    rows, rng = rows_of(campaign), np.random.default_rng(seed)
    assume(rows)
    loaded = [analysis.load_trials(scattered(folder / name, rows, rng)) for name in ("one", "other")]
    assert [sorted(trials["trial_id"]) for trials in loaded] == [sorted(each["trial_id"] for each in rows)] * 2
    one, other = (tables_of(trials, statistics) for trials in loaded)
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], obj=name)
        assert analysis.notes_of(table) == analysis.notes_of(other[name]), name


@QUICK
@given(campaign=campaigns(max_size=6), seed=st.integers(0, 1000))
def test_the_order_of_rows_files_and_folders_does_not_change_the_ranking(campaign, seed, tmp_path_factory):
    check_order(tmp_path_factory.mktemp("order"), campaign, seed)


@pytest.mark.slow
@SOME
@given(campaign=campaigns(), seed=st.integers(0, 1000))
def test_the_order_of_rows_files_and_folders_changes_no_table(campaign, seed, tmp_path_factory):
    statistics = [name for name, each in STATISTICS.items() if not each.takes_curves]
    check_order(tmp_path_factory.mktemp("order"), campaign, seed, statistics)


def check_others(cells, others, rule):
    """Cells of other groups, or with older code, and winners of another rule change no number of a large campaign."""
    base = large_campaign(cells)
    rows, known = rows_of(base), {(each.task, each.name) for each in base}
    joined = rows_of([each for each in others if each.group or (each.version and (each.task, each.name) in known)])
    joined += [
        each
        for cell in cells
        for each in replace(complete(cell), rule=rule, confirm=(1.0, None)).rows()
        if each["role"] == "confirm"
    ]
    before, after = ranking_of(rows), ranking_of(rows + joined)
    pd.testing.assert_frame_equal(after.loc[before.index, COLUMNS], before[COLUMNS])


@QUICK
@given(campaigns(max_size=4, **ONE_GROUP), campaigns(max_size=5), st.sampled_from(RULES[1:]))
def test_rows_of_other_groups_versions_and_rules_change_no_number(cells, others, rule):
    check_others(cells, others, rule)


@pytest.mark.slow
@MANY
@given(campaigns(max_size=6, **ONE_GROUP), campaigns(), st.sampled_from(RULES[1:]))
def test_rows_of_other_groups_versions_and_rules_change_no_number_of_many(cells, others, rule):
    check_others(cells, others, rule)


@pytest.mark.slow
@MANY
@given(campaigns(max_size=6, **ONE_GROUP), campaigns(names=["a", "b"], epochs=[6], **ONE_GROUP))
def test_contestants_with_another_budget_change_no_number(cells, others):
    base = large_campaign([cell for cell in cells if cell.name not in ("a", "b")])
    before, after = ranking_of(rows_of(base)), ranking_of(rows_of([*base, *others]))
    before = before[before["mean"].notna()]  # cells without a value share the last rank with all others without
    pd.testing.assert_frame_equal(after.loc[before.index, COLUMNS], before[COLUMNS])


@QUICK
@given(campaigns(**ONE_TASK), st.sampled_from(["diverged", "timeout", "out_of_memory"]))
def test_a_failed_trial_of_any_budget_never_improves_a_rank(campaign, status):
    campaign = [campaign[0], *(replace(each, tuned=(0.5,), epochs=3) for each in campaign[1:])]  # most have one budget
    rows = rows_of(campaign)
    before = ranking_of(rows)["rank"] if rows else {}
    for cell in campaign:
        winner = next((each["frozen_from"] for each in cell.rows() if each["frozen_from"]), None)
        failed = row(
            cell.task, cell.name, "confirm" if winner else "default", 77, status=status, frozen_from=winner,
            epochs_planned=cell.epochs, hp={"lr": 2.0},
        )  # fmt: skip
        where = (cell.task, cell.name)
        assert where not in before or not ranking_of([*rows, failed])["rank"][where] < before[where]


@QUICK
@given(campaigns(**ONE_TASK), campaigns(names=["new"], max_size=1, tasks=TASKS[:1], **ONE_GROUP))
def test_another_contestant_of_any_budget_changes_no_p_value_before_correction(campaign, new):
    rows = rows_of([complete(each) if each.name == "none" else each for each in campaign])
    assume(rows)
    before, after = ranking_of(rows)["p_value"].dropna(), ranking_of(rows + rows_of(new))["p_value"]
    pd.testing.assert_series_equal(after.reindex(before.index), before)
