"""The ranking of one task: the rank of each contestant, its interval, and its test against the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.rows.bounds import bounds_of, worst_value
from analysis.rows.cells import Cell
from analysis.rows.task_cells import TaskCells
from analysis.tables.statistics import equivalence_p_value, holm, mean_interval, paired_p_value
from analysis.tables.ties import without_rounding

OUTCOMES = {"win": "wins", "tie": "ties", "loss": "losses", "equivalent": "equivalents", "untested": "untested"}
RANKING_COLUMNS = (
    "scale", "task", "regularizer", "rank", "mean", "std", "interval_low", "interval_high", "num_seeds", "num_failed",
    "survivors_mean", "failure_effect", "survivors_rank", "outcome", "p_value", "p_holm", "default_mean",
    "selection_optimism", "budget", "num_tune_trials", "epochs", "tune_seconds", "seconds", "is_main_budget", "imputed",
    "status", "reason", "left_out", "role", "selection", "metric", "higher_is_better", "mean_rank", "num_tasks",
    *OUTCOMES.values(),
)  # fmt: skip
Budgets = Literal["apart", "together"]


@dataclass(frozen=True)
class RankingOptions:
    """How a task is ranked: its metric, and the arguments of `ranking_table`."""

    metric: str
    higher: bool
    baseline: str
    confidence: float
    budgets: Budgets
    margin: float | None


def task_table(
    task: TaskCells, options: RankingOptions, optimism: Mapping[tuple[str, str, str], float]
) -> pd.DataFrame:
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


def task_notes(task: TaskCells, options: RankingOptions) -> list[str]:
    """Sentences on unequal budgets."""
    return task.budget_notes("ranked together as requested" if options.budgets == "together" else "ranked apart")


def settings_notes(tasks: Iterable[TaskCells]) -> list[str]:
    """A sentence for each contestant and number of settings that its means are over: on which tasks."""
    places: dict[tuple[str, int], list[str]] = {}
    for task in tasks:
        for cell in task.cells:
            if cell.num_settings > 1:
                places.setdefault((cell.regularizer, cell.num_settings), []).append(f"{task.task} ({task.scale})")
    return [
        f"{name}: the mean is over {num_settings} hyperparameter settings on {', '.join(where)}; sensitivity_table "
        "shows each of them."
        for (name, num_settings), where in places.items()
    ]


def failed_seeds_notes(tasks: Iterable[TaskCells]) -> list[str]:
    """A sentence for each value that failed seeds count as: of which contestants on which tasks."""
    places: dict[str, list[tuple[str, str]]] = {}
    for task in tasks:
        failed = [cell.regularizer for cell in task.cells if cell.by_seed and cell.num_failed]
        worst = worst_value(task.metric, task.higher_is_better)
        counts_as = f"{task.metric} {worst:g}" if math.isfinite(worst) else "infinitely bad"
        if failed:
            places.setdefault(counts_as, []).append((f"{task.task} ({task.scale})", ", ".join(failed)))
    return [
        f"{found[0][0]}: failed seeds of {found[0][1]} count as {counts_as}."
        if len(found) == 1
        else f"Failed seeds count as {counts_as}: {'; '.join(f'{names} on {where}' for where, names in found)}."
        for counts_as, found in places.items()
    ]


def _describe(cell: Cell, reference: Cell | None, options: RankingOptions) -> dict[str, Any]:
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


def _against(cell: Cell, reference: Cell | None, options: RankingOptions) -> dict[str, Any]:
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


@dataclass(frozen=True)
class _Order:
    """The place of a cell; smaller is better, in this order. `size` is the mean absolute value of its finite scores."""

    loss: float  # the mean
    failed: float  # share of failed seeds, if the mean is infinite
    loss_of_others: float  # their mean, if the mean is infinite
    size: float


def _order(cell: Cell, scores: Mapping[int, float], higher: bool) -> _Order | None:
    """The place of a cell by these scores; None if it has no rank. A cell whose trials have no value is last."""
    if cell.skipped or cell.absent:
        return None
    if not scores:
        return _Order(math.inf, math.inf, 0.0, 0.0)
    sign = -1.0 if higher else 1.0
    finite = [each for each in scores.values() if math.isfinite(each)]
    mean, size = (fmean(finite), fmean(map(abs, finite))) if finite else (math.inf, 0.0)
    if len(finite) == len(scores):
        return _Order(sign * mean, 0.0, 0.0, size)
    return _Order(math.inf, 1 - len(finite) / len(scores), sign * mean if finite else math.inf, size)


def _ranks_within(keys: Sequence[Any], orders: Sequence[_Order | None]) -> list[float]:
    """The rank of each order among those with an equal key: 1 is best, ties have their mean rank, NaN for None."""
    ranks = [math.nan] * len(orders)
    members: dict[Any, list[tuple[int, _Order]]] = {}
    for place, (key, order) in enumerate(zip(keys, orders, strict=True)):
        if order is not None:
            members.setdefault(key, []).append((place, order))
    for of_key in members.values():
        sizes = np.array([order.size for _, order in of_key])
        losses = without_rounding(np.array([order.loss for _, order in of_key]), sizes)
        others = without_rounding(np.array([order.loss_of_others for _, order in of_key]), sizes)
        shares = [order.failed for _, order in of_key]
        found = list(zip(losses.tolist(), shares, others.tolist(), strict=True))
        for (place, _), own in zip(of_key, found, strict=True):
            ahead, equal = sum(other < own for other in found), found.count(own)
            ranks[place] = ahead + (equal + 1) / 2
    return ranks


def _outcome(p_holm: float, gain: float, p_equivalent: float, level: float) -> str:
    if math.isnan(p_holm):
        return "untested"
    if p_equivalent < level:  # also if the difference is significant: it is too small to matter
        return "equivalent"
    if p_holm >= level:
        return "tie"
    return "win" if gain > 0 else "loss"
