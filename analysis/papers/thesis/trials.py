"""The default trials of the thesis's experiments, and their values by seed; a failed seed counts as it does elsewhere.

It has the worst value of a metric, where there is one (accuracy 0, error 1). Of other metrics, an entry with a failed
seed has no value, as the mean over the other seeds would be that of the easier ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from analysis.papers.claims.claim import Judgement
from analysis.papers.claims.evidence import DROP_RATE
from analysis.rows.current import succeeded
from harness.records import METRIC_PREFIX, SCALES, SUCCESSES


def default_trials(trials: pd.DataFrame, tasks: Collection[str]) -> pd.DataFrame:
    """The default trials on these tasks, failed ones included, at the scale closest to the thesis's with a success."""
    rows = trials[trials["task"].isin(list(tasks)) & (trials["role"] == "default") & (trials["status"] != "skipped")]
    scales = succeeded(rows)["scale"] if len(succeeded(rows)) else rows["scale"]
    return rows[rows["scale"] == min(scales, key=SCALES.index, default="")]


def calculated(trials: pd.DataFrame, task: str) -> pd.Series[float] | None:
    """The metrics of a task that is a calculation, without their prefix, and its `scale`; None if it did not run."""
    rows = succeeded(trials[trials["task"] == task])
    if rows.empty:
        return None
    row = rows.iloc[-1]
    values = {name.removeprefix(METRIC_PREFIX): row[name] for name in rows.columns if name.startswith(METRIC_PREFIX)}
    return pd.Series({**values, str(row["metric"]): row["test_value"], "scale": row["scale"]})


def with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """The trials without and with dropout; their column `rate` is the drop rate, 0 without."""
    rows = rows[rows["regularizer"].isin(["none", "dropout"])]
    drop_rate = rows[DROP_RATE] if DROP_RATE in rows.columns else pd.Series(0.0, index=rows.index)
    return rows.assign(rate=drop_rate.where(rows["regularizer"] == "dropout", 0.0).astype(float).round(6))


def by_seed(rows: pd.DataFrame, column: str, worst: float = math.nan) -> dict[int, float]:
    """The mean of a column for each seed; empty if a seed failed and there is no worst value, or if all failed."""
    is_success = rows["status"].isin(SUCCESSES)
    if column not in rows.columns or not is_success.any() or (math.isnan(worst) and not is_success.all()):
        return {}
    values = pd.to_numeric(rows[column], errors="coerce").astype(float).where(is_success, worst)
    means = values[np.isfinite(values)].groupby(rows["seed"]).mean()
    return {int(seed): float(value) for seed, value in zip(means.index, means, strict=True)}


def without_values(rows: pd.DataFrame) -> Judgement | None:
    """The judgement if an entry has no values: which trials failed, or None if none did, as it was then not run."""
    failed = rows.loc[~rows["status"].isin(SUCCESSES), "status"]
    if failed.empty:
        return None
    ends = ", ".join(f"{count} {str(status).replace('_', ' ')}" for status, count in failed.value_counts().items())
    return Judgement(
        verdict=f"not comparable: no value, as {len(failed)} trial(s) failed ({ends})",
        value=math.nan,
        limit=math.nan,
        measured="",
        num_trials=len(rows),
        scale=str(rows["scale"].iloc[0]),
    )
