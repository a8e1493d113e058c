"""What a regularizer costs: its seconds per training step over those of the unregularized twin that ran beside it."""

from __future__ import annotations

import math

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
_RANGES = {
    "ratio": (f"{METRIC_PREFIX}step_ratio_low", f"{METRIC_PREFIX}step_ratio_high"),
    "seconds": (f"{METRIC_PREFIX}twin_seconds_low", f"{METRIC_PREFIX}twin_seconds_high"),
}
_SECONDS = ["seconds_per_step", "twin_seconds_per_step", "minutes_per_100_epochs"]
_READ = {_TWIN, _RATIO, _MINUTES, *_RANGES["ratio"], *_RANGES["seconds"]}


def timing_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per (scale, task, regularizer, hardware_key); columns `TIMING_COLUMNS`. Empty without timing trials.

    Each timing trial trains the regularizer and its twin in turns in one process; its ratio is that of the median
    seconds per step. `ratio` is the median of these over `n` trials, `ratio_low` and `ratio_high` the smallest
    and the largest: with a handful of trials the range says more than a bootstrap of it would. Two machines never share
    a row. `minutes_per_100_epochs` is what the papers' tables of times give: of all steps of so many epochs, at the
    trial's scale, without evaluation. Trials that failed, or that did not have the device to themselves, are left out
    with a note.

    A trial's own spread is the range over its chunks of steps. Trials of a row whose ranges do not meet say that the
    machine drifted between them. They are not averaged: where ratios drifted, the row is left out; where only the
    twin's seconds did, the columns of seconds are empty. Notes name these rows.
    """
    timed = current_rows(trials)
    timed = timed[timed["role"] == "timing"]
    finished = succeeded(timed).reindex(columns=[*trials.columns, *(_READ - set(trials.columns))])
    finished = finished.assign(ratio=finished[_RATIO].fillna(finished["seconds_per_step"] / finished[_TWIN]))
    alone = finished[finished["exclusive"].astype("boolean").fillna(False).astype(bool)]
    usable = alone.dropna(subset=["ratio", "hardware_key"])
    grouped = usable.groupby(_KEYS, sort=True)
    drifted = {what: _apart(usable, *bounds) for what, bounds in _RANGES.items()}
    table = grouped.agg(
        ratio=("ratio", "median"),
        ratio_low=("ratio", "min"),
        ratio_high=("ratio", "max"),
        seconds_per_step=("seconds_per_step", "median"),
        twin_seconds_per_step=(_TWIN, "median"),
        minutes_per_100_epochs=(_MINUTES, "median"),
        n=("trial_id", "nunique"),
    )
    table.loc[drifted["seconds"], _SECONDS] = math.nan
    table = table[~drifted["ratio"]].reset_index()
    table = table.sort_values(["scale", "task", "hardware_key", "ratio"]).reset_index(drop=True)
    return with_notes(
        table[list(TIMING_COLUMNS)],
        notes_of(timed),
        _left_out(len(timed) - len(finished), "failed"),
        _left_out(len(finished) - len(alone), "shared the device with something else"),
        _left_out(len(alone) - len(usable), "name no hardware or no twin"),
        _drift_notes(drifted["ratio"], "step ratios", "the row is left out"),
        _drift_notes(drifted["seconds"] & ~drifted["ratio"], "twins' seconds per step", "only the ratio is shown"),
    )


def _apart(usable: pd.DataFrame, low: str, high: str) -> pd.Series:
    """For each row, whether some trial's range ends before another's begins; unknown ranges are apart from nothing."""
    grouped = usable.groupby(_KEYS, sort=True)
    return grouped[low].max() > grouped[high].min()


def _drift_notes(drifted: pd.Series, what: str, consequence: str) -> list[str]:
    return [
        f"{regularizer} on {task} ({scale}, {hardware}): drift. The trials' {what} differ by more than each varied "
        f"within itself, so {consequence}; time it again on a machine at rest."
        for scale, task, regularizer, hardware in drifted.index[drifted]
    ]


def _left_out(count: int, why: str) -> list[str]:
    return [f"{count} timing trial(s) left out: they {why}."] if count else []
