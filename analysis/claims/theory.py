"""Claims of the theory: measured on readings of the weights, whose optima are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.claims.claim import FAILS, HOLDS, Claim, Judgement, Results
from analysis.theory_rows import Evidence, evidence_of

Training = Literal["any", "end", "full"]

ROUNDING = 1e-5  # of sums of squares that networks in single precision leave behind
LARGEST_RMS = 1.5  # of deviations in units of their standard error, which is 1 where the law is the one claimed


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured for a claim: it holds where `value` is at most `limit`."""

    value: float
    limit: float
    measured: str

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the claim."""
        return self.value <= self.limit


def theory_claim(
    *,
    paper: str,
    name: str,
    statement: str,
    tasks: tuple[str, ...],
    measure: Callable[[Evidence], Finding],
    contestants: tuple[str, ...] = ("dropout",),
    training: Training = "any",
    incomparable: str = "",
) -> Claim:
    """A claim that `measure` decides on the trials of these contestants on these tasks.

    `training` says how much of it the claim is about: `any` part, or its `end`, which a shortened training can reach
    but not miss, or its `full` length, without which nothing can be said. `incomparable` is the reason why a
    measurement that differs says nothing against the paper.
    """

    def judge(results: Results) -> Judgement | None:
        evidence = evidence_of(results.trials, results.curves, tasks, contestants)
        if evidence is None:
            return None
        finding = measure(evidence)
        return Judgement(
            verdict=_verdict(finding, training, incomparable, evidence.scale),
            value=finding.value,
            limit=finding.limit,
            measured=finding.measured,
            num_trials=len(evidence.rows),
            scale=evidence.scale,
        )

    return Claim(paper=paper, name=name, statement=statement, tasks=tasks, judge=judge)


def _verdict(finding: Finding, training: Training, incomparable: str, scale: str) -> str:
    if np.isnan(finding.value):
        return "not comparable: the rows lack what it needs"
    if training == "full" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to tell"
    if finding.holds:
        return HOLDS
    if incomparable:
        return f"not comparable: {incomparable}"
    if training == "end" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to contradict it"
    return FAILS


def law(law: str) -> Callable[[Evidence], Finding]:
    """Deviations of the stochastic objective from a law, in standard errors of its sampled mean."""

    def measure(evidence: Evidence) -> Finding:
        read = evidence.readings
        relative = read[f"{law}_deviation"]
        errors = relative * read[f"{law}_objective"] / read["sampling_error"]
        rms = float(np.sqrt(errors.pow(2).mean()))
        text = (
            f"root mean square deviation {rms:.3g} standard errors over {len(read)} readings, mean relative deviation "
            f"{relative.mean():+.2g}, largest {relative.abs().max():.2g}"
        )
        return Finding(value=rms, limit=LARGEST_RMS, measured=text)

    return measure


def worst(column: Callable[[pd.DataFrame], pd.Series], limit: float, what: str) -> Callable[[Evidence], Finding]:
    """The largest mean over seeds of a last reading, over tasks, contestants and rates."""

    def measure(evidence: Evidence) -> Finding:
        last = evidence.last
        means = column(last).groupby([last["task"], last["regularizer"], last["drop_rate"]]).mean()
        text = (
            f"{what}: mean over seeds at most {means.max():.3g} over {len(means)} settings, smallest {means.min():.2g}"
        )
        return Finding(value=float(means.max()), limit=limit, measured=text)

    return measure


def never_below(evidence: Evidence) -> Finding:
    """How far the objective lies below its minimum at the lowest reading, relative to where training starts."""
    below = -float(evidence.readings["excess_objective"].min())
    text = f"smallest of {len(evidence.readings)} readings of (F - F*) / F(0): {-below:.2g}"
    return Finding(value=below, limit=ROUNDING, measured=text)


def mean_curve(read: pd.DataFrame, metric: str) -> pd.Series:
    """The metric over epochs, averaged over seeds."""
    return read.dropna(subset=[metric]).groupby("epoch")[metric].mean()


def largest_rise(curve: pd.Series) -> float:
    """The largest step upwards, over what the curve falls in all."""
    fall = float(curve.iloc[0] - curve.min())
    return float(curve.diff().max()) / fall if fall > 0 else np.inf


def singular_values(evidence: Evidence, name: str) -> pd.DataFrame:
    """Rows: drop rates; columns: places; means over seeds of the last readings."""
    last = evidence.last
    columns = [column for column in last.columns if column.startswith(f"{name}/")]
    columns.sort(key=lambda column: int(column.rpartition("/")[2]))
    return last.groupby("drop_rate")[columns].mean()
