"""CSV that is safe to open in a spreadsheet: text that would be run as a formula begins with an apostrophe.

Cells may come from rows and plug-ins of other people, and a spreadsheet runs a cell that begins with "=", "+", "-",
"@", a tab or a line break as a formula ("CSV injection"). Spreadsheets hide the apostrophe, `pandas.read_csv` shows it.
Numbers are not changed, nor is text that is a number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(value: Any) -> Any:
    """The value, with an apostrophe in front if it is text that begins like a formula.

    >>> harmless("=cmd|' /C calc'!A0"), harmless("-x"), harmless("-1.5e-3"), harmless(-1.5), harmless("dropout")
    ("'=cmd|' /C calc'!A0", "'-x", '-1.5e-3', -1.5, 'dropout')
    """
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value if value.isascii() and value == value.strip() else f"'{value}"


def csv_of_frame(frame: pd.DataFrame) -> str:
    """A frame as CSV without its index; the names of columns are made harmless, too."""
    import pandas as pd

    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    safe = [_safe(column) if column.dtype.kind == "O" else column for column in columns]
    table = pd.concat(safe, axis="columns") if safe else frame
    return table.set_axis([harmless(name) for name in frame.columns], axis="columns").to_csv(index=False)


def _safe(column: pd.Series) -> pd.Series:
    """A column of text, made harmless: each distinct text once, since a long table has few."""
    texts = column.astype(object)
    changed = {text: safe for text in set(texts) if (safe := harmless(text)) is not text}
    return texts.map(lambda text: changed.get(text, text)) if changed else texts


def csv_of_records(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV; all must have the keys of the first, in its order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([harmless(name) for name in records[0]] if records else [])
    writer.writerows([harmless(value) for value in record.values()] for record in records)
    return text.getvalue()
