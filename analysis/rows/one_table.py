"""Tables whose columns differ become one table: each trial's file has only the hyperparameters of its regularizer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def union(tables: Iterable[Any]) -> Any:
    """One Arrow table with every column of every table; where a table has no such column, the value is null.

    Types meet as follows: whole numbers and real numbers become real numbers, anything else that differs becomes text.

    >>> union([pa.table({"hp.h": [1]}), pa.table({"hp.h": [0.5], "hp.m": ["a"]})]).to_pylist()
    [{'hp.h': 1.0, 'hp.m': None}, {'hp.h': 0.5, 'hp.m': 'a'}]
    """
    # Files of one regularizer share a schema: joining those first leaves few schemas to unite, however many files.
    by_schema: dict[Any, list[Any]] = {}
    for table in tables:
        by_schema.setdefault(table.schema.remove_metadata(), []).append(table.replace_schema_metadata(None))
    groups = [pa.concat_tables(group) for group in by_schema.values()]
    if not groups:
        return pa.table({})
    schema = pa.schema(list(_common_types(by_schema).items()))
    return pa.concat_tables(conform(group, schema) for group in groups).combine_chunks()


def conform(table: Any, schema: Any) -> Any:
    """The table with exactly the columns of a schema: cast where the type differs, null where the column is missing.

    Raises `pyarrow.ArrowException` where a value does not fit its type.
    """
    if table.schema.equals(schema):
        return table
    columns = [
        _cast(table[field.name], field.type) if field.name in table.schema.names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _common_types(schemas: Iterable[Any]) -> dict[str, Any]:
    types: dict[str, set[Any]] = {}
    for schema in schemas:
        for field in schema:
            types.setdefault(field.name, set()).add(field.type)
    return {name: reduce(_meet, sorted(found, key=str)) for name, found in types.items()}


def _meet(first: Any, second: Any) -> Any:
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if all(pa.types.is_integer(kind) for kind in (first, second)):
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (first, second)):
        return pa.float64()
    return pa.string()


def _cast(column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    # Whole numbers beyond 2^53 lose digits as real numbers; refusing a whole results folder for that would help nobody.
    real = pa.types.is_floating(kind)
    options = pc.CastOptions(target_type=kind, allow_time_truncate=True, allow_float_truncate=real)
    return column.cast(options=options)
