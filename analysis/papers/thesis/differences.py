"""Claims on differences of means over seeds, judged by tests with correction for multiple comparisons.

A claim `holds` if every difference is significantly above the claimed amount, `does not hold` if one is significantly
below it after Holm's correction, and is undecided otherwise. "Significantly above" means that the 95 % interval lies
above the amount; for several differences and an amount of 0, that the mean is positive and its p value after Holm's
correction is below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import pandas as pd

from analysis.papers.claims.claim import FAILS, HOLDS, Judgement
from analysis.papers.claims.contests import LEVEL, ONE_SEED, UNDECIDED, one_is_beyond
from analysis.tables.statistics import Difference, holm
from harness.records import SCALES


def judge_differences(
    differences: Mapping[str, Difference],
    rows: pd.DataFrame,
    *,
    training: Literal["end", "full"],
    least: float = 0.0,
    words: str,
    elsewhere: str = "",
) -> Judgement:
    """Judge whether all differences are above `least`.

    The value of the judgement is `least` less the lowest end of the confidence intervals; the limit is 0.

    Args:
        differences: of means over seeds, by name.
        rows: the trials that they were computed from, all of one scale.
        training: which part of training the claim is about. "end": a shortened training can support the claim, but not
            contradict it. "full": only scale `paper` is judged.
        least: the claimed lower bound of the differences.
        words: what a difference is.
        elsewhere: why a difference below `least` does not contradict the paper; empty if it does.
    """
    scale = min(rows["scale"], key=SCALES.index)
    low = min(each.low for each in differences.values())
    several = len(differences) > 1
    corrected = holm([each.p_value for each in differences.values()])
    sure = all(p < LEVEL and each.mean > least for p, each in zip(corrected, differences.values(), strict=True))
    if several and least == 0:
        contradicted = any(p < LEVEL and each.mean < 0 for p, each in zip(corrected, differences.values(), strict=True))
    else:
        contradicted = one_is_beyond(list(differences.values()), least, -1)
    if training == "full" and scale != "paper":
        verdict = f"not comparable: scale {scale} ends training too early to tell"
    elif any(math.isnan(each.low) for each in differences.values()):
        verdict = ONE_SEED
    elif sure if several and least == 0 else low > least:
        verdict = HOLDS
    elif contradicted:
        early = "" if scale == "paper" else f"scale {scale} ends training too early to contradict it"
        reason = elsewhere or early
        verdict = f"not comparable: {reason}" if reason else FAILS
    else:
        verdict = UNDECIDED + " after Holm's correction" * (several and least == 0)
    # Show the difference that decides the verdict: one that contradicts the claim, or the one with the lowest interval.
    end = "mean" if math.isnan(low) else "high" if contradicted else "low"
    shown = min(differences, key=lambda name: float(getattr(differences[name], end)))
    decides = differences[shown]
    interval = "" if math.isnan(decides.low) else f", 95 % interval {decides.low:+.3f} to {decides.high:+.3f}"
    rest = f", the {'lowest' if contradicted or math.isnan(low) else 'least certain'} of {len(differences)}" * several
    return Judgement(
        verdict=verdict,
        value=least - (decides.mean if math.isnan(low) else low),
        limit=0.0,
        measured=f"{words}: {decides.mean:+.3f}{interval} ({shown}{rest})",
        num_trials=len(rows),
        scale=scale,
    )
