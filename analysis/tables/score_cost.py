"""Score against cost: what a contestant gains, and how much longer its training takes than the baseline's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.rows.comparable import RANKED_ROLES
from analysis.rows.current import current_rows, current_rows_remembered, succeeded
from analysis.rows.notes import notes_of, with_notes
from analysis.shown.column import ALWAYS, Column, interval, number, text
from analysis.shown.drawing import Drawing
from analysis.tables.ranking import ranking_table
from analysis.tables.statistic import Statistic
from analysis.tables.ties import without_rounding
from analysis.tables.timing import timing_table
from harness.records import OVERALL

SCORE_COST_COLUMNS = (
    "scale", "task", "regularizer", "score", "interval_low", "interval_high", "cost", "step_ratio", "epochs_ratio",
    "is_on_front", "cost_from", "hardware_key", "num_seeds", "metric", "higher_is_better",
)  # fmt: skip
_TIMED, _RANKED = "timing trials", "ranked trials"  # values of `cost_from`
_TASK = ["scale", "task"]
_CELL = [*_TASK, "regularizer"]


@current_rows_remembered()
def score_against_cost(trials: pd.DataFrame, baseline: str = "none") -> pd.DataFrame:
    """Score and cost of training, with the Pareto front: one row per contestant and task, the cheapest first.

    The score is the mean test value of `ranking_table`. The cost is the time of a training relative to the baseline's:
    `cost = step_ratio * epochs_ratio`, the time of a step by `timing_table` times the epochs that were run (fewer if
    the contestant stops training early), over those of the baseline. If the task was not timed, the steps of another
    task at the same scale count whose network is the same: it has the same architecture and, without a regularizer, the
    same number of parameters. If no such task was timed, the cost is the ratio of the mean training times of the ranked
    trials. These may have shared the machine with others, and must all have run on one kind of machine. `cost_from`
    says where a cost is from.

    A contestant is on the Pareto front if no other is at least as good and at least as cheap, and better in one of the
    two (Pareto efficiency; Branke et al. 2008, "Multiobjective Optimization"). The front is that of the
    means: neighbours on it need not differ significantly.

    The columns:

    - `scale`, `task`, `regularizer`
    - `score`, `interval_low`, `interval_high`: mean test value with its 95 % interval
    - `cost`: time of a training over that of the baseline; NaN if it is not known
    - `step_ratio`, `epochs_ratio`: its factors; `step_ratio` is NaN if the cost is from ranked trials
    - `is_on_front`: whether it is on the Pareto front
    - `cost_from`: "timing trials", "timing trials of " and the other task, "ranked trials", or "" without a cost
    - `hardware_key`: the machine of these trials
    - `num_seeds`: of the mean
    - `metric`, `higher_is_better`

    Only contestants with a finite mean and the commonest budget of their task are included. On a task that was timed on
    several machines, the machine with the most contestants counts.

    Args:
        trials: from `load_trials`.
        baseline: the contestant to whose time the cost relates.
    """
    current = current_rows(trials)
    ranking = ranking_table(current, baseline=baseline)
    scores = ranking[ranking["task"].ne(OVERALL) & ranking["is_main_budget"].astype(bool)]
    scores = scores[np.isfinite(scores["mean"].astype(float))].rename(columns={"mean": "score"})
    efforts, steps = _efforts(current), _Steps(current, baseline)
    tables = [
        _with_costs(of_task, efforts, *steps.of(str(scale), str(task)), baseline)
        for (scale, task), of_task in scores.groupby(_TASK, sort=False)
    ]
    table = pd.concat(tables, ignore_index=True) if tables else scores.reindex(columns=list(SCORE_COST_COLUMNS))
    unknown = table[table["cost"].isna()] if len(table) else table
    notes = [
        f"{task} ({scale}): the cost of {', '.join(rows['regularizer'])} relative to {baseline} is not known: "
        "it was not timed, or on another machine."
        for (scale, task), rows in unknown.groupby(_TASK, sort=False)
    ]
    table = table[list(SCORE_COST_COLUMNS)].astype({"higher_is_better": bool, "is_on_front": bool})
    return with_notes(table, notes_of(ranking), notes)


def timed_costs(costs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `score_against_cost` whose cost is from timing trials, on the task or on one with the same network.

    Ranked trials share the machine, and may have run on another day: their times differ by more than those of many
    contestants. Verdicts and the leaderboard name costs without their origin, so they use these alone.
    """
    return costs[costs["cost_from"].astype(str).str.startswith(_TIMED)]


class _Steps:
    """Which timing trials say how long a step takes on a task."""

    def __init__(self, current: pd.DataFrame, baseline: str) -> None:
        self._timing = timing_table(current)
        plain = current[current["regularizer"].eq(baseline) & current["architecture"].fillna("").ne("")]
        known = plain.dropna(subset="num_parameters")[[*_TASK, "architecture", "num_parameters"]]
        self._networks = {(scale, task): network for scale, task, *network in known.itertuples(index=False)}

    def of(self, scale: str, task: str) -> tuple[pd.DataFrame, str]:
        """The rows of `timing_table` for a task, and the value of `cost_from`; no rows if nothing like it was timed.

        Of several other tasks with the same network, the one with the most timed contestants counts.
        """
        timing = self._timing[self._timing["scale"].eq(scale)]
        timed = {str(name): int(count) for name, count in timing.groupby("task")["regularizer"].nunique().items()}
        if task in timed:
            return timing[timing["task"].eq(task)], _TIMED
        network = self._networks.get((scale, task))
        alike = [other for other in sorted(timed) if network and self._networks.get((scale, other)) == network]
        if not alike:
            return timing.iloc[:0], _RANKED
        other = max(alike, key=timed.__getitem__)
        return timing[timing["task"].eq(other)], f"{_TIMED} of {other}"


def _efforts(current: pd.DataFrame) -> pd.DataFrame:
    """Mean epochs and seconds of the ranked trials with a value, by (scale, task, regularizer, role)."""
    rows = succeeded(current[current["role"].isin(RANKED_ROLES)])
    grouped = rows.groupby([*_CELL, "role"])
    efforts = grouped[["epochs_run", "train_seconds"]].mean().astype(float)
    machines = grouped["hardware_key"]
    return efforts.assign(hardware_key=machines.first().where(machines.nunique(dropna=False).eq(1)))


def _with_costs(
    scores: pd.DataFrame, efforts: pd.DataFrame, timing: pd.DataFrame, source: str, baseline: str
) -> pd.DataFrame:
    """The rows of one task with their costs, and whether they are on the front."""
    places = pd.MultiIndex.from_frame(scores[[*_CELL, "role"]])
    effort = efforts.reindex(places).reset_index(drop=True).set_axis(scores["regularizer"])
    if baseline in effort.index:
        base = effort.loc[baseline]
    else:
        base = pd.Series({"epochs_run": math.nan, "train_seconds": math.nan, "hardware_key": None})
    epochs_ratio = effort["epochs_run"] / base["epochs_run"]
    machine: Any = base["hardware_key"]
    if len(timing):
        machine = str(timing["hardware_key"].value_counts().sort_index().idxmax())
        ratios = timing[timing["hardware_key"] == machine].set_index("regularizer")["ratio"]
        step_ratio = ratios.reindex(effort.index).astype(float)
        step_ratio[effort.index == baseline] = 1.0  # by definition; its own ratio only shows the noise of timing
        cost = step_ratio * epochs_ratio.fillna(1.0)
    else:
        step_ratio = pd.Series(math.nan, index=effort.index)
        cost = (effort["train_seconds"] / base["train_seconds"]).where(effort["hardware_key"] == machine)
    known = cost.notna().to_numpy()
    table = scores.assign(
        cost=cost.to_numpy(dtype=float),
        step_ratio=step_ratio.to_numpy(dtype=float),
        epochs_ratio=epochs_ratio.to_numpy(dtype=float),
        cost_from=np.where(known, source, ""),
        hardware_key=np.where(known, str(machine), ""),
    )
    loss = table["score"].to_numpy(dtype=float) * np.where(table["higher_is_better"].astype(bool), -1.0, 1.0)
    table["is_on_front"] = on_front(loss, table["cost"].to_numpy())
    return table.sort_values(["cost", "score", "regularizer"])


def on_front(loss: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Whether each point is on the Pareto front of two quantities, of which smaller is better; not if one is NaN.

    Values that differ by rounding errors alone are equal (`without_rounding`).

    >>> on_front(np.array([0.3, 0.1, 0.2, 0.1]), np.array([1.0, 2.0, 3.0, 2.0])).tolist()
    [True, True, False, True]
    """
    loss, cost = (without_rounding(each, np.abs(each)) for each in (loss, cost))
    with np.errstate(invalid="ignore"):
        no_worse = (loss[:, None] <= loss) & (cost[:, None] <= cost)
        better = (loss[:, None] < loss) | (cost[:, None] < cost)
    known: np.ndarray = ~(np.isnan(loss) | np.isnan(cost))
    return known & ~(no_worse & better).any(axis=0)


SCORE_COST = Statistic(
    title="score against cost",
    source="Mean test value, and time per step times epochs relative to none. The Pareto front has the contestants "
    "than which no other is both as good and as cheap (Branke et al. 2008).",
    make=score_against_cost,
    takes_scores=False,
    columns=(
        text("task", weight=ALWAYS),
        text("regularizer", weight=ALWAYS),
        number("score", legend="Mean test value of the ranked trials.", weight=ALWAYS),
        interval(
            "interval_low", "interval_high", "95 % interval", legend="Student's t interval of the mean.", weight=60
        ),
        number("cost", "cost, times none", legend="Time of a training divided by that of none.", weight=ALWAYS),
        number("step_ratio", "time per step", legend="Time of a training step divided by that of none.", weight=40),
        number("epochs_ratio", "epochs run", legend="Epochs that were run divided by those of none.", weight=30),
        Column(
            name="is_on_front",
            heading="Pareto front",
            make=lambda row: "yes" if row["is_on_front"] else "–",
            legend="Whether no other contestant is as good and as cheap, and better in one of the two.",
            weight=90,
        ),
        text(
            "cost_from",
            "cost from",
            legend="Timing trials, on this task or on one with the same network, or else ranked trials, which may have "
            "shared the machine.",
            weight=50,
        ),
        text("hardware_key", "hardware", weight=10),
    ),
    is_long=True,
    drawing=Drawing(
        kind="points",
        value="score",
        across="cost",
        low="interval_low",
        high="interval_high",
        label="mean test value",
        across_label="time of a training, times none",
        caption="Vertical lines are 95 % intervals; the steps are the Pareto front, whose contestants are named.",
        reference=1.0,
        front="is_on_front",
        is_per_task=True,
        figure="analysis.figures.training_costs:plot_score_against_cost",
    ),
)
