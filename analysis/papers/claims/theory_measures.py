"""How claims of the theory are measured on readings of the weights: a measure names the readings it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.papers.claims.evidence import Evidence

ROUNDING = 1e-5  # of sums of squares that networks in single precision leave behind
LAW_MARGIN = 0.05  # of the objective, within which a mean deviation from a law must surely lie
LARGEST_RMS = 1.5  # of deviations in units of their standard error, which is 1 where the law is the one claimed


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured for a claim: it holds where `value` is at most `limit`, and is open where `value` is no number.

    `measured` says in words what the value is.
    """

    value: float
    limit: float
    measured: str
    too_few: str = ""  # why the value is not told from chance, empty where it is

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the claim."""
        return self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What finds the value of a claim, and the metrics that every contestant must have been read for."""

    reads: tuple[str, ...]
    find: Callable[[Evidence], Finding]


def reads(*metrics: str) -> Callable[[Callable[[Evidence], Finding]], Measure]:
    """Make a function the measure that needs these metrics; `name` stands for numbered ones (`name/1`, ...) too."""

    def measure(find: Callable[[Evidence], Finding]) -> Measure:
        return Measure(reads=metrics, find=find)

    return measure


def law(law: str) -> Measure:
    """Deviations of the stochastic objective from a law, in standard errors of its sampled mean.

    Few samples have a large standard error, within which any law holds: where the mean deviation, less or more twice
    its standard error, is not within 5 % of the objective, they are too few to bear the law out.
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
    """The largest last reading, over tasks, contestants and rates: `of` their means over seeds, or of single trials."""

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
    """How far training ends above the minimum, relative to what the network that answers 0 costs."""
    return worst(
        lambda last: last["excess_objective"], limit, "(F - F*) / F(0) at the end", ("excess_objective",), of=of
    )


@reads("excess_objective")
def never_below(evidence: Evidence) -> Finding:
    """How far the objective lies below its minimum at the lowest reading, relative to the network that answers 0."""
    below = -float(evidence.readings["excess_objective"].min())
    text = f"smallest of {len(evidence.readings)} readings of (F - F*) / F(0): {-below:.2g}"
    return Finding(value=below, limit=ROUNDING, measured=text)


def mean_curve(read: pd.DataFrame, metric: str) -> pd.Series:
    """The metric over epochs, averaged over seeds."""
    return read.dropna(subset=[metric]).groupby("epoch")[metric].mean()


def largest_rise(curve: pd.Series, least_fall: float = 0.0) -> float:
    """The largest step upwards, over what the curve falls in all.

    Infinite where it falls by no more than `least_fall` of where it starts, and no number where it has one point.
    """
    if len(curve) < 2:
        return np.nan
    fall = float(curve.iloc[0] - curve.min())
    return float(curve.diff().max()) / fall if fall > least_fall * abs(float(curve.iloc[0])) else np.inf


def numbered(frame: pd.DataFrame, name: str) -> list[str]:
    """The columns `name/1`, `name/2`, ... in this order."""
    columns = [column for column in frame.columns if column.startswith(f"{name}/")]
    return sorted(columns, key=lambda column: int(column.rpartition("/")[2]))


def singular_values(evidence: Evidence, name: str) -> pd.DataFrame:
    """Rows: drop rates; columns: places; means over seeds of the last readings."""
    last = evidence.last
    return last.groupby("drop_rate")[numbered(last, name)].mean()
