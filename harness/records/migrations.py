"""Rows of older versions of the schema become rows of this one when they are read; the files stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from harness.records.columns import SCHEMA_VERSION

_COLUMN = "schema_version"


def _same(table: pa.Table) -> pa.Table:
    """For versions that only added columns: those are null in older rows."""
    return table


STEPS: Mapping[int, Callable[[pa.Table], pa.Table]] = {1: _same}
"""What makes rows of a version rows of the next."""


def newest_version(table: pa.Table) -> int:
    """The highest version of a table's rows; 1 where they say none."""
    return 1 if not _tells_version(table) else pc.max(table[_COLUMN]).as_py() or 1


def migrated(table: pa.Table) -> pa.Table:
    """The same rows as this version writes them. All rows of a file are of one version, which is not a newer one."""
    version = newest_version(table)
    is_foreign = _COLUMN in table.column_names and not _tells_version(table)  # who checks the types will say so
    if version == SCHEMA_VERSION or is_foreign:
        return table
    for each in range(version, SCHEMA_VERSION):
        table = STEPS[each](table)
    versions = pa.array([SCHEMA_VERSION] * len(table), pa.int32())
    if _COLUMN not in table.column_names:
        return table.append_column(_COLUMN, versions)
    return table.set_column(table.column_names.index(_COLUMN), _COLUMN, versions)


def _tells_version(table: pa.Table) -> bool:
    return _COLUMN in table.column_names and bool(pa.types.is_integer(table.schema.field(_COLUMN).type))
