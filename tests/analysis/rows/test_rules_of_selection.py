"""Winners that different rules selected never meet, and a rule that looks at test data is called so."""

from functools import partial

import pandas as pd
import pytest
from result_rows import confirmed, row

import analysis
from analysis.tables.over_tasks import STATISTICS, statistics_of

NUMBERS = ["rank", "mean", "num_seeds", "p_value", "outcome", "num_tune_trials", "selection_optimism"]


def tuned(name, rule, values, validation=0.5, **more):
    """Two tune trials of a search, and confirm rows of the worse one unless the rule is the usual one."""
    search = {"selection": rule} if rule == "oracle" else {}
    tests = {"test": 0.9} if rule == "oracle" else {}
    tune = [
        row(regularizer=name, role="tune", tune_index=place, validation=validation + place / 10, hp={"lr": place + 1.0},
            **search, **tests)
        for place in range(2)
    ]  # fmt: skip
    winner = 1 if rule == "best_validation" else 0
    hp = {"lr": winner + 1.0}
    return [*tune, *confirmed(name, values, frozen_from=tune[winner]["trial_id"], hp=hp, selection=rule, **more)]


def table_of(rows):
    frame = pd.DataFrame(rows).drop_duplicates("trial_id")
    table = analysis.ranking_table(frame)
    return table[table["task"] == "digits"].set_index("regularizer").sort_index(), analysis.notes_of(table)


BLIND = [
    each for name, mean in (("a", 0.6), ("b", 0.7), ("none", 0.5))
    for each in tuned(name, "best_validation", [mean, mean + 0.01], validation=mean)
]  # fmt: skip


@pytest.mark.parametrize("rule", ["oracle", "best_epoch", "one_standard_error"])
def test_winners_of_another_rule_change_no_number(rule):
    alone, _ = table_of(BLIND)
    both, notes = table_of([*BLIND, *tuned("a", rule, [0.99, 0.99], validation=0.6)])
    pd.testing.assert_frame_equal(both[NUMBERS], alone[NUMBERS])
    assert set(both["selection"]) == {"best_validation"}
    assert any("their winners were selected by another rule" in note for note in notes)


def test_winners_of_a_rule_are_ranked_where_most_were_selected_by_it():
    oracles = [
        each for name, mean in (("a", 0.8), ("b", 0.7), ("none", 0.6)) for each in tuned(name, "oracle", [mean] * 3)
    ]
    table, notes = table_of([*BLIND, *oracles])
    assert table["mean"].to_dict() == pytest.approx({"a": 0.8, "b": 0.7, "none": 0.6})
    assert set(table["selection"]) == {"oracle"}
    assert any("selected by oracle, which looks at the test data" in note for note in notes)


def statistic(name, trials):
    ((_, table),) = statistics_of(trials, [name])
    return table


@pytest.mark.parametrize(
    "table",
    [analysis.ranking_table, analysis.timing_table, *(partial(statistic, name) for name in STATISTICS)],
    ids=["ranking", "timing", *STATISTICS],
)
def test_an_oracle_is_called_so_below_every_table(table):
    made = table(pd.DataFrame([each for name in ("a", "none") for each in tuned(name, "oracle", [0.5, 0.6])]))
    assert any("oracle, which looks at the test data" in note for note in analysis.notes_of(made))


def test_winners_by_their_best_epoch_are_judged_by_the_value_of_that_epoch():
    rows = [
        {**each, "test_value_at_best_validation": 0.8 if each["role"] == "confirm" else None}
        for name in ("a", "none") for each in tuned(name, "best_epoch", [0.5, 0.6])
    ]  # fmt: skip
    table, _ = table_of(rows)
    assert table["mean"].tolist() == [0.8, 0.8]


def test_rows_of_before_there_were_rules_were_selected_by_validation():
    table, notes = table_of([{name: each[name] for name in each if name != "selection"} for each in BLIND])
    assert table["mean"].to_dict() == pytest.approx({"a": 0.605, "b": 0.705, "none": 0.505})
    assert notes == []
