"""Measures for claims of the theory: functions of the readings of weights, with the metrics that they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.papers.claims.evidence import Evidence

ROUNDING = 1e-5  # rounding error of sums of squares in single precision
LAW_MARGIN = 0.05  # relative to the objective; a mean deviation must be within it with two standard errors
LARGEST_RMS = 1.5  # of deviations divided by their standard errors; its expected value is 1 if the law is true


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The measurement for a claim, which agrees with it if `value <= limit`.

    Attributes:
        value: NaN if it cannot be computed.
        limit: the largest value that agrees with the claim.
        measured: what the value is, in words.
        too_few: why the value may be due to chance; empty if it is not.
    """

    value: float
    limit: float
    measured: str
    too_few: str = ""

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the claim."""
        return self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The function that computes a finding, and the metrics that every contestant must have logged."""

    reads: tuple[str, ...]
    find: Callable[[Evidence], Finding]


def reads(*metrics: str) -> Callable[[Callable[[Evidence], Finding]], Measure]:
    """Decorate a function as a measure that needs these metrics; `name` also means numbered metrics (`name/1`, ...)."""

    def measure(find: Callable[[Evidence], Finding]) -> Measure:
        return Measure(reads=metrics, find=find)

    return measure


def law(law: str) -> Measure:
    """Root mean square deviation of the stochastic objective from a law, in standard errors of its sampled mean.

    With few samples the standard errors are so large that every law fits. The verdict is therefore "too few" if the
    mean deviation plus or minus two standard errors exceeds 5 % of the objective.
    """

    @reads(f"{law}_deviation", f"{law}_objective", "sampling_error")
    def measure(evidence: Evidence) -> Finding:
        read = evidence.readings
        relative = read[f"{law}_deviation"]
        errors = relative * read[f"{law}_objective"] / read["sampling_error"]
        rms = float(np.sqrt(errors.pow(2).mean()))
        text = (
            f"root mean square deviation {rms:.3g} standard errors over {len(read)} readings, mean relative deviation "
            f"{relative.mean():+.2g}, largest {relative.abs().max():.2g}"
        )
        error = float((read["sampling_error"] / read[f"{law}_objective"]).pow(2).mean() ** 0.5 / len(read) ** 0.5)
        farthest = abs(float(relative.mean())) + 2 * error
        few = rms <= LARGEST_RMS and farthest > LAW_MARGIN
        why = f"the samples leave room for a deviation of {farthest:.0%}" if few else ""
        return Finding(value=rms, limit=LARGEST_RMS, measured=text, too_few=why)

    return measure


def worst(
    column: Callable[[pd.DataFrame], pd.Series],
    limit: float,
    what: str,
    needs: tuple[str, ...],
    of: Literal["means", "trials"] = "means",
) -> Measure:
    """The largest value at the last reading, over tasks, contestants and drop rates.

    Args:
        column: computes the value from a frame of last readings.
        limit: the largest value that agrees with the claim.
        what: the value in words.
        needs: the metrics that `column` uses.
        of: "means" over seeds, or single "trials".
    """

    @reads(*needs)
    def measure(evidence: Evidence) -> Finding:
        last = evidence.last
        values = column(last)
        means = values.groupby([last["task"], last["regularizer"], last["drop_rate"]]).mean().dropna()
        text = (
            f"{what}: mean over seeds at most {means.max():.3g} over {len(means)} settings, smallest {means.min():.2g}"
        )
        if of == "means":
            return Finding(value=float(means.max()), limit=limit, measured=text)
        missed = int((values > limit).sum())
        text += f"; at most {values.max():.3g} in one trial, above {limit:g} in {missed} of {values.count()}"
        return Finding(value=float(values.max()), limit=limit, measured=text)

    return measure


def excess(limit: float, of: Literal["means", "trials"] = "means") -> Measure:
    """How far the objective is above its minimum at the end, relative to the objective of the zero network."""
    return worst(
        lambda last: last["excess_objective"], limit, "(F - F*) / F(0) at the end", ("excess_objective",), of=of
    )


@reads("excess_objective")
def never_below(evidence: Evidence) -> Finding:
    """How far the lowest reading of the objective is below its minimum, relative to the zero network's objective."""
    below = -float(evidence.readings["excess_objective"].min())
    text = f"smallest of {len(evidence.readings)} readings of (F - F*) / F(0): {-below:.2g}"
    return Finding(value=below, limit=ROUNDING, measured=text)


def mean_curve(read: pd.DataFrame, metric: str) -> pd.Series:
    """The metric over epochs, averaged over seeds."""
    return read.dropna(subset=[metric]).groupby("epoch")[metric].mean()


def largest_rise(curve: pd.Series, least_fall: float = 0.0) -> float:
    """The largest increase between neighbouring points, relative to the total decrease of the curve.

    Infinite if the curve decreases by no more than the fraction `least_fall` of its first value; NaN with one point.
    """
    if len(curve) < 2:
        return np.nan
    fall = float(curve.iloc[0] - curve.min())
    return float(curve.diff().max()) / fall if fall > least_fall * abs(float(curve.iloc[0])) else np.inf


def places_of(frame: pd.DataFrame, name: str) -> list[int]:
    """The numbers i of the columns `name/i`."""
    return sorted(int(column.rpartition("/")[2]) for column in frame.columns if column.startswith(f"{name}/"))


def numbered(frame: pd.DataFrame, name: str) -> list[str]:
    """The columns `name/1`, `name/2`, ... in numerical order."""
    return [f"{name}/{place}" for place in places_of(frame, name)]


def singular_values(evidence: Evidence, name: str) -> pd.DataFrame:
    """Means over seeds at the last reading: rows are drop rates, columns are the numbers of the singular values."""
    last = evidence.last
    return last.groupby("drop_rate")[numbered(last, name)].mean()
