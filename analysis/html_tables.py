"""Frames as plain tables for the page: which columns, under which heading, each number rounded for its meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.notes import notes_of

Format = Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table on the page; `make` turns a row of the frame into the cell's text."""

    heading: str
    make: Callable[[dict[str, Any]], str]
    numeric: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What the template draws: headings, cells, and the notes below."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    notes: list[str]


def table_of(frame: pd.DataFrame, columns: Iterable[Column]) -> Table:
    """The frame's rows through the columns."""
    columns = tuple(columns)
    records = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return Table(
        columns=columns, rows=[[column.make(row) for column in columns] for row in records], notes=notes_of(frame)
    )


def text(name: str, heading: str | None = None) -> Column:
    """A column of words."""
    return Column(heading=heading or name.replace("_", " "), make=lambda row: words(row[name]))


def number(name: str, heading: str | None = None, show: Format | None = None) -> Column:
    """A column of numbers, four significant digits unless told otherwise."""
    write = show or digits
    return Column(heading=heading or name.replace("_", " "), make=lambda row: write(row[name]), numeric=True)


def interval(low: str, high: str, heading: str) -> Column:
    """Two columns of the frame as one."""
    return Column(
        heading=heading,
        make=lambda row: "–" if pd.isna(row[low]) else f"{digits(row[low])} … {digits(row[high])}",
        numeric=True,
    )


def words(value: Any) -> str:
    """Text as it is; a dash for nothing, minutes for a time.

    >>> words(None), words("dropout"), words(True)
    ('–', 'dropout', 'yes')
    """
    if value is None or pd.isna(value) or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, pd.Timestamp) else str(value)


def digits(value: Any) -> str:
    """Four significant digits.

    >>> digits(0.984255), digits(12.0), digits(0.000012345), digits(float("nan"))
    ('0.9843', '12', '1.234e-05', '–')
    """
    return "–" if value is None or pd.isna(value) else f"{float(value):.4g}"


def probability(value: Any) -> str:
    """A p value.

    >>> probability(0.00002), probability(0.0312)
    ('< 0.001', '0.031')
    """
    if value is None or math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def signed(value: Any) -> str:
    """A difference with its sign, two significant digits.

    >>> signed(0.01234), signed(-2.0)
    ('+0.012', '-2')
    """
    return "–" if value is None or pd.isna(value) else f"{float(value):+.2g}"
