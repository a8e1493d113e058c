"""Power of the tests behind the ranking, from the numbers of seeds, tasks and contestants, before anything has run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import optimize, special, stats

from analysis.tables.overall import FEWEST, smallest_friedman_p, smallest_nemenyi_p, smallest_reachable_p
from analysis.tables.statistics import LEVEL, SMALLEST_SPREAD, smallest_t_p

POWER = 0.8
_NODES = 200  # of the quadrature; scipy's noncentral t gives NaN for 2 seeds
Cell = tuple[str, str]  # task, regularizer


def power_notes(cells: Sequence[Cell], num_seeds: int, baseline: str = "none", confidence: float = 0.95) -> list[str]:
    """Sentences on the power of a ranking: which differences its tests can detect, and the smallest p of each test.

    Args:
        cells: the planned pairs (task, regularizer).
        num_seeds: planned seeds of each cell.
        baseline: the contestant that all others are compared with.
        confidence: 1 less the level of the tests, between 0 and 1.
    """
    if num_seeds == 0:
        return ["Nothing is ranked: the cells have no trials, or timing trials only."]
    of_task: dict[str, set[str]] = {}
    for task, regularizer in cells:
        of_task.setdefault(task, set()).add(regularizer)
    others = [len(names - {baseline}) for names in of_task.values() if baseline in names and len(names) > 1]
    return [*_on_a_task(others, num_seeds, baseline, 1 - confidence), *_over_tasks(of_task.values(), 1 - confidence)]


def smallest_difference(num_seeds: int, num_comparisons: int, level: float = LEVEL) -> float:
    """The smallest measured difference that is significant, in standard deviations of the paired differences.

    t_{1 - level / (2 c), n - 1} / sqrt(n): the threshold of the paired t-test for the smallest of c p values, which
    Holm's correction multiplies by c.

    >>> round(smallest_difference(num_seeds=5, num_comparisons=1), 3)
    1.242
    """
    return float(stats.t.ppf(1 - level / (2 * num_comparisons), num_seeds - 1) / math.sqrt(num_seeds))


def detectable_difference(
    num_seeds: int, num_comparisons: int = 1, power: float = POWER, level: float = LEVEL
) -> float:
    """The true mean difference that is detected with this power, in standard deviations of the paired differences.

    If the seeds of two contestants vary independently with equal standard deviations s, that of their differences is
    sqrt(2) s.

    The d at which P(|T| > t_{1 - level / (2 c), n - 1}) is `power`, for T with a noncentral t distribution with n - 1
    degrees of freedom and noncentrality d sqrt(n) (Cohen 1988, chapter 2). The level is that of Bonferroni's correction
    over c comparisons; Holm's has at least this power. Infinite if no difference can be significant because of
    `statistics.SMALLEST_SPREAD`.

    >>> round(detectable_difference(num_seeds=5), 2)
    1.68
    """
    freedom, root = num_seeds - 1, math.sqrt(num_seeds)
    threshold = float(stats.t.ppf(1 - level / (2 * num_comparisons), freedom))
    if threshold >= root / SMALLEST_SPREAD:
        return math.inf
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # P(|Z + d sqrt(n)| > t s) for each quantile of the sample standard deviation s, then the mean over these.
    bounds = threshold * np.sqrt(special.chdtri(freedom, (1 - nodes) / 2) / freedom)

    def power_above_wanted(difference: float) -> float:
        shift = difference * root
        return float((special.ndtr(shift - bounds) + special.ndtr(-shift - bounds)) @ weights / 2) - power

    return float(optimize.brentq(power_above_wanted, 0.0, 4 * (threshold + 4) / root))


def _on_a_task(num_others: Sequence[int], num_seeds: int, baseline: str, level: float) -> list[str]:
    """The paired t-tests against the baseline."""
    if not num_others:
        return [f"On a task nothing is tested: no task has the baseline {baseline!r} and another contestant."]
    if num_seeds < 2:
        return [f"On a task nothing is tested against {baseline!r}: a paired t-test needs 2 seeds or more."]
    largest = max(num_others)
    needed = smallest_difference(num_seeds, largest, level)
    detectable = detectable_difference(num_seeds, largest, level=level)
    smallest = smallest_t_p(num_seeds)
    after = f"after Holm's correction over {largest} comparison(s) with {baseline!r}"
    if math.isinf(detectable):
        return [
            f"On a task no difference can be significant {after}: the smallest p of the paired t-test over {num_seeds} "
            f"seeds is {smallest:.3g}. More seeds make it smaller."
        ]
    return [
        f"On a task, {after}, a true difference of {detectable:.2g} standard deviations (of the paired differences "
        f"over seeds) is detected with {POWER:.0%} probability. A measured difference is significant at {level:.2g} "
        f"from {needed:.2g} standard deviations on. The smallest p of the paired t-test over {num_seeds} seeds is "
        f"{smallest:.3g}, if the difference is the same for every seed."
    ]


def _over_tasks(contestants: Iterable[set[str]], level: float) -> list[str]:
    """Tests over the tasks: Friedman's and Nemenyi's for the contestants on all tasks, sign and signed-rank tests."""
    sets = list(contestants)
    num_tasks, num_common = len(sets), len(set.intersection(*sets)) if sets else 0
    if num_tasks < 2:
        return []
    sentences = [
        f"Over the {num_tasks} tasks the smallest p of a sign test or Wilcoxon's signed-rank test is "
        f"{smallest_reachable_p(num_tasks):.3g}"
    ]
    if min(num_tasks, num_common) < FEWEST:
        return [f"{sentences[0]}; Friedman's test needs {FEWEST} tasks and {FEWEST} contestants that run on all."]
    nemenyi = smallest_nemenyi_p(num_tasks, num_common)
    verdict = "" if nemenyi < level else f", so no pair can differ significantly at {level:.2g}"
    return [
        f"{sentences[0]}. Over the {num_common} contestants that run on all of them, that of Friedman's test is "
        f"{smallest_friedman_p(num_tasks, num_common):.3g}, and of Nemenyi's test of a pair {nemenyi:.3g}{verdict}."
    ]
