"""Do the contestants differ over all tasks? Friedman's test, and Nemenyi's critical difference of mean ranks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.rows.cells import RankedRole, Value
from analysis.rows.notes import notes_of, with_notes
from analysis.tables.ranking import OVERALL, ranking_table
from analysis.tables.statistics import smallest_paired_p

SIGNIFICANCE_COLUMNS = (
    "scale", "num_tasks", "num_regularizers", "friedman_statistic", "friedman_p", "critical_difference",
    "different_pairs", "smallest_reachable_p", "sentence",
)  # fmt: skip
FEWEST = 3  # tasks, and contestants: below that Friedman's approximation says nothing


def smallest_reachable_p(num_tasks: int) -> float:
    """The smallest p that a paired two-sided test over N tasks can reach: 2 / 2^N (every task says the same).

    >>> smallest_reachable_p(5)
    0.0625
    """
    return smallest_paired_p(num_tasks)


def overall_significance(
    trials: pd.DataFrame, role: RankedRole | None = None, value: Value = "test_value", confidence: float = 0.95
) -> pd.DataFrame:
    """One row per scale; columns `SIGNIFICANCE_COLUMNS`.

    Friedman's test asks whether the mean ranks over tasks differ at all. Two contestants differ by Nemenyi's test when
    their mean ranks are further apart than `critical_difference = q sqrt(k (k + 1) / (6 N))`, with k contestants, N
    tasks and q the quantile of the studentized range over sqrt(2) (Demsar 2006, section 3.2.2); `different_pairs` names
    them. Below 3 tasks or 3 contestants these columns are empty. Who is skipped on a task is left out.
    """
    table = ranking_table(trials, role=role, value=value, confidence=confidence)
    ranks = table[table["task"] != OVERALL]
    notes: list[str] = []
    rows = []
    for scale, of_scale in ranks.groupby("scale", sort=False):
        matrix = of_scale.pivot_table(index="task", columns="regularizer", values="rank", dropna=False)
        complete = matrix.dropna(axis="columns")
        left_out = sorted(set(matrix.columns) - set(complete.columns))
        if left_out:
            notes.append(f"Friedman's test ({scale}) leaves out what is skipped on some task: {', '.join(left_out)}.")
        rows.append({"scale": scale, **_friedman(complete, confidence), **_reach(len(matrix))})
    return with_notes(pd.DataFrame(rows, columns=list(SIGNIFICANCE_COLUMNS)), notes_of(table), notes)


def _friedman(ranks: pd.DataFrame, confidence: float) -> dict[str, Any]:
    num_tasks, num_regularizers = ranks.shape
    result: dict[str, Any] = {"num_regularizers": num_regularizers, "different_pairs": ""}
    absent = dict.fromkeys(("friedman_statistic", "friedman_p", "critical_difference"), math.nan)
    if num_tasks < FEWEST or num_regularizers < FEWEST or bool((ranks.std(axis="columns") == 0).all()):
        return result | absent
    statistic, p_value = stats.friedmanchisquare(*(ranks[name] for name in ranks.columns))
    quantile = stats.studentized_range.ppf(confidence, num_regularizers, math.inf) / math.sqrt(2)
    return result | {
        "friedman_statistic": float(statistic),
        "friedman_p": float(p_value),
        "critical_difference": float(quantile * math.sqrt(num_regularizers * (num_regularizers + 1) / (6 * num_tasks))),
        "different_pairs": _different_pairs(ranks, 1 - confidence),
    }


def _different_pairs(ranks: pd.DataFrame, level: float) -> str:
    import scikit_posthocs  # takes a second to import, and only here is it needed

    p_values = scikit_posthocs.posthoc_nemenyi_friedman(ranks.to_numpy())
    names, means = list(ranks.columns), ranks.mean()
    first, second = np.where(np.triu(p_values.to_numpy() < level, k=1))
    pairs = [sorted((names[i], names[j]), key=lambda name: means[name]) for i, j in zip(first, second, strict=True)]
    return "; ".join(f"{better} before {worse}" for better, worse in pairs)


def _reach(num_tasks: int) -> dict[str, Any]:
    smallest = smallest_reachable_p(num_tasks)
    tasks = "1 task" if num_tasks == 1 else f"{num_tasks} tasks"
    sentence = f"With {tasks} the smallest p that a paired test over tasks can reach is {smallest:.3g}."
    return {"num_tasks": num_tasks, "smallest_reachable_p": smallest, "sentence": sentence}
