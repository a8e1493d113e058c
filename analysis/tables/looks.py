"""How often the test data were looked at: with every look, the best of what was seen is a little more by chance."""

from __future__ import annotations

import pandas as pd

from analysis.rows.current import require_trials, rule_notes
from analysis.rows.notes import notes_of, with_notes
from harness.records import HYPERPARAMETER_PREFIX

LOOK_COLUMNS = ("dataset", "dataset_fingerprint", "num_looks", "num_settings", "num_tasks", "first", "last")


def looks_at_test_data(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per data set and fingerprint; columns `LOOK_COLUMNS`, the most looked at first.

    `num_looks` counts the trials that were evaluated on the test split, whatever became of them in the tables: rows of
    past winners and older code have shown their values, too. `num_settings` counts the different questions that were
    asked: (task, regularizer, hyperparameters). The more settings compete on one test set, the more the best of them
    is ahead by chance (Dwork et al. 2015, "The reusable holdout"; Recht et al. 2019 measured how little on CIFAR-10);
    `p_holm` of a ranking corrects within one task of the rows at hand alone.
    """
    require_trials(trials)
    seen = trials[trials["test_value"].notna()]
    names = sorted(name for name in trials.columns if name.startswith(HYPERPARAMETER_PREFIX))
    setting = seen.groupby(["task", "regularizer", *names], dropna=False).ngroup()
    looks = seen.assign(
        setting=setting,
        dataset=seen["dataset"].fillna(""),
        dataset_fingerprint=seen["dataset_fingerprint"].fillna(""),
    )
    table = looks.groupby(["dataset", "dataset_fingerprint"]).agg(
        num_looks=("trial_id", "count"),
        num_settings=("setting", "nunique"),
        num_tasks=("task", "nunique"),
        first=("finished_at", "min"),
        last=("finished_at", "max"),
    )
    order = ["num_looks", "dataset", "dataset_fingerprint"]
    ordered = table.reset_index().sort_values(order, ascending=[False, True, True], ignore_index=True)
    return with_notes(ordered[list(LOOK_COLUMNS)], notes_of(trials), rule_notes(trials))
