"""Load results folders as pandas frames: one row per trial, or one row per point of a learning curve."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa

from analysis.rows.notes import with_notes
from harness.records import CURVE_SCHEMA, HYPERPARAMETER_PREFIX, METRIC_PREFIX, TRIAL_COLUMNS
from harness.records.duplicates import ConflictingResultsError, OnConflict, unique_points, unique_trials
from harness.records.folders import CURVES, TRIALS, Kind, Results, open_folders
from harness.records.reading import DamagedResultsError, Fault, NewerResultsError, Part, named, raise_for, read_parts
from harness.records.sources import has_sources, with_sources

__all__ = ["ConflictingResultsError", "DamagedResultsError", "NewerResultsError", "load_curves", "load_trials"]

OnDamage = Literal["raise", "warn"]

_ADVICE = (
    "Move foreign files out of the folder; remove damaged ones and run the same campaign again to repeat these trials, "
    "or load the rest with on_damage='warn'."
)


def load_trials(results: Results, on_damage: OnDamage = "raise", on_conflict: OnConflict = "raise") -> pd.DataFrame:
    """Load all trials of one or several results folders: one row per trial.

    The first columns are those of `regarena show columns`, in that order; the hyperparameters (`hp.*`) and metrics
    (`metric.*`) of all trials follow, null where one does not apply. Rows of older versions of regarena are migrated.
    A trial that is stored in several files is loaded once (`harness.records.duplicates` has the rule); a timing trial
    once for each machine.

    Args:
        results: a folder, a URI such as `s3://bucket/folder`, or a list of these. A folder that was made with
            `regarena run --from` brings along the rows of the folders named there.
        on_damage: "warn" names damaged and foreign files in a warning and loads the rest.
        on_conflict: which rows to keep if several files have different values for one trial: "first" or "last", in
            the order of the folders and, within a folder, of the file names; "raise" refuses them.

    Raises:
        FileNotFoundError: if a folder holds no trial, and uses those of no other folder.
        DamagedResultsError: if a file is damaged or is no file of regarena. This error and the two below are
            ValueErrors, and their messages name the files.
        NewerResultsError: if a file was written by a newer version of regarena.
        ConflictingResultsError: if files have different values for one trial.
        harness.records.folders.UnreadableResultsError: if a file cannot be read at present, for example because the
            network is down.
    """
    unique = unique_trials(_parts(results, TRIALS, on_damage), on_conflict)
    return with_notes(_frame(unique.table.select(_in_order(unique.table.column_names))), unique.notes)


def load_curves(results: Results, on_damage: OnDamage = "raise", on_conflict: OnConflict = "raise") -> pd.DataFrame:
    """Load all learning curves of one or several results folders; empty if there are none.

    One row per (trial_id, epoch, split, metric), with its `value` and the training time until then (`train_seconds`;
    missing in files of older versions). Arguments and errors are those of `load_trials`,
    except that a folder without curves is no error. If curves of one trial differ, `on_conflict` keeps the curve that
    belongs to the row that `load_trials` keeps.
    """
    unique = unique_points(_parts(results, CURVES, on_damage), on_conflict)
    table = unique.table if unique.table.num_columns else CURVE_SCHEMA.empty_table()
    return with_notes(_frame(table), unique.notes)


def _parts(results: Results, kind: Kind, on_damage: OnDamage) -> list[Part]:
    if on_damage not in ("raise", "warn"):
        raise ValueError(f"on_damage must be 'raise' or 'warn', got {on_damage!r}.")
    parts: list[Part] = []
    faults: list[Fault] = []
    for folder in with_sources(open_folders(results)):
        read = read_parts(folder, kind)
        if kind == TRIALS and not (read.parts or read.damaged or read.foreign or has_sources(folder)):
            raise FileNotFoundError(
                f"No trial is stored in {folder.name!r}: a results folder holds files {kind}/*.parquet. "
                "Give the folder that was named to `regarena run --results`."
            )
        parts += read.parts
        faults += [*read.damaged, *read.foreign]
    if on_damage == "raise" or not parts:
        raise_for(faults, _ADVICE)
    elif faults:
        warnings.warn(f"{named(faults)}\nThey are left out.", stacklevel=3)
    return parts


def _in_order(names: Sequence[str]) -> list[str]:
    """Fixed columns as declared, then hyperparameters, then metrics, then all others, each group sorted by name."""

    def group(name: str) -> tuple[int, str]:
        prefixes = (HYPERPARAMETER_PREFIX, METRIC_PREFIX)
        return next((place for place, prefix in enumerate(prefixes) if name.startswith(prefix)), len(prefixes)), name

    return [*TRIAL_COLUMNS, *sorted((name for name in names if name not in TRIAL_COLUMNS), key=group)]


def _frame(table: pa.Table) -> pd.DataFrame:
    """The table in pandas, with nullable integer and boolean columns, so that missing values make no floats of them."""
    kinds = {pa.int32(): pd.Int64Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    return frame
