"""Laws on random campaigns: a failed trial improves nothing, and a contestant changes no test of another."""

import numpy as np
import pandas as pd
import pytest
from all_tables import all_tables, ranked, ranking_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_campaigns import (
    ONE_GROUP,
    QUICK,
    SOME,
    campaigns,
    cells_of_each_group,
    large_campaign,
    of_other_groups,
    rows_of,
)

import analysis

OF_A_PAIR = {  # numbers of one contestant or pair that no further contestant changes
    "ranking": ["mean", "interval_low", "interval_high", "p_value"],
    "interactions": ["effect", "sum_of_effects", "interaction", "p_value"],
    "pairs": ["win_rate", "num_tasks"],
    "bayes": ["better", "equivalent", "worse", "num_tasks"],
    "variance": ["variance", "share"],
    "timing": ["ratio", "n"],
    "recommendation": ["gain", "gain_low", "gain_high"],
}


def failing_again(rows, place, status, has_read):
    """Another trial of a ranked cell, which fails: of the version, the rule and the group that the tables show."""
    current = analysis.current_rows(pd.DataFrame(rows))
    cells = current[current["role"].isin(["confirm", "default"])].sort_values("role", kind="stable")  # confirm first
    chosen = cells.drop_duplicates(["task", "regularizer"])[["trial_id", "dataset_fingerprint"]].fillna("").to_numpy()
    assume(len(chosen))
    like = next(
        each
        for each in rows
        if [each["trial_id"], each["dataset_fingerprint"] or ""] == chosen[place % len(chosen)].tolist()
    )
    values = ["test_value", "test_value_at_best_validation", "validation_value", "metric", "higher_is_better"]
    known = {} if has_read else {"dataset_fingerprint": None}
    return like | dict.fromkeys(values) | {"trial_id": "failed", "seed": 77, "status": status} | known


NEW = campaigns(names=["new"], min_size=1, max_size=3, **ONE_GROUP)
failures = {
    "place": st.integers(0, 20),
    "status": st.sampled_from(["diverged", "timeout", "out_of_memory"]),
    "has_read": st.booleans(),
}


@settings(QUICK, max_examples=6)
@given(campaign=campaigns(min_size=3), **failures)
def test_a_failed_trial_never_improves_a_rank(campaign, place, status, has_read):
    rows = rows_of(campaign)
    assume(rows)
    failed = failing_again(rows, place, status, has_read)
    before, after = (ranking_of(each)["rank"] for each in (rows, [*rows, failed]))
    where = (failed["task"], failed["regularizer"])
    assert not after[where] < before[where]


@pytest.mark.slow
@SOME
@given(campaign=campaigns(max_size=6, **ONE_GROUP), others=cells_of_each_group(), **failures)
def test_a_failed_trial_improves_nothing_in_any_table(campaign, others, place, status, has_read):
    base = large_campaign(campaign)
    rows = rows_of(base) + of_other_groups(base, others, "oracle")
    failed = failing_again(rows, place, status, has_read)
    before, after = (standing_of(failed["regularizer"], pd.DataFrame(each)) for each in (rows, [*rows, failed]))
    assert before.keys() == after.keys()
    assert {key: each for key, each in after.items() if each > before[key] + 1e-6} == {}


def standing_of(name, trials):
    """How good a contestant is by every table, as numbers of which larger ones are better."""
    tables = all_tables(trials)
    places = tables["strengths"].set_index("regularizer")["strength"].rank()
    own = {key: each[each["regularizer"] == name] for key, each in tables.items() if "regularizer" in each}
    return {
        **{("rank", task): -rank for task, rank in ranked(own["ranking"]).set_index("task")["rank"].items()},
        **{("win rate", rival): each for rival, each in own["pairs"].set_index("rival")["win_rate"].items()},
        **{("share", each): share for each, share in own["profiles"].set_index("threshold")["share"].items()},
        **{("mean rank", place): -each for place, each in enumerate(own["ranks"]["mean_rank"])},
        **{("mean", place): each for place, each in enumerate(own["iqm"]["iqm"])},
        **{("strength", place): each for place, each in enumerate(own["strengths"]["strength"])},
        "place by strength": places.get(name, -np.inf),
    }


@QUICK
@given(campaigns(max_size=4, **ONE_GROUP), cells_of_each_group(), NEW)
def test_another_contestant_changes_no_p_value_before_correction(campaign, others, new):
    base = large_campaign(campaign)
    rows = rows_of(base) + of_other_groups(base, others, "oracle")
    before, after = ranking_of(rows)["p_value"].dropna(), ranking_of(rows + rows_of(new))["p_value"]
    pd.testing.assert_series_equal(after.reindex(before.index), before)


@pytest.mark.slow
@SOME
@given(campaigns(max_size=6, **ONE_GROUP), cells_of_each_group(), NEW)
def test_another_contestant_changes_no_number_of_a_pair(campaign, others, new):
    base = large_campaign(campaign)
    rows = rows_of(base) + of_other_groups(base, others, "oracle")
    before, after = (all_tables(pd.DataFrame(each)) for each in (rows, rows + rows_of(new)))
    for name, columns in OF_A_PAIR.items():
        keys = [key for key in ("task", "regularizer", "rival", "source") if key in before[name]]
        one, other = (ranked(each) if name == "ranking" else each for each in (before[name], after[name]))
        one, other = (each[each["task"] != "overall"] if name == "ranking" else each for each in (one, other))
        one, other = (each.set_index(keys)[columns].sort_index() for each in (one, other))
        pd.testing.assert_frame_equal(other.reindex(one.index), one, obj=name, check_dtype=False)
