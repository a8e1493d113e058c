"""Tables in files: what the terminal shows, in the notation of the format, and nothing that it would obey."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from exported_results import ESCAPE, FORMULA, MARKUP, results
from result_rows import confirmed, write
from slow_params import slow_but

import analysis
from analysis.exports.table_files import csv_text, latex_text, markdown_text
from analysis.exports.tables import NamedTable
from analysis.shown.column import number, text

HOSTILE = (ESCAPE, FORMULA, MARKUP, "a\\b{c}~^$#", "-x", "two\nlines", "__init__ of weight_decay")
TABLE = NamedTable(
    name=("some", "table"),
    title=f"Title {MARKUP}",
    columns=(text("regularizer"), number("mean"), text("left_out")),
    rows=[[name, "0.5", "–"] for name in HOSTILE],
    notes=(f"A note on {ESCAPE}.",),
)


@pytest.mark.parametrize(
    ("to", "ending"), slow_but([("csv", "csv"), ("latex", "tex"), ("markdown", "md")], quick=[("csv", "csv")])
)
def test_there_is_a_file_for_each_table_with_the_cells_of_the_terminal(to: str, ending: str, tmp_path: Path) -> None:
    folder = results(tmp_path / "results")
    exported = analysis.export(folder, to)
    files = sorted((folder / "export" / to).iterdir())
    assert exported.num_written == len(files)
    assert {path.suffix for path in files} == {f".{ending}"}
    names = {path.stem for path in files}
    assert {"ranking-digits-smoke", "ranks-smoke", "frozen", "failed", "skipped"} <= names
    assert len([name for name in names if name.startswith("timing-digits-smoke-cpu-")]) == 2  # never mixed
    ranking = (folder / "export" / to / f"ranking-digits-smoke.{ending}").read_text()
    for cell in ("0.7500", "0.8600", "3 / 0"):  # means of the test values, seeds and failures
        assert cell in ranking


def test_csv_has_the_headings_and_cells_and_no_formula(tmp_path: Path) -> None:
    rows = list(csv.reader(csv_text(TABLE).splitlines()))
    assert rows[0] == ["regularizer", "mean", "left out"]
    assert [cells[1] for cells in rows[1:]] == ["0.5"] * len(HOSTILE)
    assert rows[1][0] == "evil\\x1b[2J"
    assert rows[2][0] == f"'{FORMULA}"
    assert rows[5][0] == "'-x"
    assert rows[6][0] == "two\\nlines"


def test_latex_cells_are_escaped_as_pandas_escapes_them() -> None:
    written = latex_text(TABLE)
    body = written.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    cells = [line.partition(" & ")[0] if "\\&" not in line else line.rpartition(" & ")[0] for line in body.splitlines()]
    plain = [name.replace("\x1b", "\\x1b").replace("\n", "\\n") for name in HOSTILE]
    expected = pd.DataFrame({"x": plain}).to_latex(index=False, header=False, escape=True)
    pandas_cells = expected.partition("\\midrule\n")[2].partition("\\bottomrule")[0].replace(" \\\\\n", "\n")

    def letters(line: str) -> str:  # pandas writes "\textbackslash " where we write "\textbackslash{}"
        return re.sub(r"\\(text\w+)(\{\}| )", r"\\\1", line)

    assert [letters(cell) for cell in cells] == [letters(cell) for cell in pandas_cells.splitlines()]
    assert "\x1b" not in written
    assert written.startswith("\\begin{table}[htbp]\n\\centering\n\\caption{")
    assert "\\label{tab:some-table}" in written
    assert written.endswith("% A note on evil\\x1b[2J.\n")
    assert "\\begin{tabular}{lr}" in written  # numbers on the right, no empty column


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("-0.5", "$-$0.5"),
        ("-0.5 … -0.1", "$-$0.5 \\dots{} $-$0.1"),
        ("tie (-1)", "tie ($-$1)"),
        ("cifar-10", "cifar-10"),
        ("1e-05", "1e-05"),
    ],
)
def test_a_minus_of_a_number_is_no_hyphen_in_latex(cell: str, expected: str) -> None:
    table = NamedTable(name=("t",), title="t", columns=(text("regularizer"), number("mean")), rows=[["none", cell]])
    assert f"none & {expected} \\\\\n" in latex_text(table)


def test_markdown_has_a_row_for_each_row_and_no_markup_of_others() -> None:
    lines = markdown_text(TABLE).splitlines()
    assert lines[0].startswith("### Title 50\\_% & \\<b\\>\\|\\[x\\](y)")
    assert lines[2:4] == ["| regularizer | mean |", "| --- | ---: |"]
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in lines[4 : 4 + len(HOSTILE)]]
    assert [re.sub(r"\\(?=[\\`*\[\]<>|_])", "", cell) for cell in cells] == [
        name.replace("\x1b", "\\x1b").replace("\n", "\\n") for name in HOSTILE
    ]
    assert cells[-1] == "\\_\\_init\\_\\_ of weight_decay"


@pytest.mark.slow
def test_tables_go_where_they_are_asked_to_and_folders_are_exported_together(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, confirmed("none", [0.5, 0.6]))
    write(second, confirmed("dropout", [0.7, 0.8]))
    exported = analysis.export([first, second], "csv", tmp_path / "out")
    assert exported.where == str(tmp_path / "out")
    assert not (first / "export").exists()
    names = {row["regularizer"] for row in csv.DictReader((tmp_path / "out" / "ranking-digits-smoke.csv").open())}
    assert names == {"none", "dropout"}


@pytest.mark.slow
def test_tables_of_curves_are_exported_and_the_notes_of_statistics(tmp_path: Path) -> None:
    winners = [confirmed(name, [0.5, 0.6], selection="oracle", validation=0.5) for name in ("none", "dropout")]
    folder = results(tmp_path, [row for rows in winners for row in rows])
    analysis.export(folder, "markdown", tmp_path / "out")
    assert "time to a validation score" in (tmp_path / "out" / "time-to-target-smoke.md").read_text().lower()
    for name in ("ranks-smoke", "pairs-smoke"):
        assert "oracle, which looks at the test data" in (tmp_path / "out" / f"{name}.md").read_text()


def test_a_format_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no format 'mlfow' of exports; did you mean 'mlflow'"):
        analysis.export(tmp_path, "mlfow")


def test_a_package_that_is_missing_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(analysis.MissingPackageError, match=r"needs the package tensorboard.*'regarena\[export\]'"):
        analysis.export(tmp_path, "tensorboard")
