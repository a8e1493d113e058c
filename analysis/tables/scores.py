"""The scores of every cell seed by seed: what statistics over tasks start from."""

from __future__ import annotations

import pandas as pd

from analysis.rows.cells import RankedRole, Value
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.tables.ranking import tasks_of

SCORE_COLUMNS = ("scale", "task", "metric", "regularizer", "seed", "score", "loss")


def scores_table(trials: pd.DataFrame, role: RankedRole | None = None, value: Value = "test_value") -> pd.DataFrame:
    """One row per (scale, task, regularizer, seed) of those with the budget of most on their task: `SCORE_COLUMNS`.

    `score` is the value, the worst of its metric where the seed failed; `loss` the same with a sign by which smaller is
    better. Cells without any value have no row. Rows are those that may meet (`current_rows`), whose notes it carries.

    A scores table is returned as it is, so that all statistics which start from scores take one in place of trials.
    """
    if "loss" in trials:
        return trials
    current, rows = current_rows(trials), []
    for task in tasks_of(current, role, value):
        sign = -1.0 if task.higher_is_better else 1.0
        rows += [
            (task.scale, task.task, task.metric, cell.regularizer, seed, score, sign * score)
            for cell in task.cells
            if cell.budget.key == task.main_budget
            for seed, score in cell.scores.items()
        ]
    table = pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype({"score": float, "loss": float})
    return with_notes(table, notes_of(current))
