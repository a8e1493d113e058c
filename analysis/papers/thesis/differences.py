"""Claims on differences of means over seeds, by the rule of `analysis.papers.claims.contests`.

A claim `holds` if every difference is significantly above the claimed amount: its 95 % interval lies above it, which
needs no correction, because all must (intersection-union test). It `does not hold` if one difference is significantly
below the amount after Holm's correction over all of them, and is undecided otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import pandas as pd

from analysis.papers.claims.claim import FAILS, HOLDS, Judgement
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED, one_is_beyond
from analysis.tables.statistics import Difference
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
    contradicted = one_is_beyond(list(differences.values()), least, -1)
    if training == "full" and scale != "paper":
        verdict = f"not comparable: scale {scale} ends training too early to tell"
    elif any(math.isnan(each.low) for each in differences.values()):
        verdict = ONE_SEED
    elif low > least:
        verdict = HOLDS
    elif contradicted:
        early = "" if scale == "paper" else f"scale {scale} ends training too early to contradict it"
        reason = elsewhere or early
        verdict = f"not comparable: {reason}" if reason else FAILS
    else:
        verdict = UNDECIDED
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
