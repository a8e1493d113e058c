"""How a table is drawn: which of its columns are positions. One definition for the page and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["intervals", "lines", "points", "matrix"]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How the rows of a table with a column `regularizer` are drawn.

    Attributes:
        kind: "intervals": one row per contestant, with a point and a line from `low` to `high`; "lines": one line per
            contestant; "points": a point per contestant, with a vertical line from `low` to `high`; "matrix": one
            square for each contestant and value of `across`.
        value: the column of the values. Those of a "matrix" are in [0, 1] and are neutral at 1/2.
        across: the column of the horizontal positions of lines and points, or the columns of a matrix.
        low, high: the columns of the ends of the interval; "" without one.
        label, across_label: the labels of the axes.
        caption: how to read it, in a sentence; "" if no explanation is needed.
        reference: a value at which a line is drawn.
        front: a boolean column that is true on the Pareto front; "" without one.
        is_per_task: whether each task has a figure of its own; if not, each scale has one.
        is_step: whether a line keeps its value up to the next one.
        figure: "module:function" that draws the rows of a task with matplotlib, for the file; "" if none does.
    """

    kind: Kind
    value: str
    across: str = ""
    low: str = ""
    high: str = ""
    label: str = ""
    across_label: str = ""
    caption: str = ""
    reference: float | None = None
    front: str = ""
    is_per_task: bool = False
    is_step: bool = False
    figure: str = ""

    @property
    def group(self) -> list[str]:
        """The columns that separate the figures."""
        return ["scale", "task"] if self.is_per_task else ["scale"]

    def rows_of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that are drawn.

        A row of "intervals" without a value is drawn as well: the figure shows its name and that the value is missing.
        """
        if self.kind == "intervals":
            return table
        return table[table[[self.value, self.across]].notna().all(axis="columns")]
