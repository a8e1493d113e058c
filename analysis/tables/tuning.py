"""Cost and progress of tuning: training time of the searches, and the best validation value so far."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.shown.column import ALWAYS, number, text
from analysis.shown.drawing import Drawing
from analysis.shown.formats import count
from analysis.tables.statistic import Statistic
from harness.records import INTENDED, SUCCESSES

SO_FAR_COLUMNS = ("scale", "task", "regularizer", "num_trials", "seconds", "best_validation")
COST_COLUMNS = ("scale", "regularizer", "num_tasks", "num_trials", "num_failed", "seconds", "seconds_per_trial")
_CELL = ["scale", "task", "regularizer"]
_USED = (*_CELL, "tune_index", "trial_id", "status", "higher_is_better", "validation_value", "train_seconds")


def best_so_far(trials: pd.DataFrame) -> pd.DataFrame:
    """Progress of the searches: one row per tune trial, in the order of the proposals.

    The columns:

    - `scale`, `task`, `regularizer`
    - `num_trials`: number k of this and all earlier trials of the cell
    - `seconds`: training time of these k trials, failed ones included; a crashed trial, whose time is unknown, adds 0
    - `best_validation`: the best validation value among them, `max_{i <= k} v_i` (the minimum if lower is better); NaN
      before the first success

    Args:
        trials: from `load_trials`.
    """
    tune = _tune_rows(trials)
    higher = tune["higher_is_better"].astype("boolean").fillna(True).astype(bool)
    value = tune["validation_value"].astype(float).where(tune["status"].isin(SUCCESSES))
    gain = value.where(np.isfinite(value)).where(higher, -value)
    cell = tune.groupby(_CELL, sort=False).ngroup()
    best = gain.groupby(cell).cummax().groupby(cell).ffill()  # cummax leaves a missing value missing
    table = tune[_CELL].assign(
        num_trials=cell.groupby(cell).cumcount() + 1,
        seconds=tune["train_seconds"].astype(float).fillna(0.0).groupby(cell).cumsum(),
        best_validation=best.where(higher, -best),
    )
    return with_notes(table[list(SO_FAR_COLUMNS)].reset_index(drop=True), notes_of(tune))


def tuning_costs(trials: pd.DataFrame) -> pd.DataFrame:
    """Cost of tuning over all tasks: one row per contestant, the most expensive first.

    The columns:

    - `scale`, `regularizer`
    - `num_tasks`: number of tasks on which it was tuned
    - `num_trials`, `num_failed`: number of tune trials, and how many of them failed
    - `seconds`: training time of these trials, failed ones included; a crashed trial, whose time is unknown, adds 0
    - `seconds_per_trial`: mean over the trials whose time is known; a crashed trial has none

    Args:
        trials: from `load_trials`.
    """
    tune = _tune_rows(trials)
    failed = ~tune["status"].isin(INTENDED)
    grouped = tune.assign(failed=failed, seconds=tune["train_seconds"].astype(float)).groupby(["scale", "regularizer"])
    table = grouped.agg(
        num_tasks=("task", "nunique"),
        num_trials=("trial_id", "count"),
        num_failed=("failed", "sum"),
        seconds=("seconds", "sum"),
        seconds_per_trial=("seconds", "mean"),
    ).reset_index()
    ordered = table.sort_values(["scale", "seconds", "regularizer"], ascending=[True, False, True], ignore_index=True)
    return with_notes(ordered[list(COST_COLUMNS)], notes_of(tune))


def _tune_rows(trials: pd.DataFrame) -> pd.DataFrame:
    current = current_rows(trials)
    tune = current.loc[current["role"] == "tune", list(_USED)]  # few of a hundred columns: sorting copies them
    tune = tune.sort_values([*_CELL, "tune_index", "trial_id"], ignore_index=True)
    return with_notes(tune, notes_of(current))


COSTS = Statistic(
    title="cost of tuning",
    source="Training time of the tune trials of all tasks.",
    make=tuning_costs,
    takes_scores=False,
    columns=(
        text("regularizer", weight=ALWAYS),
        number(
            "seconds", "training, s", legend="Training time of all tune trials, failed ones included.", weight=ALWAYS
        ),
        number("seconds_per_trial", "s per trial", weight=60),
        number("num_trials", "trials", weight=70),
        number("num_failed", "failed", count, weight=50),
        number("num_tasks", "tasks", weight=40),
    ),
    absent="Nothing was tuned here.",
)


def _at_powers_of_two(so_far: pd.DataFrame) -> pd.DataFrame:
    """The rows after 1, 2, 4, ... tune trials, and after the last."""
    number = so_far["num_trials"]
    last = number.eq(number.groupby([so_far["task"], so_far["regularizer"]]).transform("max"))
    return so_far[last | number.map(lambda each: each & (each - 1) == 0).astype(bool)]


SO_FAR = Statistic(
    title="best validation value so far",
    source="The best among the first 1, 2, 4, ... tune trials in the order of proposals, and among all.",
    make=best_so_far,
    takes_scores=False,
    columns=(
        text("task", weight=ALWAYS),
        text("regularizer", weight=ALWAYS),
        number("num_trials", "trials", weight=ALWAYS),
        number("best_validation", legend="The best validation value among these trials.", weight=ALWAYS),
        number("seconds", "training, s", legend="Training time of these trials.", weight=80),
    ),
    view=_at_powers_of_two,
    absent="Nothing was tuned here.",
    is_long=True,
    drawing=Drawing(
        kind="lines",
        value="best_validation",
        across="num_trials",
        label="best validation value so far",
        across_label="tune trials",
        is_per_task=True,
        is_step=True,
    ),
)
