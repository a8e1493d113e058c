"""Claims about time, judged on ratios to the unregularized network, because the papers do not name their hardware.

An order of costs `holds` if, for each pair of neighbouring methods, the ranges of their trials do not overlap, the
probability of that under equality is at most 5 %, and the medians differ by more than 1 %, the precision of repeated
timings. It `does not hold` if all this is true of some pair in the opposite order, at 5 % divided by the number of
pairs (Bonferroni).

The probability is 1 / C(n + m, n) with n and m trials (Mann and Whitney 1947). If the baseline was not timed itself,
its ratio is 1 by definition, without noise, and the probability is 2^-n, that of the sign test: 5 trials are needed.

A reported ratio `holds` if ours is within 10 % of it and on the same side of 1. Another ratio does not contradict the
paper, because the hardware differs.

Neither verdict is given if a method was timed in one trial only, or at scale `smoke`, which has other batch sizes.
Scale `short` is allowed, since it only makes fewer steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.papers.claims.claim import FAILS, HOLDS, Judge, Judgement, Results
from analysis.tables.statistics import LEVEL
from harness.records import SCALES

TOLERANCE = 0.1  # relative; the median of a few timing trials is reproducible to a few per cent
SMALLEST_STEP = 0.01  # relative; smaller differences of times are noise
FEWEST_TRIALS = 2  # of each method, so that one disturbed trial does not decide
FULL_STEP_SCALES = ("paper", "short")  # scales with the batch size, network and images of the paper
BASELINE = "none"


def judge_cost_order(task: str, methods: Sequence[str]) -> Judge:
    """Judge whether each method takes longer than the one before.

    The value of the judgement is the largest ratio of the earlier to the later method, less 1; the limit is 0.
    """

    def judge(results: Results) -> Judgement | None:
        timed = _timed(results, task, methods)
        ran = [method for method in methods if timed is not None and method in timed.ratios]
        if timed is None or len(ran) < 2:
            return None
        steps = [(timed.ratios[cheap], timed.ratios[dear]) for cheap, dear in itertools.pairwise(ran)]
        excess = max(cheap.median / dear.median - 1 for cheap, dear in steps)
        missing = [method for method in methods if method not in timed.ratios]
        if timed.objection:
            verdict = timed.objection
        elif any(dear.surely_below(cheap, LEVEL / len(steps)) for cheap, dear in steps):
            verdict = FAILS
        elif missing:
            verdict = f"not comparable: not timed: {', '.join(missing)}"
        else:
            sure = all(cheap.surely_below(dear, LEVEL) for cheap, dear in steps)
            verdict = HOLDS if sure else "too few trials: no significant order of the costs"
        text = ", ".join(f"{method} {timed.ratios[method].median:.2f}" for method in ran)
        return timed.judgement(verdict, value=excess, limit=0.0, text=f"times of a step over none: {text}")

    return judge


def judge_cost(task: str, method: str, against: str, reported: float) -> Judge:
    """Judge whether a step of `method` takes `reported` times as long as a step of `against`.

    The value of the judgement is the relative deviation of our ratio from the reported one; the limit is `TOLERANCE`.
    """

    def judge(results: Results) -> Judgement | None:
        timed = _timed(results, task, (method, against))
        if timed is None or not {method, against} <= set(timed.ratios):
            return None
        ratio = timed.ratios[method].median / timed.ratios[against].median
        deviation = abs(math.log(ratio / reported))
        agrees = deviation <= math.log1p(TOLERANCE) and (ratio > 1) == (reported > 1)
        verdict = HOLDS if agrees else "not comparable: the paper names no hardware, on which such a ratio depends"
        verdict = timed.objection or verdict
        text = f"{ratio:.2f} times {against} (reported {reported:.2f})"
        return timed.judgement(verdict, value=math.expm1(deviation), limit=TOLERANCE, text=text)

    return judge


class _Ratio(NamedTuple):
    median: float
    low: float
    high: float
    num_trials: float  # infinite for the baseline if it was not timed itself: its ratio is 1 by definition

    def surely_below(self, other: _Ratio, level: float) -> bool:
        """Whether all ratios are below those of the other, significantly and by more than `SMALLEST_STEP`."""
        apart = self.high < other.low and self.median * (1 + SMALLEST_STEP) < other.median
        return apart and _p_of_order(self.num_trials, other.num_trials) <= level


def _p_of_order(n: float, m: float) -> float:
    """The probability under equality that all of n ratios are below all of m others; infinite for a constant.

    >>> _p_of_order(3, 3), _p_of_order(5, math.inf)
    (0.05, 0.03125)
    """
    if math.isinf(max(n, m)):
        return math.pow(0.5, min(n, m))  # each of the ratios is on one side of the constant
    return 1 / math.comb(int(n + m), int(n))


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """Ratios of times to the unregularized twin, by method, on one machine and at one scale."""

    ratios: dict[str, _Ratio]
    scale: str
    hardware: str
    num_trials: int

    @property
    def objection(self) -> str:
        """Why no verdict is possible; empty if one is."""
        if self.scale not in FULL_STEP_SCALES:
            return f"not comparable: scale {self.scale}"
        once = [name for name, ratio in self.ratios.items() if ratio.num_trials < FEWEST_TRIALS]
        return f"not comparable: timed in one trial only: {', '.join(once)}" if once else ""

    def judgement(self, verdict: str, *, value: float, limit: float, text: str) -> Judgement:
        return Judgement(
            verdict=verdict,
            value=value,
            limit=limit,
            measured=f"{text}; on {self.hardware} (the paper names no hardware)",
            num_trials=self.num_trials,
            scale=self.scale,
        )


def _timed(results: Results, task: str, methods: Sequence[str]) -> _Timed | None:
    """The ratios at the scale closest to the paper's, on the machine with the most methods.

    The ratio of the baseline is 1 if it was not timed itself.
    """
    table = results.timing
    table = table[(table["task"] == task) & table["regularizer"].isin(methods)]
    for scale in SCALES:
        at_scale = table[table["scale"] == scale]
        if at_scale["regularizer"].ne(BASELINE).any():
            hardware = str(at_scale["hardware_key"].value_counts().sort_index().idxmax())
            rows = at_scale[at_scale["hardware_key"] == hardware]
            ratios = {BASELINE: _Ratio(1.0, 1.0, 1.0, math.inf)} if BASELINE in methods else {}
            columns = ["regularizer", "ratio", "ratio_low", "ratio_high", "n"]
            ratios |= {name: _Ratio(*numbers) for name, *numbers in rows[columns].itertuples(index=False, name=None)}
            return _Timed(ratios=ratios, scale=scale, hardware=hardware, num_trials=int(rows["n"].sum()))
    return None
