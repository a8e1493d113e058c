from datetime import UTC, datetime

import pyarrow as pa
import pytest

from harness.records.uniting import conform, united


@pytest.mark.parametrize(
    ("first", "second", "met"),
    [
        (pa.nulls(1), pa.array([datetime(2026, 1, 1, tzinfo=UTC)]), pa.timestamp("us", tz="UTC")),
        (pa.nulls(1), pa.array([True]), pa.bool_()),
        (pa.array([1], pa.int32()), pa.array([2**40]), pa.int64()),
        (pa.array([1]), pa.array([0.5]), pa.float64()),
        (pa.array([True]), pa.array([1]), pa.string()),
        (pa.array([0.5]), pa.array(["l2"]), pa.string()),
    ],
    ids=["nothing and a time", "nothing and a truth value", "two widths", "whole and real", "truth and number", "text"],
)
def test_types_meet_in_either_order(first, second, met):
    tables = [pa.table({"a": first}), pa.table({"a": second})]
    for order in (tables, tables[::-1]):
        assert united(order).schema.field("a").type == met
        assert len(united(order)) == 2


def test_a_whole_number_too_large_for_a_real_one_loses_digits_and_not_the_folder():
    joined = united([pa.table({"a": [2**60 + 1]}), pa.table({"a": [0.5]})])
    assert joined["a"].to_pylist() == [float(2**60), 0.5]


def test_a_real_number_is_not_cut_to_a_whole_one():
    with pytest.raises(pa.ArrowInvalid):
        conform(pa.table({"seed": [1.5]}), pa.schema([("seed", pa.int64())]))


def test_no_tables_are_an_empty_table():
    assert united([]).num_columns == 0
