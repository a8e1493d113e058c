"""How records and tables are printed: aligned on a terminal, as JSON or CSV for another program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.errors import BadInput

Records = Sequence[Mapping[str, Any]]

_NUMBERS_AS_TEXT = (
    "rank", "interval", "difference", "reported", "importance", "seconds_per_trial", "hours", "gpu_hours",
)  # fmt: skip


def show_records(records: Records, as_json: bool = False, as_csv: bool = False) -> None:
    """Rows as aligned text, JSON or CSV."""
    _check_format(as_json, as_csv)
    if as_json:
        print(json.dumps(list(records), indent=2, default=str))
    elif as_csv:
        import csv

        writer = csv.DictWriter(sys.stdout, fieldnames=list(records[0]) if records else [])
        writer.writeheader()
        writer.writerows(records)
    else:
        width = max((len(str(next(iter(record.values())))) for record in records), default=0)
        for record in records:
            first, *others = (str(value) for value in record.values())
            print(f"{first:<{width}}  {'  '.join(others)}".rstrip())


def show_frame(frame: Any, as_json: bool, as_csv: bool, title: str, notes: Sequence[str] = ()) -> None:
    """A whole frame, every column."""
    _check_format(as_json, as_csv)
    if as_json:
        print(frame.to_json(orient="records", indent=2, date_format="iso"))
    elif as_csv:
        print(frame.to_csv(index=False), end="")
    else:
        print_table(title, {name: name.replace("_", " ") for name in frame.columns}, frame.to_dict("records"))
        print_notes(notes)


def print_table(title: str, columns: Mapping[str, str], records: Records) -> None:
    """These columns, each under its heading, below a title; as wide as the terminal, or 160 characters into a pipe."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=any(columns.values()), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, heading in columns.items():
        is_text = any(isinstance(record.get(name), str) for record in records) and name not in _NUMBERS_AS_TEXT
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for record in records:
        table.add_row(*(text_of(record.get(name)) for name in columns))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print()
    console.print(title, style="bold", markup=False)  # a title of the table itself would wrap at the table's width
    console.print(table)


def print_notes(notes: Iterable[str]) -> None:
    """Sentences below a table, indented."""
    for note in notes:
        print(f"  {note}")


def text_of(value: Any) -> str:
    """A value as a table shows it: four digits, nothing for what is missing or false."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"
    return str(value)


def _check_format(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise BadInput("--json and --csv are two formats of one output; give one of them.")
