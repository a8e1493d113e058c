"""A column of a displayed table: one definition for the terminal and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.shown.formats import Format, digits, is_missing, words

Row = Mapping[Any, Any]  # of a frame: values by column

ALWAYS = 100  # the weight of columns that are never dropped: names and the main result


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: the column of the frame that it shows, the first if it shows several.
        heading: its heading.
        make: makes the text of a cell from a row of the frame.
        legend: its meaning in a sentence; empty if the heading is enough.
        weight: in a narrow window, columns with the lowest weight are dropped first; those of weight `ALWAYS` are kept.
        numeric: whether it holds numbers, which are aligned on the right.
        wide: whether it holds sentences, which may be wrapped or printed below the table.
    """

    name: str
    heading: str
    make: Callable[[Row], str]
    legend: str = ""
    weight: int = 50
    numeric: bool = False
    wide: bool = False


def text(name: str, heading: str | None = None, *, legend: str = "", weight: int = 50, wide: bool = False) -> Column:
    """A column of text; `wide` for sentences."""
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
    """A column of numbers, by default with four significant digits."""
    return Column(
        name=name,
        heading=spaced(name) if heading is None else heading,
        make=lambda row: show(row[name]),
        legend=legend,
        weight=weight,
        numeric=True,
    )


def interval(low: str, high: str, heading: str, show: Format = digits, *, legend: str = "", weight: int = 50) -> Column:
    """One column that shows an interval from two columns of the frame."""
    return Column(
        name=low,
        heading=heading,
        make=lambda row: "–" if is_missing(row[low]) else f"{show(row[low])} … {show(row[high])}",
        legend=legend,
        weight=weight,
        numeric=True,
    )


def is_blank(cell: str) -> bool:
    """Whether the text of a cell says that there is no value.

    >>> is_blank(""), is_blank("–"), is_blank("0")
    (True, True, False)
    """
    return cell in ("", "–")


def spaced(name: str) -> str:
    """The heading for a column of the frame.

    >>> spaced("num_seeds")
    'num seeds'
    """
    return name.replace("_", " ")
