"""Trials as records, rows and files: what the rest of the harness, and the analysis, know of a results folder.

Reading `columns` (what a row holds), `trials` (a spec, a record), `folders` (where files lie), `reading` (files into
tables), `migrations` (rows of older versions), `uniting` (one table from many) and `duplicates` (one row per trial)
gives the whole way from a file to a row; `harness.results` writes them.
"""

from harness.records.columns import (
    ANSWERS,
    CURVE_COLUMNS,
    CURVE_KEY,
    CURVE_SCHEMA,
    CURVE_TABLE,
    HYPERPARAMETER_PREFIX,
    INTENDED,
    METRIC_PREFIX,
    ROLES,
    SCALES,
    SCHEMA_VERSION,
    SELECTIONS,
    STATUSES,
    SUCCESSES,
    TRIAL_COLUMNS,
    TRIAL_FIELDS,
    TRIAL_TABLE,
    Column,
    Role,
    Scale,
    Selection,
    Status,
    fixed,
)
from harness.records.trials import CurvePoint, Pack, Scalar, TrialRecord, TrialSpec, schema_of, utc_now

__all__ = [
    "ANSWERS",
    "CURVE_COLUMNS",
    "CURVE_KEY",
    "CURVE_SCHEMA",
    "CURVE_TABLE",
    "HYPERPARAMETER_PREFIX",
    "INTENDED",
    "METRIC_PREFIX",
    "ROLES",
    "SCALES",
    "SCHEMA_VERSION",
    "SELECTIONS",
    "STATUSES",
    "SUCCESSES",
    "TRIAL_COLUMNS",
    "TRIAL_FIELDS",
    "TRIAL_TABLE",
    "Column",
    "CurvePoint",
    "Pack",
    "Role",
    "Scalar",
    "Scale",
    "Selection",
    "Status",
    "TrialRecord",
    "TrialSpec",
    "fixed",
    "schema_of",
    "utc_now",
]
