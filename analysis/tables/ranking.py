"""The ranking: mean value of each regularizer on each task with its interval, and its test against the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.rows.cells import RankedRole, Value, selection_optimism
from analysis.rows.current import split_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.rows.task_cells import only_measures, tasks_of
from analysis.tables.common_tasks import Block, common_block
from analysis.tables.task_ranking import (
    OUTCOMES,
    RANKING_COLUMNS,
    Budgets,
    RankingOptions,
    failed_seeds_notes,
    settings_notes,
    task_notes,
    task_table,
)
from harness.records import OVERALL, ROLES

__all__ = ["NOT_COMPARABLE", "RANKING_COLUMNS", "rank_matrix", "ranking_table"]

NOT_COMPARABLE = "not comparable"


def ranking_table(
    trials: pd.DataFrame,
    role: RankedRole | None = None,
    value: Value = "test_value",
    baseline: str = "none",
    confidence: float = 0.95,
    budgets: Budgets = "apart",
    margin: float | None = None,
) -> pd.DataFrame:
    """Rank the regularizers: one row per (scale, task, regularizer), and one per (scale, "overall", regularizer).

    Only comparable rows are ranked (`current_rows`), each scale separately. A failed seed has the worst value of the
    metric: accuracy 0, or an infinite value for an unbounded metric. Each contestant is compared with the baseline by
    the paired t-test over their common seeds, with Holm's correction over the contestants of the task.

    Two budgets are equal if the numbers of tune trials (of epochs of tuning, where that is the budget of the searches)
    and of epochs of a trial are equal. Contestants with another budget than
    most on their task are ranked among themselves, are tested only against a baseline with their budget, and have no
    overall rank. Contestants that only measure and train as the baseline does (column `only_measures` of the rows) are
    left out, with a note.

    The columns of a task's rows:

    - `scale`, `task`, `regularizer`
    - `rank`: 1 is best, ties have their mean rank; last without any value, NaN if skipped
    - `mean`, `std`, `interval_low`, `interval_high`: over the seeds, failed ones included; t confidence interval of the
      mean, within the bounds of the metric
    - `num_seeds`, `num_failed`: trials with a value, and trials that ended without one
    - `survivors_mean`, `failure_effect`, `survivors_rank`: the mean over the seeds with a value, `mean` less this mean,
      and the rank by it
    - `outcome`: "win" or "loss" if the difference to the baseline is significant, "tie" if it was tested and is not,
      "equivalent" if it is shown to be within ± `margin`, "untested" with fewer than two common seeds, unequal budgets
      or no value
    - `p_value`, `p_holm`: two-sided, before and after Holm's correction
    - `default_mean`: the mean with the default hyperparameters
    - `selection_optimism`: validation value of the winner less its mean over the confirm trials; positive is optimistic
    - `budget`, `num_tune_trials`, `epochs`: the budget in words and numbers
    - `tune_seconds`, `seconds`: training time of all tune trials, and of a ranked trial on average
    - `is_main_budget`: whether the budget is the commonest one of the task
    - `imputed`: whether trials ran in the cell, but have no value, so that it is ranked last
    - `status`, `reason`: "completed", or why there is no value
    - `left_out`: which trials are not comparable, and why
    - `role`: of the ranked trials; `selection`: the rule that selected the winner
    - `metric`, `higher_is_better`
    - `num_tasks`, `wins`, `ties`, `losses`, `equivalents`, `untested`: 0 or 1; `mean_rank`: NaN

    The overall rows have `mean_rank` over the tasks that the contestants have in common (`common_block`), `rank` by it,
    and the sums of the counts over these tasks. A contestant that is not in the common block has no rank, and its
    counts are over all its tasks.

    Args:
        trials: from `load_trials`.
        role: which trials to rank: "confirm", "default", or None for confirm trials if there are any, else default.
        value: the column to rank by: `test_value`, or `test_value_at_best_validation` for the epoch with the best
            validation value.
        baseline: the name of the unregularized contestant.
        confidence: of the intervals, between 0 and 1; tests are at the level 1 - confidence.
        budgets: "together" ranks contestants with unequal budgets in one list and tests them, with a note.
        margin: the largest difference that does not matter, in the unit of the metric; equivalence is tested by two
            one-sided t-tests, with Holm's correction.

    Raises:
        ValueError: if an argument is out of range, or if one task was measured by two metrics.
    """
    _check(role, confidence, budgets, margin)
    current, apart = split_rows(trials)
    measures = only_measures(current)
    probes = current.loc[measures, "regularizer"]
    current = current[~measures] if measures.any() else current
    optimism = selection_optimism(current)
    left_out = _left_out_words(apart[~apart["is_timing"].astype(bool)])
    notes = [notes_of(current), [f"{name} only measures, so it is not ranked." for name in sorted(set(probes))]]
    by_scale: dict[str, list[pd.DataFrame]] = {}
    ranked = []
    for each in tasks_of(current, role, value):
        scale, task, cells = each.scale, each.task, each.cells
        if all(cell.role is None and not cell.skipped for cell in cells):
            notes.append([f"{task} ({scale}): no {role or 'default or confirm'} trial, so it is not ranked."])
            continue
        options = RankingOptions(each.metric, each.higher_is_better, baseline, confidence, budgets, margin)
        notes.append(task_notes(each, options))
        ranked.append(each)
        words = {name: text for (of, where, name), text in left_out.items() if (of, where) == (scale, task)}
        by_scale.setdefault(scale, []).append(_with_left_out(task_table(each, options, optimism), words))
    notes += [settings_notes(ranked), failed_seeds_notes(ranked)]
    tables = []
    for scale, tasks in by_scale.items():
        overall, block = _overall_table(tasks)
        notes.append([f"{scale}: {block.note}"] if block.note and len(tasks) > 1 else [])
        tables += [*tasks, overall.assign(scale=scale)]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(RANKING_COLUMNS))
    return with_notes(table[list(RANKING_COLUMNS)], *notes)


def rank_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """The ranks of a `ranking_table` of one scale as a frame: rows are tasks, columns are contestants.

    NaN without a rank, and for contestants with another budget than most on the task.
    """
    ranked = table[(table["task"] != OVERALL) & (table["status"] != NOT_COMPARABLE)]
    ranks = ranked["rank"].where(ranked["is_main_budget"].astype(bool))
    return ranked.assign(rank=ranks).pivot_table(index="task", columns="regularizer", values="rank", dropna=False)


def _check(role: str | None, confidence: float, budgets: str, margin: float | None) -> None:
    if role not in ("confirm", "default", None):
        ranked = "'confirm', 'default' or None (confirm trials if there are any, else default)"
        why = " Its rows are never ranked." if role in ROLES else ""
        raise ValueError(f"role must be {ranked}, got {role!r}.{why}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, for example 0.95; got {confidence}.")
    if budgets not in ("apart", "together"):
        raise ValueError(f"budgets must be 'apart' or 'together', got {budgets!r}.")
    if margin is not None and not margin > 0:
        raise ValueError(f"margin must be above 0 (the largest difference that does not matter), got {margin}.")


def _left_out_words(apart: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """For each cell (scale, task, regularizer): which of its trials are not comparable, and why."""
    words: dict[tuple[str, str, str], list[str]] = {}
    for row in apart.to_dict("records"):
        key = (str(row["scale"]), str(row["task"]), str(row["regularizer"]))
        words.setdefault(key, []).append(f"{row['num_trials']} trial(s): {row['why']}")
    return {key: "; ".join(texts) for key, texts in words.items()}


def _with_left_out(table: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    """Fill the column `left_out`, and add a row without numbers for each contestant with no comparable trial."""
    if not words:
        return table
    table = table.assign(left_out=[words.get(name, "") for name in table["regularizer"]])
    never_ran = table["status"].eq("missing") & table["left_out"].ne("") & table["reason"].eq("no trial ran")
    table.loc[never_ran, "reason"] = "no comparable trial"
    absent = [name for name in words if name not in set(table["regularizer"])]
    if not absent:
        return table
    counts = dict.fromkeys(("num_seeds", "num_failed", "num_tasks", *OUTCOMES.values()), 0)
    same: dict[str, Any] = {name: table[name].iloc[0] for name in ("scale", "task", "metric", "higher_is_better")}
    same |= {"status": NOT_COMPARABLE, "imputed": False, "is_main_budget": False, "budget": ""}
    rows = [
        {"regularizer": name, "reason": words[name], "left_out": words[name], **counts, **same}
        for name in sorted(absent)
    ]
    whole = pd.concat([table.astype(object), pd.DataFrame(rows).reindex(columns=table.columns).astype(object)])
    return whole.infer_objects()


def _overall_table(tasks: list[pd.DataFrame]) -> tuple[pd.DataFrame, Block]:
    rows = pd.concat([table[table["status"] != NOT_COMPARABLE] for table in tasks], ignore_index=True)
    block = common_block(rank_matrix(rows))
    in_block = rows["regularizer"].isin(block.ranks.columns)
    rows = rows[~in_block | rows["task"].isin(block.ranks.index)]
    counts = dict.fromkeys(("num_seeds", "num_failed", "num_tasks", *OUTCOMES.values()), "sum")
    table = rows.groupby("regularizer").agg(counts | {"imputed": "any", "is_main_budget": "all"}).reset_index()
    table["mean_rank"] = table["regularizer"].map(block.mean_ranks)
    table["rank"] = table["mean_rank"].rank()
    left_out = table["mean_rank"].isna()
    status = [
        "skipped" if not num_tasks else ("not ranked" if out else "completed")
        for num_tasks, out in zip(table["num_tasks"], left_out, strict=True)
    ]
    reason = ["no rank on every common task" if each == "not ranked" else "" for each in status]
    budget = ["" if is_main else "other budgets than most on some task" for is_main in table["is_main_budget"]]
    table = table.assign(task=OVERALL, status=status, reason=reason, budget=budget, left_out="")
    table = table.reindex(columns=list(RANKING_COLUMNS))
    return table.sort_values(["rank", "regularizer"], na_position="last"), block
