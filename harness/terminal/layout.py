"""Layout of tables for a window: names are never cut; columns with less weight are left out if there is no room.

Pure: strings in, lines out. A cell is one line; a line is only longer than the window if a single name is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.terminal.text import cell_length, padded, visible, wrapped

ALWAYS = 100  # the weight of columns that are never left out
GAP = "  "
BLANKS = ("", "–")


class Heading(Protocol):
    """What the layout needs to know about a column."""

    @property
    def heading(self) -> str:
        """The text above the column."""

    @property
    def numeric(self) -> bool:
        """Whether its cells are aligned to the right."""

    @property
    def weight(self) -> int:
        """Columns with less weight are left out first; those with `ALWAYS` never."""


@dataclass(frozen=True, kw_only=True)
class PlainHeading:
    """A heading given by its values."""

    heading: str
    numeric: bool = False
    weight: int = ALWAYS


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Lines that fit; `num_heading` of them are headings, and `omitted` names the columns without room."""

    lines: tuple[str, ...]
    num_heading: int
    omitted: tuple[str, ...]


def lay_out(columns: Sequence[Heading], rows: Sequence[Sequence[str]], width: int | None) -> Layout:
    """The table in lines of at most `width` cells; None sets no limit.

    Columns that are blank in every row are left out. Headings are broken between words if that saves room. If even the
    columns with weight `ALWAYS` are too wide, each row becomes a record, with a line for each of its cells.
    """
    texts = [[visible(cell) for cell in row] for row in rows]
    places = [
        place
        for place, column in enumerate(columns)
        if column.weight >= ALWAYS or any(row[place] not in BLANKS for row in texts)
    ]
    shown = _fitting(columns, texts, places, width)
    omitted = tuple(columns[place].heading for place in places if place not in shown)
    if width is not None and _total(_least_widths(columns, texts, shown)) > width:
        return Layout(lines=tuple(_records(columns, texts, places, width)), num_heading=0, omitted=())
    widths = _widths(columns, texts, shown, width)
    headings = [list(wrapped(columns[place].heading, cells)) for place, cells in zip(shown, widths, strict=True)]
    num_heading = max(map(len, headings), default=0) if any(map(any, headings)) else 0
    levels = zip(*([""] * (num_heading - len(lines)) + lines for lines in headings), strict=True) if num_heading else ()
    table = [*levels, *([row[place] for place in shown] for row in texts)]
    rights = [columns[place].numeric for place in shown]
    lines = [GAP.join(padded(*cell) for cell in zip(cells, widths, rights, strict=True)).rstrip() for cells in table]
    return Layout(lines=tuple(lines), num_heading=num_heading, omitted=omitted)


def _fitting(
    columns: Sequence[Heading], texts: Sequence[Sequence[str]], places: Sequence[int], width: int | None
) -> list[int]:
    """The columns that fit, chosen by weight, and from left to right among equal weights."""
    shown: list[int] = []
    for place in sorted(places, key=lambda place: -columns[place].weight):
        more = sorted([*shown, place])
        if width is None or columns[place].weight >= ALWAYS or _total(_least_widths(columns, texts, more)) <= width:
            shown = more
    return shown


def _least_widths(columns: Sequence[Heading], texts: Sequence[Sequence[str]], shown: Sequence[int]) -> list[int]:
    """The cells that each column needs if its heading may take two lines."""
    return [max([cell_length(row[place]) for row in texts] + [_halved(columns[place].heading)]) for place in shown]


def _halved(heading: str) -> int:
    """The cells of a heading that is broken between words into at most two lines."""
    words = heading.split()
    halves = [(" ".join(words[:place]), " ".join(words[place:])) for place in range(1, len(words) + 1)]
    return min((max(map(cell_length, both)) for both in halves), default=0)


def _widths(
    columns: Sequence[Heading], texts: Sequence[Sequence[str]], shown: Sequence[int], width: int | None
) -> list[int]:
    """The least widths, increased from left to right to whole headings as long as there is room."""
    widths = _least_widths(columns, texts, shown)
    for index, place in enumerate(shown):
        more = max(0, cell_length(columns[place].heading) - widths[index])
        if width is None or _total(widths) + more <= width:
            widths[index] += more
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * max(0, len(widths) - 1)


def _records(
    columns: Sequence[Heading], texts: Sequence[Sequence[str]], places: Sequence[int], width: int
) -> list[str]:
    """Each row as lines of a heading and its cell; blank cells are left out."""
    margin = max((cell_length(columns[place].heading) for place in places), default=0)
    lines: list[str] = []
    for row in texts:
        lines += [""] if lines else []
        for place in places:
            if row[place] not in BLANKS:
                start = padded(columns[place].heading, margin) + GAP
                lines += wrapped(row[place], width, first=start, following=" " * len(GAP))
    return lines
