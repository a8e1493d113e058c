"""Sensitivity tables: the mean of a value by one or two hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows, succeeded
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.symbols import as_printed, is_printed_otherwise, resolved
from harness.records import HYPERPARAMETER_PREFIX

_CELL = ("scale", "task", "regularizer")
MANY_VALUES = 12  # with more values of a hyperparameter, they were drawn by a search: plot points without a line


def sensitivity_table(
    trials: pd.DataFrame,
    rows: str,
    columns: str | None = None,
    value: str = "validation_value",
    *,
    task: str | None = None,
    regularizer: str | None = None,
    scale: str | None = None,
    role: str | None = None,
    where: Mapping[str, object] | None = None,
) -> pd.DataFrame:
    """The mean of a value for each value of one hyperparameter, or for each pair of values of two.

    Failed trials and timing trials are left out. In a sweep, the hyperparameters that are not shown are held at their
    commonest value, and a note gives these values: each point of a sweep differs from a base setting in one
    hyperparameter, so a mean over all points would mix settings. Tune trials are all kept, since a search draws each
    value once; a note then names the other hyperparameters that vary.

    Args:
        trials: from `load_trials`.
        rows: a column such as `"hp.drop_rate"`, or a short name of the papers: `hp.h` (LocalDrop's h of dense layers or
            of kernels, whichever was varied), `hp.lambda`, `hp.m`, `hp.b` or `hp.block`, `hp.p` (drop rate or
            distortion rate), `hp.gamma`. `hp.h` of dense layers is in the paper's unit, singular values out of 2048.
        columns: a second one, or None.
        value: any numeric column. Tune trials have no `test_value`.
        task: only trials of this task; likewise `regularizer`, `scale` and `role`.
        regularizer: see `task`.
        scale: see `task`.
        role: see `task`.
        where: only trials with these values of other hyperparameters, for example `{"hp.m": 10}`.

    Returns:
        A frame indexed by the values of `rows`. Without `columns` it has the columns `mean`, `std` (over trials, with
            n - 1) and `num_trials`; otherwise it has one column of means for each value of `columns`.

    Raises:
        ValueError: if a column is unknown, if no successful trial fits, or if the trials are of several cells.
    """
    narrow = {"task": task, "regularizer": regularizer, "scale": scale, "role": role}
    current = _narrowed(trials, narrow)
    current, printed = _with_printed(current, [rows, columns or rows, *(where or {})])
    rows, columns = printed.get(rows, rows), None if columns is None else printed.get(columns, columns)
    held = {printed.get(name, name): each for name, each in (where or {}).items()}
    used = with_notes(_used(current, rows, columns, value, narrow, held), notes_of(current))
    shown = [name for name in (rows, columns) if name is not None]
    used, notes = _held(used, shown)
    notes += _mixed_notes(used, shown)
    if columns is not None:
        table = used.pivot_table(index=rows, columns=columns, values=value, aggfunc="mean")
    else:
        values = used.groupby(rows)[value]
        table = pd.DataFrame({"mean": values.mean(), "std": values.std(), "num_trials": values.count()})
    return with_notes(table, notes_of(used), notes)


def _with_printed(trials: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The trials with a column for each name that the papers print in another unit, and the column of each name."""
    meant = {name: resolved(trials, name) for name in names}
    for name, column in meant.items():
        if name != column and column in trials.columns and is_printed_otherwise(column):
            trials = with_notes(
                trials.assign(**{name: as_printed(trials[column])}).drop(columns=column), notes_of(trials)
            )
            meant[name] = name
    return trials, meant


def _narrowed(trials: pd.DataFrame, narrow: dict[str, str | None]) -> pd.DataFrame:
    """The current rows of these values, without timing trials."""
    current = current_rows(trials)
    used = current[current["role"] != "timing"]
    for name, only in narrow.items():
        used = used if only is None else used[used[name] == only]
    return with_notes(used, notes_of(current))


def _used(
    trials: pd.DataFrame,
    rows: str,
    columns: str | None,
    value: str,
    narrow: dict[str, str | None],
    where: Mapping[str, object],
) -> pd.DataFrame:
    wanted = [name for name in (rows, columns) if name is not None]
    for name in [*wanted, *where, value]:
        if name not in trials.columns:
            swept = [column for column in trials.columns if column.startswith("hp.")]
            raise ValueError(
                f"These trials have no column {name!r}. Hyperparameters here: {', '.join(swept) or 'none'}."
            )
    used = succeeded(trials).dropna(subset=[*wanted, value])
    for name, held in where.items():
        used = used[
            np.isclose(used[name], held) if isinstance(held, int | float) else used[name].astype(str).eq(str(held))
        ]
    if used.empty:
        fits = {**narrow, **where}
        raise ValueError(f"No trial that succeeded has values of {', '.join([*wanted, value])} and fits {fits}.")
    mixed = [name for name in _CELL if name not in wanted and len(set(used[name])) > 1]
    if mixed:
        found = "; ".join(f"{name}: {', '.join(sorted(set(used[name])))}" for name in mixed)
        raise ValueError(
            f"A sensitivity table shows one cell, but these trials mix several ({found}). Name one of each."
        )
    return used


def _held(used: pd.DataFrame, shown: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Keep default trials at the commonest value of each hyperparameter that is not shown; notes give the values.

    The commonest value is computed for each cell, among the trials that are still kept.
    """
    if not used["role"].eq("default").all():
        return used, []
    others = [name for name in used.columns if name.startswith(HYPERPARAMETER_PREFIX) and name not in shown]
    kept, held = [], dict[str, None]()
    for _, cell in used.groupby(list(_CELL)):
        for name in others:
            if cell.groupby(shown)[name].nunique().max() > 1:
                commonest = cell[name].mode().iloc[0]
                held[f"{name} = {_text(commonest)}"] = None
                cell = cell[cell[name].eq(commonest)]
        kept.append(cell)
    notes = [f"Held at the commonest value: {', '.join(held)}; where={{...}} selects others."] if held else []
    return pd.concat(kept), notes


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _mixed_notes(used: pd.DataFrame, shown: list[str]) -> list[str]:
    """A note that names the hyperparameters with several values in one entry of the table."""
    others = [name for name in used.columns if name.startswith("hp.") and name not in shown]
    mixed = [name for name in others if used.groupby(shown)[name].nunique().max() > 1]
    return [f"Each mean runs over several values of {', '.join(mixed)}."] if mixed else []
