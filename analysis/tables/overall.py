"""Tests over all tasks: Friedman's test, and Nemenyi's critical difference of mean ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.rows.cells import RankedRole, Value
from analysis.rows.notes import notes_of, with_notes
from analysis.tables.common_tasks import common_block
from analysis.tables.ranking import rank_matrix, ranking_table
from analysis.tables.statistics import LEVEL, smallest_paired_p
from harness.records import OVERALL

SIGNIFICANCE_COLUMNS = (
    "scale", "num_tasks", "num_regularizers", "friedman_statistic", "friedman_p", "critical_difference",
    "different_pairs", "smallest_reachable_p", "sentence",
)  # fmt: skip
FEWEST = 3  # tasks and contestants; with fewer the chi-squared approximation of Friedman's test is too poor


def smallest_reachable_p(num_tasks: int) -> float:
    """The smallest p of a two-sided sign test or signed-rank test over N tasks: 2 / 2^N, if all differences agree.

    The tests in the tables have other smallest values: `smallest_friedman_p` and `smallest_nemenyi_p`.

    >>> smallest_reachable_p(5)
    0.0625
    """
    return smallest_paired_p(num_tasks)


def smallest_friedman_p(num_tasks: int, num_regularizers: int) -> float:
    """The smallest p of Friedman's test with N tasks and k contestants.

    The statistic is largest, N (k - 1), if all tasks rank the contestants in the same order; p is then the upper tail
    of the chi-squared distribution with k - 1 degrees of freedom.
    """
    return float(stats.chi2.sf(num_tasks * (num_regularizers - 1), num_regularizers - 1))


def smallest_nemenyi_p(num_tasks: int, num_regularizers: int) -> float:
    """The smallest p of Nemenyi's test of two among k contestants: one is first and the other last on all N tasks.

    Their mean ranks then differ by k - 1; p is the upper tail of the studentized range distribution at
    q = (k - 1) sqrt(12 N / (k (k + 1))).
    """
    k = num_regularizers
    quantile = (k - 1) * math.sqrt(12 * num_tasks / (k * (k + 1)))
    return float(stats.studentized_range.sf(quantile, k, math.inf))


@dataclass(frozen=True, kw_only=True)
class Friedman:
    """Friedman's and Nemenyi's test on one matrix of ranks; NaN with too few tasks or contestants.

    Attributes:
        mean_ranks: by contestant, the best first.
        num_tasks: N.
        statistic: Friedman's chi-squared, corrected for ties.
        p_value: its p with k - 1 degrees of freedom.
        critical_difference: of mean ranks, `q sqrt(k (k + 1) / (6 N))` (Demšar 2006, section 3.2.2).
        level: of both tests.
    """

    mean_ranks: pd.Series
    num_tasks: int
    statistic: float
    p_value: float
    critical_difference: float
    level: float = LEVEL

    @property
    def is_significant(self) -> bool:
        """Whether Friedman's test finds that the mean ranks differ at all; False if it was not computed."""
        return self.p_value < self.level

    def differ(self, means: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether mean ranks differ significantly from worse ones, elementwise.

        They do if Friedman's test is significant and they are further apart than the critical difference: Nemenyi's
        test is a post-hoc test, made only after Friedman's (Demšar 2006, section 3.2.2).
        """
        differ: np.ndarray = self.is_significant & (others - means > self.critical_difference)
        return differ

    @property
    def different_pairs(self) -> list[tuple[str, str]]:
        """The pairs (better, worse) whose mean ranks differ significantly."""
        names, means = list(self.mean_ranks.index), self.mean_ranks.to_numpy()
        apart = self.differ(means[:, None], means[None, :])
        return [(names[i], names[j]) for i, j in zip(*np.where(apart), strict=True)]


def friedman(ranks: pd.DataFrame, confidence: float = 0.95) -> Friedman:
    """The tests on a matrix of ranks without missing values (`common_block`); rows are tasks, columns contestants."""
    num_tasks, k = ranks.shape
    means = ranks.mean().sort_values(kind="stable")
    if num_tasks < FEWEST or k < FEWEST or bool((ranks.std(axis="columns") == 0).all()):
        absent = dict.fromkeys(("statistic", "p_value", "critical_difference"), math.nan)
        return Friedman(mean_ranks=means, num_tasks=num_tasks, level=1 - confidence, **absent)
    statistic, p_value = stats.friedmanchisquare(*(ranks[name] for name in ranks.columns))
    quantile = stats.studentized_range.ppf(confidence, k, math.inf) / math.sqrt(2)
    return Friedman(
        mean_ranks=means,
        num_tasks=num_tasks,
        statistic=float(statistic),
        p_value=float(p_value),
        critical_difference=float(quantile * math.sqrt(k * (k + 1) / (6 * num_tasks))),
        level=1 - confidence,
    )


def friedman_by_scale(table: pd.DataFrame, confidence: float = 0.95) -> dict[str, Friedman]:
    """The tests on the common tasks and contestants of a `ranking_table`, for each scale."""
    return {
        str(scale): friedman(common_block(rank_matrix(rows)).ranks, confidence)
        for scale, rows in table[table["task"] != OVERALL].groupby("scale", sort=False)
    }


def overall_significance(
    trials: pd.DataFrame, role: RankedRole | None = None, value: Value = "test_value", confidence: float = 0.95
) -> pd.DataFrame:
    """Friedman's and Nemenyi's test over tasks: one row per scale.

    Friedman's test asks whether the mean ranks over tasks differ at all. Only if it is significant, Nemenyi's test
    calls two contestants different if their mean ranks differ by more than the critical difference (Demšar 2006,
    section 3.2.2). Ranks, contestants and tasks are those of the overall rows of `ranking_table`.

    The columns:

    - `scale`
    - `num_tasks`, `num_regularizers`: N and k, the tasks and contestants without missing ranks
    - `friedman_statistic`, `friedman_p`: chi-squared corrected for ties, and its p. With fewer than 3 tasks or 3
      contestants these two, `critical_difference` and `smallest_reachable_p` are NaN
    - `critical_difference`: `q sqrt(k (k + 1) / (6 N))`, q the quantile of the studentized range divided by sqrt(2),
      whatever the result of Friedman's test
    - `different_pairs`: text, "A before B" for each significant pair; "" if Friedman's test is not significant
    - `smallest_reachable_p`: the smallest p that Friedman's test can give with these N and k
    - `sentence`: the smallest p of both tests in words, or that nothing can be tested

    Args:
        trials: from `load_trials`.
        role: as in `ranking_table`.
        value: as in `ranking_table`.
        confidence: 1 less the level of both tests, between 0 and 1.
    """
    return significance_of(ranking_table(trials, role=role, value=value, confidence=confidence), confidence)


def significance_of(table: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """`overall_significance`, computed from a `ranking_table`."""
    rows = []
    for scale, result in friedman_by_scale(table, confidence).items():
        k = len(result.mean_ranks)
        rows.append(
            {
                "scale": scale,
                "num_tasks": result.num_tasks,
                "num_regularizers": k,
                "friedman_statistic": result.statistic,
                "friedman_p": result.p_value,
                "critical_difference": result.critical_difference,
                "different_pairs": "; ".join(f"{better} before {worse}" for better, worse in result.different_pairs),
                "smallest_reachable_p": _smallest_p(result.num_tasks, k),
                "sentence": _sentence(result.num_tasks, k),
            }
        )
    return with_notes(pd.DataFrame(rows, columns=list(SIGNIFICANCE_COLUMNS)), notes_of(table))


def _smallest_p(num_tasks: int, num_regularizers: int) -> float:
    return smallest_friedman_p(num_tasks, num_regularizers) if min(num_tasks, num_regularizers) >= FEWEST else math.nan


def _sentence(num_tasks: int, num_regularizers: int) -> str:
    tasks = "1 task" if num_tasks == 1 else f"{num_tasks} tasks"
    contestants = "1 contestant" if num_regularizers == 1 else f"{num_regularizers} contestants"
    if num_tasks == 0:
        return "No task has values of all contestants, so nothing is compared over tasks."
    if min(num_tasks, num_regularizers) < FEWEST:
        return (
            f"With {tasks} and {contestants} in common nothing is tested over tasks: Friedman's test needs {FEWEST} of "
            "each."
        )
    return (
        f"With {tasks} and {contestants} the smallest p of Friedman's test is "
        f"{smallest_friedman_p(num_tasks, num_regularizers):.3g}, that of Nemenyi's test of a pair "
        f"{smallest_nemenyi_p(num_tasks, num_regularizers):.3g}."
    )
