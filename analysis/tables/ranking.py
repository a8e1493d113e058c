"""The ranking: mean value of each regularizer on each task with its interval, and its test against the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

import pandas as pd

from analysis.rows.bounds import bounds_of, worst_value
from analysis.rows.cells import Cell, RankedRole, Value, selection_optimism, summarize_cell, trials_by_cell
from analysis.rows.current import split_rows
from analysis.rows.notes import notes_of, with_notes
from analysis.tables.common_tasks import Block, common_block
from analysis.tables.statistics import equivalence_p_value, holm, mean_interval, paired_p_value
from harness.records import ROLES, SCALES

OVERALL = "overall"
NOT_COMPARABLE = "not comparable"
OUTCOMES = {"win": "wins", "tie": "ties", "loss": "losses", "equivalent": "equivalents", "untested": "untested"}
RANKING_COLUMNS = (
    "scale", "task", "regularizer", "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed",
    "survivors_mean", "failure_effect", "survivors_rank", "outcome", "p_value", "p_holm", "default_mean",
    "selection_optimism", "budget", "num_tune_trials", "epochs", "tune_seconds", "seconds", "is_main_budget", "imputed",
    "status", "reason", "left_out", "role", "selection", "metric", "higher_is_better", "mean_rank", "num_tasks",
    *OUTCOMES.values(),
)  # fmt: skip
Budgets = Literal["apart", "together"]


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

    Two budgets are equal if the numbers of tune trials and of epochs are equal. Contestants with another budget than
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
    - `imputed`: whether the cell has no value and is therefore ranked last
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
        value: the column to rank by.
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
    measures = _only_measures(current)
    probes = current.loc[measures, "regularizer"]
    current = current[~measures] if measures.any() else current
    optimism = selection_optimism(current)
    left_out = _left_out_words(apart[~apart["is_timing"].astype(bool)])
    notes = [notes_of(current), [f"{name} only measures, so it is not ranked." for name in sorted(set(probes))]]
    by_scale: dict[str, list[pd.DataFrame]] = {}
    for each in tasks_of(current, role, value):
        scale, task, cells = each.scale, each.task, each.cells
        if all(cell.role is None and not cell.skipped for cell in cells):
            notes.append([f"{task} ({scale}): no {role or 'default or confirm'} trial, so it is not ranked."])
            continue
        options = _Options(each.metric, each.higher_is_better, baseline, confidence, budgets, margin)
        notes.append(_task_notes(each, options))
        words = {name: text for (of, where, name), text in left_out.items() if (of, where) == (scale, task)}
        by_scale.setdefault(scale, []).append(_with_left_out(_task_table(each, options, optimism), words))
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


@dataclass(frozen=True, kw_only=True)
class TaskCells:
    """The contestants of one task at one scale."""

    scale: str
    task: str
    metric: str
    higher_is_better: bool
    cells: list[Cell]

    @property
    def main_budget(self) -> tuple[int, int] | None:
        """The commonest budget among contestants with a value, on a tie the larger; None if none has a value."""
        keys = [cell.budget.key for cell in self.cells if cell.by_seed]
        return max(set(keys), key=lambda key: (keys.count(key), key), default=None)


def tasks_of(current: pd.DataFrame, role: RankedRole | None, value: Value) -> Iterator[TaskCells]:
    """Each task at each scale of the `current_rows`, with the cells that `ranking_table` ranks."""
    ranked = current[(current["role"] != "timing") & ~_only_measures(current)]
    by_cell, metrics = trials_by_cell(ranked, value), _metrics(ranked)
    ran = ranked[ranked["status"] != "skipped"]  # a contestant that is skipped on all tasks is not missing
    somewhere = {scale: set(rows["regularizer"]) for scale, rows in ran.groupby("scale")}
    here: dict[tuple[str, str], set[str]] = {}
    for scale, task, name in by_cell:
        here.setdefault((scale, task), set()).add(name)
    for scale, task in sorted(here, key=lambda each: (SCALES.index(each[0]), each[1])):
        metric, higher = metrics[scale, task]
        worst = worst_value(metric, higher)
        names = sorted(here[scale, task] | somewhere.get(scale, set()))
        cells = [summarize_cell(by_cell.get((scale, task, name), []), name, role, worst) for name in names]
        yield TaskCells(scale=scale, task=task, metric=metric, higher_is_better=higher, cells=cells)


def _only_measures(rows: pd.DataFrame) -> pd.Series:
    """The rows of contestants that train as the baseline does and only measure, so that they are not ranked."""
    if "only_measures" not in rows:
        return pd.Series(data=False, index=rows.index)
    return rows["only_measures"].astype("boolean").fillna(False).astype(bool)


@dataclass(frozen=True)
class _Options:
    """How a task is ranked: its metric, and the arguments of `ranking_table`."""

    metric: str
    higher: bool
    baseline: str
    confidence: float
    budgets: Budgets
    margin: float | None


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


def _task_table(task: TaskCells, options: _Options, optimism: Mapping[tuple[str, str, str], float]) -> pd.DataFrame:
    """The rows of one task. They are made as a whole: pandas takes longer for a few columns than for a few rows."""
    cells, main, together = task.cells, task.main_budget, options.budgets == "together"
    reference = next((cell for cell in cells if cell.regularizer == options.baseline), None)
    described = [_describe(cell, reference, options) for cell in cells]
    is_main = [together or not cell.by_seed or cell.budget.key == main for cell in cells]
    keys = [("main",) if each else cell.budget.key for cell, each in zip(cells, is_main, strict=True)]
    ranks = _ranks_within(keys, [_order(cell, cell.scores, options.higher) for cell in cells])
    survivors_ranks = _ranks_within(keys, [_order(cell, cell.by_seed, options.higher) for cell in cells])
    corrected = zip(*(holm([row[name] for row in described]) for name in ("p_value", "p_equivalent")), strict=True)
    rows = []
    for place, (cell, row, (p_holm, p_equivalent)) in enumerate(zip(cells, described, corrected, strict=True)):
        gain = row["mean_difference"] if options.higher else -row["mean_difference"]
        is_tested = cell is not reference and not cell.skipped
        outcome = _outcome(p_holm, gain, p_equivalent, 1 - options.confidence) if is_tested else None
        row |= {
            "scale": task.scale,
            "task": task.task,
            "metric": options.metric,
            "higher_is_better": options.higher,
            "is_main_budget": is_main[place],
            "rank": ranks[place],
            "survivors_rank": survivors_ranks[place],
            "p_holm": p_holm,
            "outcome": outcome,
            "mean_rank": math.nan,
            "num_tasks": int(not math.isnan(ranks[place])),
            "selection_optimism": optimism.get((task.task, cell.regularizer, task.scale), math.nan),
            "left_out": "",
            **{name: int(outcome == each) for each, name in OUTCOMES.items()},
        }
        rows.append(row)
    rows.sort(key=lambda row: (not row["is_main_budget"], math.isnan(row["rank"]), row["rank"], row["regularizer"]))
    return pd.DataFrame({name: [row[name] for row in rows] for name in RANKING_COLUMNS})


def _describe(cell: Cell, reference: Cell | None, options: _Options) -> dict[str, Any]:
    scores, values = list(cell.scores.values()), list(cell.by_seed.values())
    low, high = mean_interval(scores, options.confidence, bounds_of(options.metric))
    mean, survivors = (fmean(each) if each else math.nan for each in (scores, values))
    row: dict[str, Any] = {
        "regularizer": cell.regularizer,
        "role": cell.role,
        "selection": cell.selection,
        "mean": mean,
        "std": stdev(scores) if len(scores) > 1 and math.isfinite(mean) else math.nan,
        "interval_low": low,
        "interval_high": high,
        "num_seeds": len(cell.by_seed),
        "num_failed": cell.num_failed,
        "survivors_mean": survivors,
        "failure_effect": mean - survivors,
        "default_mean": cell.default_mean,
        "budget": "" if cell.skipped or cell.role is None else cell.budget.words,
        "num_tune_trials": math.nan if cell.budget.num_tune_trials is None else cell.budget.num_tune_trials,
        "epochs": math.nan if cell.budget.epochs is None else cell.budget.epochs,
        "tune_seconds": cell.budget.tune_seconds,
        "seconds": cell.budget.seconds,
        "imputed": cell.missing,
        "status": cell.status,
        "reason": cell.reason,
    }
    return row | _against(cell, reference, options)


def _against(cell: Cell, reference: Cell | None, options: _Options) -> dict[str, Any]:
    """The paired comparison over the common seeds; all NaN if the budgets differ and are ranked apart."""
    nothing = {"p_value": math.nan, "mean_difference": math.nan, "p_equivalent": math.nan}
    if reference is None or cell is reference or not cell.by_seed or not reference.by_seed:
        return nothing
    if options.budgets == "apart" and cell.budget.key != reference.budget.key:
        return nothing
    seeds = [seed for seed in cell.scores if seed in reference.scores]
    first, second = ([each.scores[seed] for seed in seeds] for each in (cell, reference))
    equivalent = math.nan if options.margin is None else equivalence_p_value(first, second, options.margin)
    return {
        "p_value": paired_p_value(first, second),
        "mean_difference": _direction(first, second),
        "p_equivalent": equivalent,
    }


def _direction(first: Sequence[float], second: Sequence[float]) -> float:
    """The mean difference; with infinite values the number of seeds above less that of seeds below."""
    if all(map(math.isfinite, [*first, *second])):
        return fmean(first) - fmean(second) if first else math.nan
    return float(sum((a > b) - (a < b) for a, b in zip(first, second, strict=True)))


_Order = tuple[float, float, float] | None


def _order(cell: Cell, scores: Mapping[int, float], higher: bool) -> _Order:
    """The sort key of a cell, smaller is better; None if it has no rank.

    (mean loss, 0, 0) if the mean is finite, else (inf, share of failed seeds, mean loss of the others). A cell without
    any value is last.
    """
    if cell.skipped:
        return None
    if not scores:
        return (math.inf, math.inf, 0.0)
    sign = -1.0 if higher else 1.0
    loss = sign * fmean(scores.values())
    if math.isfinite(loss):
        return (loss, 0.0, 0.0)
    finite = [each for each in scores.values() if math.isfinite(each)]
    share = 1 - len(finite) / len(scores)
    return (math.inf, share, sign * fmean(finite) if finite else math.inf)


def _ranks_within(keys: Sequence[Any], orders: Sequence[_Order]) -> list[float]:
    """The rank of each order among those with an equal key: 1 is best, ties have their mean rank, NaN for None."""
    ranks = []
    for key, order in zip(keys, orders, strict=True):
        if order is None:
            ranks.append(math.nan)
            continue
        rivals = [
            other for other_key, other in zip(keys, orders, strict=True) if other_key == key and other is not None
        ]
        ahead, equal = sum(other < order for other in rivals), sum(other == order for other in rivals)
        ranks.append(ahead + (equal + 1) / 2)
    return ranks


def _outcome(p_holm: float, gain: float, p_equivalent: float, level: float) -> str:
    if math.isnan(p_holm):
        return "untested"
    if p_equivalent < level:  # also if the difference is significant: it is too small to matter
        return "equivalent"
    if p_holm >= level:
        return "tie"
    return "win" if gain > 0 else "loss"


def _metrics(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[str, bool]]:
    """The metric and its direction for each (scale, task); rows of failed trials may lack them."""
    found = {key: ("", True) for key in rows[["scale", "task"]].drop_duplicates().itertuples(index=False, name=None)}
    known = rows[["scale", "task", "metric", "higher_is_better"]].dropna().drop_duplicates()
    twice = known[known.duplicated(["scale", "task"], keep=False)]
    if len(twice):
        scale, task = twice[["scale", "task"]].iloc[0]
        kinds = known[(known["scale"] == scale) & (known["task"] == task)]
        names = ", ".join(sorted(set(kinds["metric"])))
        raise ValueError(
            f"Task {task!r} must be measured by one metric in one direction, but its rows have {names}. Rank these "
            "results folders apart, or run the task again with the current code."
        )
    return found | {
        (scale, task): (metric, bool(higher))
        for scale, task, metric, higher in known.itertuples(index=False, name=None)
    }


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


def _task_notes(task: TaskCells, options: _Options) -> list[str]:
    cells, main, where = task.cells, task.main_budget, f"{task.task} ({task.scale})"
    notes = [
        f"{where}, {cell.regularizer}: the mean is over {cell.num_settings} hyperparameter settings; "
        "sensitivity_table shows each of them."
        for cell in cells
        if cell.num_settings > 1
    ]
    budgets = {cell.budget.key: cell.budget.words for cell in cells}
    others = [cell for cell in cells if cell.by_seed and cell.budget.key != main]
    if others and main is not None:
        named = ", ".join(f"{cell.regularizer} ({cell.budget.words})" for cell in others)
        how = "ranked together as requested" if options.budgets == "together" else "ranked apart"
        notes.append(f"{where}: unequal budgets, {how}: {named}; the others have {budgets[main]}.")
    failed = [cell.regularizer for cell in cells if cell.by_seed and cell.num_failed]
    if failed:
        worst = worst_value(options.metric, options.higher)
        counts_as = f"{options.metric} {worst:g}" if math.isfinite(worst) else "infinitely bad"
        notes.append(f"{where}: failed seeds of {', '.join(failed)} count as {counts_as}.")
    return notes


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
