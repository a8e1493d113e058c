"""Printing of records and tables: fitted to the window on a terminal, or as JSON or CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput
from harness.terminal.layout import lay_out
from harness.terminal.text import cell_length, padded, say, visible, window_columns, wrapped

if TYPE_CHECKING:
    from analysis.shown.column import Column

Records = Sequence[Mapping[Any, Any]]

MARGIN = "  "


def show_records(records: Records, as_json: bool = False, as_csv: bool = False) -> None:
    """Print records, as JSON, CSV, or text; for text each must have two fields: a name and its meaning.

    Raises:
        BadInput: if both JSON and CSV are asked for.
    """
    _check_format(as_json, as_csv)
    if as_json:
        say_json(json.dumps(list(records), indent=2, default=str))
    elif as_csv:
        from analysis.shown.spreadsheet import csv_of_records

        say(csv_of_records(records).removesuffix("\n"))
    else:
        say_entries([(str(name), str(what)) for name, what in (record.values() for record in records)])


def show_frame(frame: Any, as_json: bool, as_csv: bool) -> bool:
    """Print a frame with all its columns, if JSON or CSV is asked for; returns whether it was.

    Raises:
        BadInput: if both are asked for.
    """
    _check_format(as_json, as_csv)
    if as_json:
        say_json(frame.to_json(orient="records", indent=2, date_format="iso"))
    elif as_csv:
        from analysis.shown.spreadsheet import csv_of_frame

        say(csv_of_frame(frame).removesuffix("\n"))
    return as_json or as_csv


def print_table(title: str, columns: Iterable[Column], records: Records, without: Iterable[str] = ()) -> None:
    """Print the records below a title, fitted to the window; columns without room are named below the table.

    Columns in `without`, whose values the title holds, and columns of sentences (see `print_notes`) are not shown.
    """
    left_out = set(without)
    shown = [column for column in columns if column.name not in left_out and not column.wide]
    width = window_columns()
    layout = lay_out(shown, [[column.make(record) for column in shown] for record in records], width)
    say()
    for line in wrapped(visible(title), width):
        say(line, bold=True)
    for place, line in enumerate(layout.lines if records else ()):
        say(line, bold=place < layout.num_heading)
    if layout.omitted:
        print_notes([f"Without room here: {', '.join(layout.omitted)}. A wider window or --csv shows all."])


def print_notes(notes: Iterable[str]) -> None:
    """Print sentences below a table: indented, and broken between words to fit the window."""
    for note in notes:
        for line in wrapped(visible(note), window_columns(), first=MARGIN, following=2 * MARGIN):
            say(line)


def say_json(text: str) -> None:
    """Print JSON in ASCII; DEL is escaped here, the only control character that json and pandas leave as it is."""
    say(text.replace("\x7f", "\\u007f"))


def say_entries(entries: Sequence[tuple[str, str]]) -> None:
    """Print terms and their meanings in two columns; the second is broken between words to fit the window."""
    columns = window_columns()
    margin = max((cell_length(visible(term)) for term, _ in entries), default=0) + len(MARGIN)
    following = " " * (margin if columns is None else min(margin, columns // 3))
    for term, meaning in entries:
        for line in wrapped(visible(meaning), columns, first=padded(visible(term), margin), following=following):
            say(line)


def _check_format(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise BadInput("--json and --csv exclude each other; give only one of them.")
