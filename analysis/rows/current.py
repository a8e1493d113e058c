"""Which rows count now: of what may be compared, those of one code for each cell, and those of the current winner.

A results folder only grows. When data, code or switches changed, or a longer search found a better winner, the other
rows stay in the files and are left out here, with a note that names them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.rows.comparable import RANKED_ROLES, comparable_rows, left_out_notes
from analysis.rows.notes import notes_of, with_notes
from harness.records import SUCCESSES

CELL = ["task", "regularizer", "scale"]


def current_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows that count, in their order, with notes on what was left out and why.

    Contestants of a task meet with equal data, shared code and switches (`comparable_rows`). In each cell (task,
    regularizer, scale) the rows are of one code: of that with most seeds ended, and of equals that which finished last,
    so that a single trial of new code takes no complete cell away. Confirm rows count when they were frozen from the
    tune row that is best now (`winners`).
    """
    return split_rows(trials)[0]


def split_rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `current_rows`, and of what was left out because it meets nobody: `comparable.LEFT_OUT_COLUMNS`."""
    require_trials(trials)
    together, apart = comparable_rows(trials)
    fresh = _one_version(together)
    current = _of_the_winner(fresh)
    notes = left_out_notes(apart)
    if len(fresh) < len(together):
        notes.append(
            f"{len(together) - len(fresh)} row(s) left out: their contestant's code is another than that of most of "
            "its seeds (of equally many, than the newest)."
        )
    if len(current) < len(fresh):
        notes.append(
            f"{len(fresh) - len(current)} confirm row(s) left out: the search went on and found a better winner since."
        )
    return with_notes(current.reset_index(drop=True), notes_of(trials), notes), apart


def require_trials(trials: pd.DataFrame) -> None:
    """Refuse what are no trials.

    Raises:
        TypeError: for what is no frame.
        ValueError: for a frame that lacks columns which all trials have.
    """
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(f"trials must be a frame from load_trials, got {type(trials).__name__}.")
    missing = [
        column for column in (*CELL, "code_hash", "switches", "role", "status", "finished_at") if column not in trials
    ]
    if missing:
        raise ValueError(f"trials must be a frame from load_trials, got one without the column {missing[0]!r}.")


def winners(trials: pd.DataFrame) -> pd.DataFrame:
    """The tune row that won each cell: the best validation value of those that succeeded, of equals the earliest."""
    names = [*CELL, "tune_index", "trial_id", "validation_value", "higher_is_better"]
    tuned = trials[names].reset_index(drop=True)  # few columns: sorting a hundred takes most of a ranking's time
    tuned = tuned[((trials["role"] == "tune") & trials["status"].isin(SUCCESSES)).to_numpy()]
    tuned = tuned[np.isfinite(tuned["validation_value"].astype(float))]
    higher = tuned["higher_is_better"].astype("boolean").fillna(True).astype(bool)
    loss = tuned["validation_value"].where(~higher, -tuned["validation_value"])
    ordered = tuned.assign(_loss=loss).sort_values(["_loss", "tune_index", "trial_id"], kind="stable")
    best = ordered.drop_duplicates(CELL).sort_values(CELL)
    return trials.iloc[best.index].reset_index(drop=True)


def succeeded(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of trials that trained to an end that counts."""
    return trials[trials["status"].isin(SUCCESSES)]


def _one_version(trials: pd.DataFrame) -> pd.DataFrame:
    """Of each cell the rows of one code; timing trials apart from the others, skipped cells as they are."""
    keys = [*CELL, "is_timing"]
    timing = trials["role"].eq("timing")
    version = trials[[*CELL, "code_hash"]].fillna("").assign(is_timing=timing)
    ran = trials["status"].ne("skipped")
    if len(version[ran].drop_duplicates()) == len(version.loc[ran, keys].drop_duplicates()):
        return trials
    rows = version.assign(
        seed=(trials["role"] + trials["seed"].astype(str)).where(trials["role"].isin(RANKED_ROLES) | timing),
        finished_at=trials["finished_at"],
    )
    counts = rows[ran].groupby([*keys, "code_hash"]).agg(seeds=("seed", "nunique"), latest=("finished_at", "max"))
    order = ["seeds", "latest", "code_hash"]
    best = counts.reset_index().sort_values(order, na_position="first").drop_duplicates(keys, keep="last")
    wanted = version[keys].merge(best, on=keys, how="left")["code_hash"].set_axis(trials.index)
    return trials[~ran | version["code_hash"].eq(wanted)]


def _of_the_winner(trials: pd.DataFrame) -> pd.DataFrame:
    """Drop confirm rows of past winners; where no tune row was loaded, what was confirmed last is the winner."""
    confirm = trials.loc[trials["role"] == "confirm", [*CELL, "frozen_from", "finished_at"]]
    latest = confirm.sort_values("finished_at", na_position="first", kind="stable").drop_duplicates(CELL, keep="last")
    winner = latest.set_index(CELL)["frozen_from"].to_dict() | winners(trials).set_index(CELL)["trial_id"].to_dict()
    wanted = [winner[cell] for cell in confirm[CELL].itertuples(index=False, name=None)]
    expected = pd.Series(wanted, index=confirm.index, dtype=object)  # not of floats where none is known
    stale = confirm.index[confirm["frozen_from"].fillna("") != expected.fillna("")]
    return trials.drop(index=stale) if len(stale) else trials
