"""Tables for a window: names stay whole, and columns go for which there is no room beside those of more weight.

Pure: strings in, lines out. A cell is one line; no line is longer than the window unless a single name is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.terminal.text import cell_length, padded, visible, wrapped

ALWAYS = 100  # the weight of a column without which a row says nothing
GAP = "  "
BLANKS = ("", "–")


class Heading(Protocol):
    """What is known of a column: its heading, whether numbers stand in it, and how long it is kept."""

    @property
    def heading(self) -> str:
        """What stands above it."""

    @property
    def numeric(self) -> bool:
        """Whether its cells are lined up on the right."""

    @property
    def weight(self) -> int:
        """How long it is kept; `ALWAYS` for ever."""


@dataclass(frozen=True, kw_only=True)
class PlainHeading:
    """A heading that stands for itself."""

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
    """The table in lines of at most `width` cells; None: as wide as it is.

    Columns that are blank in every row are left out. Headings are broken between words where that makes room. If even
    the columns that always stay are too wide, each row becomes a record: one line for each of its cells.
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
    """The columns for which there is room beside those of more weight, and of equal weight to their left."""
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
    """As little as needed, and from left to right what whole headings need as long as there is room."""
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
    """Each row as lines of a heading and what stands below it in a table; blank cells are left out."""
    margin = max((cell_length(columns[place].heading) for place in places), default=0)
    lines: list[str] = []
    for row in texts:
        lines += [""] if lines else []
        for place in places:
            if row[place] not in BLANKS:
                start = padded(columns[place].heading, margin) + GAP
                lines += wrapped(row[place], width, first=start, following=" " * len(GAP))
    return lines
