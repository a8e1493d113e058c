"""What a regularizer costs: its seconds per training step over those of the unregularized twin that ran beside it."""

from __future__ import annotations

import pandas as pd

from analysis.rows.current import current_rows, succeeded
from analysis.rows.notes import notes_of, with_notes
from harness.records import METRIC_PREFIX

TIMING_COLUMNS = (
    "scale", "task", "regularizer", "hardware_key", "ratio", "ratio_low", "ratio_high", "seconds_per_step",
    "twin_seconds_per_step", "minutes_per_100_epochs", "n",
)  # fmt: skip
_KEYS = ["scale", "task", "regularizer", "hardware_key"]
_TWIN = f"{METRIC_PREFIX}twin_seconds_per_step"
_RATIO = f"{METRIC_PREFIX}step_ratio"
_MINUTES = f"{METRIC_PREFIX}minutes_per_100_epochs"


def timing_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per (scale, task, regularizer, hardware_key); columns `TIMING_COLUMNS`. Empty without timing trials.

    Each timing trial trains the regularizer and its twin in turns in one process; its ratio is that of the median
    seconds per step. `ratio` is the median of these over `n` trials, `ratio_low` and `ratio_high` the smallest
    and the largest: with a handful of trials the range says more than a bootstrap of it would. Two machines never share
    a row. `minutes_per_100_epochs` is what the papers' tables of times give: of all steps of so many epochs, at the
    trial's scale, without evaluation. Trials that failed, or that did not have the device to themselves, are left out
    with a note.
    """
    timed = current_rows(trials)
    timed = timed[timed["role"] == "timing"]
    finished = succeeded(timed).reindex(columns=[*trials.columns, *({_TWIN, _RATIO, _MINUTES} - set(trials.columns))])
    finished = finished.assign(ratio=finished[_RATIO].fillna(finished["seconds_per_step"] / finished[_TWIN]))
    alone = finished[finished["exclusive"].astype("boolean").fillna(False).astype(bool)]
    usable = alone.dropna(subset=["ratio", "hardware_key"])
    grouped = usable.groupby(_KEYS, sort=True)
    table = grouped.agg(
        ratio=("ratio", "median"),
        ratio_low=("ratio", "min"),
        ratio_high=("ratio", "max"),
        seconds_per_step=("seconds_per_step", "median"),
        twin_seconds_per_step=(_TWIN, "median"),
        minutes_per_100_epochs=(_MINUTES, "median"),
        n=("trial_id", "nunique"),
    ).reset_index()
    table = table.sort_values(["scale", "task", "hardware_key", "ratio"]).reset_index(drop=True)
    return with_notes(
        table[list(TIMING_COLUMNS)],
        notes_of(timed),
        _left_out(len(timed) - len(finished), "failed"),
        _left_out(len(finished) - len(alone), "shared the device with something else"),
        _left_out(len(alone) - len(usable), "name no hardware or no twin"),
    )


def _left_out(count: int, why: str) -> list[str]:
    return [f"{count} timing trial(s) left out: they {why}."] if count else []
