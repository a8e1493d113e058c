"""What tuning cost and what it brought: the best validation value so far against trials and seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from harness.records import INTENDED, SUCCESSES

SO_FAR_COLUMNS = ("scale", "task", "regularizer", "num_trials", "seconds", "best_validation")
COST_COLUMNS = ("scale", "regularizer", "num_tasks", "num_trials", "num_failed", "seconds", "seconds_per_trial")
_CELL = ["scale", "task", "regularizer"]


def best_so_far(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per tune trial in the order of proposals; columns `SO_FAR_COLUMNS`.

    `best_validation` is the best value among the first k trials, `max_{i <= k} v_i` (min where lower is better), NaN
    before the first success; `seconds` is the time of training of these, failed ones included.
    """
    tune = _tune_rows(trials)
    higher = tune["higher_is_better"].astype("boolean").fillna(True).astype(bool)
    value = tune["validation_value"].astype(float).where(tune["status"].isin(SUCCESSES))
    gain = value.where(np.isfinite(value)).where(higher, -value)
    best = gain.groupby([tune[name] for name in _CELL]).transform(lambda cell: cell.cummax().ffill())
    table = tune[_CELL].assign(
        num_trials=tune.groupby(_CELL).cumcount() + 1,
        seconds=tune["train_seconds"].astype(float).fillna(0.0).groupby([tune[name] for name in _CELL]).cumsum(),
        best_validation=best.where(higher, -best),
    )
    return with_notes(table[list(SO_FAR_COLUMNS)].reset_index(drop=True), notes_of(tune))


def tuning_costs(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per contestant: what its searches took over all tasks, the dearest first; columns `COST_COLUMNS`."""
    tune = _tune_rows(trials)
    failed = ~tune["status"].isin(INTENDED)
    grouped = tune.assign(failed=failed, seconds=tune["train_seconds"].astype(float)).groupby(["scale", "regularizer"])
    table = grouped.agg(
        num_tasks=("task", "nunique"),
        num_trials=("trial_id", "count"),
        num_failed=("failed", "sum"),
        seconds=("seconds", "sum"),
    ).reset_index()
    table["seconds_per_trial"] = table["seconds"] / table["num_trials"]
    ordered = table.sort_values(["scale", "seconds", "regularizer"], ascending=[True, False, True], ignore_index=True)
    return with_notes(ordered[list(COST_COLUMNS)], notes_of(tune))


def _tune_rows(trials: pd.DataFrame) -> pd.DataFrame:
    current = current_rows(trials)
    tune = current[current["role"] == "tune"].sort_values([*_CELL, "tune_index", "trial_id"], ignore_index=True)
    return with_notes(tune, notes_of(current))
