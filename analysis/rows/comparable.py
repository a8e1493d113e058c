"""Which rows are comparable: those with the same data, the same shared code and the same switches.

The contestants of a task may differ in the code of their regularizers, and must agree in all else: `GROUP` names the
columns that have to be equal. The hash that identifies a trial does not include the fingerprint of the data, because a
campaign can be planned on a machine without the data. The fingerprint is therefore compared here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.rows.notes import listed
from harness.records import SUCCESSES

GROUP = ("dataset_fingerprint", "shared_code_hash", "switches")
RANKED_ROLES = ("default", "confirm")
LEFT_OUT_COLUMNS = ("scale", "task", "regularizer", "is_timing", "num_trials", "why")
_FIELD = ["scale", "task", "is_timing"]  # one group is chosen for each; timing trials choose theirs independently
_WORDS = {
    "dataset_fingerprint": "other data",
    "shared_code_hash": "other code of the task",
    "switches": "other switches",
}
_ABSENT = {"dataset_fingerprint": "unknown", "shared_code_hash": "unknown", "switches": "none"}
_SHOWN_DIGITS = 8  # of a hash


def comparable_rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into those of the main group of each task and scale, in their order, and a summary of the others.

    The main group is the one in which the most contestants have ranked trials; on a tie the one with more seeds, then
    the one that finished last. A single trial with other switches therefore changes nothing, and a repeated campaign
    replaces the earlier one as soon as it is as large. The group of the timing trials is chosen independently, in the
    same way. To see another group, select its rows first: `trials[trials["switches"] == "bf16"]`.

    Skipped cells belong to every group. A trial that failed before it read its data has no fingerprint and belongs to
    each group of its code and switches, so that no failure is lost.

    Returns:
        The rows of the main groups, and a frame of the rows left out with the columns `scale`, `task`, `regularizer`,
        `is_timing`, `num_trials` and `why`.
    """
    identity = pd.DataFrame(
        {name: trials[name].fillna("") if name in trials else pd.Series("", index=trials.index) for name in GROUP}
    )
    identity["scale"], identity["task"] = trials["scale"], trials["task"]
    identity["is_timing"] = trials["role"].eq("timing")
    skipped = trials["status"].eq("skipped")
    unknown = identity["dataset_fingerprint"].eq("") & ~trials["status"].isin(SUCCESSES)
    one_group_each = not unknown.any() and not identity[~skipped].drop_duplicates().duplicated(_FIELD).any()
    if one_group_each:  # the usual case
        return trials, _left_out(trials[:0], identity[:0], identity[:0])
    main = _main_groups(trials, identity, skipped, unknown)
    wanted = identity[_FIELD].merge(main, on=_FIELD, how="left").set_axis(identity.index)
    equal = {name: identity[name].eq(wanted[name]) for name in GROUP}
    same_data = equal["dataset_fingerprint"] | unknown
    meets = skipped | (same_data & equal["shared_code_hash"] & equal["switches"])
    if meets.all():  # avoid a copy of all columns
        return trials, _left_out(trials[:0], identity[:0], wanted[:0])
    return trials[meets], _left_out(trials[~meets], identity[~meets], wanted[~meets])


def left_out_notes(left_out: pd.DataFrame) -> list[str]:
    """One sentence for each reason: how many trials were left out, of which regularizers and tasks."""
    notes = []
    for why, rows in left_out.groupby("why", sort=True):
        number = int(rows["num_trials"].sum())
        kinds = "timing trial(s)" if rows["is_timing"].all() else "row(s)"
        who, where = _few(rows["regularizer"]), _few(rows["task"] + " (" + rows["scale"] + ")")
        notes.append(f"{number} {kinds} left out, of {who} on {where}: {why}.")
    return notes


def _main_groups(trials: pd.DataFrame, identity: pd.DataFrame, skipped: pd.Series, unknown: pd.Series) -> pd.DataFrame:
    """One row for each (scale, task, is_timing): its main group."""
    rows = identity.assign(
        regularizer=trials["regularizer"],
        is_ranked=trials["role"].isin(RANKED_ROLES) | identity["is_timing"],
        seed=trials["role"] + "/" + trials["regularizer"] + "/" + trials["seed"].astype(str),
        finished_at=trials["finished_at"],
    )
    of_unknown = rows[~skipped & unknown].drop(columns="dataset_fingerprint")
    keys = [*_FIELD, "shared_code_hash", "switches"]
    known = rows.loc[~skipped & ~unknown, [*keys, "dataset_fingerprint"]].drop_duplicates()
    joined = of_unknown.merge(known, on=keys, how="left").fillna({"dataset_fingerprint": ""})
    rows = pd.concat([rows[~skipped & ~unknown], joined], ignore_index=True)
    ranked = rows[rows["is_ranked"]].groupby([*_FIELD, *GROUP])[["regularizer", "seed"]].nunique()
    every = rows.groupby([*_FIELD, *GROUP]).agg(present=("regularizer", "nunique"), latest=("finished_at", "max"))
    counts = every.join(ranked).fillna({"regularizer": 0, "seed": 0}).reset_index()
    order = ["regularizer", "seed", "present", "latest", *GROUP]
    best = counts.sort_values(order, na_position="first").drop_duplicates(_FIELD, keep="last")
    return best[[*_FIELD, *GROUP]]


def _left_out(rows: pd.DataFrame, identity: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return pd.DataFrame(columns=list(LEFT_OUT_COLUMNS))
    both = identity.assign(regularizer=rows["regularizer"], **{f"main_{name}": wanted[name] for name in GROUP})
    keys = ["scale", "task", "regularizer", "is_timing", *GROUP, *(f"main_{name}" for name in GROUP)]
    counts = both.groupby(keys, sort=True, dropna=False).size().reset_index(name="num_trials")
    counts["why"] = [_why(row) for row in counts.fillna("").to_dict("records")]
    return counts[list(LEFT_OUT_COLUMNS)]


def _why(row: dict[object, object]) -> str:
    differences = [name for name in GROUP if row[name] != row[f"main_{name}"]]
    return "; ".join(
        f"{_WORDS[name]} ({_short(name, row[name])}, those shown have {_short(name, row[f'main_{name}'])})"
        for name in differences
    )


def _short(name: str, value: object) -> str:
    text = str(value) or _ABSENT[name]
    return text if name == "switches" else text[:_SHOWN_DIGITS]


def _few(names: Sequence[str] | pd.Series, most: int = 3) -> str:
    return listed(sorted(set(names)), most)
