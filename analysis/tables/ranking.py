"""The ranking: what each regularizer reaches on each task, with its interval, and who beats the baseline."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from analysis.rows.cells import Cell, RankedRole, Value, selection_optimism, summarize_cell, trials_by_cell
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.tables.statistics import holm, mean_interval, paired_p_value
from harness.records import ROLES, SCALES

OVERALL = "overall"
RANKING_COLUMNS = (
    "scale", "task", "regularizer", "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed",
    "outcome", "p_value", "p_holm", "default_mean", "selection_optimism", "imputed", "status", "reason", "role",
    "metric", "higher_is_better", "mean_rank", "num_tasks", "wins", "ties", "losses",
)  # fmt: skip


def ranking_table(
    trials: pd.DataFrame,
    role: RankedRole | None = None,
    value: Value = "test_value",
    baseline: str = "none",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row per (scale, task, regularizer), and one per (scale, "overall", regularizer); columns `RANKING_COLUMNS`.

    `role` says which trials are ranked: those of the confirmed winners, those with default hyperparameters, or (None)
    confirmed where there are such and default elsewhere. Scales are ranked apart.

    On a task: mean, standard deviation and Student's interval over seeds; `num_failed` trials without a value;
    `outcome` against the baseline by the paired t-test over common seeds after Holm's correction over the task ("win"
    and "loss" are significant, "tie" is not); `default_mean` before tuning; `selection_optimism`, by how much the tuned
    validation value promised more than its mean over fresh seeds. A cell without any value has the worst rank of its
    task and `imputed`; a skipped cell has no rank there. Who only measures (column `only_measures`) is left out, with a
    note.

    Overall: `mean_rank` over the tasks, `rank` by it, and `wins`, `ties`, `losses` counted over the tasks.

    Raises `ValueError` when one task was measured by two metrics.
    """
    _check(role, confidence)
    current = current_rows(trials)
    ranked, probes = _contestants(current[current["role"] != "timing"])
    by_cell, optimism = trials_by_cell(ranked, value), selection_optimism(ranked)
    notes = [notes_of(current), [f"{name} only measures, so it is not ranked." for name in probes]]
    tables = []
    for scale in [name for name in SCALES if name in set(ranked["scale"])]:
        of_scale = ranked[ranked["scale"] == scale]
        contestants = sorted(set(of_scale["regularizer"]))
        tasks = []
        for task, rows in of_scale.groupby("task"):
            cells = [summarize_cell(by_cell.get((scale, str(task), name), []), name, role) for name in contestants]
            if all(cell.role is None and not cell.skipped for cell in cells):
                notes.append([f"{task} ({scale}): no {role or 'default or confirm'} trial, so it is not ranked."])
                continue
            notes.append(_sweep_notes(cells, str(task)))
            table = _task_table(cells, _metric(rows), baseline, confidence)
            table["selection_optimism"] = [
                optimism.get((str(task), name, scale), math.nan) for name in table["regularizer"]
            ]
            tasks.append(table.assign(scale=scale, task=task))
        tables += [*tasks, _overall_table(tasks).assign(scale=scale)] if tasks else []
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(RANKING_COLUMNS))
    return with_notes(table[list(RANKING_COLUMNS)], *notes)


def _contestants(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of those that compete, and the names of the others: they train as the baseline does."""
    if "only_measures" not in rows:
        return rows, []
    measuring = rows["only_measures"].astype("boolean").fillna(False).astype(bool)
    return rows[~measuring], sorted(set(rows.loc[measuring, "regularizer"]))


def _check(role: str | None, confidence: float) -> None:
    if role not in ("confirm", "default", None):
        ranked = "'confirm', 'default' or None (confirmed where there is such)"
        why = " Its rows are never ranked." if role in ROLES else ""
        raise ValueError(f"role must be {ranked}, got {role!r}.{why}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, for example 0.95; got {confidence}.")


def _task_table(cells: list[Cell], measure: tuple[str, bool], baseline: str, confidence: float) -> pd.DataFrame:
    metric, higher_is_better = measure
    reference = next((cell for cell in cells if cell.regularizer == baseline), None)
    table = pd.DataFrame([_describe(cell, reference, confidence) for cell in cells])
    table["metric"], table["higher_is_better"] = metric, higher_is_better
    table["rank"] = _ranks(table, higher_is_better)
    table["p_holm"] = holm(table["p_value"].to_numpy())
    gain = (table["mean_difference"] if higher_is_better else -table["mean_difference"]).to_numpy()
    table["outcome"] = [
        _outcome(p, better, 1 - confidence) if compared else None
        for p, better, compared in zip(table["p_holm"], gain, table["compared"], strict=True)
    ]
    for name, outcome in (("wins", "win"), ("ties", "tie"), ("losses", "loss")):
        table[name] = (table["outcome"] == outcome).astype(int)
    table["mean_rank"], table["num_tasks"] = math.nan, table["rank"].notna().astype(int)
    return table.sort_values(["rank", "regularizer"], na_position="last")


def _describe(cell: Cell, reference: Cell | None, confidence: float) -> dict[str, Any]:
    values = list(cell.by_seed.values())
    low, high = mean_interval(values, confidence)
    row: dict[str, Any] = {
        "regularizer": cell.regularizer,
        "role": cell.role,
        "mean": fmean(values) if values else math.nan,
        "std": stdev(values) if len(values) > 1 else math.nan,
        "interval_low": low,
        "interval_high": high,
        "num_seeds": len(cell.by_seed),
        "num_failed": cell.num_failed,
        "default_mean": cell.default_mean,
        "imputed": cell.missing,
        "status": cell.status,
        "reason": cell.reason,
    }
    return row | _against(cell, reference)


def _against(cell: Cell, reference: Cell | None) -> dict[str, Any]:
    """The paired comparison over the seeds that both have."""
    if reference is None or cell is reference or not cell.by_seed or not reference.by_seed:
        return {"p_value": math.nan, "mean_difference": math.nan, "compared": False}
    seeds = [seed for seed in cell.by_seed if seed in reference.by_seed]
    first, second = ([each.by_seed[seed] for seed in seeds] for each in (cell, reference))
    difference = fmean(first) - fmean(second) if seeds else math.nan
    return {"p_value": paired_p_value(first, second), "mean_difference": difference, "compared": True}


def _ranks(table: pd.DataFrame, higher_is_better: bool) -> pd.Series:
    """Rank 1 is best, equals share their mean rank, a missing value has the worst rank, a skipped cell none."""
    ranks = table["mean"].rank(ascending=not higher_is_better)
    ranks[table["imputed"]] = (table["status"] != "skipped").sum()
    return ranks


def _outcome(p_holm: float, gain: float, level: float) -> str:
    if math.isnan(p_holm) or p_holm >= level:
        return "tie"
    return "win" if gain > 0 else "loss"


def _metric(rows: pd.DataFrame) -> tuple[str, bool]:
    """The metric of a task and its direction; failed rows may not know it."""
    kinds = rows[["metric", "higher_is_better"]].dropna().drop_duplicates()
    if len(kinds) > 1:
        found = ", ".join(sorted(set(kinds["metric"])))
        raise ValueError(
            f"Task {rows['task'].iloc[0]!r} must be measured by one metric in one direction, but its rows have "
            f"{found}. Rank these results folders apart, or run the task again with the current code."
        )
    return (str(kinds["metric"].iloc[0]), bool(kinds["higher_is_better"].iloc[0])) if len(kinds) else ("", True)


def _sweep_notes(cells: list[Cell], task: str) -> list[str]:
    return [
        f"{task}, {cell.regularizer}: the mean runs over {cell.num_settings} hyperparameter settings; "
        "sensitivity_table shows them apart."
        for cell in cells
        if cell.num_settings > 1
    ]


def _overall_table(tasks: list[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(tasks, ignore_index=True)
    counts = dict.fromkeys(("num_seeds", "num_failed", "num_tasks", "wins", "ties", "losses"), "sum")
    table = rows.groupby("regularizer").agg(counts | {"imputed": "any"}).reset_index()
    table["mean_rank"] = table["regularizer"].map(rows.groupby("regularizer")["rank"].mean())
    table["rank"] = table["mean_rank"].rank()
    status = table["num_tasks"].map(lambda count: "completed" if count else "skipped")
    table = table.assign(task=OVERALL, status=status, reason="").reindex(columns=list(RANKING_COLUMNS))
    return table.sort_values(["rank", "regularizer"], na_position="last")
