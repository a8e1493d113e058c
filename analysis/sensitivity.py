"""How a value moves with a hyperparameter or two: the table of a sweep, and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.current import current_rows, succeeded
from analysis.notes import notes_of, with_notes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELL = ("scale", "task", "regularizer")
# Short names of hyperparameters in the papers: ours that may be meant, of which the one counts that was varied.
ALIASES: dict[str, tuple[str, ...]] = {
    "hp.h": ("hp.h_dense_fraction", "hp.h_conv"),
    "hp.lambda": ("hp.lam",),
    "hp.b": ("hp.block_size",),
    "hp.block": ("hp.block_size",),
    "hp.p": ("hp.distortion_rate", "hp.drop_rate"),
    "hp.gamma": ("hp.step_size",),
}
_MANY = 12  # values of a hyperparameter that still read as a line; a search draws more, and each only once


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
) -> pd.DataFrame:
    """The mean value for each value of one column (`rows="hp.h"`), or for each pair (`columns="hp.m"`).

    Names of columns, or the papers' short names: `hp.h` (LocalDrop's h of dense layers or of kernels, whichever was
    varied), `hp.lambda`, `hp.b` or `hp.block`, `hp.p` (drop or distortion rate), `hp.gamma`. `value` may be any column
    of numbers, `test_value` say, which tune trials lack.

    Without `columns` the frame has the columns `mean`, `std`, `num_trials`; with them it is a pivot of means. Trials
    that failed and timing trials do not count. `task`, `regularizer`, `scale` and `role` narrow the trials down. A note
    says which other hyperparameters vary within the places of the table.

    Raises `ValueError` for an unknown column, and where one place of the table would mix two cells.
    """
    narrow = {"task": task, "regularizer": regularizer, "scale": scale, "role": role}
    current = _narrowed(trials, narrow)
    rows, columns = resolved(current, rows), None if columns is None else resolved(current, columns)
    used = with_notes(_used(current, rows, columns, value, narrow), notes_of(current))
    notes = _mixed_notes(used, [name for name in (rows, columns) if name is not None])
    if columns is not None:
        table = used.pivot_table(index=rows, columns=columns, values=value, aggfunc="mean")
    else:
        values = used.groupby(rows)[value]
        table = pd.DataFrame({"mean": values.mean(), "std": values.std(), "num_trials": values.count()})
    return with_notes(table, notes_of(used), notes)


def resolved(trials: pd.DataFrame, name: str) -> str:
    """The column that a name means here: itself where there is such, else that of its alias with the most values."""
    meant = [column for column in ALIASES.get(name, ()) if column in trials.columns and trials[column].notna().any()]
    return name if name in trials.columns or not meant else max(meant, key=lambda column: trials[column].nunique())


def plot_sensitivity(
    trials: pd.DataFrame, rows: str, columns: str | None = None, value: str = "validation_value", **narrow: Any
) -> Figure:
    """The picture of `sensitivity_table`: a line (points, where a search drew the values), or a map of two columns."""
    import seaborn as sns

    from analysis.canvas import new_figure

    table = sensitivity_table(trials, rows, columns, value, **narrow)
    rows = str(table.index.name)
    figure, (axis,) = new_figure(1, height=3.6)
    if columns is not None:
        fits = table.size <= _MANY**2
        label = {"label": value.replace("_", " ")}
        sns.heatmap(table.sort_index(ascending=False), ax=axis, cmap="cividis", annot=fits, fmt=".3g", cbar_kws=label)
    else:
        points = table.reset_index()
        style = "o-" if len(points) <= _MANY else "o"
        axis.errorbar(points[rows], points["mean"], yerr=points["std"].fillna(0), fmt=style, capsize=3, color="#0173b2")
        axis.set_xlabel(rows.removeprefix("hp."))
        axis.set_ylabel(value.replace("_", " "))
        values = pd.to_numeric(points[rows], errors="coerce")
        if values.min() > 0 and values.max() / values.min() > 100:
            axis.set_xscale("log")
    axis.set_title(" · ".join(str(each) for each in _names(narrow)) or value.replace("_", " "))
    return figure


def _narrowed(trials: pd.DataFrame, narrow: dict[str, str | None]) -> pd.DataFrame:
    """The current rows that may count, timing apart."""
    current = current_rows(trials)
    used = current[current["role"] != "timing"]
    for name, only in narrow.items():
        used = used if only is None else used[used[name] == only]
    return with_notes(used, notes_of(current))


def _used(
    trials: pd.DataFrame, rows: str, columns: str | None, value: str, narrow: dict[str, str | None]
) -> pd.DataFrame:
    wanted = [name for name in (rows, columns) if name is not None]
    for name in [*wanted, value]:
        if name not in trials.columns:
            swept = [column for column in trials.columns if column.startswith("hp.")]
            raise ValueError(
                f"These trials have no column {name!r}. Hyperparameters here: {', '.join(swept) or 'none'}."
            )
    used = succeeded(trials).dropna(subset=[*wanted, value])
    if used.empty:
        raise ValueError(f"No trial that succeeded has values of {', '.join([*wanted, value])} and fits {narrow}.")
    mixed = [name for name in _CELL if used.groupby(wanted)[name].nunique().max() > 1]
    if mixed:
        found = "; ".join(f"{name}: {', '.join(sorted(set(used[name])))}" for name in mixed)
        raise ValueError(
            f"A sensitivity table shows one cell, but these trials mix several ({found}). Name one of each."
        )
    return used


def _mixed_notes(used: pd.DataFrame, shown: list[str]) -> list[str]:
    """Which hyperparameters take several values at one place of the table."""
    others = [name for name in used.columns if name.startswith("hp.") and name not in shown]
    mixed = [name for name in others if used.groupby(shown)[name].nunique().max() > 1]
    return [f"Each mean runs over several values of {', '.join(mixed)}."] if mixed else []


def _names(narrow: dict[str, Any]) -> list[Any]:
    return [narrow[name] for name in ("task", "regularizer", "scale") if narrow.get(name)]
