"""Statistics over all tasks: bootstrap intervals of mean ranks and interquartile means, and performance profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.rows.notes import notes_of, with_notes
from analysis.rows.rounding import is_rounding
from analysis.shown.column import ALWAYS, interval, number, text
from analysis.shown.drawing import Drawing
from analysis.shown.formats import place, share
from analysis.tables.common_tasks import common_scores
from analysis.tables.cubes import Cube, cubes_of
from analysis.tables.scores import scores_table
from analysis.tables.statistic import Statistic

RANK_INTERVAL_COLUMNS = ("scale", "regularizer", "mean_rank", "low", "high", "num_tasks")
IQM_COLUMNS = ("scale", "regularizer", "iqm", "low", "high", "num_runs")
_ABSENT = "No task is common to the contestants, or none can be ranked yet."
_THRESHOLDS = (0.25, 0.5, 0.75, 0.9)  # of the displayed performance profiles
PROFILE_COLUMNS = ("scale", "regularizer", "threshold", "share")
_TASK = ["scale", "task"]
_CELL = [*_TASK, "regularizer"]


def rank_intervals(trials: pd.DataFrame, num_draws: int = 500, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Mean ranks over tasks with bootstrap intervals: one row per contestant, the best mean rank first.

    Ranks are over the tasks that the contestants have in common, as in the overall rows of `ranking_table`, except that
    a contestant without any value on a task has no rank there, and that means with infinite values are tied. The
    interval is the percentile bootstrap (Efron and Tibshirani 1993, section 13.3) over tasks, and over seeds within
    each task, drawn for all contestants together: it shows how much another choice of tasks and seeds would change the
    mean ranks.

    The columns:

    - `scale`, `regularizer`
    - `mean_rank`: over the common tasks; 1 is best
    - `low`, `high`: ends of the interval
    - `num_tasks`: number of common tasks

    Args:
        trials: from `load_trials`, or a `scores_table`.
        num_draws: number of bootstrap samples.
        confidence: of the interval, between 0 and 1.
        seed: of the bootstrap.
    """
    (scores, notes), rows = common_scores(scores_table(trials), "Mean ranks"), []
    for scale, cube in cubes_of(scores).items():
        rng = np.random.default_rng(seed)  # for each scale, so that no scale changes the interval of another
        drawn = [_mean_ranks(cube.resampled(rng)) for _ in range(num_draws)]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        means, num_tasks = _mean_ranks(cube), len(cube.tasks)
        rows += [(scale, *row, num_tasks) for row in zip(cube.names, means, low, high, strict=True)]
    table = pd.DataFrame(rows, columns=list(RANK_INTERVAL_COLUMNS))
    ordered = table.sort_values(["scale", "mean_rank", "regularizer"], ignore_index=True)
    return with_notes(ordered, notes_of(scores), notes)


def normalized_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """`scores_table` with the column `normalized`, on which 0 is the worst mean of the task and 1 the best.

    `(worst - loss) / (worst - best)`, where the means are over the seeds with a value: if failed seeds moved the two
    ends, a contestant could gain on its other seeds by failing on one. Single seeds may lie outside of [0, 1]. A failed
    seed has the lowest score of one with a value on the task, but at most 0. Tasks on which all means are equal cannot
    be normalized and are left out, with a note.
    """
    scores = scores_table(trials)
    known = scores.assign(size=scores["survivors_loss"].abs())
    cells = known.groupby(_CELL).agg(mean=("survivors_loss", "mean"), size=("size", "mean"))
    ends = cells.groupby(_TASK).agg(best=("mean", "min"), worst=("mean", "max"), size=("size", "max"))
    ends = ends.join(known.groupby(_TASK)["survivors_loss"].max().rename("largest"))
    flat = is_rounding((ends["worst"] - ends["best"]).to_numpy(), ends["size"].to_numpy())
    joined = scores.merge(ends[~flat].reset_index(), on=_TASK)
    loss = joined["loss"].clip(upper=joined[["worst", "largest"]].max(axis="columns"))
    whole = joined[[*scores.columns]].assign(normalized=(joined["worst"] - loss) / (joined["worst"] - joined["best"]))
    left_out = ", ".join(f"{task} ({scale})" for scale, task in ends.index[flat])
    notes = [f"Scores are not normalized on {left_out}: all means are equal there."] if left_out else []
    return with_notes(whole, notes_of(scores), notes)


def interquartile_means(
    trials: pd.DataFrame, num_draws: int = 500, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Interquartile means over all tasks and seeds: one row per contestant, the best first.

    The mean of the normalized scores of all tasks and seeds without the lowest and the highest quarter (Agarwal et al.
    2021, section 4.3). Scores are normalized so that 0 is the worst mean of a task and 1 the best
    (`normalized_scores`), over the tasks that the contestants have in common (`common_block`). The interval is the
    stratified percentile bootstrap: seeds are drawn within each task.

    The columns:

    - `scale`, `regularizer`
    - `iqm`: interquartile mean
    - `low`, `high`: ends of the interval
    - `num_runs`: number of scores, all tasks and seeds together

    Args:
        trials: from `load_trials`, or a `scores_table`.
        num_draws: number of bootstrap samples.
        confidence: of the interval, between 0 and 1.
        seed: of the bootstrap.
    """
    common, notes = common_scores(scores_table(trials), "Interquartile means")
    scores, rows = normalized_scores(common), []
    for scale, cube in cubes_of(scores, "normalized").items():
        rng = np.random.default_rng(seed)  # for each scale, as for the mean ranks
        drawn = [_iqm(cube.with_resampled_seeds(rng)) for _ in range(num_draws)]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        num_runs = cube.counts.sum(axis=0)
        rows += [(scale, *row) for row in zip(cube.names, _iqm(cube), low, high, num_runs, strict=True)]
    table = pd.DataFrame(rows, columns=list(IQM_COLUMNS))
    ordered = table.sort_values(["scale", "iqm", "regularizer"], ascending=[True, False, True], ignore_index=True)
    return with_notes(ordered, notes_of(scores), notes)


def performance_profiles(trials: pd.DataFrame, num_thresholds: int = 21) -> pd.DataFrame:
    """Performance profiles: one row per contestant and threshold.

    The share of the runs whose normalized score is above the threshold, as a mean over tasks, so that each task has the
    same weight (Dolan and Moré 2002; Agarwal et al. 2021, section 4.2, run-score distributions). Scores are normalized
    so that 0 is the worst mean of a task and 1 the best (`normalized_scores`), over the tasks that the contestants have
    in common (`common_block`).

    The columns:

    - `scale`, `regularizer`
    - `threshold`: `num_thresholds` equidistant values from 0 to 1
    - `share`: in [0, 1]

    Args:
        trials: from `load_trials`, or a `scores_table`.
        num_thresholds: how many thresholds.
    """
    thresholds = np.linspace(0, 1, num_thresholds).round(6)
    common, notes = common_scores(scores_table(trials), "Performance profiles")
    scores, rows = normalized_scores(common), []
    for (scale, name), runs in scores.groupby(["scale", "regularizer"], sort=True):
        tasks = [task.to_numpy() for _, task in runs.groupby("task")["normalized"]]
        shares = np.mean([(task[:, None] > thresholds).mean(axis=0) for task in tasks], axis=0)
        rows += [(scale, name, *each) for each in zip(thresholds, shares, strict=True)]
    return with_notes(pd.DataFrame(rows, columns=list(PROFILE_COLUMNS)), notes_of(scores), notes)


def _mean_ranks(cube: Cube) -> np.ndarray:
    """The mean rank of each contestant over the tasks, shape (contestant,); the cells all have scores."""
    means: np.ndarray = stats.rankdata(cube.means, axis=1).mean(axis=0)
    return means


def _iqm(cube: Cube) -> np.ndarray:
    """The interquartile mean of each contestant over the runs on all tasks, shape (contestant,)."""
    runs = np.sort(cube.losses.transpose(1, 0, 2).reshape(len(cube.names), -1), axis=1)  # NaN last
    num_runs = cube.counts.sum(axis=0)[:, None]
    cut, place = num_runs // 4, np.arange(runs.shape[1])
    is_middle = (place >= cut) & (place < num_runs - cut)
    means: np.ndarray = np.where(is_middle, runs, 0.0).sum(axis=1) / is_middle.sum(axis=1)
    return means


RANKS = Statistic(
    title="mean ranks",
    source="Percentile bootstrap over tasks and seeds (Efron and Tibshirani 1993, section 13.3).",
    make=rank_intervals,
    absent=_ABSENT,
    columns=(
        text("regularizer", weight=ALWAYS),
        number("mean_rank", show=place, legend="Over the tasks that the contestants have in common.", weight=ALWAYS),
        interval("low", "high", "95 % interval", place, legend="Bootstrap over tasks and seeds.", weight=80),
        number("num_tasks", "tasks", weight=40),
    ),
    drawing=Drawing(kind="intervals", value="mean_rank", low="low", high="high", label="mean rank (1 is best)"),
)


INTERQUARTILE_MEANS = Statistic(
    title="interquartile means of normalized scores",
    source="Interquartile mean with stratified bootstrap (Agarwal et al. 2021, section 4.3).",
    make=interquartile_means,
    absent=_ABSENT,
    columns=(
        text("regularizer", weight=ALWAYS),
        number(
            "iqm",
            "interquartile mean",
            share,
            legend="Mean of the middle half of all scores; 0 is the worst mean of a task and 1 the best.",
            weight=ALWAYS,
        ),
        interval("low", "high", "95 % interval", share, legend="Bootstrap over the seeds of each task.", weight=80),
        number("num_runs", "runs", weight=40),
    ),
    drawing=Drawing(
        kind="intervals", value="iqm", low="low", high="high", label="interquartile mean of normalized scores"
    ),
)


def _side_by_side(profiles: pd.DataFrame) -> pd.DataFrame:
    """One row per contestant and one column for each of `_THRESHOLDS`, sorted by the share above the second one."""
    named = profiles.assign(threshold=profiles["threshold"].map(str))
    wide = named.pivot_table(index="regularizer", columns="threshold", values="share").reset_index()
    return wide.sort_values([str(_THRESHOLDS[1]), "regularizer"], ascending=[False, True], ignore_index=True)


PROFILES = Statistic(
    title="performance profiles",
    source="Run-score distributions (Agarwal et al. 2021, section 4.2; Dolan and Moré 2002).",
    make=performance_profiles,
    absent=_ABSENT,
    columns=(
        text("regularizer", weight=ALWAYS),
        *(
            number(
                str(each),
                f"above {each}",
                share,
                legend="Share of the runs with a larger normalized score; 0 is the worst mean of a task, 1 the best.",
            )
            for each in _THRESHOLDS
        ),
    ),
    view=_side_by_side,
    drawing=Drawing(
        kind="lines",
        value="share",
        across="threshold",
        label="share of runs above",
        across_label="normalized score",
        is_step=True,
    ),
)
