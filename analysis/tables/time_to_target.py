"""Time to a target: after how many epochs, and seconds of training, a validation score is reached."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.rows.comparable import RANKED_ROLES
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.task_cells import only_measures
from analysis.shown.column import ALWAYS, Column, interval, number, text
from analysis.shown.drawing import Drawing
from analysis.tables.statistic import Statistic
from harness.records import SUCCESSES

TARGET_COLUMNS = (
    "scale", "task", "regularizer", "target", "epochs", "epochs_low", "epochs_high", "epochs_ratio", "train_seconds",
    "num_reached", "num_trials", "epochs_planned", "hardware_key", "metric", "higher_is_better",
)  # fmt: skip
_CELL = ["scale", "task", "regularizer"]
_TASK = ["scale", "task"]


def time_to_target(
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    target: float | Mapping[str, float] | None = None,
    baseline: str = "none",
) -> pd.DataFrame:
    """Time to a validation score: one row per contestant and task with validation curves.

    Time to a target compares methods that differ in speed (Coleman et al. 2019, "Analysis of DAWNBench"; Dahl et al.
    2023, "Benchmarking neural network training algorithms", section 4). The trials are the confirmed winners, or the
    default trials of a cell that was not confirmed. The time t_i of trial i is the first evaluated epoch at which the
    ranked metric on the validation split is at least as good as the target.

    A trial that never reaches the target is censored: all that is known is that t_i is beyond its last epoch. It counts
    as t_i = infinity, also if it stopped early or failed. `epochs` is the median, the smallest t with
    #{t_i <= t} > n / 2, and is missing if half of the trials or more never reach the target. As all trials of a task
    are planned for equally many epochs, it is the median of Kaplan and Meier (1958). No mean is given: it would depend
    on when the trials end.

    Without `target`, the target of a task is the best final validation value that more than half of the trials of the
    baseline reach, so that the row of the baseline has a time. A task without it is left out, with a note.

    The columns:

    - `scale`, `task`, `regularizer`
    - `target`: the score to be reached
    - `epochs`: the median; NaN if it is not reached
    - `epochs_low`: the smallest t_i; NaN if no trial reaches the target
    - `epochs_high`: the largest t_i; NaN unless all trials reach it
    - `epochs_ratio`: `epochs` divided by those of the baseline
    - `train_seconds`: the median of the training time until t_i, without evaluations; NaN also if the trials ran on
      several machines or only some of them name theirs, or if their curves are of an older version. These trials may
      have shared the machine with others; for a comparison of speed, multiply `epochs_ratio` by the ratio of
      `timing_table`.
    - `num_reached`, `num_trials`: trials that reach the target, and all
    - `epochs_planned`: the largest number of planned epochs, at which trials that never reach the target are censored
    - `hardware_key`: of the trials that succeeded or reached the target; missing if there are several
    - `metric`, `higher_is_better`

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
        target: the score for all tasks, or a mapping from tasks to scores; other tasks are then left out.
        baseline: the contestant that sets the target and to which `epochs_ratio` relates.
    """
    current = current_rows(trials)
    rows = _ranked(current)
    read = _validation_points(curves, rows)
    rows = rows[rows.set_index(_TASK).index.isin(read.set_index(_TASK).index)]
    targets = {
        (str(scale), str(task)): _target(of_task, target, baseline) for (scale, task), of_task in rows.groupby(_TASK)
    }
    notes = [
        f"{task} ({scale}): half of the trials of {baseline} or more have no final value, so there is no target."
        for (scale, task), each in targets.items()
        if target is None and math.isnan(each)
    ]
    rows = rows.assign(target=[targets[each] for each in rows[_TASK].itertuples(index=False, name=None)])
    rows = rows[rows["target"].notna()].merge(_first_times(read, targets), on="trial_id", how="left")
    table = pd.DataFrame([_row(cell) for _, cell in rows.groupby(_CELL, sort=True)], columns=list(TARGET_COLUMNS))
    base = table[table["regularizer"] == baseline].set_index(_TASK)["epochs"]
    divisor = base.reindex(pd.MultiIndex.from_frame(table[_TASK])).to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):  # the target may be reached before the first step
        table["epochs_ratio"] = table["epochs"].to_numpy(dtype=float) / divisor
    ordered = table.sort_values(
        [*_TASK, "epochs", "num_reached", "regularizer"], ascending=[True, True, True, False, True]
    )
    return with_notes(ordered.reset_index(drop=True), notes_of(current), notes)


def _ranked(current: pd.DataFrame) -> pd.DataFrame:
    """The confirm trials of each cell, or its default trials if there are none; with the metric of the task."""
    rows = current[current["role"].isin(RANKED_ROLES) & current["status"].ne("skipped")]
    rows = rows[~only_measures(rows)]
    is_confirm = rows["role"].eq("confirm")
    rows = rows[is_confirm | ~is_confirm.groupby([rows[name] for name in _CELL]).transform("any")]
    known = rows.dropna(subset=["metric", "higher_is_better"]).drop_duplicates(_TASK)
    wanted = [*_CELL, "trial_id", "status", "validation_value", "epochs_planned", "hardware_key"]
    return rows[wanted].merge(known[[*_TASK, "metric", "higher_is_better"]], on=_TASK)


def _validation_points(curves: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The points of the ranked metrics on the validation split, with the subject of their trials."""
    points = curves[curves["split"].eq("validation") & curves["trial_id"].isin(rows["trial_id"])]
    points = points.reindex(columns=["trial_id", "epoch", "metric", "value", "train_seconds"])
    return points.merge(rows[["trial_id", *_TASK, "metric", "higher_is_better"]], on=["trial_id", "metric"])


def _target(of_task: pd.DataFrame, target: float | Mapping[str, float] | None, baseline: str) -> float:
    if isinstance(target, Mapping):
        return float(target.get(str(of_task["task"].iloc[0]), math.nan))
    if target is not None:
        return float(target)
    of_baseline = of_task[of_task["regularizer"] == baseline]
    values = of_baseline["validation_value"].astype(float).where(of_baseline["status"].isin(SUCCESSES))
    finite = values[np.isfinite(values)].sort_values(ascending=not of_task["higher_is_better"].iloc[0])
    place = len(of_baseline) // 2  # more than half of the trials are at least as good
    return float(finite.iloc[place]) if place < len(finite) else math.nan


def _first_times(read: pd.DataFrame, targets: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """For each trial that reaches its target: the first such epoch `reached`, and its `seconds`."""
    goal = np.array([targets[each] for each in read[_TASK].itertuples(index=False, name=None)], dtype=float)
    sign = np.where(read["higher_is_better"].astype(bool), 1.0, -1.0)
    there = read[sign * read["value"].to_numpy(dtype=float) >= sign * goal]
    first = there.sort_values(["trial_id", "epoch"]).drop_duplicates("trial_id")
    return pd.DataFrame({"trial_id": first["trial_id"], "reached": first["epoch"], "seconds": first["train_seconds"]})


def _row(cell: pd.DataFrame) -> dict[str, object]:
    epochs, has_reached = cell["reached"].to_numpy(dtype=float, na_value=math.nan), cell["reached"].notna().to_numpy()
    seconds = cell["seconds"].to_numpy(dtype=float, na_value=math.nan)
    machines = cell.loc[has_reached | cell["status"].isin(SUCCESSES), "hardware_key"]  # a crashed trial names none
    is_one_machine = len(machines.drop_duplicates()) <= 1
    is_timed = is_one_machine and not np.isnan(seconds[has_reached]).any()
    planned = cell["epochs_planned"].dropna()
    return {
        **{name: cell[name].iloc[0] for name in (*_CELL, "target", "metric", "higher_is_better")},
        "epochs": _median(epochs, has_reached),
        "epochs_low": epochs[has_reached].min(initial=math.inf) if has_reached.any() else math.nan,
        "epochs_high": epochs.max() if has_reached.all() else math.nan,
        "train_seconds": _median(seconds, has_reached) if is_timed else math.nan,
        "num_reached": int(has_reached.sum()),
        "num_trials": len(cell),
        "epochs_planned": int(planned.max()) if len(planned) else math.nan,
        "hardware_key": machines.iloc[0] if is_one_machine and machines.notna().any() else None,
    }


def _median(times: np.ndarray, has_reached: np.ndarray) -> float:
    """The smallest time within which more than half of the trials have reached the target; NaN if there is none."""
    ordered = np.sort(np.where(has_reached, times, math.inf))
    median = float(ordered[len(ordered) // 2])
    return median if math.isfinite(median) else math.nan


TIME_TO_TARGET = Statistic(
    title="time to a validation score",
    source="Median of the epochs until a trial reaches the score that most trials of none have at the end; a trial "
    "that never does is censored and counts as infinite (Kaplan and Meier 1958; Dahl et al. 2023).",
    make=time_to_target,
    takes_scores=False,
    takes_curves=True,
    columns=(
        text("task", weight=ALWAYS),
        text("regularizer", weight=ALWAYS),
        number(
            "target",
            legend="The validation score to be reached: the best that most trials of none reach at the end.",
            weight=70,
        ),
        number(
            "epochs",
            legend="Epochs until more than half of the trials have reached the target; a dash if half or more do not.",
            weight=ALWAYS,
        ),
        interval(
            "epochs_low",
            "epochs_high",
            "range",
            legend="Epochs of the first and the last trial; a dash for the last if not all reach the target.",
            weight=60,
        ),
        number("epochs_ratio", "times none's epochs", legend="Epochs divided by those of none.", weight=80),
        number(
            "train_seconds",
            "training, s",
            legend="Training time until more than half of the trials have reached the target. Other trials may have "
            "run on the machine meanwhile.",
            weight=50,
        ),
        Column(
            name="num_reached",
            heading="reached/trials",
            make=lambda row: f"{row['num_reached']} / {row['num_trials']}",
            legend="Number of trials that reach the target, and of all trials.",
            weight=90,
            numeric=True,
        ),
        text("hardware_key", "hardware", weight=10),
    ),
    absent="No task has validation curves and a trial of the baseline with a value.",
    is_long=True,
    drawing=Drawing(
        kind="intervals",
        value="epochs",
        low="epochs_low",
        high="epochs_high",
        label="epochs until the target",
        caption="Median, first and last trial; an arrow stands for trials that never reach the target.",
        is_per_task=True,
        figure="analysis.figures.training_costs:plot_time_to_target",
    ),
)
