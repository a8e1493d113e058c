"""Results folders become pandas frames: one row per trial, or one row per point of a learning curve."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.rows.folders import Folder, Results, open_folders
from analysis.rows.notes import with_notes
from analysis.rows.one_table import conform, union
from harness.records import (
    CURVE_SCHEMA,
    HYPERPARAMETER_PREFIX,
    METRIC_PREFIX,
    SCHEMA_VERSION,
    SUCCESSES,
    TRIAL_COLUMNS,
    TRIAL_FIELDS,
)

OnDamage = Literal["raise", "warn"]

_READERS = 8  # threads; one file takes under a millisecond on a local disk, and mostly waiting on an object store
_ATTEMPTS = 3  # a file that vanished was compacted meanwhile: its rows stand in a new file, so list and read again
_NEEDED = ("trial_id", "task", "regularizer", "scale", "role", "seed", "status", "validation_value", "test_value")


class DamagedResultsError(ValueError):
    """Some files of a results folder cannot be read; the message names each of them and says what is wrong."""


def load_trials(results: Results, on_damage: OnDamage = "raise") -> pd.DataFrame:
    """All trials of one results folder, of a list of folders, or of a URI: one row per trial.

    The columns are those of `harness.records.TRIAL_FIELDS` in that order, then the `hp.*` and `metric.*` columns of all
    trials, null where one does not apply. A trial that stands in several files is loaded once.

    Raises `FileNotFoundError` when a folder holds no trial, and `DamagedResultsError` when a file cannot be read; with
    `on_damage="warn"` damaged files are named in a warning and the rest is loaded.
    """
    table = _load(results, "trials", _checked_trials, on_damage)
    return _one_row_per_trial(_frame(table.select(_in_order(table.column_names))))


def load_curves(results: Results, on_damage: OnDamage = "raise") -> pd.DataFrame:
    """All learning curves: one row per (trial_id, epoch, split, metric) with its value; empty when there are none."""
    table = _load(results, "curves", _checked_curves, on_damage, may_be_empty=True)
    frame = _frame(table) if table.num_columns else _frame(CURVE_SCHEMA.empty_table())
    return frame.drop_duplicates(["trial_id", "epoch", "split", "metric"]).reset_index(drop=True)


@dataclass(frozen=True)
class _Damage:
    path: str
    reason: str


class _VanishedError(Exception):
    """A listed file is gone."""


def _load(
    results: Results, kind: str, check: Callable[[Any], Any], on_damage: OnDamage, *, may_be_empty: bool = False
) -> Any:
    if on_damage not in ("raise", "warn"):
        raise ValueError(f"on_damage must be 'raise' or 'warn', got {on_damage!r}.")
    tables: list[Any] = []
    damages: list[_Damage] = []
    for folder in open_folders(results):
        read = _read_folder(folder, kind, check)
        if not read and not may_be_empty:
            raise FileNotFoundError(
                f"No trial is stored in {folder.name!r}: a results folder holds files {kind}/*.parquet. "
                "Give the folder that was named to `regarena run --results`."
            )
        tables += [each for each in read if not isinstance(each, _Damage)]
        damages += [each for each in read if isinstance(each, _Damage)]
    _report_damage(damages, on_damage, nothing_left=not tables)
    return union(tables)


def _read_folder(folder: Folder, kind: str, check: Callable[[Any], Any]) -> list[Any]:
    for attempt in range(_ATTEMPTS):
        paths = folder.parquet_files(kind)
        try:
            with ThreadPoolExecutor(_READERS) as pool:
                return list(pool.map(lambda path: _read_file(folder, path, check), paths))
        except _VanishedError:
            if attempt == _ATTEMPTS - 1:
                raise FileNotFoundError(f"Files keep vanishing from {folder.name!r} while they are read.") from None
    return []


def _read_file(folder: Folder, path: str, check: Callable[[Any], Any]) -> Any:
    try:
        with pq.ParquetFile(path, filesystem=folder.filesystem, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        table.validate(full=True)
        return check(table)
    except FileNotFoundError:
        raise _VanishedError(path) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        return _Damage(path, str(error).splitlines()[0] if str(error) else type(error).__name__)


def _report_damage(damages: Sequence[_Damage], on_damage: OnDamage, *, nothing_left: bool) -> None:
    if not damages:
        return
    listing = "\n".join(f"  {damage.path}: {damage.reason}" for damage in damages)
    message = f"{len(damages)} damaged file(s) in the results:\n{listing}\n"
    if on_damage == "raise" or nothing_left:
        raise DamagedResultsError(
            message + "Remove them and run the same campaign again to repeat these trials, "
            "or load the rest with on_damage='warn'."
        )
    warnings.warn(message + "They are left out.", stacklevel=4)


def _checked_trials(table: Any) -> Any:
    """The table with every fixed column in its declared type, or a ValueError that says what does not fit."""
    if "schema_version" in table.column_names:
        newest = max((version for version in table["schema_version"].to_pylist() if version is not None), default=0)
        if newest > SCHEMA_VERSION:
            raise ValueError(f"written by a newer regarena (schema {newest}, this one reads up to {SCHEMA_VERSION})")
    return conform(table, _trial_schema(table.schema))


@lru_cache(maxsize=1024)
def _trial_schema(schema: Any) -> Any:
    """What a file of this schema is read as: the fixed columns as declared, then its own."""
    missing = [name for name in _NEEDED if name not in schema.names]
    if missing:
        raise ValueError(f"this is no table of trials: it lacks the column(s) {', '.join(missing)}")
    return pa.schema([*TRIAL_FIELDS, *(field for field in schema if field.name not in TRIAL_COLUMNS)])


def _checked_curves(table: Any) -> Any:
    missing = [name for name in CURVE_SCHEMA.names if name not in table.column_names]
    if missing:
        raise ValueError(f"this is no table of curves: it lacks the column(s) {', '.join(missing)}")
    return conform(table, CURVE_SCHEMA)


def _in_order(names: Sequence[str]) -> list[str]:
    """Fixed columns as declared, then hyperparameters, metrics and whatever else, each sorted."""

    def group(name: str) -> tuple[int, str]:
        prefixes = (HYPERPARAMETER_PREFIX, METRIC_PREFIX)
        return next((place for place, prefix in enumerate(prefixes) if name.startswith(prefix)), len(prefixes)), name

    return [*TRIAL_COLUMNS, *sorted((name for name in names if name not in TRIAL_COLUMNS), key=group)]


def _frame(table: Any) -> pd.DataFrame:
    """The table in pandas; whole numbers and truth values stay such where some are missing."""
    kinds: dict[Any, Any] = {pa.int32(): pd.Int64Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    return frame


def _one_row_per_trial(frame: pd.DataFrame) -> pd.DataFrame:
    """Each trial_id once: of several rows the one that succeeded, then the one that finished last."""
    repeated = frame.duplicated("trial_id", keep=False)
    if not repeated.any():
        return with_notes(frame)
    order = pd.DataFrame({"success": frame["status"].isin(SUCCESSES), "finished_at": frame["finished_at"]})
    ordered = frame.loc[order.sort_values(["success", "finished_at"], na_position="first", kind="stable").index]
    kept = ordered.drop_duplicates("trial_id", keep="last").sort_index().reset_index(drop=True)
    left_out = len(frame.drop_duplicates()) - len(kept)
    note = f"{left_out} row(s) left out: their trials were stored again with another outcome or at another time."
    return with_notes(kept, [note] if left_out else [])
