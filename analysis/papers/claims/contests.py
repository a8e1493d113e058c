"""Claims that one method is more accurate than another, judged by tests on the means over seeds.

A paper says that "A is best" in a column of numbers, most of which are from one run. This asserts an order of means.
Our means have a standard error, so there are four verdicts:

* `does not hold` only if the contrary is significant: for some pair the mean has the wrong sign, and the two-sided test
  of its difference gives p < 5 % after Holm's correction over all pairs of the claim. The test is paired over seeds
  (runs of one seed share initial weights and data order), or Welch's if there are fewer than two common seeds.
* `holds` if every pair has the claimed order and each difference is significant by itself (p < 5 %). Because all must
  be significant, no correction is needed (intersection-union test, Berger 1982): with equal contestants at most 2.5 %
  of such claims hold. The p that is shown is the one that decides: without correction for a pair in the claimed order,
  after Holm's for one in the other.
* `too few seeds` if neither is significant, or if there is only one seed.
* `not comparable` if an entry of the paper's column was not run (it is easier to be best of fewer) and no pair
  contradicts the claim, if entries were tuned with unequal budgets, and at any scale but `paper`. The value is reported
  in these cases, too.

A failed seed has accuracy 0. For a measure without a worst value, an entry with a failed seed has no value.

Holm's correction keeps the probability of rejecting a true claim below 5 %, at the cost of power in long columns: with
5 seeds and 10 rivals, only large contradictions are significant.

A trend is judged by one least-squares slope per seed, tested against 0 over the seeds, because runs at different points
share the seed and are not independent. An equality holds if the confidence intervals of all differences are within the
margin; it does not hold if one difference is significantly outside of it, after Holm's correction over the pairs. A
reported gain holds if the difference is significantly above 0 and its confidence interval includes or exceeds the
reported gain; it does not hold if the interval is below the reported gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Judge, Judgement, Results
from analysis.papers.entries import Entry, Measure, Sample, accuracy_points, samples_of
from analysis.rows.notes import listed
from analysis.tables.statistics import LEVEL, Difference, difference_of_means, holm
from harness.records import SCALES

UNDECIDED = f"{TOO_FEW}: no significant difference"
ONE_SEED = f"{TOO_FEW}: one seed has no spread"
_MOST_NAMED = 3  # entries in one message


class Pair(NamedTuple):
    """The claim that one entry has a larger value than another."""

    higher: Entry
    lower: Entry


Pairs = Sequence[Pair] | Callable[[pd.DataFrame], Sequence[Pair]]
Points = Sequence[tuple[float, Entry]] | Callable[[pd.DataFrame], Sequence[tuple[float, Entry]]]


def best_of(best: Entry, entries: Iterable[Entry]) -> list[Pair]:
    """The pairs of the claim that one entry is better than all others."""
    return [Pair(best, rival) for rival in entries if rival != best]


def judge_order(pairs: Pairs, measure: Measure = accuracy_points) -> Judge:
    """Judge whether all pairs have the claimed order.

    The value of the judgement is the largest difference in the wrong direction, in % points; the limit is 0. `pairs`
    is a function of the trials for sweeps whose points the paper does not name.
    """

    def judge(results: Results) -> Judgement | None:
        claimed = pairs(results.trials) if callable(pairs) else pairs
        field_ = _field(results, [entry for pair in claimed for entry in pair], measure)
        if field_ is None:
            return None
        compared = [_Compared.of(pair, field_.samples) for pair in claimed if field_.has(*pair)]
        if not compared:
            return None
        corrected = holm([each.difference.p_value for each in compared])
        worst = min(compared, key=lambda each: each.difference.mean)
        sure = [each for each in compared if each.difference.mean > 0 and each.difference.p_value < LEVEL]
        against = [each for each, p in zip(compared, corrected, strict=True) if each.difference.mean < 0 and p < LEVEL]
        is_corrected = worst.difference.mean < 0 and len(compared) > 1
        p_value = corrected[compared.index(worst)] if is_corrected else worst.difference.p_value
        text = worst.words + _p_in_words(p_value, " after Holm's correction" * is_corrected)
        text += _of_pairs(len(compared), len(sure)) if len(compared) > 1 else ""
        verdict = _verdict(
            field_,
            contradicted=bool(against),
            has_spread=not any(math.isnan(p) for p in corrected),
            holds=len(sure) == len(compared),
        )
        return field_.judgement(verdict, value=-worst.difference.mean, limit=0.0, measured=text)

    return judge


def judge_trend(points: Points, sign: int, per: str, measure: Measure = accuracy_points) -> Judge:
    """Judge whether the measure rises (`sign` = 1) or falls (-1) along the points.

    The value of the judgement is the mean slope times -`sign`; the limit is 0. `per` is the unit of the slope in words.
    """

    def judge(results: Results) -> Judgement | None:
        claimed = points(results.trials) if callable(points) else points
        field_ = _field(results, [entry for _, entry in claimed], measure)
        if field_ is None:
            return None
        ran = [(place, field_.samples[entry].by_seed) for place, entry in claimed if field_.has(entry)]
        seeds = sorted(set.intersection(*(set(values) for _, values in ran))) if ran else []
        if len(ran) < 2 or not seeds:
            return None
        places = [place for place, _ in ran]
        slopes = [float(np.polyfit(places, [values[seed] for _, values in ran], 1)[0]) for seed in seeds]
        slope = difference_of_means(dict(enumerate(slopes)), dict.fromkeys(range(len(slopes)), 0.0))
        mean, p_value = slope.mean, slope.p_value
        text = f"slope {mean:+.3g} {per} over {len(ran)} points"
        if len(slopes) > 1:
            text += f", 95 % interval {slope.low:+.3g} to {slope.high:+.3g}"
        verdict = _verdict(
            field_,
            contradicted=sign * mean < 0 and p_value < LEVEL,
            has_spread=len(slopes) > 1,
            holds=sign * mean > 0 and p_value < LEVEL,
        )
        return field_.judgement(verdict, value=-sign * mean, limit=0.0, measured=text)

    return judge


def judge_equal(pairs: Sequence[Pair], margin: float, obstacle: Callable[[pd.DataFrame], str] = lambda _: "") -> Judge:
    """Judge whether all pairs are equal within a margin, in % points.

    The value of the judgement is the largest absolute end of a confidence interval; the limit is the margin.
    `obstacle` returns why the two entries cannot be equal in these rows, or an empty text.
    """

    def judge(results: Results) -> Judgement | None:
        field_ = _field(results, [entry for pair in pairs for entry in pair], accuracy_points)
        if field_ is None:
            return None
        compared = [_Compared.of(pair, field_.samples) for pair in pairs if field_.has(*pair)]
        if not compared:
            return None
        farthest = max(compared, key=lambda each: abs(each.difference.mean))
        ends = [max(abs(each.difference.low), abs(each.difference.high)) for each in compared]
        found = verdict_of_equality([each.difference for each in compared], margin)
        verdict = _verdict(field_, contradicted=found == FAILS, has_spread=found != ONE_SEED, holds=found == HOLDS)
        reason = obstacle(field_.rows)
        text = f"{farthest.words}, 95 % interval {farthest.interval}"
        return field_.judgement(
            f"not comparable: {reason}" if reason else verdict, value=float(max(ends)), limit=margin, measured=text
        )

    return judge


def verdict_of_equality(differences: Sequence[Difference], margin: float) -> str:
    """The verdict on the claim that all differences are within ± margin."""
    if one_is_beyond(differences, margin, 1) or one_is_beyond(differences, -margin, -1):
        return FAILS
    if any(math.isnan(each.low) for each in differences):
        return ONE_SEED
    return HOLDS if all(-margin <= each.low and each.high <= margin for each in differences) else UNDECIDED


def one_is_beyond(differences: Sequence[Difference], limit: float, sign: int) -> bool:
    """Whether one difference is significantly above (`sign` = 1) or below (-1) a limit, after Holm's correction."""
    return any(
        p < LEVEL for p in holm([d.p_value_at(limit) if sign * (d.mean - limit) > 0 else 1.0 for d in differences])
    )


def judge_gain(pair: Pair, reported: float, measure: Measure = accuracy_points) -> Judge:
    """Judge whether the first entry exceeds the second by the reported number of % points.

    The value of the judgement is the reported gain less the upper end of the confidence interval; the limit is 0.
    """

    def judge(results: Results) -> Judgement | None:
        field_ = _field(results, pair, measure)
        if field_ is None or not field_.has(*pair):
            return None
        compared = _Compared.of(pair, field_.samples)
        gain = compared.difference
        verdict = _verdict(
            field_,
            contradicted=gain.high < reported,
            has_spread=not math.isnan(gain.p_value),
            holds=gain.high >= reported and gain.mean > 0 and gain.p_value < LEVEL,
        )
        text = f"{compared.words}, 95 % interval {compared.interval} (reported {reported:+.2f})"
        missing = reported - (gain.mean if math.isnan(gain.high) else gain.high)
        return field_.judgement(verdict, value=missing, limit=0.0, measured=text)

    return judge


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The samples of all entries of a claim at one scale."""

    scale: str
    rows: pd.DataFrame
    samples: Mapping[Entry, Sample]
    missing: list[str] = field(default_factory=list)

    @property
    def unequal_budgets(self) -> str:
        """The budgets of the entries in words if they are unequal, else empty."""
        budgets = {sample.budget: entry.label for entry, sample in self.samples.items() if sample.by_seed}
        return (
            ", ".join(f"{label} with {budget}" for budget, label in sorted(budgets.items())) if len(budgets) > 1 else ""
        )

    def has(self, *entries: Entry) -> bool:
        return all(self.samples[entry].by_seed for entry in entries)

    def judgement(self, verdict: str, *, value: float, limit: float, measured: str) -> Judgement:
        return Judgement(
            verdict=verdict,
            value=value,
            limit=limit,
            measured=measured,
            num_trials=sum(sample.num_trials for sample in self.samples.values()),
            scale=self.scale,
        )


class _Compared(NamedTuple):
    pair: Pair
    difference: Difference

    @classmethod
    def of(cls, pair: Pair, samples: Mapping[Entry, Sample]) -> _Compared:
        return cls(pair, difference_of_means(samples[pair.higher].by_seed, samples[pair.lower].by_seed))

    @property
    def words(self) -> str:
        return f"{self.pair.higher.label} {self.difference.mean:+.2f} points against {self.pair.lower.label}"

    @property
    def interval(self) -> str:
        low, high = self.difference.low, self.difference.high
        return "unknown" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"


def _field(results: Results, entries: Iterable[Entry], measure: Measure) -> _Field | None:
    """The samples at the scale closest to the paper's at which two entries have values; None if there is none."""
    entries = list(dict.fromkeys(entries))
    trials = results.trials
    about = trials["task"].isin({e.task for e in entries}) & trials["regularizer"].isin(
        {e.regularizer for e in entries}
    )
    is_accuracy = trials["metric"].fillna("accuracy").eq("accuracy")  # rows of failed trials may lack the metric
    trials = trials[about & is_accuracy & trials["role"].ne("timing")]
    for scale in SCALES:
        rows = trials[trials["scale"] == scale]
        if rows.empty:
            continue
        samples = samples_of(rows, entries, measure)
        if sum(bool(sample.by_seed) for sample in samples.values()) >= 2:
            missing = [
                entry.label if sample.why == "not run" else f"{entry.label} ({sample.why})"
                for entry, sample in samples.items()
                if not sample.by_seed
            ]
            return _Field(scale=scale, rows=rows, samples=samples, missing=missing)
    return None


def _verdict(field_: _Field, *, contradicted: bool, has_spread: bool, holds: bool) -> str:
    if field_.scale != "paper":
        return f"not comparable: scale {field_.scale}"
    if field_.unequal_budgets:
        return f"not comparable: unequal budgets ({field_.unequal_budgets})"
    if contradicted:
        return FAILS
    if field_.missing:
        return f"not comparable: no value of {listed(field_.missing, _MOST_NAMED)}"
    if not has_spread:
        return ONE_SEED
    return HOLDS if holds else UNDECIDED


def _p_in_words(p_value: float, how: str = "") -> str:
    return "" if math.isnan(p_value) else f" (p = {p_value:.2g}{how})"


def _of_pairs(count: int, sure: int) -> str:
    return f", the closest of {count}; significant for {sure}"
