"""Looks at the test data are counted by data set, whatever became of the rows in the tables."""

import pandas as pd
from result_rows import confirmed, row

import analysis


def test_every_trial_with_a_test_value_is_a_look_and_equal_settings_are_one():
    data = {"dataset": "digits", "dataset_fingerprint": "f1"}
    rows = [
        *confirmed("a", [0.1, 0.2, 0.3], hp={"lr": 0.1}, **data),
        *confirmed("a", [0.4], hp={"lr": 0.2}, code="older", **data),  # of past code, seen all the same
        *confirmed("a", [0.4, None], "other-task", hp={"lr": 0.1}, **data),  # one failed, unseen
        row("digits", "a", "tune", validation=0.5, tune_index=0, **data),
        *confirmed("a", [0.4], "third", hp={"lr": 0.1}, dataset="digits", dataset_fingerprint="f2"),
    ]
    looks = analysis.looks_at_test_data(pd.DataFrame(rows))
    counts = looks[["dataset_fingerprint", "num_looks", "num_settings", "num_tasks"]]
    assert counts.to_numpy().tolist() == [["f1", 5, 3, 2], ["f2", 1, 1, 1]]
