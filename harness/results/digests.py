"""The digest of a file's rows, stored in the file, by which `verify` detects that a file was edited."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

DIGEST_KEY = b"regarena.digest"
"""Its key in the metadata of a file's schema."""


def digest(table: pa.Table) -> str:
    """SHA-256 over the names and values of a table's rows; independent of how Parquet encodes them."""
    hasher = hashlib.sha256()
    for row in table.to_pylist():
        text = json.dumps(row, sort_keys=True, default=_plain)
        hasher.update(text.encode())
    return hasher.hexdigest()


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else repr(value)
