"""Which rows count now: those of the newest code and switches, and of the confirmations those of the current winner.

A results folder only grows. When code changed, steps were executed another way, or a longer search found a better
winner, the older rows stay in the files and are left out here.
"""

from __future__ import annotations

import pandas as pd

from analysis.rows.notes import notes_of, with_notes
from harness.records import SUCCESSES

CELL = ["task", "regularizer", "scale"]
VERSION = ["code_hash", "switches"]  # rows that differ in these are never pooled


def current_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows that count, in their order, with a note on how many were left out and why.

    Contestants meet only under the same switches: of each task and scale those of the row that finished latest count.
    In each cell (task, regularizer, scale) it is the code whose last row finished latest. Confirm rows count when they
    were frozen from the tune row that is best now (`winners`).
    """
    require_trials(trials)
    fresh = _newest_version(_of_one_execution(trials))
    current = _of_the_winner(fresh)
    notes = []
    if len(fresh) < len(trials):
        notes.append(
            f"{len(trials) - len(fresh)} row(s) of older code or other switches left out; each cell shows its newest, "
            "each task the switches that ran last."
        )
    if len(current) < len(fresh):
        notes.append(
            f"{len(fresh) - len(current)} confirm row(s) left out: the search went on and found a better winner since."
        )
    return with_notes(current.reset_index(drop=True), notes_of(trials), notes)


def require_trials(trials: pd.DataFrame) -> None:
    """Refuse what are no trials.

    Raises:
        TypeError: for what is no frame.
        ValueError: for a frame that lacks columns which all trials have.
    """
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(f"trials must be a frame from load_trials, got {type(trials).__name__}.")
    missing = [column for column in (*CELL, *VERSION, "role", "status", "finished_at") if column not in trials]
    if missing:
        raise ValueError(f"trials must be a frame from load_trials, got one without the column {missing[0]!r}.")


def winners(trials: pd.DataFrame) -> pd.DataFrame:
    """The tune row that won each cell: the best validation value of those that succeeded, of equals the earliest."""
    tuned = trials[(trials["role"] == "tune") & trials["status"].isin(SUCCESSES) & trials["validation_value"].notna()]
    higher = tuned["higher_is_better"].astype("boolean").fillna(True).astype(bool)
    loss = tuned["validation_value"].where(~higher, -tuned["validation_value"])
    ordered = tuned.assign(_loss=loss).sort_values(["_loss", "tune_index", "trial_id"], kind="stable")
    return ordered.drop(columns="_loss").drop_duplicates(CELL).sort_values(CELL).reset_index(drop=True)


def succeeded(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of trials that trained to an end that counts."""
    return trials[trials["status"].isin(SUCCESSES)]


def _of_one_execution(trials: pd.DataFrame) -> pd.DataFrame:
    """Of each task and scale the rows with the switches that were last run there; skipped cells never ran by any."""
    ran = trials[trials["status"] != "skipped"]
    ordered = ran.sort_values("finished_at", na_position="first", kind="stable")
    latest = ordered.drop_duplicates(["task", "scale"], keep="last").set_index(["task", "scale"])["switches"].fillna("")
    wanted = latest.reindex(pd.MultiIndex.from_frame(trials[["task", "scale"]])).to_numpy()
    counts: pd.DataFrame = trials[
        (trials["status"] == "skipped") | (trials["switches"].fillna("").to_numpy() == wanted)
    ]
    return counts


def _newest_version(trials: pd.DataFrame) -> pd.DataFrame:
    version = trials[[*CELL, *VERSION]].fillna("")  # null switches are none, and pandas leaves nulls out of groups
    finished = version.assign(finished_at=trials["finished_at"]).groupby([*CELL, *VERSION]).max().reset_index()
    newest = finished.sort_values(["finished_at", *VERSION], na_position="first").drop_duplicates(CELL, keep="last")
    if len(newest) == len(finished):
        return trials
    return trials[pd.MultiIndex.from_frame(version).isin(pd.MultiIndex.from_frame(newest[[*CELL, *VERSION]]))]


def _of_the_winner(trials: pd.DataFrame) -> pd.DataFrame:
    """Drop confirm rows of past winners; where no tune row was loaded, what was confirmed last is the winner."""
    confirm = trials[trials["role"] == "confirm"]
    latest = confirm.sort_values("finished_at", na_position="first", kind="stable").drop_duplicates(CELL, keep="last")
    winner = latest.set_index(CELL)["frozen_from"].to_dict() | winners(trials).set_index(CELL)["trial_id"].to_dict()
    wanted = [winner[cell] for cell in confirm[CELL].itertuples(index=False, name=None)]
    stale = confirm.index[confirm["frozen_from"].fillna("") != pd.Series(wanted, index=confirm.index).fillna("")]
    return trials.drop(index=stale)
