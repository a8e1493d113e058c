"""Cost of a regularizer: its time per training step relative to the unregularized network, timed in turns with it."""

from __future__ import annotations

import math

import pandas as pd

from analysis.rows.current import current_rows, succeeded
from analysis.rows.notes import listed, notes_of, with_notes
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
_COMPILED = {"num_graphs": "twin_num_graphs", "layers_in_graphs": "twin_layers_in_graphs"}
_READ = {*_COMPILED, *_COMPILED.values(), _TWIN, _RATIO, _MINUTES, *_RANGES["ratio"], *_RANGES["seconds"]}


def timing_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Times per training step: one row per cell and machine. Empty without timing trials.

    A timing trial trains the network with the regularizer and its twin, the same network without it, in turns in one
    process. Trials that failed, or that shared the device with other trials, are left out, with a note. So are trials
    in which `torch.compile` compiled more of the one network than of the other, or in more graphs: their ratio would
    be that of two kinds of execution.

    Each trial also has a range over its chunks of steps. If the ranges of two trials of one row do not overlap, the
    machine was faster or slower in one of them (drift), and the trials are not averaged: if the ratios drifted, the row
    is left out; if only the twin's seconds did, the columns of times are NaN. Notes name these rows.

    The columns:

    - `scale`, `task`, `regularizer`, `hardware_key`
    - `ratio`: seconds per step of the regularizer over those of its twin, median over the trials; in each trial it is
      the ratio of the median times
    - `ratio_low`, `ratio_high`: smallest and largest ratio of the trials; missing for a single one
    - `seconds_per_step`, `twin_seconds_per_step`: medians over the trials
    - `minutes_per_100_epochs`: training steps of 100 epochs at the scale of the trials, without evaluation, as in the
      papers' tables
    - `n`: number of trials

    Args:
        trials: from `load_trials`.
    """
    timed = current_rows(trials)
    timed = timed[timed["role"].eq("timing") & timed["status"].ne("skipped")]
    finished = succeeded(timed).reindex(columns=[*trials.columns, *(_READ - set(trials.columns))])
    finished = finished.assign(ratio=finished[_RATIO].fillna(finished["seconds_per_step"] / finished[_TWIN]))
    alone = finished[finished["exclusive"].astype("boolean").fillna(False).astype(bool)]
    known = alone.dropna(subset=["ratio", "hardware_key"])
    usable = known[_compiled_alike(known)]
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
    table.loc[table["n"] < 2, ["ratio_low", "ratio_high"]] = math.nan
    table.loc[drifted["seconds"], _SECONDS] = math.nan
    table = table[~drifted["ratio"]].reset_index()
    table = table.sort_values(["scale", "task", "hardware_key", "ratio"]).reset_index(drop=True)
    return with_notes(
        table[list(TIMING_COLUMNS)],
        notes_of(timed),
        _left_out(len(timed) - len(finished), "failed"),
        _left_out(len(finished) - len(alone), "shared the device with something else"),
        _left_out(len(alone) - len(known), "name no hardware or no twin"),
        _unlike_notes(known[~_compiled_alike(known)]),
        _drift_notes(drifted["ratio"], "step ratios", "the row is left out"),
        _drift_notes(drifted["seconds"] & ~drifted["ratio"], "twins' seconds per step", "only the ratio is shown"),
    )


def _apart(usable: pd.DataFrame, low: str, high: str) -> pd.Series:
    """Whether the ranges of two trials of a row do not overlap; missing ranges overlap with all."""
    grouped = usable.groupby(_KEYS, sort=True)
    return grouped[low].max() > grouped[high].min()


def _compiled_alike(timed: pd.DataFrame) -> pd.Series:
    """Whether as much of the network was compiled as of its twin; rows without such counts are not compiled."""
    unlike = [timed[own].notna() & (timed[own] != timed[twin]) for own, twin in _COMPILED.items()]
    return ~(unlike[0] | unlike[1])


def _unlike_notes(timed: pd.DataFrame) -> list[str]:
    counts = timed.groupby([*_KEYS, *_COMPILED, *_COMPILED.values()], sort=True).size()
    return [
        f"{regularizer} on {task} ({scale}, {hardware}): {count} timing trial(s) left out: torch.compile made "
        f"{graphs:.0f} graph(s) with {layers:.0f} layer(s), and {twin_graphs:.0f} with {twin_layers:.0f} of the twin."
        for (scale, task, regularizer, hardware, graphs, layers, twin_graphs, twin_layers), count in zip(
            counts.index.to_list(), counts, strict=True
        )
    ]


def _drift_notes(drifted: pd.Series, what: str, consequence: str) -> list[str]:
    names: dict[tuple[str, str], list[str]] = {}
    for scale, task, regularizer, hardware in drifted.index[drifted]:
        names.setdefault((task, f"{scale}, {hardware}"), []).append(regularizer)
    return [
        f"{listed(each)} on {task} ({where}): drift. The {what} of the trials differ by more than they vary "
        f"within a trial, so {consequence}; time again on an idle machine."
        for (task, where), each in names.items()
    ]


def _left_out(count: int, why: str) -> list[str]:
    return [f"{count} timing trial(s) left out: they {why}."] if count else []
