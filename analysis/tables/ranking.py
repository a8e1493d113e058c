"""The ranking: what each regularizer reaches on each task, with its interval, and who beats the baseline."""

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
    """One row per (scale, task, regularizer), and one per (scale, "overall", regularizer); columns `RANKING_COLUMNS`.

    `role` says which trials are ranked: those of the confirmed winners, those with default hyperparameters, or (None)
    confirmed where there are such and default elsewhere. Scales are ranked apart. Rows meet with equal data, shared
    code and switches only (`current_rows`); `left_out` and the notes name what meets nobody.

    On a task: mean, standard deviation and interval over seeds, in which a seed that failed counts as the worst value
    of the metric (accuracy 0, else infinitely bad). Beside it what depends on that rule: `survivors_mean` over the
    seeds with a value, `failure_effect`, by how much the rule moved the mean, and `survivors_rank`. `num_failed` are
    trials without a value. `outcome` against the baseline is by the paired t-test over common seeds after Holm's
    correction over the task: "win" and "loss" are significant, "tie" was tested and is not, "untested" says that there
    is nothing to test (fewer than two common seeds, unequal budgets, no value); with a `margin` a contestant whose mean
    difference is shown to be within ± margin is "equivalent" (two one-sided tests). `default_mean` is
    before tuning; `selection` the rule that picked the winners (of `best_epoch` the value at that epoch is ranked);
    `selection_optimism`, by how much the tuned validation value promised more than its mean over fresh
    seeds. A cell without any value comes last and is `imputed`; a skipped cell has no rank. Who only measures (column
    `only_measures`) is left out, with a note.

    Budgets are equal where tune trials and epochs are. Contestants of another budget than most on their task
    (`is_main_budget` false) are ranked among themselves, compared with a baseline of their budget only, and have no
    rank there overall; `budgets="together"` ranks them with the others, with a note.

    Overall: `mean_rank` over the tasks that the contestants have in common (`common_block`), `rank` by it, and how
    often each outcome came out there. Who is left out of that has no rank, and its outcomes are counted where it ran.

    Raises `ValueError` when one task was measured by two metrics.
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
        question = _Question(each.metric, each.higher_is_better, baseline, confidence, budgets, margin)
        notes.append(_task_notes(each, question))
        table = _task_table(each, question)
        table["selection_optimism"] = [optimism.get((task, name, scale), math.nan) for name in table["regularizer"]]
        words = {name: text for (of, where, name), text in left_out.items() if (of, where) == (scale, task)}
        by_scale.setdefault(scale, []).append(_with_left_out(table, words).assign(scale=scale, task=task))
    tables = []
    for scale, tasks in by_scale.items():
        overall, block = _overall_table(tasks)
        notes.append([f"{scale}: {block.note}"] if block.note and len(tasks) > 1 else [])
        tables += [*tasks, overall.assign(scale=scale)]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(RANKING_COLUMNS))
    return with_notes(table[list(RANKING_COLUMNS)], *notes)


def rank_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Rows: tasks; columns: contestants; their ranks in a `ranking_table` of one scale, NaN where they have none.

    Ranks among those of another budget than most are no ranks on the task.
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
        """The budget of most contestants with a value; of equals the larger. None where nobody has one."""
        keys = [cell.budget.key for cell in self.cells if cell.by_seed]
        return max(set(keys), key=lambda key: (keys.count(key), key), default=None)


def tasks_of(current: pd.DataFrame, role: RankedRole | None, value: Value) -> Iterator[TaskCells]:
    """Each task at each scale of the `current_rows`, with the cells that `ranking_table` ranks."""
    ranked = current[(current["role"] != "timing") & ~_only_measures(current)]
    by_cell, metrics = trials_by_cell(ranked, value), _metrics(ranked)
    ran = ranked[ranked["status"] != "skipped"]  # who ran nowhere is missing nowhere
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
    """Whose rows do not compete: they train as the baseline does."""
    if "only_measures" not in rows:
        return pd.Series(data=False, index=rows.index)
    return rows["only_measures"].astype("boolean").fillna(False).astype(bool)


@dataclass(frozen=True)
class _Question:
    """How a task is ranked."""

    metric: str
    higher: bool
    baseline: str
    confidence: float
    budgets: Budgets
    margin: float | None


def _check(role: str | None, confidence: float, budgets: str, margin: float | None) -> None:
    if role not in ("confirm", "default", None):
        ranked = "'confirm', 'default' or None (confirmed where there is such)"
        why = " Its rows are never ranked." if role in ROLES else ""
        raise ValueError(f"role must be {ranked}, got {role!r}.{why}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, for example 0.95; got {confidence}.")
    if budgets not in ("apart", "together"):
        raise ValueError(f"budgets must be 'apart' or 'together', got {budgets!r}.")
    if margin is not None and not margin > 0:
        raise ValueError(f"margin must be above 0, the largest difference that does not matter; got {margin}.")


def _task_table(task: TaskCells, question: _Question) -> pd.DataFrame:
    cells, main = task.cells, task.main_budget
    reference = next((cell for cell in cells if cell.regularizer == question.baseline), None)
    table = pd.DataFrame([_describe(cell, reference, question) for cell in cells])
    table["metric"], table["higher_is_better"] = question.metric, question.higher
    table["is_main_budget"] = [not cell.by_seed or cell.budget.key == main for cell in cells]
    together = question.budgets == "together"
    keys = [
        ("main",) if together or is_main else cell.budget.key
        for cell, is_main in zip(cells, table["is_main_budget"], strict=True)
    ]
    table["rank"] = _ranks_within(keys, [_order(cell, cell.scores, question.higher) for cell in cells])
    table["survivors_rank"] = _ranks_within(keys, [_order(cell, cell.by_seed, question.higher) for cell in cells])
    if together:
        table["is_main_budget"] = True
    table["p_holm"] = holm(table["p_value"].to_numpy())
    table["p_equivalent"] = holm(table["p_equivalent"].to_numpy())
    gain = (table["mean_difference"] if question.higher else -table["mean_difference"]).to_numpy()
    table["outcome"] = [
        None if cell is reference or cell.skipped else _outcome(p, better, p_equal, 1 - question.confidence)
        for cell, p, better, p_equal in zip(cells, table["p_holm"], gain, table["p_equivalent"], strict=True)
    ]
    for outcome, name in OUTCOMES.items():
        table[name] = (table["outcome"] == outcome).astype(int)
    table["mean_rank"], table["num_tasks"] = math.nan, table["rank"].notna().astype(int)
    return table.sort_values(
        ["is_main_budget", "rank", "regularizer"], ascending=[False, True, True], na_position="last"
    )


def _describe(cell: Cell, reference: Cell | None, question: _Question) -> dict[str, Any]:
    scores, values = list(cell.scores.values()), list(cell.by_seed.values())
    low, high = mean_interval(scores, question.confidence, bounds_of(question.metric))
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
    return row | _against(cell, reference, question)


def _against(cell: Cell, reference: Cell | None, question: _Question) -> dict[str, Any]:
    """The paired comparison over the seeds that both have; nothing where budgets differ and may not meet."""
    nothing = {"p_value": math.nan, "mean_difference": math.nan, "p_equivalent": math.nan}
    if reference is None or cell is reference or not cell.by_seed or not reference.by_seed:
        return nothing
    if question.budgets == "apart" and cell.budget.key != reference.budget.key:
        return nothing
    seeds = [seed for seed in cell.scores if seed in reference.scores]
    first, second = ([each.scores[seed] for seed in seeds] for each in (cell, reference))
    equivalent = math.nan if question.margin is None else equivalence_p_value(first, second, question.margin)
    return {
        "p_value": paired_p_value(first, second),
        "mean_difference": _direction(first, second),
        "p_equivalent": equivalent,
    }


def _direction(first: Sequence[float], second: Sequence[float]) -> float:
    """The mean difference; where failures make it infinite, by how many seeds one is above the other."""
    if all(map(math.isfinite, [*first, *second])):
        return fmean(first) - fmean(second) if first else math.nan
    return float(sum((a > b) - (a < b) for a, b in zip(first, second, strict=True)))


_Order = tuple[float, float, float] | None


def _order(cell: Cell, scores: Mapping[int, float], higher: bool) -> _Order:
    """By what a cell is ranked, smaller is better: its mean; infinite ones by the share that failed, then the rest.

    (inf, 0, 0) is behind all: no value. None: no rank.
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
    """Rank 1 is best among those of an equal key; equals share their mean rank; None has none."""
    ranks = []
    for key, order in zip(keys, orders, strict=True):
        rivals = [
            other for other_key, other in zip(keys, orders, strict=True) if other_key == key and other is not None
        ]
        if order is None:
            ranks.append(math.nan)
            continue
        ahead, equal = sum(other < order for other in rivals), sum(other == order for other in rivals)
        ranks.append(ahead + (equal + 1) / 2)
    return ranks


def _outcome(p_holm: float, gain: float, p_equivalent: float, level: float) -> str:
    if math.isnan(p_holm):
        return "untested"
    if p_equivalent < level:  # a difference that is sure and does not matter is equivalence, too
        return "equivalent"
    if p_holm >= level:
        return "tie"
    return "win" if gain > 0 else "loss"


def _metrics(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[str, bool]]:
    """(scale, task): its metric and direction; failed rows may not know it."""
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
    """(scale, task, regularizer): what of it meets nobody, and why."""
    words: dict[tuple[str, str, str], list[str]] = {}
    for row in apart.to_dict("records"):
        key = (str(row["scale"]), str(row["task"]), str(row["regularizer"]))
        words.setdefault(key, []).append(f"{row['num_trials']} trial(s): {row['why']}")
    return {key: "; ".join(texts) for key, texts in words.items()}


def _with_left_out(table: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    """The task's table with the column `left_out`, and a row without numbers for whom was left out altogether."""
    table = table.assign(left_out=[words.get(name, "") for name in table["regularizer"]])
    never_ran = table["status"].eq("missing") & table["left_out"].ne("") & table["reason"].eq("no trial ran")
    table.loc[never_ran, "reason"] = "no trial that meets the others"
    absent = [name for name in words if name not in set(table["regularizer"])]
    if not absent:
        return table
    counts = dict.fromkeys(("num_seeds", "num_failed", "num_tasks", *OUTCOMES.values()), 0)
    same: dict[str, Any] = {name: table[name].iloc[0] for name in ("metric", "higher_is_better")}
    same |= {"status": NOT_COMPARABLE, "imputed": False, "is_main_budget": False, "budget": ""}
    rows = [
        {"regularizer": name, "reason": words[name], "left_out": words[name], **counts, **same}
        for name in sorted(absent)
    ]
    whole = pd.concat([table.astype(object), pd.DataFrame(rows).reindex(columns=table.columns).astype(object)])
    return whole.infer_objects()


def _task_notes(task: TaskCells, question: _Question) -> list[str]:
    cells, main, where = task.cells, task.main_budget, f"{task.task} ({task.scale})"
    notes = [
        f"{where}, {cell.regularizer}: the mean runs over {cell.num_settings} hyperparameter settings; "
        "sensitivity_table shows them apart."
        for cell in cells
        if cell.num_settings > 1
    ]
    budgets = {cell.budget.key: cell.budget.words for cell in cells}
    others = [cell for cell in cells if cell.by_seed and cell.budget.key != main]
    if others and main is not None:
        named = ", ".join(f"{cell.regularizer} ({cell.budget.words})" for cell in others)
        how = "ranked together all the same" if question.budgets == "together" else "ranked apart"
        notes.append(f"{where}: unequal budgets, {how}: {named}; the others have {budgets[main]}.")
    failed = [cell.regularizer for cell in cells if cell.by_seed and cell.num_failed]
    if failed:
        worst = worst_value(question.metric, question.higher)
        counts_as = f"{question.metric} {worst:g}" if math.isfinite(worst) else "infinitely bad"
        notes.append(f"{where}: a seed that failed counts as {counts_as}; so for {', '.join(failed)}.")
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
