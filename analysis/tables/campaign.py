"""Summaries of a campaign: counts by status, frozen winners, failures, skipped cells, origin of the rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from analysis.rows.current import current_rows, winners
from harness.records import HYPERPARAMETER_PREFIX, INTENDED, ROLES, STATUSES

FAILURE_COLUMNS = (
    "scale", "task", "regularizer", "role", "seed", "tune_index", "status", "error_type", "reason", "error_message",
    "attempts", "trial_id",
)  # fmt: skip
_FIRST_ROLES = ("confirm", "default", "timing", "tune")  # of failures
_VERSIONS = ("regarena", "torch", "ray", "optuna", "python")


def status_counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Number of trials by role (rows, the last one `all`) and status (columns, the last one `trials`)."""
    counts = pd.crosstab(trials["role"], trials["status"])
    counts = counts.reindex(index=[role for role in ROLES if role in counts.index])
    counts = counts[[status for status in STATUSES if status in counts.columns]]
    counts.loc["all"] = counts.sum()
    counts["trials"] = counts.sum(axis="columns")
    return counts.reset_index(names="role").rename_axis(columns=None)


def frozen_winners(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per tuned cell: the winner's validation value and hyperparameters, and the number of tune trials."""
    current = current_rows(trials)
    best = winners(current)
    tuned = current[current["role"] == "tune"].groupby(["scale", "task", "regularizer"])["trial_id"].count()
    names = [name for name in trials.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    settings = [_settings(row) for row in best[names].to_dict("records")]
    keys = best[["scale", "task", "regularizer"]]
    return keys.assign(
        validation_value=best["validation_value"],
        num_tune_trials=[int(tuned[tuple(cell)]) for cell in keys.itertuples(index=False, name=None)],
        hyperparameters=settings,
        trial_id=best["trial_id"],
    )


def failures(trials: pd.DataFrame) -> pd.DataFrame:
    """All failed trials with their error messages: those neither successful nor skipped nor pruned by the search.

    Confirm and default trials are first, because their failures change means; those of tune trials are last.
    """
    failed = trials[~trials["status"].isin(INTENDED)]
    order = failed.assign(place=failed["role"].map(_FIRST_ROLES.index))
    columns = ["place", "scale", "task", "regularizer", "seed", "tune_index"]
    return order.sort_values(columns)[list(FAILURE_COLUMNS)]


def skipped_cells(trials: pd.DataFrame) -> pd.DataFrame:
    """The cells that cannot run, for example because the network has no site for the method, with the reason."""
    skipped = trials[trials["status"] == "skipped"].drop_duplicates(["scale", "task", "regularizer"])
    return skipped.sort_values(["scale", "task", "regularizer"])[["scale", "task", "regularizer", "reason"]]


def provenance(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per combination of versions, code state and machine, with its number of trials and its time span."""
    ran = trials[trials["status"] != "skipped"]
    dirty = ran["git_dirty"].astype("boolean").fillna(False).astype(bool)
    commit = ran["git_commit"].fillna("").str[:12] + dirty.map({True: " with local changes", False: ""})
    versions = {name: ran[f"{name}_version"].fillna("") for name in _VERSIONS}
    machine = {name: ran[name].fillna("") for name in ("device", "hardware_key")}
    parts = pd.DataFrame({"git_commit": commit, **versions, **machine})
    spans = parts.assign(trials=1, first=ran["started_at"], last=ran["finished_at"], seconds=ran["train_seconds"])
    grouped = spans.groupby(list(parts.columns), sort=True)
    summary = {"trials": ("trials", "sum"), "first": ("first", "min"), "last": ("last", "max")}
    return grouped.agg(**summary, train_hours=("seconds", lambda seconds: seconds.sum() / 3600)).reset_index()


def _settings(row: Mapping[Hashable, Any]) -> str:
    """The hyperparameters that are not missing, as text with four significant digits."""
    return ", ".join(
        f"{str(name).removeprefix(HYPERPARAMETER_PREFIX)} = {_short(value)}"
        for name, value in row.items()
        if pd.notna(value)
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
