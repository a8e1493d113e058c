"""Tables of the page: frames formatted by the columns of `analysis.shown`, with their notes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.rows.notes import notes_of
from analysis.shown import tables as shown
from analysis.shown.column import Column, is_blank, text

MOST_ROWS = 100  # of long tables on the page; the CSV files have all


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for the template: columns, texts of the cells, the notes below, and where the first cells lead to."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    notes: list[str]
    anchors: tuple[str, ...] = ()  # of each row: the id of an element of the page; none for all rows if empty


def table_of(
    frame: pd.DataFrame,
    columns: Iterable[Column],
    *,
    without_empty: bool = False,
    known_notes: Iterable[str] = (),
    anchors: Iterable[str] = (),
) -> Table:
    """Format the rows of a frame by these columns.

    Args:
        frame: its rows are those of the table.
        columns: of the table.
        without_empty: leave out columns that have a value in no row.
        known_notes: notes of the frame that the page shows elsewhere, so that they are left out here.
        anchors: for each row the id of the element to which its first cell leads.
    """
    columns = tuple(columns)
    rows = [[column.make(row) for column in columns] for row in frame.to_dict("records")]
    if without_empty and rows:
        kept = [place for place in range(len(columns)) if any(not is_blank(row[place]) for row in rows)]
        columns, rows = tuple(columns[place] for place in kept), [[row[place] for place in kept] for row in rows]
    known = set(known_notes)
    notes = [note for note in notes_of(frame) if note not in known]
    return Table(columns=columns, rows=rows, notes=notes, anchors=tuple(anchors))


def with_scale(columns: Iterable[Column], scales: Iterable[object]) -> tuple[Column, ...]:
    """The columns with one for the scale behind that of the task, if there are several scales."""
    columns = tuple(columns)
    if len(set(scales)) < 2:
        return columns
    behind = 1 + next(place for place, column in enumerate(columns) if column.name == "task")
    return (*columns[:behind], text("scale"), *columns[behind:])


def pieces(words: str) -> list[str]:
    """The parts of a text between which a narrow column may break it: after `_`, `+` and `/`.

    >>> pieces("drop_path+l1 *")
    ['drop_', 'path+', 'l1 *']
    """
    return re.split(r"(?<=[_+/])(?=\S)", words)


def counts(rows: pd.DataFrame) -> Table:
    """Trials by role and status."""
    return table_of(rows, shown.counts(map(str, rows.columns[1:])))


def failed(rows: pd.DataFrame) -> Table:
    """The first `MOST_ROWS` failed trials with their messages."""
    return table_of(rows.head(MOST_ROWS), with_scale(shown.FAILED, rows["scale"]))


def origin(rows: pd.DataFrame) -> Table:
    """Versions and machines."""
    return table_of(rows, shown.origin(map(str, rows.columns)))


def sweep(rows: pd.DataFrame, names: tuple[str, ...], higher_is_better: bool) -> Table:
    """The settings of a `Sweep`, the best first."""
    return table_of(rows.sort_values("mean", ascending=not higher_is_better), shown.sweep(names))
