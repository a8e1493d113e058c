"""Importances of hyperparameters, computed by Optuna from the tune rows of a cell.

For a cell that was not tuned, the points of a sweep take the place of tune trials; each is the mean over its seeds.
Optuna is imported on use, and the study is rebuilt from rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from analysis.rows.current import current_rows, require_trials, succeeded
from analysis.rows.notes import listed, notes_of, with_notes
from analysis.tables.statistics import spans_decades
from harness.records import HYPERPARAMETER_PREFIX

Evaluator = Literal["fanova", "ped_anova"]

IMPORTANCE_COLUMNS = (
    "scale",
    "task",
    "regularizer",
    "hyperparameter",
    "importance",
    "spread",
    "num_values",
    "num_trials",
)
NUM_FORESTS = 4
_TREES = 16  # per forest; together as many as the 64 of Optuna's default, so that the time is the same
MIN_TRIALS = 10  # or points of a sweep; with fewer a forest would fit the noise
MOST_NAMED = 5  # cells in one note
_CELL = ["scale", "task", "regularizer"]


def hyperparameter_importances(
    trials: pd.DataFrame,
    *,
    task: str,
    regularizer: str,
    scale: str | None = None,
    evaluator: Evaluator = "fanova",
    seed: int = 0,
) -> pd.DataFrame:
    """Importances of the hyperparameters of one cell: one row per hyperparameter that varied, the largest first.

    With `fanova`, the importance is the main effect of the hyperparameter: the variance of the validation value that
    this hyperparameter explains on its own, estimated by a random forest (Hutter et al. 2014). With `ped_anova`, it
    measures how the better trials differ from all in this hyperparameter (Watanabe et al. 2023). Importances are
    divided by their sum over the hyperparameters, so they do not show how much of the variance is due to interactions
    or to noise. Failed trials are left out. The range of a hyperparameter is that of the values tried, on a logarithmic
    scale if it spans more than two decades.

    The columns:

    - `scale`, `task`, `regularizer`, `hyperparameter`
    - `importance`: share of the sum, in [0, 1]; with `fanova` the mean over several random forests
    - `spread`: standard deviation of these forests; 0 for `ped_anova`, which is deterministic
    - `num_values`: number of distinct values tried
    - `num_trials`: number of trials; in a sweep, of all seeds of all points

    Args:
        trials: from `load_trials`.
        task: its name.
        regularizer: its name.
        scale: needed only if the cell was run at several scales.
        evaluator: Optuna's method.
        seed: of the forests. The order of the rows does not matter.

    Raises:
        ValueError: if no row has the task or the regularizer, if the cell was run at several scales and none is named,
            if fewer than 10 trials (or points of a sweep) succeeded, if no hyperparameter varied, or if all trials
            reached the same value.
    """
    if evaluator not in get_args(Evaluator):
        raise ValueError(f"evaluator must be one of {', '.join(get_args(Evaluator))}, got {evaluator!r}.")
    require_trials(trials)
    for column, name in (("task", task), ("regularizer", regularizer)):
        if name not in set(trials[column]):
            there = ", ".join(sorted(set(trials[column])))
            raise ValueError(f"{column} must be one of those in the rows ({there}), got {name!r}.")
    searched = _searched(trials)
    rows = searched[(searched["task"] == task) & (searched["regularizer"] == regularizer)]
    rows = rows if scale is None else rows[rows["scale"] == scale]
    scales = sorted(set(rows["scale"]))
    if len(scales) > 1:
        raise ValueError(f"{regularizer} on {task} was searched at several scales ({', '.join(scales)}); name one.")
    reason = _too_little(rows)
    if reason:
        raise ValueError(f"Importances of {regularizer} on {task} cannot be computed: {reason}")
    return with_notes(_table(rows, evaluator, seed), notes_of(searched))


def importance_table(trials: pd.DataFrame, evaluator: Evaluator = "fanova", seed: int = 0) -> pd.DataFrame:
    """`hyperparameter_importances` of all tuned or swept cells; notes name the cells left out, with the reason."""
    searched = _searched(trials)
    tables: list[pd.DataFrame] = []
    left_out: dict[str, list[str]] = {}
    for (scale, task, regularizer), rows in searched.groupby(_CELL, sort=True):
        reason = _too_little(rows)
        if reason:
            left_out.setdefault(reason, []).append(f"{regularizer} on {task} ({scale})")
        else:
            tables.append(_table(rows, evaluator, seed))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(IMPORTANCE_COLUMNS))
    notes = [f"{listed(cells, MOST_NAMED)}: {reason}" for reason, cells in left_out.items()]
    return with_notes(table, notes_of(searched), notes)


def _searched(trials: pd.DataFrame) -> pd.DataFrame:
    """The tune trials, or the points of the sweep if there are none; `num_trials` is the number behind each row."""
    current = current_rows(trials)
    usable = succeeded(current[current["role"].isin(["tune", "default"])])
    usable = usable[np.isfinite(usable["validation_value"].astype(float))]
    tuned = usable[usable["role"] == "tune"].assign(num_trials=1)
    defaults = usable[usable["role"] == "default"]
    swept = [
        points
        for cell, rows in defaults.groupby(_CELL)
        if not tuned[_CELL].eq(list(cell)).all(axis="columns").any() and len(points := _points(rows)) > 1
    ]
    return with_notes(pd.concat([tuned, *swept], ignore_index=True), notes_of(current))


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each setting of a cell, with the mean value over its trials."""
    names = [name for name in rows.columns if name.startswith(HYPERPARAMETER_PREFIX) and rows[name].notna().any()]
    if not names:
        return rows.iloc[:0]
    settings = rows.groupby(names, dropna=False)
    place, values = settings.ngroup(), settings["validation_value"]
    averaged = rows.assign(validation_value=values.transform("mean"), num_trials=values.transform("count"))
    return averaged[~place.duplicated()]


def _too_little(rows: pd.DataFrame) -> str:
    """Why no importances can be computed; empty if they can."""
    is_sweep = rows["role"].eq("default").any()
    if len(rows) < MIN_TRIALS and is_sweep:
        return f"its sweep has {len(rows)} points that succeeded, and at least {MIN_TRIALS} are needed."
    if len(rows) < MIN_TRIALS:
        return f"{len(rows)} tune trial(s) succeeded, and at least {MIN_TRIALS} are needed; raise --tune-trials."
    what = "points of its sweep" if is_sweep else "tune trials"
    if not _varied(rows):
        return f"its hyperparameters were the same in all {what}."
    if np.ptp(rows["validation_value"].to_numpy(dtype=float)) == 0:
        return f"all {what} reached the same validation value."
    return ""


def _varied(rows: pd.DataFrame) -> list[str]:
    """Columns of the hyperparameters that all trials have and that differ among trials."""
    names = [name for name in rows.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    return [name for name in names if rows[name].notna().all() and len(set(rows[name])) > 1]


def _table(rows: pd.DataFrame, evaluator: Evaluator, seed: int) -> pd.DataFrame:
    names = _varied(rows)
    shares = _shares(rows, names, evaluator, seed)
    cell = dict(zip(_CELL, rows[_CELL].iloc[0], strict=True))
    entries = [
        cell
        | {
            "hyperparameter": name.removeprefix(HYPERPARAMETER_PREFIX),
            "importance": float(np.mean([share.get(name, 0.0) for share in shares])),
            "spread": float(np.std([share.get(name, 0.0) for share in shares])),
            "num_values": rows[name].nunique(),
            "num_trials": int(rows["num_trials"].sum()),
        }
        for name in names
    ]
    table = pd.DataFrame(entries, columns=list(IMPORTANCE_COLUMNS))
    return table.sort_values(["importance", "hyperparameter"], ascending=[False, True], ignore_index=True)


def _shares(rows: pd.DataFrame, names: list[str], evaluator: Evaluator, seed: int) -> list[Mapping[str, float]]:
    """The importances by column, one mapping per forest, from a study rebuilt from the rows."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The bootstrap samples of a forest depend on the order of the rows.
    rows = rows.sort_values(["validation_value", *names], key=_sortable, kind="stable")
    columns = {name: _values(rows[name]) for name in names}
    distributions = {name: _distribution(values) for name, values in columns.items()}
    higher = bool(rows["higher_is_better"].astype("boolean").fillna(True).iloc[0])
    study = optuna.create_study(direction="maximize" if higher else "minimize")
    for place, value in enumerate(rows["validation_value"].astype(float)):
        params = {name: values[place] for name, values in columns.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=float(value)))
    if evaluator == "ped_anova":
        return [get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())]
    forests = [FanovaImportanceEvaluator(n_trees=_TREES, seed=seed + place) for place in range(NUM_FORESTS)]
    return [get_param_importances(study, evaluator=forest) for forest in forests]


def _sortable(column: pd.Series) -> pd.Series:
    """The key to sort a column by: its numbers, or its text if it holds any."""
    numbers = pd.to_numeric(column, errors="coerce")
    return column.astype(str) if numbers.isna().any() else numbers.astype(float)


def _values(column: pd.Series) -> list[Any]:
    """The values as floats if all are numbers and none is boolean, else as text."""
    if column.map(lambda each: isinstance(each, bool | np.bool_)).any():
        return [str(each) for each in column]
    numbers = pd.to_numeric(column, errors="coerce")
    return [str(each) for each in column] if numbers.isna().any() else [float(each) for each in numbers]


def _distribution(values: list[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values[0], str):
        return CategoricalDistribution(sorted(set(values)))
    return FloatDistribution(min(values), max(values), log=spans_decades(min(values), max(values)))
