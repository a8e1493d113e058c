"""Claims about the course of training, judged on curves averaged over seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Judge, Judgement, Results
from analysis.papers.entries import standing_for
from analysis.rows.current import succeeded
from analysis.tables.statistics import mean_interval
from harness.records import SCALES

FEWEST_EPOCHS = 5  # of a rank correlation


def judge_stable(task: str, method: str, since: float, limit: float) -> Judge:
    """From the fraction `since` of training on, the mean test error moves by at most `limit` % points.

    The value is largest less smallest mean over seeds in that window. Only a whole training can tell.
    """

    def judge(results: Results) -> Judgement | None:
        found = _trials(results, task, lambda name: name == method)
        if found is None:
            return None
        scale, rows = found
        error = _test_error(results.curves, rows)
        if error.empty:
            return None
        mean = error.groupby("epoch")["value"].mean()
        late = mean[mean.index >= since * mean.index.max()]
        moved = float(late.max() - late.min())
        if scale != "paper":
            verdict = f"not comparable: scale {scale}"
        elif len(late) < 2:
            verdict = "not comparable: the test error was read once in that time"
        else:
            verdict = HOLDS if moved <= limit else FAILS
        text = (
            f"mean test error from {late.min():.2f} to {late.max():.2f} % between epochs {late.index.min()} and "
            f"{late.index.max()}; {late.iloc[-1] - late.iloc[0]:+.2f} from first to last"
        )
        return Judgement(verdict=verdict, value=moved, limit=limit, measured=text, num_trials=len(rows), scale=scale)

    return judge


def judge_common_trend(task: str, wanted: Callable[[str], bool], metric: str, least: float) -> Judge:
    """What a regularizer logs and the test error rise and fall together: Spearman's correlation over epochs.

    One correlation for each trial, since neighbouring epochs are anything but independent; their mean over trials
    must reach `least`, and fails where the 95 % interval over trials lies below. Whatever falls as training goes on has
    such a correlation with the error, the number of the epoch among it; so the steps from reading to reading must go
    together, too: the mean of their rank correlations over trials is surely above 0. The value is minus the mean.
    `wanted` picks the contestants by name.
    """

    def judge(results: Results) -> Judgement | None:
        found = _trials(results, task, wanted)
        if found is None:
            return None
        scale, rows = found
        joined = bound_and_error(results.curves, rows, metric)
        per_trial = [
            float(stats.spearmanr(curve["bound"], curve["error"]).statistic)
            for _, curve in joined.groupby("trial_id")
            if len(curve) >= FEWEST_EPOCHS and all(np.ptp(curve[name]) > 0 for name in ("bound", "error"))
        ]
        if not per_trial:
            return _unread(joined, len(rows), scale, -least)
        mean, (low, high) = float(np.mean(per_trial)), mean_interval(per_trial)
        of_steps = [_step_correlation(curve) for _, curve in joined.groupby("trial_id") if len(curve) >= FEWEST_EPOCHS]
        steps, (least_step, _) = float(np.mean(of_steps)), mean_interval(of_steps)
        if scale != "paper":
            verdict = f"not comparable: scale {scale}"
        elif mean >= least:
            verdict = HOLDS if least_step > 0 else f"{TOO_FEW}: the two follow training, and not surely each other"
        else:
            verdict = FAILS if high < least else f"{TOO_FEW}: the seeds do not tell the trends apart"
        text = f"mean rank correlation {mean:+.2f} over {len(per_trial)} trials"
        text += f", 95 % interval {low:+.2f} to {high:+.2f}" if len(per_trial) > 1 else ""
        text += f"; of the steps between readings {steps:+.2f}"
        return Judgement(verdict=verdict, value=-mean, limit=-least, measured=text, num_trials=len(rows), scale=scale)

    return judge


def _step_correlation(curve: pd.DataFrame) -> float:
    """Spearman's correlation of the steps of bound and error; 0 where one of them steps evenly."""
    steps = curve[["bound", "error"]].diff().dropna()
    size = curve[["bound", "error"]].abs().max()
    steps = (steps / size.where(size > 0, 1.0)).round(9)  # steps that differ by rounding have one rank
    if (steps.nunique() < 2).any():
        return 0.0
    return float(stats.spearmanr(steps["bound"], steps["error"]).statistic)


def _unread(joined: pd.DataFrame, num_trials: int, scale: str, limit: float) -> Judgement:
    """Of trials that ran, and of which no correlation can be told."""
    why = f"fewer than {FEWEST_EPOCHS} readings in which both move" if scale == "paper" else f"scale {scale}"
    most = int(joined.groupby("trial_id").size().max()) if len(joined) else 0
    return Judgement(
        verdict=f"not comparable: {why}",
        value=float("nan"),
        limit=limit,
        measured=f"at most {most} readings of a trial, too few for a rank correlation",
        num_trials=num_trials,
        scale=scale,
    )


def bound_and_error(curves: pd.DataFrame, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Columns trial_id, epoch, bound, error (% of the test split): where both were read."""
    logged = curves[(curves["split"] == "regularizer") & (curves["metric"] == metric)]
    logged = logged[logged["trial_id"].isin(rows["trial_id"])]
    error = _test_error(curves, rows)
    joined = logged.merge(error, on=["trial_id", "epoch"], suffixes=("_bound", "_error"))
    renamed = joined.rename(columns={"value_bound": "bound", "value_error": "error"})
    return renamed[["trial_id", "epoch", "bound", "error"]].sort_values(["trial_id", "epoch"], ignore_index=True)


def _trials(results: Results, task: str, wanted: Callable[[str], bool]) -> tuple[str, pd.DataFrame] | None:
    """The trials of the contestants on a task at the fullest scale, confirmed ones where there are such."""
    rows = succeeded(results.trials)
    rows = rows[
        (rows["task"] == task)
        & rows["role"].isin(["default", "confirm"])
        & rows["regularizer"].map(wanted).astype(bool)
    ]
    for scale in SCALES:
        at_scale = rows[rows["scale"] == scale]
        if len(at_scale):
            return scale, standing_for(at_scale, "", exact=False)
    return None


def _test_error(curves: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Points of the test error in %, of these trials."""
    points = curves[(curves["split"] == "test") & (curves["metric"] == "accuracy")]
    points = points[points["trial_id"].isin(rows["trial_id"])]
    return points.assign(value=100 * (1 - points["value"]))
