"""Rows and curves of the theory's tasks in the form that claims and figures need.

A reading is the set of metrics that a trial logged of its weights at one epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows, succeeded
from harness.records import SCALES

DROP_RATE = "hp.drop_rate"
LANDSCAPE = "landscape/"
_CONTESTANT = ["task", "regularizer"]


@dataclass(frozen=True)
class Evidence:
    """The trials of some tasks and contestants at one scale.

    Attributes:
        rows: the successful trials with curves, of the roles default and confirm.
        curves: their curves on the split `validation`, which holds the readings of these tasks.
        scale: of all trials.
        lost: the trials without readings: those that diverged or failed, and those without curves.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    scale: str
    lost: pd.DataFrame

    @cached_property
    def readings(self) -> pd.DataFrame:
        """One row per trial and epoch, with a column for each metric.

        The other columns are `trial_id`, `epoch`, `task`, `regularizer`, `seed`, `drop_rate`, `lam` (the strength of
        dropout, p / (1 - p)) and, if the steps per epoch were logged, `iteration`.
        """
        points = self.curves[~self.curves["metric"].str.startswith(LANDSCAPE)]
        wide = points.pivot_table(index=["trial_id", "epoch"], columns="metric", values="value").reset_index()
        subjects = self.rows[["trial_id", "task", "regularizer", "seed", DROP_RATE]]
        joined = wide.merge(subjects, on="trial_id").rename(columns={DROP_RATE: "drop_rate"})
        joined["lam"] = joined["drop_rate"] / (1 - joined["drop_rate"])
        if "steps_per_epoch" in joined:
            joined["iteration"] = joined["epoch"] * joined["steps_per_epoch"]
        return joined.sort_values(["task", "regularizer", "drop_rate", "seed", "epoch"], ignore_index=True)

    @cached_property
    def last(self) -> pd.DataFrame:
        """The last reading of every trial."""
        return self.readings.groupby("trial_id").tail(1).reset_index(drop=True)

    @cached_property
    def landscape(self) -> pd.DataFrame:
        """The objective on a grid of weights, measured before training: mean over trials.

        Columns `drop_rate`, `x`, `y` and `value`.
        """
        points = self.curves[self.curves["metric"].str.startswith(LANDSCAPE)]
        points = points.merge(self.rows[["trial_id", DROP_RATE]], on="trial_id").rename(
            columns={DROP_RATE: "drop_rate"}
        )
        values = points.groupby(["drop_rate", "metric"], as_index=False)["value"].mean()
        places = values["metric"].str.split("/", expand=True)
        placed: pd.DataFrame = values.assign(x=places[1].astype(float), y=places[2].astype(float))
        return placed.drop(columns="metric")

    @cached_property
    def all_are_read(self) -> bool:
        """Whether every regularizer has a trial with readings on every task."""
        return set(_names(self.lost)) <= set(_names(self.rows))

    @cached_property
    def lost_settings(self) -> list[str]:
        """The settings (task, regularizer, drop rate) without any trial with readings, in words."""
        setting = [*_CONTESTANT, DROP_RATE]
        known = pd.MultiIndex.from_frame(self.rows[setting])
        lost = self.lost[~pd.MultiIndex.from_frame(self.lost[setting]).isin(known)][setting].drop_duplicates()
        return [
            f"{name} at drop rate {rate:.2g} on {task}" for task, name, rate in sorted(lost.itertuples(index=False))
        ]

    @cached_property
    def losses(self) -> str:
        """How many trials have no readings, and their statuses; empty if there are none."""
        number = len(self.lost)
        ends = ", ".join(f"{count} {status}" for status, count in self.lost["status"].value_counts().items())
        return f"{number} trial{'s' if number > 1 else ''} without readings ({ends})" if number else ""

    def finite(self, metrics: Iterable[str]) -> Evidence:
        """The evidence in which trials with an infinite or missing value of these metrics are moved to `lost`."""
        wanted = set(metrics)
        read = self.curves["metric"].str.replace(r"/.*", "", regex=True).isin(wanted)
        broken = self.rows["trial_id"].isin(self.curves.loc[read & ~np.isfinite(self.curves["value"]), "trial_id"])
        if not broken.any():
            return self
        rows = self.rows[~broken]
        curves = self.curves[self.curves["trial_id"].isin(rows["trial_id"])]
        lost = self.rows[broken].assign(status="without finite readings")
        return Evidence(rows, curves, self.scale, pd.concat([self.lost, lost]))

    def lacks(self, metrics: Iterable[str]) -> list[str]:
        """The metrics that some regularizer on some task did not log, neither as `name` nor numbered as `name/1`."""
        who = dict(zip(self.rows["trial_id"], _names(self.rows), strict=True))
        points = self.curves[["trial_id", "metric"]].drop_duplicates()
        read = {(who[trial], metric.partition("/")[0]) for trial, metric in points.itertuples(index=False)}
        everyone = {*_names(self.rows), *_names(self.lost)}
        return [metric for metric in metrics if any((subject, metric) not in read for subject in everyone)]

    def of(self, **wanted: object) -> Evidence:
        """The evidence of the trials with these values in their columns, for example `of(task="structured-fig2")`."""
        rows, lost = self.rows, self.lost
        for name, value in wanted.items():
            rows, lost = rows[rows[name] == value], lost[lost[name] == value]
        return Evidence(rows, self.curves[self.curves["trial_id"].isin(rows["trial_id"])], self.scale, lost)


def evidence_of(
    trials: pd.DataFrame, curves: pd.DataFrame, tasks: Sequence[str], contestants: Sequence[str]
) -> Evidence | None:
    """The trials of these contestants on these tasks, at the scale closest to the paper's with all combinations.

    None if there is no such scale. Diverged trials count as run; they are in `lost`.
    """
    if DROP_RATE not in trials.columns:
        return None
    rows = current_rows(trials)
    wanted = rows["task"].isin(tasks) & rows["regularizer"].isin(contestants) & (rows["status"] != "skipped")
    rows = rows[wanted & rows["role"].isin(["default", "confirm"])]
    for scale in SCALES:
        ended = rows[rows["scale"] == scale]
        if len(ended[_CONTESTANT].drop_duplicates()) == len(tasks) * len(contestants):
            points = curves[curves["trial_id"].isin(succeeded(ended)["trial_id"]) & (curves["split"] == "validation")]
            read = ended["trial_id"].isin(points["trial_id"])
            return Evidence(ended[read], points, scale, ended[~read])
    return None


def _names(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """The (task, regularizer) of each trial."""
    return list(trials[_CONTESTANT].itertuples(index=False, name=None))
