"""Tables of the page: frames formatted by the columns of `analysis.shown`, with their notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.rows.notes import notes_of
from analysis.shown import tables as shown
from analysis.shown.column import Column

MOST_ROWS = 100  # of long tables on the page; the CSV files have all


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for the template: columns, texts of the cells, and the notes below."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    notes: list[str]


def table_of(frame: pd.DataFrame, columns: Iterable[Column]) -> Table:
    """Format the rows of a frame by these columns."""
    columns = tuple(columns)
    rows = [[column.make(row) for column in columns] for row in frame.to_dict("records")]
    return Table(columns=columns, rows=rows, notes=notes_of(frame))


def optimism(table: pd.DataFrame) -> Table:
    """Selection optimism, one row per regularizer and one column per task."""
    pivot = table.pivot_table(index="regularizer", columns="task", values="selection_optimism").reset_index()
    return table_of(pivot, shown.optimism(map(str, pivot.columns[1:])))


def counts(rows: pd.DataFrame) -> Table:
    """Trials by role and status."""
    return table_of(rows, shown.counts(map(str, rows.columns[1:])))


def failed(rows: pd.DataFrame) -> Table:
    """The first `MOST_ROWS` failed trials with their messages."""
    return table_of(rows.head(MOST_ROWS), shown.FAILED)


def origin(rows: pd.DataFrame) -> Table:
    """Versions and machines."""
    return table_of(rows, shown.origin(map(str, rows.columns)))


def sweep(rows: pd.DataFrame, names: tuple[str, ...], higher_is_better: bool) -> Table:
    """The settings of a `Sweep`, the best first."""
    return table_of(rows.sort_values("mean", ascending=not higher_is_better), shown.sweep(names))
