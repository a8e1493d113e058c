"""Tune trials that stopped at a rung of their search are neither failures nor winners."""

import pandas as pd
from result_rows import row

from analysis.rows.current import winners
from analysis.tables.campaign import failures


def test_what_stopped_at_a_rung_is_no_failure_and_does_not_win():
    stopped = row(role="tune", tune_index=0, status="pruned", validation_value=0.9, higher_is_better=True)
    whole = row(role="tune", tune_index=1, validation=0.8, hp={"lr": 0.2})
    failed = row(role="tune", tune_index=2, status="timeout", hp={"lr": 0.3})
    trials = pd.DataFrame([stopped, whole, failed])
    assert failures(trials)["tune_index"].tolist() == [2]
    assert winners(trials)["tune_index"].tolist() == [1]
