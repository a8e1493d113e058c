"""How often the test data were used: each further setting tried on them makes the best value more optimistic."""

from __future__ import annotations

import pandas as pd

from analysis.rows.current import require_trials, rule_notes
from analysis.rows.notes import notes_of, with_notes
from analysis.shown.column import ALWAYS, number, text
from analysis.shown.formats import count
from analysis.tables.statistic import Statistic
from harness.records import HYPERPARAMETER_PREFIX

LOOK_COLUMNS = ("dataset", "dataset_fingerprint", "num_looks", "num_settings", "num_tasks", "first", "last")


def looks_at_test_data(trials: pd.DataFrame) -> pd.DataFrame:
    """How often each test set was used: one row per data set and fingerprint, the most used first.

    The more settings compete on one test set, the more the value of the best one is due to chance (Dwork et al. 2015,
    "The reusable holdout"; Recht et al. 2019 found the effect small on CIFAR-10). The Holm-corrected p values of a
    ranking account for the comparisons on one task among the rows loaded, and for no earlier ones.

    The columns:

    - `dataset`, `dataset_fingerprint`
    - `num_looks`: number of trials evaluated on the test split, including rows that the tables leave out, such as those
      of former winners and of older code
    - `num_settings`: number of distinct (task, regularizer, hyperparameters) among them
    - `num_tasks`: number of distinct tasks among them
    - `first`, `last`: when the first and the last of these trials finished, UTC

    Args:
        trials: from `load_trials`.
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


LOOKS = Statistic(
    title="looks at the test data",
    source="The more settings are evaluated on one test set, the more the value of the best one is due to chance "
    "(Dwork et al. 2015).",
    make=looks_at_test_data,
    takes_scores=False,
    columns=(
        text("dataset", "data set", weight=ALWAYS),
        number("num_looks", "looks", count, legend="Trials evaluated on the test split.", weight=ALWAYS),
        number(
            "num_settings",
            "settings",
            count,
            legend="Distinct combinations of task, regularizer and hyperparameters among them.",
            weight=ALWAYS,
        ),
        number("num_tasks", "tasks", weight=60),
        text("first", weight=30),
        text("last", weight=30),
        text("dataset_fingerprint", "fingerprint", weight=20),
    ),
    absent="No trial has looked at test data.",
)
