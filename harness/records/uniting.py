"""One table from tables with different columns: a trial's file only has the hyperparameters of its regularizer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc


def united(tables: Iterable[pa.Table]) -> pa.Table:
    """One table with the columns of all tables; a value is null where its table lacks the column.

    Columns of different types are converted: integers and floats to float, any other mixture to text. Tables with the
    same schema are placed next to each other, see `order_of`.

    >>> united([pa.table({"hp.h": [1]}), pa.table({"hp.h": [0.5], "hp.m": ["a"]})]).to_pylist()
    [{'hp.h': 1.0, 'hp.m': None}, {'hp.h': 0.5, 'hp.m': 'a'}]
    """
    # Files of one regularizer share a schema: joining those first leaves few schemas to unite, however many files.
    groups = [pa.concat_tables(group) for group in _by_schema(tables).values()]
    if not groups:
        return pa.table({})
    types: dict[str, set[pa.DataType]] = {}
    for group in groups:
        for field in group.schema:
            types.setdefault(field.name, set()).add(field.type)
    schema = pa.schema([(name, reduce(_meet, sorted(found, key=str))) for name, found in types.items()])
    return pa.concat_tables(conform(group, schema) for group in groups).combine_chunks()


def order_of(tables: Sequence[pa.Table]) -> list[int]:
    """The indices of the tables in the order in which `united` places their rows."""
    places: dict[pa.Schema, list[int]] = {}
    for place, table in enumerate(tables):
        places.setdefault(table.schema.remove_metadata(), []).append(place)
    return [place for group in places.values() for place in group]


def unlike_apart(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """Join tables for storage into as few as possible, without changing a value's type.

    Integers become floats if the same column holds floats elsewhere. Tables in which a column has types that cannot be
    joined (text and numbers) stay apart.
    """
    groups: list[tuple[pa.Schema, list[pa.Table]]] = []
    for schema, members in _by_schema(tables).items():
        for index, (common, others) in enumerate(groups):
            with contextlib.suppress(pa.ArrowException):
                both = pa.unify_schemas([common, schema], promote_options="permissive")
                groups[index] = (both, others + members)
                break
        else:
            groups.append((schema, members))
    return [pa.concat_tables(members, promote_options="permissive") for _, members in groups]


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the columns of a schema: cast where the type differs, null where the column is missing.

    Raises:
        pyarrow.ArrowException: if a value cannot be cast.
    """
    if table.schema.equals(schema):
        return table
    columns = [
        _cast(table[field.name], field.type) if field.name in table.schema.names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _by_schema(tables: Iterable[pa.Table]) -> dict[pa.Schema, list[pa.Table]]:
    """The tables without metadata, grouped by their schemas."""
    found: dict[pa.Schema, list[pa.Table]] = {}
    for table in tables:
        plain = table.replace_schema_metadata(None)
        found.setdefault(plain.schema, []).append(plain)
    return found


def _meet(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if all(pa.types.is_integer(kind) for kind in (first, second)):
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (first, second)):
        return pa.float64()
    return pa.string()


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    # Integers beyond 2^53 lose digits as floats; that is better than to refuse the whole results folder.
    real = pa.types.is_floating(kind)
    options = pc.CastOptions(target_type=kind, allow_time_truncate=True, allow_float_truncate=real)
    return column.cast(options=options)
