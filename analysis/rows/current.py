"""Current rows: of the comparable rows, those of one version of the code per cell, and those of the current winner.

Rows are never deleted from a results folder. If data, code or switches changed, or a longer search found a better
winner, the older rows stay in the files and are left out here, with a note.

Winners selected by different rules (column `selection`) are not compared either: a rule that uses test data reaches
values that say nothing about a rule that does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.rows.comparable import RANKED_ROLES, comparable_rows, left_out_notes
from analysis.rows.notes import notes_of, with_notes
from harness.records import SUCCESSES

CELL = ["task", "regularizer", "scale"]
DEFAULT_RULE = "best_validation"
BEST_EPOCH = "best_epoch"  # the test value of its winners is the one at the epoch that it selected
ORACLE = "oracle"


def current_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows that all tables use, in their order, with notes on what was left out and why.

    Rows of one task have equal data, shared code and switches (`comparable_rows`). Rows of one cell (task, regularizer,
    scale) are of one version of its code: the one with the most finished seeds, on a tie the one that finished last, so
    that a single trial with new code does not replace a complete cell. Winners of one task are selected by one rule.
    Confirm rows are kept if they were frozen from the tune row that is the winner now (`winners`).

    Args:
        trials: from `load_trials`.

    Returns:
        A frame with the columns of `trials` and a new index.

    Raises:
        TypeError: if `trials` is no frame.
        ValueError: if `trials` lacks columns that all trials have.
    """
    return split_rows(trials)[0]


def split_rows(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `current_rows`, and a summary of the rows that are not comparable (`comparable_rows`)."""
    remembered = _remembered.get()
    return _split(trials) if remembered is None else remembered.split(trials)


@contextmanager
def current_rows_remembered() -> Iterator[None]:
    """Within it, the current rows of a frame are selected once, for a report or a table that needs several tables.

    No frame may be changed in place meanwhile. It also decorates functions, and may be nested.
    """
    if _remembered.get() is not None:
        yield
        return
    token = _remembered.set(_Remembered())
    try:
        yield
    finally:
        _remembered.reset(token)


@dataclass
class _Remembered:
    """Frames whose current rows are known, by identity; they are kept, so that no other frame gets their id."""

    known: dict[int, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = field(default_factory=dict)

    def split(self, trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`split_rows`; all rows of a frame that was returned before are current."""
        if id(trials) not in self.known:
            self.known[id(trials)] = (trials, *_split(trials))
        _, rows, apart = self.known[id(trials)]
        current = with_notes(rows.copy(deep=False), notes_of(trials), notes_of(rows))  # whoever gets it may add notes
        self.known[id(current)] = (current, rows, apart.iloc[:0])
        return current, apart


_remembered: ContextVar[_Remembered | None] = ContextVar("_remembered", default=None)


def _split(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    alike, apart, notes = _alike(trials)
    current = _of_the_winner(alike)
    if len(current) < len(alike):
        notes.append(
            f"{len(alike) - len(current)} confirm row(s) left out: the search has found a better winner since."
        )
    notes += rule_notes(current)
    return with_notes(current.reset_index(drop=True), notes_of(trials), notes), apart


def _alike(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The comparable rows of one version of the code and one rule, a summary of the others, and notes on them."""
    require_trials(trials)
    # Two frames that pandas.concat joined have labels twice; the functions below align by labels.
    together, apart = comparable_rows(trials if trials.index.is_unique else trials.reset_index(drop=True))
    fresh = _one_version(together)
    alike = _of_one_rule(fresh)
    notes = left_out_notes(apart)
    if len(fresh) < len(together):
        notes.append(
            f"{len(together) - len(fresh)} row(s) left out: other code of the regularizer than most of its seeds have "
            "(on a tie, than its newest seeds)."
        )
    if len(alike) < len(fresh):
        notes.append(
            f"{len(fresh) - len(alike)} tune or confirm row(s) left out: their winners were selected by another rule "
            "than those of most contestants on the task."
        )
    return alike, apart, notes


def rows_of_each_search(trials: pd.DataFrame) -> pd.DataFrame:
    """The comparable rows, with the winners of each campaign: campaigns that tuned independently have their own."""
    alike, _, notes = _alike(trials)
    each = [_of_the_winner(rows) for _, rows in alike.groupby(alike["campaign_id"].fillna(""), sort=True)]
    together = pd.concat(each, ignore_index=True) if each else alike.reset_index(drop=True)
    if len(together) < len(alike):
        notes.append(
            f"{len(alike) - len(together)} confirm row(s) left out: the search of their campaign has found a better "
            "winner since."
        )
    return with_notes(together, notes_of(trials), notes, rule_notes(together))


def require_trials(trials: pd.DataFrame) -> None:
    """Check that an argument is a frame of trials.

    Raises:
        TypeError: if it is no frame.
        ValueError: if it lacks columns that all trials have, or if a row has no task, regularizer or scale.
    """
    if not isinstance(trials, pd.DataFrame):
        raise TypeError(f"trials must be a frame from load_trials, got {type(trials).__name__}.")
    missing = [
        column for column in (*CELL, "code_hash", "switches", "role", "status", "finished_at") if column not in trials
    ]
    if missing:
        raise ValueError(f"trials must be a frame from load_trials, got one without the column {missing[0]!r}.")
    for column in CELL:
        absent = int(trials[column].isna().sum())
        if absent:
            raise ValueError(f"In trials each row must have a value in the column {column!r}, but {absent} have none.")


def winners(trials: pd.DataFrame) -> pd.DataFrame:
    """The winning tune row of each cell: the best validation value of the successful rows, on a tie the earliest.

    If another rule selected the winner, it is the tune row that the newest confirm row was frozen from.
    """
    return trials[trials["trial_id"].isin(_winning_ids(trials).values())].sort_values(CELL, ignore_index=True)


def _winning_ids(trials: pd.DataFrame) -> dict[Hashable, str]:
    """The trial_id of the winner of each cell; if its tune row was not loaded, the one that confirm rows name."""
    confirm = trials.loc[trials["role"] == "confirm", [*CELL, "frozen_from", "finished_at"]]
    confirm = confirm.assign(rule=selection_rules(trials).loc[confirm.index])
    latest = confirm.sort_values("finished_at", na_position="first", kind="stable").drop_duplicates(CELL, keep="last")
    latest = latest[latest["frozen_from"].notna()].set_index(CELL)
    by_rule = latest[latest["rule"] != DEFAULT_RULE]
    return latest["frozen_from"].to_dict() | _best_ids(trials) | by_rule["frozen_from"].to_dict()


def _best_ids(trials: pd.DataFrame) -> dict[Hashable, str]:
    """The trial_id of the winner of each cell by the default rule."""
    names = [*CELL, "tune_index", "trial_id", "validation_value", "higher_is_better"]
    tuned = trials[names].reset_index(drop=True)
    tuned = tuned[((trials["role"] == "tune") & trials["status"].isin(SUCCESSES)).to_numpy()]
    tuned = tuned[np.isfinite(tuned["validation_value"].astype(float))]
    higher = tuned["higher_is_better"].astype("boolean").fillna(True).astype(bool)
    loss = tuned["validation_value"].where(~higher, -tuned["validation_value"])
    loss, cell = loss.astype(float), tuned.groupby(CELL, sort=False, dropna=False).ngroup()
    best = loss.eq(loss.groupby(cell).transform("min"))  # few rows: sorting all takes most of the time of a ranking
    ordered = tuned[best].sort_values(["tune_index", "trial_id"], kind="stable")
    return ordered.drop_duplicates(CELL).set_index(CELL)["trial_id"].to_dict()


def succeeded(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows with a status of success (`harness.records.SUCCESSES`)."""
    return trials[trials["status"].isin(SUCCESSES)]


def _one_version(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of one version of the code per cell, chosen separately for timing trials; skipped cells are kept."""
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
    """Drop confirm rows of former winners; if no tune row was loaded, the newest confirm row has the winner."""
    confirm = trials.loc[trials["role"] == "confirm", [*CELL, "frozen_from"]]
    if confirm.empty:
        return trials
    winner = _winning_ids(trials)
    wanted = [winner.get(cell) for cell in confirm[CELL].itertuples(index=False, name=None)]
    expected = pd.Series(wanted, index=confirm.index, dtype=object)  # object also if all are None
    stale = confirm.index[confirm["frozen_from"].fillna("") != expected.fillna("")]
    return trials.drop(index=stale) if len(stale) else trials


def selection_rules(trials: pd.DataFrame) -> pd.Series:
    """The selection rule of each row; for tune rows, the rule whose search they belong to."""
    if "selection" not in trials:
        return pd.Series(DEFAULT_RULE, index=trials.index)
    return trials["selection"].fillna(DEFAULT_RULE)


def _of_one_rule(trials: pd.DataFrame) -> pd.DataFrame:
    """Keep the confirm rows of one rule per task: the one with the most contestants, then seeds, then the newest.

    The tune rows are those of the search of this rule; only the oracle has a separate search.
    """
    rule, is_confirm = selection_rules(trials), trials["role"].eq("confirm")
    if rule.eq(DEFAULT_RULE).all():
        return trials
    task = ["scale", "task"]
    confirm = trials.loc[is_confirm, [*task, "regularizer", "seed", "finished_at"]].assign(rule=rule)
    counts = confirm.groupby([*task, "rule"]).agg(
        contestants=("regularizer", "nunique"), seeds=("seed", "count"), latest=("finished_at", "max")
    )
    order = ["contestants", "seeds", "latest", "rule"]
    best = counts.reset_index().sort_values(order, na_position="first").drop_duplicates(task, keep="last")
    wanted = trials[task].merge(best, on=task, how="left")["rule"].set_axis(trials.index).fillna(DEFAULT_RULE)
    search = wanted.where(wanted.eq(ORACLE), DEFAULT_RULE)
    meets = rule.eq(wanted).where(is_confirm, rule.eq(search) | trials["role"].ne("tune"))
    return trials[meets.astype(bool)]


def rule_notes(current: pd.DataFrame) -> list[str]:
    """One sentence for each selection rule other than the default: which winners it selected."""
    confirm, rules = current["role"].eq("confirm"), selection_rules(current)
    if rules.eq(DEFAULT_RULE).all():
        return []
    notes = []
    for rule, rows in current[confirm].groupby(rules[confirm]):
        if rule != DEFAULT_RULE:
            where = ", ".join(sorted(set(rows["task"] + " (" + rows["scale"] + ")")))
            looks = ", which looks at the test data: such values only show how well a rule could select" * (
                rule == ORACLE
            )
            notes.append(f"Winners on {where} were selected by {rule}{looks}.")
    return notes
