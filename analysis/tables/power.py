"""What the tests behind the ranking can tell at best, known before anything has run: from the numbers alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import optimize, special, stats

from analysis.tables.overall import FEWEST, smallest_friedman_p, smallest_nemenyi_p, smallest_reachable_p
from analysis.tables.statistics import SMALLEST_SPREAD, smallest_t_p

POWER = 0.8
_NODES = 200  # of the quadrature; scipy's noncentral t gives NaN for 2 seeds
Cell = tuple[str, str]  # task, regularizer


def power_notes(cells: Sequence[Cell], num_seeds: int, baseline: str = "none", confidence: float = 0.95) -> list[str]:
    """Sentences on what the ranking of these cells (task, regularizer), each on so many seeds, can tell at best.

    How large a difference must be for the t-test, and the smallest p of each test, which follows from the numbers of
    seeds, tasks and contestants.
    """
    if num_seeds == 0:
        return ["Nothing is ranked: the cells have timing trials alone, or none."]
    of_task: dict[str, set[str]] = {}
    for task, regularizer in cells:
        of_task.setdefault(task, set()).add(regularizer)
    others = [len(names - {baseline}) for names in of_task.values() if baseline in names and len(names) > 1]
    return [*_on_a_task(others, num_seeds, baseline, 1 - confidence), *_over_tasks(of_task.values(), 1 - confidence)]


def smallest_difference(num_seeds: int, num_comparisons: int, level: float = 0.05) -> float:
    """How large a mean paired difference must be, in its standard deviations over seeds, to be significant.

    t_{1 - level / (2 c), n - 1} / sqrt(n): the paired t-test's threshold for the clearest of c comparisons, whose p
    Holm's correction multiplies by c.

    >>> round(smallest_difference(num_seeds=5, num_comparisons=1), 3)
    1.242
    """
    return float(stats.t.ppf(1 - level / (2 * num_comparisons), num_seeds - 1) / math.sqrt(num_seeds))


def detectable_difference(num_seeds: int, num_comparisons: int = 1, power: float = POWER, level: float = 0.05) -> float:
    """How large a true mean difference is found with this power, in standard deviations of the paired differences.

    The d at which P(|T| > t_{1 - level / (2 c), n - 1}) is `power`, T of the noncentral t distribution with n - 1
    degrees of freedom and noncentrality d sqrt(n) (Cohen 1988, chapter 2). Holm's correction over c comparisons finds
    at least what this level, Bonferroni's, finds. Infinite where the spread that is assumed at least
    (`statistics.SMALLEST_SPREAD`) lets no difference be significant.

    >>> round(detectable_difference(num_seeds=5), 2)
    1.68
    """
    freedom, root = num_seeds - 1, math.sqrt(num_seeds)
    threshold = float(stats.t.ppf(1 - level / (2 * num_comparisons), freedom))
    if threshold >= root / SMALLEST_SPREAD:
        return math.inf
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    bar = threshold * np.sqrt(special.chdtri(freedom, (1 - nodes) / 2) / freedom)  # over quantiles of the variance

    def missing(difference: float) -> float:
        shift = difference * root
        return float((special.ndtr(shift - bar) + special.ndtr(-shift - bar)) @ weights / 2) - power

    return float(optimize.brentq(missing, 0.0, 4 * (threshold + 4) / root))


def _on_a_task(num_others: Sequence[int], num_seeds: int, baseline: str, level: float) -> list[str]:
    """The paired t-tests against the baseline."""
    if not num_others:
        return [f"On a task nothing is tested: no task has the baseline {baseline!r} and somebody else."]
    if num_seeds < 2:
        return [f"On a task nothing can be told apart from {baseline!r}: a paired t-test needs 2 seeds or more."]
    largest = max(num_others)
    needed = smallest_difference(num_seeds, largest, level)
    found = detectable_difference(num_seeds, largest, level=level)
    floor = smallest_t_p(num_seeds)
    after = f"after Holm's correction over {largest} comparison(s) with {baseline!r}"
    if math.isinf(found):
        return [
            f"On a task no difference can be significant {after}: the smallest p of the paired t-test over {num_seeds} "
            f"seeds is {floor:.3g}. More seeds make it smaller."
        ]
    return [
        f"On a task, {after}, a true difference of {found:.2g} times its standard deviation over seeds is found with "
        f"{POWER:.0%} probability. The p of the clearest is below {level:.2g} once the mean difference measured is "
        f"{needed:.2g} times its standard deviation. The smallest p of the paired t-test over {num_seeds} seeds is "
        f"{floor:.3g}: that of one difference for every seed."
    ]


def _over_tasks(contestants: Iterable[set[str]], level: float) -> list[str]:
    """Friedman's and Nemenyi's test over the tasks, of those who compete on all, and a test of signs."""
    sets = list(contestants)
    num_tasks, num_common = len(sets), len(set.intersection(*sets)) if sets else 0
    if num_tasks < 2:
        return []
    sentences = [
        f"Over the {num_tasks} tasks the smallest p that a paired test (signs, Wilcoxon's) can reach is "
        f"{smallest_reachable_p(num_tasks):.3g}"
    ]
    if min(num_tasks, num_common) < FEWEST:
        return [f"{sentences[0]}; Friedman's test needs {FEWEST} tasks and {FEWEST} contestants that run on all."]
    nemenyi = smallest_nemenyi_p(num_tasks, num_common)
    verdict = "" if nemenyi < level else f": no pair can be told apart at {level:.2g}"
    return [
        f"{sentences[0]}, Friedman's over the {num_common} contestants that run on all of them "
        f"{smallest_friedman_p(num_tasks, num_common):.3g}, Nemenyi's of a pair {nemenyi:.3g}{verdict}."
    ]
