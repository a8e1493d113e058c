"""Laws of the ranking on random campaigns with failures, gaps, budgets, switches, data and code."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from result_rows import confirmed, row
from slow_params import slow_but

import analysis

NAMES = ("none", "a", "b", "c")
TASKS = ("t1", "t2")
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
QUICK = settings(FEW, max_examples=8)
NUMBERS = [
    "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed", "p_value", "p_holm", "outcome",
    "mean_rank", "wins", "ties", "losses", "untested",
]  # fmt: skip

value = st.one_of(st.none(), st.integers(0, 20).map(lambda share: share / 20))
cell = st.lists(value, min_size=1, max_size=4)
campaign = st.fixed_dictionaries({(task, name): st.one_of(st.none(), cell) for task in TASKS for name in NAMES})
group = st.sampled_from(
    [{"switches": "bf16"}, {"dataset_fingerprint": "other"}, {"shared_code": "other", "code": "other"}]
)


def rows_of(values, metric="accuracy", **more):
    better = {"metric": metric, "higher": metric == "accuracy"}
    return [
        each
        for (task, name), of_cell in values.items()
        if of_cell is not None
        for each in confirmed(name, of_cell, task, **better, **more)
    ]


def table_of(rows):
    table = analysis.ranking_table(pd.DataFrame(rows))
    return table[table["status"] != "not comparable"].set_index(["task", "regularizer"])[NUMBERS].sort_index()


def is_ranked(values):
    return any(of_cell is not None for of_cell in values.values())


@pytest.mark.slow
@FEW
@given(campaign.filter(is_ranked), campaign, group)
def test_rows_of_another_group_never_change_the_numbers_of_a_group(values, others, group):
    task = TASKS[0]
    values = {key: of_cell for key, of_cell in values.items() if key[0] == task} | {
        (task, name): [0.5, 0.6, 0.7, 0.8, 0.9]
        for name in NAMES  # the larger group on the task, whatever is added
    }
    others = {key: of_cell for key, of_cell in others.items() if key[0] == task}
    base = rows_of(values, dataset_fingerprint="data")
    added = rows_of(others, **{"dataset_fingerprint": "data", "minute": 9, **group})
    pd.testing.assert_frame_equal(table_of(base + added), table_of(base))


@QUICK
@given(campaign.filter(is_ranked), st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(values, seed):
    rows = [*rows_of(values), row("t1", "a", "tune", tune_index=1, validation=0.5)]
    order = np.random.default_rng(seed).permutation(len(rows))
    pd.testing.assert_frame_equal(table_of([rows[place] for place in order]), table_of(rows))


@QUICK
@pytest.mark.parametrize("metric", slow_but(["accuracy", "excess_objective"], ["accuracy"]))
@given(values=campaign.filter(is_ranked), name=st.sampled_from(NAMES), status=st.sampled_from(["diverged", "timeout"]))
def test_a_failed_trial_never_improves_a_rank(metric, values, name, status):
    task = TASKS[0]
    if values[task, name] is None:
        return
    rows = rows_of(values, metric)
    before = table_of(rows).loc[(task, name), "rank"]
    after = table_of([*rows, row(task, name, "confirm", 77, status=status)]).loc[(task, name), "rank"]
    assert after >= before or np.isnan(before)


@pytest.mark.slow
@FEW
@given(campaign.filter(is_ranked), st.lists(cell, min_size=2, max_size=2))
def test_another_contestant_never_changes_a_p_value_before_correction(values, more):
    rows = rows_of(values)
    added = [each for task, of_cell in zip(TASKS, more, strict=True) for each in confirmed("new", of_cell, task)]
    before, after = table_of(rows)["p_value"].dropna(), table_of(rows + added)["p_value"]
    pd.testing.assert_series_equal(after.reindex(before.index), before)
