"""What a statistic over all tasks consists of: its computation, its displayed columns and its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.shown.column import Column
from analysis.shown.drawing import Drawing


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic over all tasks.

    Attributes:
        title: its heading.
        source: its definition and reference, in a sentence.
        make: computes the whole table from trials, or from trials and curves.
        takes_scores: whether `make` also accepts a `scores_table`, which is then computed once for all statistics.
        takes_curves: whether `make` needs the curves, too.
        columns: the displayed columns.
        view: selects the displayed rows from the whole table of one scale.
        absent: the sentence displayed for an empty table.
        is_long: whether it has many rows per task, so that it is displayed on request only.
        drawing: how the whole table is drawn; None if it is not.
    """

    title: str
    source: str
    make: Callable[..., pd.DataFrame]
    columns: tuple[Column, ...]
    view: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    takes_scores: bool = True
    takes_curves: bool = False
    absent: str = "No trial can be ranked yet."
    is_long: bool = False
    drawing: Drawing | None = None

    def views(self, table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """Each scale of the whole table ("" if it has no scales), with the displayed rows."""
        if "scale" not in table:
            yield "", self.view(table)
            return
        for scale, rows in table.groupby("scale", sort=False):
            yield str(scale), self.view(rows)
