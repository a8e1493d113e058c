"""Migration of rows: on reading, rows of older schema versions become rows of this one; files are not changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from harness.records.columns import SCHEMA_VERSION

_COLUMN = "schema_version"


def _same(table: pa.Table) -> pa.Table:
    """For versions that only added columns: those are null in older rows."""
    return table


STEPS: Mapping[int, Callable[[pa.Table], pa.Table]] = {1: _same, 2: _same}
"""Version -> the function that converts its rows to those of the next version."""


def newest_version(table: pa.Table) -> int:
    """The highest schema version of a table's rows; 1 if they have none."""
    return 1 if not _tells_version(table) else pc.max(table[_COLUMN]).as_py() or 1


def migrated(table: pa.Table) -> pa.Table:
    """The rows in this version of the schema. All must have one version, which must not be a newer one."""
    version = newest_version(table)
    is_foreign = _COLUMN in table.column_names and not _tells_version(table)  # the later check of types reports it
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
