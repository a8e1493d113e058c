"""The scores of every cell, one row per seed: the input of the statistics over tasks."""

from __future__ import annotations

import math

import pandas as pd

from analysis.rows.cells import RankedRole, Value
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.task_cells import tasks_of

SCORE_COLUMNS = ("scale", "task", "metric", "regularizer", "seed", "score", "loss", "survivors_loss")
_NUMBERS = ("score", "loss", "survivors_loss")


def scores_table(trials: pd.DataFrame, role: RankedRole | None = None, value: Value = "test_value") -> pd.DataFrame:
    """Scores: one row per (scale, task, regularizer, seed), from the `current_rows`.

    Only contestants with the commonest budget of their task are included, with a note on the others, and only cells
    with at least one value.
    `score` is the value of the seed, or the worst value of the metric if the seed failed; `loss` is the score with the
    sign such that smaller is better, and `survivors_loss` the loss without failed trials, NaN if all trials of the seed
    failed. The other columns are those of `SCORE_COLUMNS`.

    A scores table is returned unchanged, so that the functions that start from scores accept one in place of trials.
    """
    if "loss" in trials:
        return trials
    current, rows, notes = current_rows(trials), [], list[str]()
    for task in tasks_of(current, role, value):
        sign = -1.0 if task.higher_is_better else 1.0
        rows += [
            (
                task.scale,
                task.task,
                task.metric,
                cell.regularizer,
                seed,
                score,
                sign * score,
                sign * cell.by_seed.get(seed, math.nan),
            )
            for cell in task.cells
            if cell.budget.key == task.main_budget
            for seed, score in cell.scores.items()
        ]
        notes += task.budget_notes("left out")
    table = pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))
    return with_notes(table, notes_of(current), notes)
