"""Ranks over several tasks, as Friedman's test takes them: of contestants and tasks that have all ranks in common.

A mean rank over other tasks than a rival's says nothing about the rival: who was spared the crowded tasks would lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Block:
    """Ranks without a gap.

    Attributes:
        ranks: rows: tasks; columns: contestants; in each row 1 to k, equals share their mean rank.
        tasks_left_out: ranked tasks that some contestant of the block has no rank on.
        contestants_left_out: those with no rank on some task of the block.
    """

    ranks: pd.DataFrame
    tasks_left_out: tuple[str, ...]
    contestants_left_out: tuple[str, ...]

    @property
    def mean_ranks(self) -> pd.Series:
        """Over the tasks, by contestant."""
        return self.ranks.mean()

    @property
    def note(self) -> str:
        """What was left out, empty where nothing was."""
        if self.tasks_left_out:
            return (
                f"Overall ranks are over the {_counted(len(self.ranks), 'task')} that all contestants have in common; "
                f"left out: {', '.join(self.tasks_left_out)}."
            )
        if self.contestants_left_out:
            return (
                f"Overall ranks are of the {_counted(self.ranks.shape[1], 'contestant')} with a rank on every task; "
                f"left out: {', '.join(self.contestants_left_out)}."
            )
        return ""


def common_block(ranks: pd.DataFrame) -> Block:
    """The larger of two blocks: all contestants on their common tasks, or all tasks of those who are ranked on all.

    `ranks` has a row per task, a column per contestant, and NaN where a contestant has no rank; of blocks of one size
    the one with all contestants counts. Inside the block each task is ranked anew.
    """
    known = ranks.loc[ranks.notna().any(axis="columns"), ranks.notna().any()]
    of_all_contestants, of_all_tasks = known.dropna(axis="index"), known.dropna(axis="columns")
    block = of_all_contestants if of_all_contestants.size >= of_all_tasks.size else of_all_tasks
    return Block(
        ranks=block.rank(axis="columns"),
        tasks_left_out=_without(known.index, block.index),
        contestants_left_out=_without(ranks.columns, block.columns),
    )


def _without(names: Sequence[object] | pd.Index, kept: pd.Index) -> tuple[str, ...]:
    return tuple(str(name) for name in names if name not in kept)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
