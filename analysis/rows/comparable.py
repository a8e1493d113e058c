"""Which rows may meet in one table: those with the same data, the same shared code and the same switches.

The contestants of a task differ in the code of their regularizers and must agree in all else: `GROUP` names the columns
that say so. The trial's identity does not hold the fingerprint of the data, because a campaign is planned, and its
finished trials are recognised, where the data need not be at hand. The group holds it instead, so that rows on other
data are never compared, whatever their identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.records import SUCCESSES

GROUP = ("dataset_fingerprint", "shared_code_hash", "switches")
RANKED_ROLES = ("default", "confirm")
LEFT_OUT_COLUMNS = ("scale", "task", "regularizer", "is_timing", "num_trials", "why")
_FIELD = ["scale", "task", "is_timing"]  # those who compete for being compared: timing trials have their own contest
_WORDS = {
    "dataset_fingerprint": "other data",
    "shared_code_hash": "other code of the task",
    "switches": "other switches",
}
_ABSENT = {"dataset_fingerprint": "unknown", "shared_code_hash": "unknown", "switches": "none"}
_SHOWN_DIGITS = 8  # of a hash


def comparable_rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the main group of each task and scale, in their order, and what was left out: `LEFT_OUT_COLUMNS`.

    Main is the group in which most contestants have trials that can be ranked; of equals the one with most seeds, then
    the one that finished last. So one trial under other switches hides nothing, and a repeated campaign replaces the
    earlier one once it is as large. Timing trials choose their group by themselves in the same way. Choose the rows of
    another group beforehand to see that: `trials[trials["switches"] == "bf16"]`.

    A cell that was skipped belongs to every group. A trial that failed before its data were read counts in each group
    of its code and switches: a failure is never lost by not being known well.
    """
    identity = pd.DataFrame(
        {name: trials[name].fillna("") if name in trials else pd.Series("", index=trials.index) for name in GROUP}
    )
    identity["scale"], identity["task"] = trials["scale"], trials["task"]
    identity["is_timing"] = trials["role"].eq("timing")
    skipped = trials["status"].eq("skipped")
    unknown = identity["dataset_fingerprint"].eq("") & ~trials["status"].isin(SUCCESSES)
    main = _main_groups(trials, identity, skipped, unknown)
    wanted = identity[_FIELD].merge(main, on=_FIELD, how="left").set_axis(identity.index)
    equal = {name: identity[name].eq(wanted[name]) for name in GROUP}
    same_data = equal["dataset_fingerprint"] | unknown
    meets = skipped | (same_data & equal["shared_code_hash"] & equal["switches"])
    if meets.all():  # as mostly; a copy of all columns takes time
        return trials, _left_out(trials[:0], identity[:0], wanted[:0])
    return trials[meets], _left_out(trials[~meets], identity[~meets], wanted[~meets])


def left_out_notes(left_out: pd.DataFrame) -> list[str]:
    """One sentence for each reason: how many trials of whom, on which tasks."""
    notes = []
    for why, rows in left_out.groupby("why", sort=True):
        number = int(rows["num_trials"].sum())
        kinds = "timing trial(s)" if rows["is_timing"].all() else "row(s)"
        who, where = _few(rows["regularizer"]), _few(rows["task"] + " (" + rows["scale"] + ")")
        notes.append(f"{number} {kinds} left out, of {who} on {where}: {why}. They meet nobody in these tables.")
    return notes


def _main_groups(trials: pd.DataFrame, identity: pd.DataFrame, skipped: pd.Series, unknown: pd.Series) -> pd.DataFrame:
    """One row for each field: its main group."""
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
    found = sorted(set(names))
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
