"""Entries of the papers' tables: the trials that correspond to an entry, and their values by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd

from analysis.rows.current import succeeded
from analysis.rows.numbering import proposal_numbers, setting_numbers
from analysis.rows.symbols import has_setting, words_of
from harness.records import HYPERPARAMETER_PREFIX, SCALES, SUCCESSES

Measure = Callable[[pd.DataFrame], pd.Series]  # the value of each row


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a table: a contestant on a task.

    Attributes:
        label: its name in messages.
        task: our task.
        regularizer: our contestant.
        settings: in the paper's notation ("lambda=0.1;h=2000;m=10"). With several, the entry is the mean over them, as
            the average of a row of a sweep.
        exact: whether only trials with exactly this setting correspond to it, as for a point of a sweep.
    """

    label: str
    task: str
    regularizer: str
    settings: tuple[str, ...] = ("",)
    exact: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the trials of one entry measured."""

    by_seed: Mapping[int, float]
    num_trials: int
    why: str = ""  # why there are no values; "" if there are
    budget: str = ""  # of tuning, in words

    @property
    def mean(self) -> float:
        """The mean over seeds, NaN without values."""
        return fmean(self.by_seed.values()) if self.by_seed else math.nan


def accuracy_points(rows: pd.DataFrame) -> pd.Series:
    """Test accuracy after the last epoch, in %."""
    return 100 * rows["test_value"]


def top5_points(rows: pd.DataFrame) -> pd.Series:
    """Top-5 test accuracy, in %; NaN if it was not measured."""
    name = "metric.top5_accuracy"
    return 100 * rows[name] if name in rows.columns else pd.Series(math.nan, index=rows.index)


def train_points(rows: pd.DataFrame) -> pd.Series:
    """Training accuracy at the end, in %."""
    return 100 * rows["train_value"]


def gap_points(rows: pd.DataFrame) -> pd.Series:
    """Training accuracy less test accuracy, in % points."""
    return 100 * (rows["train_value"] - rows["test_value"])


# The value of a failed seed; `gap_points` has none.
WORST_POINTS: dict[Measure, float] = {accuracy_points: 0.0, top5_points: 0.0, train_points: 0.0}


def samples_of(rows: pd.DataFrame, entries: Iterable[Entry], measure: Measure) -> dict[Entry, Sample]:
    """What each entry measured, from rows of one scale.

    All entries are from trials of one role, so that they have common seeds: `confirm` if all entries that ran were
    confirmed and none is a point of a sweep, else `default`.
    """
    entries = list(dict.fromkeys(entries))
    cells = dict(iter(rows[rows["role"].isin(["default", "confirm"])].groupby(["task", "regularizer"])))
    wanted = {(entry.task, entry.regularizer) for entry in entries} & set(cells)
    confirmed = {cell for cell in wanted if (cells[cell]["role"] == "confirm").any()}
    role = "confirm" if confirmed == wanted and not any(entry.exact for entry in entries) else "default"
    of_role = {cell: cells[cell][cells[cell]["role"] == role] for cell in wanted}
    tune = rows[rows["role"] == "tune"]
    tuned = proposal_numbers(tune).groupby([tune["task"], tune["regularizer"]]).nunique()
    budgets = {cell: f"{tuned.get(cell, 0)} tune trials" if role == "confirm" else "none tuned" for cell in wanted}
    return {
        entry: _sample(of_role[entry.task, entry.regularizer], entry, measure, budgets[entry.task, entry.regularizer])
        if (entry.task, entry.regularizer) in of_role
        else Sample(by_seed={}, num_trials=0, why="not run")
        for entry in entries
    }


def standing_for(cell: pd.DataFrame, setting: str, exact: bool) -> pd.DataFrame:
    """The trials of a cell (default and confirm) that correspond to a reported value with this setting.

    These are the first of the following that exist:

    1. Trials with this setting: the default trials, or those of the winner if the paper chose the setting from a range.
    2. The trials of the tuned winner, unless `exact`.
    3. All default trials, unless `exact`.

    If trials with several settings remain, as in a sweep, those of the setting with the best validation value are
    taken; if `exact`, those whose other hyperparameters are the commonest (among trials of the same mode, if the
    setting names a mode).
    """
    same = cell[has_setting(cell, setting)] if setting else cell.iloc[:0]
    if len(same) or exact:
        first = same[same["role"] == ("confirm" if " in " in setting else "default")]
        same = first if len(first) else same
        return _commonest_setting(same, cell[has_setting(cell, words_of(setting))]) if exact else best_setting(same)
    confirmed = cell[cell["role"] == "confirm"]
    return confirmed if len(confirmed) else best_setting(cell)


def best_setting(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the setting with the best mean validation value, because the mean over a sweep says nothing."""
    place = setting_numbers(rows)
    if place.nunique() < 2:
        return rows
    values = succeeded(rows)["validation_value"].groupby(place).mean().dropna()
    if values.empty:
        return rows[place.eq(place.iloc[0])]
    higher = bool(rows["higher_is_better"].dropna().iloc[0])
    best = (values if higher else -values).to_numpy().argmax()
    return rows[place.eq(int(values.index.to_numpy()[best]))]


def _commonest_setting(rows: pd.DataFrame, cell: pd.DataFrame) -> pd.DataFrame:
    """The rows of the setting that shares the most values with the base setting, the commonest values of the cell."""
    names = [name for name in rows.columns if name.startswith(HYPERPARAMETER_PREFIX) and cell[name].notna().any()]
    place = setting_numbers(rows)
    if place.nunique() < 2:
        return rows
    usual = {name: cell[name].mode().iloc[0] for name in names}
    num_usual = rows[list(usual)].eq(pd.Series(usual)).sum(axis="columns")
    return rows[place.eq(place.iloc[int(num_usual.to_numpy().argmax())])]


def _sample(cell: pd.DataFrame, entry: Entry, measure: Measure, budget: str) -> Sample:
    parts = [standing_for(cell, setting, entry.exact) for setting in entry.settings]
    values = [_by_seed(part, measure) for part in parts]
    seeds = set.intersection(*map(set, values))
    by_seed = {seed: fmean(value[seed] for value in values) for seed in sorted(seeds)}
    return Sample(by_seed=by_seed, num_trials=sum(map(len, parts)), why="" if by_seed else _why(parts), budget=budget)


def _by_seed(rows: pd.DataFrame, measure: Measure) -> dict[int, float]:
    """The value of each seed; failed seeds have the worst value. Empty if a seed failed and there is no worst value."""
    values = pd.to_numeric(measure(succeeded(rows)), errors="coerce").astype(float)
    values = values[np.isfinite(values)]
    failed = rows.index[~rows["status"].isin(SUCCESSES)]
    if len(failed) and measure not in WORST_POINTS:
        return {}
    if len(failed) and len(values):
        values = pd.concat([values, pd.Series(WORST_POINTS[measure], index=failed)])
    means = values.groupby(rows.loc[values.index, "seed"]).mean()
    return {int(seed): float(value) for seed, value in zip(means.index, means, strict=True)}


def _why(parts: list[pd.DataFrame]) -> str:
    """Why an entry has no value: not run, the commonest status of its failed trials, or not measured."""
    if any(part.empty for part in parts):
        return "not run"
    status = pd.concat(parts)["status"]
    failed = status[~status.isin(SUCCESSES)]
    return str(failed.mode().iloc[0]).replace("_", " ") if len(failed) else "not measured"


def at_fullest_scale(rows: pd.DataFrame, task: str, regularizer: str) -> pd.DataFrame:
    """The trials that correspond to a cell, at the scale closest to the paper's at which it ran; may be empty."""
    cell = rows[(rows["task"] == task) & (rows["regularizer"] == regularizer)]
    if cell.empty:
        return cell
    scale = min(cell["scale"], key=SCALES.index)
    return standing_for(cell[cell["scale"] == scale], "", exact=False)


def mean_by_epoch(curves: pd.DataFrame, rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """The accuracy of these trials on one split: columns `epoch` and `accuracy` (%), one row per trial and epoch."""
    points = curves[curves["trial_id"].isin(rows["trial_id"]) & (curves["split"] == split)]
    points = points[points["metric"] == "accuracy"]
    return pd.DataFrame({"epoch": points["epoch"], "accuracy": 100 * points["value"]})
