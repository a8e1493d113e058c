"""Over all tasks at once: rank intervals, interquartile means and performance profiles, with stratified bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.tables.common_tasks import common_block
from analysis.tables.scores import scores_table

RANK_INTERVAL_COLUMNS = ("scale", "regularizer", "mean_rank", "low", "high", "num_tasks")
IQM_COLUMNS = ("scale", "regularizer", "iqm", "low", "high", "num_runs")
PROFILE_COLUMNS = ("scale", "regularizer", "threshold", "share")


def rank_intervals(trials: pd.DataFrame, num_draws: int = 500, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row per contestant of the common tasks, the best mean rank first; columns `RANK_INTERVAL_COLUMNS`.

    Mean ranks as in the overall rows of `ranking_table`; the interval is the percentile bootstrap (Efron and Tibshirani
    1993, section 13.3) over tasks, and over seeds within each cell: what another choice of tasks and seeds would give.
    """
    rng, rows = np.random.default_rng(seed), []
    for scale, of_scale in scores_table(trials).groupby("scale", sort=True):
        cells = {key: losses.to_numpy() for key, losses in of_scale.groupby(["task", "regularizer"])["loss"]}
        means = of_scale.pivot_table(index="task", columns="regularizer", values="loss", aggfunc="mean")
        block = common_block(means.rank(axis="columns")).ranks
        tasks, names = list(block.index), list(block.columns)
        drawn = np.empty((num_draws, len(names)))
        for draw in range(num_draws):
            chosen = rng.integers(len(tasks), size=len(tasks))
            losses = [[_mean_of_draw(cells[tasks[place], name], rng) for name in names] for place in chosen]
            drawn[draw] = stats.rankdata(losses, axis=1).mean(axis=0)
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        rows += [(scale, name, block[name].mean(), low[i], high[i], len(tasks)) for i, name in enumerate(names)]
    table = pd.DataFrame(rows, columns=list(RANK_INTERVAL_COLUMNS))
    return table.sort_values(["scale", "mean_rank", "regularizer"], ignore_index=True)


def normalized_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """`scores_table` with `normalized`: 0 for the worst mean of a task's contestants and 1 for the best.

    `(worst - loss) / (worst - best)` over the finite mean losses of the task, 0 where the loss is infinite; tasks on
    which all means are equal have no such scale and are left out.
    """
    scores = scores_table(trials)
    means = scores.groupby(["scale", "task", "regularizer"])["loss"].mean().replace([np.inf, -np.inf], np.nan)
    ends = means.groupby(["scale", "task"]).agg(["min", "max"]).reset_index()
    joined = scores.merge(ends[ends["max"] > ends["min"]], on=["scale", "task"])
    normalized = (joined["max"] - joined["loss"]) / (joined["max"] - joined["min"])
    return joined.assign(normalized=normalized.where(np.isfinite(normalized), 0.0))[[*scores.columns, "normalized"]]


def interquartile_means(
    trials: pd.DataFrame, num_draws: int = 500, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """One row per contestant, the best first; columns `IQM_COLUMNS`: the mean of the middle half of its runs.

    Over the normalized scores of all tasks and seeds, without the lowest and the highest quarter (Agarwal et al. 2021,
    section 4.3); the interval is the percentile bootstrap, stratified: seeds are drawn within each task.
    """
    rng, rows = np.random.default_rng(seed), []
    for (scale, name), runs in normalized_scores(trials).groupby(["scale", "regularizer"], sort=True):
        strata = [task.to_numpy() for _, task in runs.groupby("task")["normalized"]]
        drawn = [
            _iqm(np.concatenate([task[rng.integers(len(task), size=len(task))] for task in strata]))
            for _ in range(num_draws)
        ]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        rows.append((scale, name, _iqm(np.concatenate(strata)), low, high, len(runs)))
    table = pd.DataFrame(rows, columns=list(IQM_COLUMNS))
    return table.sort_values(["scale", "iqm", "regularizer"], ascending=[True, False, True], ignore_index=True)


def performance_profiles(trials: pd.DataFrame, num_thresholds: int = 21) -> pd.DataFrame:
    """Per contestant and threshold in [0, 1] the share of its runs whose normalized score is above: `PROFILE_COLUMNS`.

    Each task has the same weight (Dolan and More 2002; Agarwal et al. 2021, section 4.2, run-score distributions).
    """
    thresholds = np.linspace(0, 1, num_thresholds).round(6)
    rows = []
    for (scale, name), runs in normalized_scores(trials).groupby(["scale", "regularizer"], sort=True):
        tasks = [task.to_numpy() for _, task in runs.groupby("task")["normalized"]]
        shares = np.mean([(task[:, None] > thresholds).mean(axis=0) for task in tasks], axis=0)
        rows += [(scale, name, *each) for each in zip(thresholds, shares, strict=True)]
    return pd.DataFrame(rows, columns=list(PROFILE_COLUMNS))


def _iqm(values: np.ndarray) -> float:
    return float(stats.trim_mean(values, 0.25))


def _mean_of_draw(losses: np.ndarray, rng: np.random.Generator) -> float:
    return float(losses[rng.integers(len(losses), size=len(losses))].mean())
