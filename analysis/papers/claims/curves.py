"""Claims about the course of training, judged on learning curves.

If a trial failed, the claim is not judged: a failed training has no course, and the others are the easier ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Judge, Judgement, Results
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED
from analysis.papers.entries import standing_for
from analysis.rows.current import succeeded
from analysis.tables.statistics import LEVEL, SMALLEST_SPREAD, Difference, difference_of_means
from harness.records import SCALES

FEWEST_EPOCHS = 5  # points of a rank correlation


def judge_stable(task: str, method: str, since: float, limit: float) -> Judge:
    """Judge whether the mean test error varies by at most `limit` % points after the fraction `since` of training.

    This is the claim that the error is equal within the limit at any two readings of that window. It holds if the 95 %
    intervals over seeds of all differences of two readings are within the limit, and does not hold if one difference is
    significantly beyond it after Bonferroni's correction over all pairs of readings. The value of the judgement is the
    largest less the smallest mean over seeds in that window. Only trials of scale `paper` are judged.
    """

    def judge(results: Results) -> Judgement | None:
        found = _trials(results, task, lambda name: name == method)
        if found is None:
            return None
        scale, rows, failures = found
        error = _test_error(results.curves, rows)
        if error.empty:
            return None
        by_seed = error.merge(rows[["trial_id", "seed"]], on="trial_id").pivot_table("value", "seed", "epoch")
        mean = by_seed.mean()
        late = mean[mean.index >= since * mean.index.max()]
        moved = float(late.max() - late.min())
        readings = by_seed[late.index].dropna(axis="columns")
        if scale != "paper":
            verdict = f"not comparable: scale {scale}"
        elif failures:
            verdict = f"not comparable: {failures}"
        elif readings.shape[1] < 2:
            verdict = "not comparable: the test error was read once in that time"
        else:
            verdict = _verdict_on_readings(readings.to_numpy(dtype=float), limit)
        text = (
            f"mean test error from {late.min():.2f} to {late.max():.2f} % between epochs {late.index.min()} and "
            f"{late.index.max()}; {late.iloc[-1] - late.iloc[0]:+.2f} from first to last"
        )
        return Judgement(verdict=verdict, value=moved, limit=limit, measured=text, num_trials=len(rows), scale=scale)

    return judge


def _verdict_on_readings(values: np.ndarray, limit: float) -> str:
    """Whether the means of any two columns are equal within the limit; one row per seed, one column per reading."""
    if len(values) < 2:
        return ONE_SEED
    first, second = np.triu_indices(values.shape[1], 1)
    changes = values[:, second] - values[:, first]
    moved, freedom = np.abs(changes.mean(axis=0)), len(changes) - 1
    spreads = np.maximum(changes.std(axis=0, ddof=1), SMALLEST_SPREAD * moved)
    errors = spreads / np.sqrt(len(changes))
    if (moved + stats.t.ppf(1 - LEVEL / 2, freedom) * errors).max() <= limit:
        return HOLDS
    beyond = moved > limit
    p_values = 2 * stats.t.sf((moved[beyond] - limit) / errors[beyond], freedom)
    return FAILS if p_values.min(initial=1.0) * len(moved) < LEVEL else UNDECIDED


def judge_common_trend(task: str, wanted: Callable[[str], bool], metric: str, least: float) -> Judge:
    """Judge whether a logged metric and the test error rise and fall together, by Spearman's correlation over epochs.

    There is one correlation per trial, since neighbouring epochs are not independent. The claim does not hold if the
    95 % interval of the mean over trials is below `least`. It holds if the mean is at least `least` and, in addition,
    the changes from one reading to the next are correlated: the 95 % interval of their mean rank correlation is above
    0. The second condition excludes that both only follow the progress of training, as any decreasing quantity does.
    The value of the judgement is minus the mean correlation. `wanted` selects contestants by name.
    """

    def judge(results: Results) -> Judgement | None:
        found = _trials(results, task, wanted)
        if found is None:
            return None
        scale, rows, failures = found
        joined = bound_and_error(results.curves, rows, metric)
        per_trial = [
            float(stats.spearmanr(curve["bound"], curve["error"]).statistic)
            for _, curve in joined.groupby("trial_id")
            if len(curve) >= FEWEST_EPOCHS and all(np.ptp(curve[name]) > 0 for name in ("bound", "error"))
        ]
        if not per_trial:
            return _unread(joined, len(rows), scale, -least)
        correlation = _over_trials(per_trial)
        of_steps = [_step_correlation(curve) for _, curve in joined.groupby("trial_id") if len(curve) >= FEWEST_EPOCHS]
        steps = _over_trials(of_steps)
        if scale != "paper":
            verdict = f"not comparable: scale {scale}"
        elif failures:
            verdict = f"not comparable: {failures}"
        elif correlation.mean >= least:
            verdict = HOLDS if steps.low > 0 else f"{TOO_FEW}: no significant correlation of the changes"
        else:
            verdict = (
                FAILS
                if correlation.high < least
                else f"{TOO_FEW}: the correlation is not significantly below {least:g}"
            )
        text = f"mean rank correlation {correlation.mean:+.2f} over {len(per_trial)} trials"
        text += f", 95 % interval {correlation.low:+.2f} to {correlation.high:+.2f}" if len(per_trial) > 1 else ""
        text += f"; of the changes between readings {steps.mean:+.2f}"
        return Judgement(
            verdict=verdict, value=-correlation.mean, limit=-least, measured=text, num_trials=len(rows), scale=scale
        )

    return judge


def _over_trials(correlations: list[float]) -> Difference:
    """The mean over trials, as a difference from 0."""
    return difference_of_means(dict(enumerate(correlations)), dict.fromkeys(range(len(correlations)), 0.0))


def _step_correlation(curve: pd.DataFrame) -> float:
    """Spearman's correlation of the changes of bound and error; 0 if the changes of one of them are all equal."""
    steps = curve[["bound", "error"]].diff().dropna()
    size = curve[["bound", "error"]].abs().max()
    steps = (steps / size.where(size > 0, 1.0)).round(9)  # so that changes that differ by rounding errors are tied
    if (steps.nunique() < 2).any():
        return 0.0
    return float(stats.spearmanr(steps["bound"], steps["error"]).statistic)


def _unread(joined: pd.DataFrame, num_trials: int, scale: str, limit: float) -> Judgement:
    """The judgement if no trial has enough readings for a correlation."""
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
    """The logged metric and the test error at the epochs at which both were read.

    Columns `trial_id`, `epoch`, `bound` (the metric) and `error` (in % of the test split).
    """
    logged = curves[(curves["split"] == "regularizer") & (curves["metric"] == metric)]
    logged = logged[logged["trial_id"].isin(rows["trial_id"])]
    error = _test_error(curves, rows)
    joined = logged.merge(error, on=["trial_id", "epoch"], suffixes=("_bound", "_error"))
    renamed = joined.rename(columns={"value_bound": "bound", "value_error": "error"})
    return renamed[["trial_id", "epoch", "bound", "error"]].sort_values(["trial_id", "epoch"], ignore_index=True)


def _trials(results: Results, task: str, wanted: Callable[[str], bool]) -> tuple[str, pd.DataFrame, str] | None:
    """The scale closest to the paper's, the trials at it, and how many others failed, in words; empty if none did.

    The trials are the confirmed ones if there are any, else the default ones.
    """
    rows = results.trials[results.trials["status"] != "skipped"]
    rows = rows[
        (rows["task"] == task)
        & rows["role"].isin(["default", "confirm"])
        & rows["regularizer"].map(wanted).astype(bool)
    ]
    for scale in SCALES:
        at_scale = rows[rows["scale"] == scale]
        if len(succeeded(at_scale)):
            chosen = standing_for(at_scale, "", exact=False)
            num_failed = len(chosen) - len(succeeded(chosen))
            return scale, succeeded(chosen), f"{num_failed} trial(s) failed" if num_failed else ""
    return None


def _test_error(curves: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The curve points of these trials' test error, in %."""
    points = curves[(curves["split"] == "test") & (curves["metric"] == "accuracy")]
    points = points[points["trial_id"].isin(rows["trial_id"])]
    return points.assign(value=100 * (1 - points["value"]))
