"""Trials as records, rows and files: the format of a results folder, which the harness and the analysis share.

Modules, in an order to read them: `columns` (the columns of a row), `trials` (spec and record of a trial), `folders`
(access to files), `reading` (from files to tables), `migrations` (rows of older versions), `uniting` (one table from
many) and `duplicates` (one row per trial). `harness.results` writes the files.
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
    NETWORK_KINDS,
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
    "NETWORK_KINDS",
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
