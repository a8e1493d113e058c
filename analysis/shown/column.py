"""One column of a table as people see it: the terminal and the page draw from the same definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.shown.formats import Format, digits, is_missing, words

Row = Mapping[Any, Any]  # of a frame: its cells by the names of its columns

ALWAYS = 100  # the weight of what names a row, and of what the table is for


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: the column of the frame that it shows, the first if it shows several.
        heading: what stands above it.
        make: the text of a cell, from a row of the frame.
        legend: what the numbers mean, in a sentence; empty where the heading says enough.
        weight: in a narrow window the columns of the least weight go first; those of weight `ALWAYS` stay.
        numeric: whether numbers stand in it, which are lined up on the right.
        wide: whether it holds sentences, which may be broken between words or told below the table.
    """

    name: str
    heading: str
    make: Callable[[Row], str]
    legend: str = ""
    weight: int = 50
    numeric: bool = False
    wide: bool = False


def text(name: str, heading: str | None = None, *, legend: str = "", weight: int = 50, wide: bool = False) -> Column:
    """A column of words, or of sentences (`wide`)."""
    return Column(
        name=name,
        heading=spaced(name) if heading is None else heading,
        make=lambda row: words(row[name]),
        legend=legend,
        weight=weight,
        wide=wide,
    )


def number(
    name: str, heading: str | None = None, show: Format = digits, *, legend: str = "", weight: int = 50
) -> Column:
    """A column of numbers, of four significant digits unless told otherwise."""
    return Column(
        name=name,
        heading=spaced(name) if heading is None else heading,
        make=lambda row: show(row[name]),
        legend=legend,
        weight=weight,
        numeric=True,
    )


def interval(low: str, high: str, heading: str, show: Format = digits, *, legend: str = "", weight: int = 50) -> Column:
    """Two columns of the frame as one."""
    return Column(
        name=low,
        heading=heading,
        make=lambda row: "–" if is_missing(row[low]) else f"{show(row[low])} … {show(row[high])}",
        legend=legend,
        weight=weight,
        numeric=True,
    )


def spaced(name: str) -> str:
    """A name of the frame as a heading.

    >>> spaced("num_seeds")
    'num seeds'
    """
    return name.replace("_", " ")
