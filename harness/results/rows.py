"""What is done to tables of rows: their digest, and how tables of several files become one."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from harness.records import CURVE_COLUMNS, SUCCESSES


def digest(table: pa.Table) -> str:
    """SHA-256 over the names and values of a table's rows, whatever the file's encoding."""
    hasher = hashlib.sha256()
    for row in table.to_pylist():
        text = json.dumps(row, sort_keys=True, default=_plain)
        hasher.update(text.encode())
    return hasher.hexdigest()


def merged(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """Tables with different columns as one: a missing column is null, whole numbers give way to real ones.

    Tables whose columns of one name cannot meet (text and numbers) stay apart, so that no value changes its meaning.
    """
    by_schema: dict[pa.Schema, list[pa.Table]] = {}
    for table in tables:
        plain = table.replace_schema_metadata(None)
        by_schema.setdefault(plain.schema, []).append(plain)
    groups: list[tuple[pa.Schema, list[pa.Table]]] = []
    for schema, members in by_schema.items():
        for index, (common, others) in enumerate(groups):
            with contextlib.suppress(pa.ArrowException):
                groups[index] = (_union(common, schema), others + members)
                break
        else:
            groups.append((schema, members))
    return [pa.concat_tables(members, promote_options="permissive") for _, members in groups]


def one_row_per_trial(table: pa.Table) -> pa.Table:
    """Of several rows of one trial the first that succeeded, or the first."""
    chosen: dict[str, int] = {}
    statuses = table.column("status").to_pylist()
    for index, trial_id in enumerate(table.column("trial_id").to_pylist()):
        known = chosen.setdefault(trial_id, index)
        if statuses[known] not in SUCCESSES and statuses[index] in SUCCESSES:
            chosen[trial_id] = index
    return table.take(pa.array(sorted(chosen.values()), pa.int64()))


def one_of_each_point(table: pa.Table) -> pa.Table:
    """Each point of a curve once."""
    keys = zip(*(table.column(name).to_pylist() for name in CURVE_COLUMNS[:-1]), strict=True)
    chosen: dict[tuple[Any, ...], int] = {}
    for index, key in enumerate(keys):
        chosen.setdefault(key, index)
    return table.take(pa.array(list(chosen.values()), pa.int64()))


def _union(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    return pa.unify_schemas([first, second], promote_options="permissive")


def _plain(value: Any) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat()
