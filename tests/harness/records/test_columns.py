"""The table of columns, and what reads it. The golden file changes when a column does: on purpose, and in the open."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.command.columns import columns_card
from harness.records import CURVE_TABLE, SCHEMA_VERSION, TRIAL_TABLE, fixed

GOLDEN = Path(__file__).parents[2] / "data" / "schema.txt"
TABLES = {"trials": TRIAL_TABLE, "curves": CURVE_TABLE}
REAL_UNITS = {"seconds": "s", "bytes": "B"}


def lines_of_the_schema():
    return [f"version {SCHEMA_VERSION}"] + [
        f"{name} {column.name} {column.type} {'repeats' if column.repeats else 'varies'} since {column.since}"
        for name, table in TABLES.items()
        for column in table
    ]


def test_the_columns_are_those_of_the_golden_file():
    assert lines_of_the_schema() == GOLDEN.read_text(encoding="utf-8").splitlines(), (
        f"A column changed. If that is meant, tell in CHANGELOG.md, and update {GOLDEN.name}: one line a column."
    )


@pytest.mark.parametrize("column", [*TRIAL_TABLE, *CURVE_TABLE], ids=lambda column: column.name)
def test_each_column_says_what_it_means_and_in_which_unit(column):
    assert column.meaning
    assert "\n" not in column.meaning
    assert 1 <= column.since <= SCHEMA_VERSION
    unit = next((unit for word, unit in REAL_UNITS.items() if column.name.endswith(word)), column.unit)
    assert column.unit == unit
    assert list(column.faults(None)) == []


def test_a_column_stands_once_in_its_table():
    for table in TABLES.values():
        names = [column.name for column in table]
        assert len(names) == len(set(names))


def test_bounds_hold_at_their_edges_and_nothing_that_is_no_number_lies_within_them():
    share = next(column for column in fixed(TRIAL_TABLE) if column.name == "validation_fraction")
    assert [list(share.faults(value)) for value in (0.0, 0.5, 1.0)] == [[], [], []]
    assert list(share.faults(-0.5)) == ["validation_fraction is -0.5, below 0"]
    assert list(share.faults(1.5)) == ["validation_fraction is 1.5, above 1"]
    assert len(list(share.faults(float("nan")))) == 2


def test_the_card_of_the_columns_names_each_of_them():
    words = {line.split()[0] for line in columns_card().splitlines() if line.startswith("  ")}
    assert words == {column.name for table in TABLES.values() for column in table}


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_the_columns_are_listed_for_programs(option):
    ended = CliRunner().invoke(app, ["show", "columns", option])
    assert ended.exit_code == 0
    listed = json.loads(ended.stdout) if option == "--json" else list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [each["column"] for each in listed] == [column.name for table in TABLES.values() for column in table]
    (memory,) = [each for each in listed if each["column"] == "peak_memory_bytes"]
    assert (memory["unit"], memory["allowed"], memory["type"]) == ("B", ">= 0", "whole number")
