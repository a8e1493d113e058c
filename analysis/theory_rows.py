"""Rows and curves of the theory's tasks, as claims and figures need them: one scale, one reading per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.current import current_rows, succeeded
from harness.records import METRIC_PREFIX, SCALES

DROP_RATE = "hp.drop_rate"
LANDSCAPE = "landscape/"


@dataclass(frozen=True)
class Evidence:
    """What some tasks measured at one scale.

    Attributes:
        rows: the trials that succeeded, default and confirm.
        curves: their curves on the split `validation`, which for these tasks is a reading of the weights.
        scale: of all of them.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    scale: str

    @cached_property
    def readings(self) -> pd.DataFrame:
        """One row per trial and epoch, one column per metric, and who was read: task, regularizer, rate, seed, step."""
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
        """Columns drop_rate, x, y, value: the landscapes that were measured before training, averaged over trials."""
        points = self.curves[self.curves["metric"].str.startswith(LANDSCAPE)]
        points = points.merge(self.rows[["trial_id", DROP_RATE]], on="trial_id").rename(
            columns={DROP_RATE: "drop_rate"}
        )
        values = points.groupby(["drop_rate", "metric"], as_index=False)["value"].mean()
        places = values["metric"].str.split("/", expand=True)
        placed: pd.DataFrame = values.assign(x=places[1].astype(float), y=places[2].astype(float))
        return placed.drop(columns="metric")

    def of(self, **wanted: object) -> Evidence:
        """Only the trials whose columns have these values (`task`, `regularizer`)."""
        chosen = self.rows
        for name, value in wanted.items():
            chosen = chosen[chosen[name] == value]
        return Evidence(chosen, self.curves[self.curves["trial_id"].isin(chosen["trial_id"])], self.scale)


def evidence_of(
    trials: pd.DataFrame, curves: pd.DataFrame, tasks: Sequence[str], contestants: Sequence[str]
) -> Evidence | None:
    """These contestants on these tasks, at the fullest scale at which all were run on all; None where there is none."""
    if DROP_RATE not in trials.columns or f"{METRIC_PREFIX}objective" not in trials.columns:
        return None
    rows = succeeded(current_rows(trials))
    wanted = rows["task"].isin(tasks) & rows["regularizer"].isin(contestants)
    rows = rows[wanted & rows["role"].isin(["default", "confirm"])]
    for scale in SCALES:
        at_scale = rows[rows["scale"] == scale]
        if len(at_scale[["task", "regularizer"]].drop_duplicates()) == len(tasks) * len(contestants):
            read = curves[curves["trial_id"].isin(at_scale["trial_id"]) & (curves["split"] == "validation")]
            return Evidence(at_scale, read, scale)
    return None
