"""Frames as plain tables for the page: which columns, under which heading, each number rounded for its meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.rows.notes import notes_of

Format = Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table on the page; `make` turns a row of the frame into the cell's text."""

    heading: str
    make: Callable[[dict[str, Any]], str]
    numeric: bool = False
    wide: bool = False  # holds sentences, which may wrap


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


def text(name: str, heading: str | None = None, wide: bool = False) -> Column:
    """A column of words, or of sentences (`wide`)."""
    return Column(heading=heading or name.replace("_", " "), make=lambda row: words(row[name]), wide=wide)


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
    """Four significant digits, so that the numbers of a column line up; whole numbers without a point.

    >>> digits(0.94), digits(12.0), digits(0.000012345), digits(float("nan"))
    ('0.9400', '12', '1.234e-05', '–')
    """
    if value is None or pd.isna(value):
        return "–"
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{float(value):#.4g}".rstrip(".")


def spread(value: Any) -> str:
    """A standard deviation: two significant digits.

    >>> spread(0.007), spread(12.3)
    ('0.0070', '12')
    """
    return "–" if value is None or pd.isna(value) else f"{float(value):#.2g}".rstrip(".")


def place(value: Any) -> str:
    """A rank or a mean of ranks: at most two decimals.

    >>> place(3.0), place(4.3333)
    ('3', '4.33')
    """
    return "–" if value is None or pd.isna(value) else f"{float(value):.2f}".rstrip("0").rstrip(".")


def setting(value: Any) -> str:
    """A hyperparameter: as short as it can be, text as it is.

    >>> setting(0.9765625), setting(10), setting("rms")
    ('0.9766', '10', 'rms')
    """
    return f"{value:.4g}" if isinstance(value, float) else words(value)


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
