"""The data types of claims: a sentence of a paper, and the function that judges it from rows and curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.tables.timing import timing_table

HOLDS, FAILS = "holds", "does not hold"
TOO_FEW = "too few seeds"  # start of the verdict if the measurement does not differ significantly from chance
NOT_RUN = "not comparable: not run"
VACUOUS = "vacuous: the bound is at least 1, and no error is above that"


@dataclass(frozen=True, kw_only=True)
class Results:
    """The input of all judges: the `current_rows`, and all curves."""

    trials: pd.DataFrame
    curves: pd.DataFrame

    @cached_property
    def tasks(self) -> frozenset[str]:
        """The tasks of these rows."""
        return frozenset(self.trials["task"])

    @cached_property
    def timing(self) -> pd.DataFrame:
        """The `timing_table` of these rows."""
        return timing_table(self.trials)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was measured for a claim, and the verdict."""

    verdict: str  # HOLDS, FAILS, VACUOUS, "too few seeds: <why>" or "not comparable: <why>"
    value: float
    limit: float  # the largest value that agrees with the claim
    measured: str  # what the value is, in words, with its uncertainty
    num_trials: int
    scale: str


def verdict_of_bound(error: float, bound: float) -> str:
    """The verdict on an upper bound of an error in [0, 1]; a bound of at least 1 holds trivially and is vacuous.

    >>> verdict_of_bound(0.1, 0.4), verdict_of_bound(0.5, 0.4)
    ('holds', 'does not hold')
    >>> verdict_of_bound(0.1, 10.9)
    'vacuous: the bound is at least 1, and no error is above that'
    """
    if bound >= 1:
        return VACUOUS
    return HOLDS if error <= bound else FAILS


Judge = Callable[[Results], Judgement | None]  # None if the trials did not run


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of a paper that rows can support or contradict."""

    paper: str
    name: str  # its place in the paper, and a keyword
    statement: str
    tasks: tuple[str, ...]
    judge: Judge
