"""The live view of a campaign: a headline and a few short tables, never larger than the window. Pure: lines out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.terminal.layout import PlainHeading, lay_out
from harness.terminal.text import cell_length, visible


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table of the view: its columns, whose first heading says what the rows are, and rows, most important first."""

    columns: tuple[PlainHeading, ...]
    rows: Sequence[tuple[str, ...]]


def view_of(headline: Sequence[str], sections: Sequence[Section], columns: int, lines: int) -> list[str]:
    """The view in at most `lines` lines of at most `columns` cells; rows without room are counted.

    Args:
        headline: parts of a sentence, which are not broken.
        sections: those without rows are left out, and the last ones if there is no room for a row of each.
        columns: cells in a line.
        lines: lines of the window.
    """
    head = _headline(headline, columns)
    filled = [section for section in sections if section.rows]
    while filled and _least(filled) > lines - len(head):
        filled.pop()
    room = rows_that_fit([len(section.rows) for section in filled], lines - len(head) - _overhead(filled))
    view = list(head)
    for section, num_rows in zip(filled, room, strict=True):
        num_shown = num_rows if num_rows == len(section.rows) else num_rows - 1
        layout = lay_out(section.columns, section.rows[:num_shown], columns)
        view += ["", *layout.lines]
        if num_shown < len(section.rows):
            view.append(f"and {len(section.rows) - num_shown} more")
    return [_cut(line, columns) for line in view[:lines]]


def rows_that_fit(wanted: Sequence[int], room: int) -> list[int]:
    """How many rows each table gets: one more in turn, until each has all its rows or no room is left.

    >>> rows_that_fit([8, 1, 24], 12)
    [6, 1, 5]
    """
    given = [0] * len(wanted)
    while sum(given) < min(room, sum(wanted)):
        for place, most in enumerate(wanted):
            if given[place] < most and sum(given) < room:
                given[place] += 1
    return given


def _overhead(sections: Sequence[Section]) -> int:
    """Lines of the tables that hold no row: an empty one and the headings."""
    return 2 * len(sections)


def _least(sections: Sequence[Section]) -> int:
    """The lines needed for one row of each table, and the number of its other rows."""
    return _overhead(sections) + sum(min(2, len(section.rows)) for section in sections)


def _headline(parts: Sequence[str], columns: int) -> list[str]:
    """The parts, each unbroken, in as few lines as possible."""
    lines = [visible(parts[0])]
    for part in map(visible, parts[1:]):
        if cell_length(lines[-1]) + 2 + cell_length(part) > columns:
            lines.append(part)
        else:
            lines[-1] += f", {part}"
    return lines


def _cut(line: str, columns: int) -> str:
    """The line cut to the window: a longer one would wrap and push the view out of the window."""
    if cell_length(line) <= columns:
        return line
    while cell_length(line) > columns - 1:
        line = line[:-1]
    return f"{line}…"
