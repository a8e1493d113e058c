"""The cells of each task: its contestants, with the metric by which all of them are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.rows.bounds import worst_value
from analysis.rows.cells import Cell, RankedRole, Value, summarize_cell, trials_by_cell
from harness.records import SCALES


@dataclass(frozen=True, kw_only=True)
class TaskCells:
    """The contestants of one task at one scale."""

    scale: str
    task: str
    metric: str
    higher_is_better: bool
    cells: list[Cell]

    @property
    def main_budget(self) -> tuple[int, int, int] | None:
        """The commonest budget among contestants with a value, on a tie the larger; None if none has a value."""
        keys = [cell.budget.key for cell in self.cells if cell.by_seed]
        return max(set(keys), key=lambda key: (keys.count(key), key), default=None)

    def budget_notes(self, how: str) -> list[str]:
        """A sentence that names the contestants with another budget, and how they are treated; none without them."""
        main, words = self.main_budget, {cell.budget.key: cell.budget.words for cell in self.cells}
        others = [cell for cell in self.cells if cell.by_seed and cell.budget.key != main]
        if main is None or not others:
            return []
        named = ", ".join(f"{cell.regularizer} ({cell.budget.words})" for cell in others)
        return [f"{self.task} ({self.scale}): unequal budgets, {how}: {named}; the others have {words[main]}."]


def tasks_of(current: pd.DataFrame, role: RankedRole | None, value: Value) -> Iterator[TaskCells]:
    """Each task at each scale of the `current_rows`, with the cells that `ranking_table` ranks.

    Raises:
        ValueError: if one task was measured by two metrics.
    """
    ranked = current[(current["role"] != "timing") & ~only_measures(current)]
    by_cell, metrics = trials_by_cell(ranked, value), _metrics(ranked)
    ran = ranked[ranked["status"] != "skipped"]  # a contestant that is skipped on all tasks is not missing
    somewhere = {scale: set(rows["regularizer"]) for scale, rows in ran.groupby("scale")}
    here: dict[tuple[str, str], set[str]] = {}
    for scale, task, name in by_cell:
        here.setdefault((scale, task), set()).add(name)
    for scale, task in sorted(here, key=lambda each: (SCALES.index(each[0]), each[1])):
        metric, higher = metrics[scale, task]
        worst = worst_value(metric, higher)
        names = sorted(here[scale, task] | somewhere.get(scale, set()))
        cells = [summarize_cell(by_cell.get((scale, task, name), []), name, role, worst) for name in names]
        yield TaskCells(scale=scale, task=task, metric=metric, higher_is_better=higher, cells=cells)


def only_measures(rows: pd.DataFrame) -> pd.Series:
    """The rows of contestants that train as the baseline does and only measure, so that they are not ranked."""
    if "only_measures" not in rows:
        return pd.Series(data=False, index=rows.index)
    return rows["only_measures"].astype("boolean").fillna(False).astype(bool)


def _metrics(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[str, bool]]:
    """The metric and its direction for each (scale, task); rows of failed trials may lack them."""
    found = {key: ("", True) for key in rows[["scale", "task"]].drop_duplicates().itertuples(index=False, name=None)}
    known = rows[["scale", "task", "metric", "higher_is_better"]].dropna().drop_duplicates()
    twice = known[known.duplicated(["scale", "task"], keep=False)]
    if len(twice):
        scale, task = twice[["scale", "task"]].iloc[0]
        kinds = known[(known["scale"] == scale) & (known["task"] == task)]
        names = ", ".join(sorted(set(kinds["metric"])))
        raise ValueError(
            f"Task {task!r} must be measured by one metric in one direction, but its rows have {names}. Rank these "
            "results folders apart, or run the task again with the current code."
        )
    return found | {
        (scale, task): (metric, bool(higher))
        for scale, task, metric, higher in known.itertuples(index=False, name=None)
    }
