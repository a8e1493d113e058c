"""A complete matrix of ranks for Friedman's test: tasks and contestants chosen so that no rank is missing.

Mean ranks over different tasks are not comparable: a contestant that was left out of the tasks with many rivals would
have a better mean rank for that reason alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.rows.notes import listed


@dataclass(frozen=True, kw_only=True)
class Block:
    """A matrix of ranks without missing values, and what was left out of it.

    Attributes:
        ranks: rows are tasks, columns are contestants; each row has the ranks 1 to k, ties have their mean rank.
        tasks_left_out: tasks on which some contestant of the block has no rank.
        contestants_left_out: contestants without a rank on some task of the block.
    """

    ranks: pd.DataFrame
    tasks_left_out: tuple[str, ...]
    contestants_left_out: tuple[str, ...]

    @property
    def mean_ranks(self) -> pd.Series:
        """The mean rank of each contestant over the tasks."""
        return self.ranks.mean()

    @property
    def note(self) -> str:
        """A sentence on what was left out of the overall ranks; empty if nothing was."""
        return self.note_on("Overall ranks", "rank")

    def note_on(self, what: str, measured: str) -> str:
        """Sentences on what was left out of a statistic, given its name and what it needs on every task."""
        contestants = listed(self.contestants_left_out)
        if self.ranks.empty and self.tasks_left_out:
            return (
                f"{what}: none, as no task has a {measured} of all contestants, and no contestant has one on all tasks."
            )
        if self.tasks_left_out:
            absent = f" No {measured} on any task: {contestants}." if contestants else ""
            return (
                f"{what} are over the {_counted(len(self.ranks), 'task')} that all contestants have in common; "
                f"left out: {listed(self.tasks_left_out)}.{absent}"
            )
        if contestants:
            return (
                f"{what} are of the {_counted(self.ranks.shape[1], 'contestant')} with a {measured} on every task; "
                f"left out: {contestants}."
            )
        return ""


def common_block(ranks: pd.DataFrame) -> Block:
    """The larger of two complete blocks: all contestants on common tasks, or all tasks and the contestants on all.

    `ranks` has a row per task, a column per contestant, and NaN for a missing rank. If both blocks have the same number
    of entries, the one with all contestants is taken. Ranks are computed again within the block.
    """
    known = ranks.loc[ranks.notna().any(axis="columns"), ranks.notna().any()]
    of_all_contestants, of_all_tasks = known.dropna(axis="index"), known.dropna(axis="columns")
    block = of_all_contestants if of_all_contestants.size >= of_all_tasks.size else of_all_tasks
    return Block(
        ranks=block.rank(axis="columns"),
        tasks_left_out=_without(known.index, block.index),
        contestants_left_out=_without(ranks.columns, block.columns),
    )


def common_scores(scores: pd.DataFrame, what: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a `scores_table` in the common block of each scale, and notes on the others.

    Args:
        scores: a `scores_table`.
        what: the name of the statistic, in the notes.
    """
    kept, notes = pd.Series(data=False, index=scores.index), []
    for scale, rows in scores.groupby("scale", sort=True):
        cells = rows[["task", "regularizer"]].drop_duplicates().assign(has_value=1.0)
        block = common_block(cells.pivot_table(index="task", columns="regularizer", values="has_value"))
        kept |= (
            scores["scale"].eq(scale)
            & scores["task"].isin(block.ranks.index)
            & scores["regularizer"].isin(block.ranks.columns)
        )
        note = block.note_on(what, "value")
        notes += [f"{scale}: {note}"] if note else []
    return scores[kept], notes


def _without(names: Sequence[object] | pd.Index, kept: pd.Index) -> tuple[str, ...]:
    return tuple(str(name) for name in names if name not in kept)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
