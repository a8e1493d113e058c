"""From files to tables. The only reader of results, both for resuming a campaign and for the analysis.

A file is damaged if it cannot be decoded as Parquet, and foreign if its columns are not those of a results file. Files
of a newer regarena raise an error. Reading is retried after errors that may pass (too many open files, a busy object
store); a file is never called damaged because of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import BadInput
from harness.records.columns import (
    CURVE_SCHEMA,
    CURVE_TABLE,
    HYPERPARAMETER_PREFIX,
    METRIC_PREFIX,
    SCHEMA_VERSION,
    TRIAL_FIELDS,
)
from harness.records.folders import TRIALS, Folder, Kind, first_line, patiently
from harness.records.migrations import migrated, newest_version
from harness.records.uniting import conform

_READERS = 8  # threads, which help on an object store; on a local disk a file takes under a millisecond
_ATTEMPTS = 5  # if a file vanishes, it was compacted meanwhile and its rows are in a new file: list and read again
_NEEDED: dict[Kind, tuple[str, ...]] = {
    "trials": (
        "trial_id", "task", "regularizer", "scale", "role", "seed", "status", "validation_value", "test_value",
    ),
    "curves": tuple(column.name for column in CURVE_TABLE if column.since == 1),
}  # fmt: skip


class DamagedResultsError(BadInput, ValueError):
    """Some files of a results folder are damaged or foreign; the message names each, with what is wrong."""


class NewerResultsError(BadInput, ValueError):
    """Some files were written by a newer regarena."""


class _ForeignError(ValueError):
    """A Parquet file whose columns are not those of a results file."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file that was read, with its rows in this version of the schema."""

    path: str
    table: pa.Table


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One file that was not read, and why."""

    path: str
    reason: str

    @property
    def name(self) -> str:
        """The path below the results folder."""
        return short_name(self.path)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All files of one kind in one folder."""

    parts: list[Part] = field(default_factory=list)
    damaged: list[Fault] = field(default_factory=list)  # could not be decoded
    foreign: list[Fault] = field(default_factory=list)  # intact, but no results file


def read_parts(folder: Folder, kind: Kind) -> Parts:
    """Read all files of a kind.

    Raises:
        NewerResultsError: if a file has a newer version of the schema.
        UnreadableResultsError: if a file cannot be read after several tries.
        BadInput: if this user may not read a file, or files keep vanishing.
    """
    for _ in range(_ATTEMPTS):
        paths = folder.parquet_files(kind)
        try:
            contents = _read_all(folder, paths)
        except FileNotFoundError:
            continue
        return _sorted_out(folder, kind, zip(paths, contents, strict=True))
    raise BadInput(f"Files keep vanishing from {folder.name} while they are read; wait until no run changes it.")


def decoded(content: pa.Buffer) -> pa.Table:
    """The table in a file, as it was stored.

    Raises:
        ValueError: when it is damaged; the message says how.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        table.validate(full=True)  # a changed byte may leave invalid UTF-8
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # the bytes are in memory: only decoding can fail
        raise ValueError(first_line(error)) from error
    return table


def checked(table: pa.Table, kind: Kind) -> pa.Table:
    """The rows of a file in this version of the schema, with every fixed column in its declared type.

    Raises:
        ValueError: if it is no table of this kind; the message says what does not fit.
    """
    try:
        if kind == TRIALS:
            table = migrated(table)
        return conform(table, _wanted(table.schema.remove_metadata(), kind))
    except pa.ArrowException as error:
        raise _ForeignError(f"this is no table of {kind}: {first_line(error)}") from error


def raise_for(faults: Sequence[Fault], advice: str) -> None:
    """Raise one error that names all these files, unless there are none.

    Raises:
        DamagedResultsError: if there are any.
    """
    if faults:
        raise DamagedResultsError(f"{named(faults)}\n{advice}")


def named(faults: Sequence[Fault]) -> str:
    """A heading and a line for each file."""
    return "\n".join([f"{len(faults)} damaged or foreign file(s) in the results:", *(f"  {fault}" for fault in faults)])


def short_name(path: str) -> str:
    """A file's path below its results folder."""
    return "/".join(path.split("/")[-2:])


def _read_all(folder: Folder, paths: Sequence[str]) -> list[pa.Table | ValueError]:
    """Read files in several threads; those that fail are read again one by one, with pauses and fewer open files."""
    with ThreadPoolExecutor(_READERS) as pool:
        contents = list(pool.map(lambda path: _read(folder, path), paths))
    for place, path in enumerate(paths):
        if isinstance(contents[place], OSError):
            contents[place] = _decoded_or_error(patiently(lambda path=path: folder.read(path), path))  # type: ignore[misc]  # mypy infers no default's type
    return contents


def _read(folder: Folder, path: str) -> pa.Table | ValueError | OSError:
    try:
        content = folder.read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        return error
    return _decoded_or_error(content)


def _decoded_or_error(content: pa.Buffer) -> pa.Table | ValueError:
    try:
        return decoded(content)
    except ValueError as error:
        return error


def _sorted_out(folder: Folder, kind: Kind, contents: Iterable[tuple[str, pa.Table | ValueError]]) -> Parts:
    found, newer = Parts(), []
    for path, content in contents:
        if isinstance(content, ValueError):
            found.damaged.append(Fault(path=path, reason=str(content)))
        elif kind == TRIALS and newest_version(content) > SCHEMA_VERSION:
            newer.append((path, newest_version(content)))
        else:
            try:
                found.parts.append(Part(path=path, table=checked(content, kind)))
            except _ForeignError as error:
                found.foreign.append(Fault(path=path, reason=str(error)))
    if newer:
        path, version = newer[0]
        raise NewerResultsError(
            f"{len(newer)} file(s) in {folder.name}, first {short_name(path)}, were written by a newer regarena "
            f"(version {version} of the schema, this one reads up to {SCHEMA_VERSION}). Nothing was changed; upgrade "
            "regarena to read them."
        )
    return found


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind)) and kind.tz is not None


_FITS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], bool], str], ...] = (
    (_is_text, _is_text, "text"),
    (_is_number, _is_number, "numbers"),
    (pa.types.is_boolean, pa.types.is_boolean, "truth values"),
    (_is_time, _is_time, "times with a time zone"),
)
"""(test of the declared type, test of the types that can be read as it, name of both in messages)."""


@lru_cache(maxsize=1024)
def _wanted(schema: pa.Schema, kind: Kind) -> pa.Schema:
    """The schema that a file is converted to: the fixed columns as declared, then (of trials) its own columns.

    Raises:
        ValueError: if a needed column is missing, or has a type that cannot be read as the declared one.
    """
    missing = [name for name in _NEEDED[kind] if name not in schema.names]
    if missing:
        raise _ForeignError(f"this is no table of {kind}: it lacks the column(s) {', '.join(missing)}")
    declared = pa.schema(TRIAL_FIELDS) if kind == TRIALS else CURVE_SCHEMA
    own = [each for each in schema if each.name not in declared.names] if kind == TRIALS else []
    wrong = [wrong for each in schema for wrong in _unfit(each, declared)]
    if wrong:
        raise _ForeignError(f"this is no table of {kind}: {'; '.join(wrong)}")
    return pa.schema([*declared, *own])


def _unfit(found: pa.Field, declared: pa.Schema) -> Iterable[str]:
    """What is wrong with the type of a column."""
    kind = found.type.value_type if pa.types.is_dictionary(found.type) else found.type
    if pa.types.is_null(kind):
        return
    if found.name in declared.names:
        wanted = declared.field(found.name).type
        fits, words = next((fits, words) for is_kind, fits, words in _FITS if is_kind(wanted))
        if not fits(kind):
            yield f"{found.name} holds {found.type}, not {words}"
    elif found.name.startswith(METRIC_PREFIX) and not _is_number(kind):
        yield f"{found.name} holds {found.type}, not numbers"
    elif found.name.startswith(HYPERPARAMETER_PREFIX) and pa.types.is_nested(kind):
        yield f"{found.name} holds {found.type}, not a number, text or truth values"
