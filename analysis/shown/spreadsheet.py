"""CSV for a spreadsheet: text that a spreadsheet would take for a formula is marked as text.

Cells come from rows and plug-ins of other people, and a spreadsheet runs a cell that begins with "=", "+", "-", "@", a
tab or a line break as a formula ("CSV injection"). Such text gets an apostrophe in front, which spreadsheets hide and
`pandas.read_csv` shows. Numbers are never changed, nor is text that is a number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(value: Any) -> Any:
    """Text that begins like a formula, with an apostrophe in front; all else as it is.

    >>> harmless("=cmd|' /C calc'!A0"), harmless("-x"), harmless("-1.5e-3"), harmless(-1.5), harmless("dropout")
    ("'=cmd|' /C calc'!A0", "'-x", '-1.5e-3', -1.5, 'dropout')
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value if value.isascii() and value == value.strip() else f"'{value}"


def csv_of_frame(frame: pd.DataFrame) -> str:
    """All columns and rows of a frame, names of columns included."""
    import pandas as pd

    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    safe = [column.astype(object).map(harmless) if column.dtype.kind == "O" else column for column in columns]
    table = pd.concat(safe, axis="columns") if safe else frame
    return table.set_axis([harmless(name) for name in frame.columns], axis="columns").to_csv(index=False)


def csv_of_records(records: Sequence[Mapping[str, Any]]) -> str:
    """The same of records that all have the keys of the first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([harmless(name) for name in records[0]] if records else [])
    writer.writerows([harmless(value) for value in record.values()] for record in records)
    return text.getvalue()
