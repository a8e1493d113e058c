"""Tables as files of CSV, LaTeX and Markdown, with the columns and formats of the terminal and the report.

Cells may hold text of other people's rows. Control characters are written out, and what the format would interpret is
escaped: formulas of spreadsheets, commands of LaTeX, markup of Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pandas as pd

from analysis.exports.exported import Exported
from analysis.exports.tables import NamedTable, tables_of
from analysis.page.file_names import FileNames
from analysis.shown.markup import latex, markdown, visible
from analysis.shown.spreadsheet import csv_of_records
from harness.records.folders import Folder


def write_csv(trials: pd.DataFrame, folder: Folder, curves: pd.DataFrame) -> Exported:
    """One CSV file for each table; cells that a spreadsheet would run as formulas begin with an apostrophe."""
    return _write(tables_of(trials, curves), folder, ".csv", csv_text)


def write_latex(trials: pd.DataFrame, folder: Folder, curves: pd.DataFrame) -> Exported:
    r"""One file for each table, for `\input` in a document that loads the package booktabs; notes are comments."""
    return _write(tables_of(trials, curves), folder, ".tex", latex_text)


def write_markdown(trials: pd.DataFrame, folder: Folder, curves: pd.DataFrame) -> Exported:
    """One file for each table in GitHub's Markdown, with its title and notes."""
    return _write(tables_of(trials, curves), folder, ".md", markdown_text)


def csv_text(table: NamedTable) -> str:
    """The headings and cells."""
    headings = [visible(column.heading) for column in table.columns]
    return csv_of_records([dict(zip(headings, map(visible, row), strict=True)) for row in table.rows])


def latex_text(table: NamedTable) -> str:
    """A `table` environment with a caption and the label `tab:NAME`, without columns that are empty."""
    table = table.without_empty_columns()
    headings = [latex(column.heading) for column in table.columns]
    frame = pd.DataFrame([list(map(latex, row)) for row in table.rows], columns=headings)
    text: str = frame.to_latex(
        index=False,
        escape=False,  # the cells are escaped already, and so are caption and headings, which pandas leaves alone
        column_format="".join("r" if column.numeric else "l" for column in table.columns),
        caption=latex(table.title),
        label=f"tab:{re.sub('[^A-Za-z0-9.-]+', '-', '-'.join(table.name))}",
        position="htbp",
    )
    centred = text.replace("\n", "\n\\centering\n", 1)
    return centred + "".join(f"% {visible(note)}\n" for note in table.notes)


def markdown_text(table: NamedTable) -> str:
    """The title as a heading, the table without columns that are empty, and the notes as a list."""
    table = table.without_empty_columns()
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    cells = [
        [markdown(column.heading) for column in table.columns],
        rules,
        *(map(markdown, row) for row in table.rows),
    ]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    notes = [f"- {markdown(note)}" for note in table.notes]
    return "\n".join([f"### {markdown(table.title)}", "", *lines, *([""] if notes else []), *notes]) + "\n"


def _write(tables: Iterable[NamedTable], folder: Folder, extension: str, text: Callable[[NamedTable], str]) -> Exported:
    names = FileNames()
    num_tables = 0
    for table in _some(tables):
        folder.write(f"{names.of(*table.name)}{extension}", text(table).encode("utf-8", "backslashreplace"))
        num_tables += 1
    return Exported(where=folder.name, what="tables", num_written=num_tables)


def _some(tables: Iterable[NamedTable]) -> Iterable[NamedTable]:
    """The tables.

    Raises:
        ValueError: if there is none.
    """
    empty = True
    for table in tables:
        empty = False
        yield table
    if empty:
        raise ValueError("No table has rows yet: no trial of these results can be ranked, timed or named.")
