"""The shape of a claim: a sentence of a paper, and how rows judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.tables.timing import timing_table

HOLDS, FAILS = "holds", "does not hold"
TOO_FEW = "too few seeds"  # begins the verdict where what was measured is not told from chance
NOT_RUN = "not comparable: not run"
VACUOUS = "vacuous: the bound is at least 1, and no error is above that"


@dataclass(frozen=True, kw_only=True)
class Results:
    """What claims are judged by: the rows that count now (`current_rows`), and their curves."""

    trials: pd.DataFrame
    curves: pd.DataFrame

    @cached_property
    def timing(self) -> pd.DataFrame:
        """The `timing_table` of these rows."""
        return timing_table(self.trials)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was measured for a claim, and what follows."""

    verdict: str  # HOLDS, FAILS, VACUOUS, "too few seeds: <why>" or "not comparable: <why>"
    value: float
    limit: float  # the largest value that bears the claim out
    measured: str  # what the value is, in words, with all that helps to weigh it
    num_trials: int
    scale: str


def verdict_of_bound(error: float, bound: float) -> str:
    """Whether an error in [0, 1] keeps a bound; a bound from 1 on is kept by every error, which is no finding.

    >>> verdict_of_bound(0.1, 0.4), verdict_of_bound(0.5, 0.4)
    ('holds', 'does not hold')
    >>> verdict_of_bound(0.1, 10.9)
    'vacuous: the bound is at least 1, and no error is above that'
    """
    if bound >= 1:
        return VACUOUS
    return HOLDS if error <= bound else FAILS


Judge = Callable[[Results], Judgement | None]  # None where the trials did not run


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper that rows can bear out or contradict."""

    paper: str
    name: str  # with its place in the paper
    statement: str
    tasks: tuple[str, ...]
    judge: Judge
