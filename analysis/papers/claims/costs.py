"""Claims about time, as ratios to the unregularized network: minutes of unknown hardware cannot be compared.

Ratios of timing trials are, as far as ratios go: the network is the paper's, the machine is not. An order of costs
`holds` where in each step the ranges of the trials are apart in that direction by chance in at most 5 % of cases (of n
and m trials, 1 in C(n + m, n), Mann and Whitney 1947), and the medians differ by more than 1 %, to which times repeat.
It `does not hold` where that is so in the wrong direction for some step, in at most 5 % of cases over all steps. A
ratio `holds` within 10 % of the reported one and on its side of 1; another one on other hardware says nothing against
the paper. Neither verdict is given where a method was timed in one trial alone, which has no range, nor at scale
`smoke`, whose batches are another size. Scale `short` counts: it makes fewer steps, of the same kind.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.papers.claims.claim import FAILS, HOLDS, Judge, Judgement, Results
from harness.records import SCALES

TOLERANCE = 0.1  # relative; a median of a few timing trials repeats to a few per cent
LEVEL = 0.05
SMALLEST_STEP = 0.01  # relative; below it an order of times is one of noise
FEWEST_TRIALS = 2  # of each method, lest one disturbed trial decide
FULL_STEP_SCALES = ("paper", "short")  # whose steps are the paper's: batch, network and images alike
BASELINE = "none"
_MANY = 1000  # stands for a number of trials without end


def judge_cost_order(task: str, methods: Sequence[str]) -> Judge:
    """Each method takes longer than the one before. The value is the largest ratio against that, less 1; at most 0."""

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
            verdict = HOLDS if sure else "too few trials: those timed do not tell the costs apart"
        text = ", ".join(f"{method} {timed.ratios[method].median:.2f}" for method in ran)
        return timed.judgement(verdict, value=excess, limit=0.0, text=f"times of a step over none: {text}")

    return judge


def judge_cost(task: str, method: str, against: str, reported: float) -> Judge:
    """A step takes `reported` times as long as against another method. The value is the relative deviation from it."""

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
    num_trials: float  # infinite of the baseline where it was not timed itself: it is 1 by definition

    def surely_below(self, other: _Ratio, level: float) -> bool:
        """Whether the ranges are apart by more than chance does, and the medians by more than `SMALLEST_STEP`."""
        n, m = (int(min(each.num_trials, _MANY)) for each in (self, other))
        by_chance = 1 / math.comb(n + m, n)  # that of two equal ones all trials of this lie below all of the other
        return self.high < other.low and self.median * (1 + SMALLEST_STEP) < other.median and by_chance <= level


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """Times over the unregularized twin, by method, all of one machine and scale."""

    ratios: dict[str, _Ratio]
    scale: str
    hardware: str
    num_trials: int

    @property
    def objection(self) -> str:
        """Why nothing follows from these times, empty where something does."""
        if self.scale not in FULL_STEP_SCALES:
            return f"not comparable: scale {self.scale}"
        once = [name for name, ratio in self.ratios.items() if ratio.num_trials < FEWEST_TRIALS]
        return f"not comparable: timed in one trial alone: {', '.join(once)}" if once else ""

    def judgement(self, verdict: str, *, value: float, limit: float, text: str) -> Judgement:
        return Judgement(
            verdict=verdict,
            value=value,
            limit=limit,
            measured=f"{text}; on {self.hardware}, while the paper names no hardware",
            num_trials=self.num_trials,
            scale=self.scale,
        )


def _timed(results: Results, task: str, methods: Sequence[str]) -> _Timed | None:
    """At the fullest scale, on the hardware where most methods were timed. The baseline, if it was not, takes 1."""
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
