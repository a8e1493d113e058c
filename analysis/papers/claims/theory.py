"""Claims of the theory, judged on readings of the weights of networks with known optima."""

from __future__ import annotations

from typing import Literal

import numpy as np

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Claim, Judgement, Results
from analysis.papers.claims.evidence import Evidence, evidence_of
from analysis.papers.claims.theory_measures import Finding, Measure

Training = Literal["any", "end", "full"]
Complete = Literal["readings", "settings", "trials"]
_NOT_OF_WEIGHTS = ("steps_per_epoch", "sampling_error")  # metrics that do not depend on the weights
_MOST_NAMED = 3  # settings in one message


def theory_claim(
    *,
    paper: str,
    name: str,
    statement: str,
    tasks: tuple[str, ...],
    measure: Measure,
    contestants: tuple[str, ...] = ("dropout",),
    training: Training = "any",
    complete: Complete = "settings",
    incomparable: str = "",
) -> Claim:
    """Make a claim that is judged by a measure of these contestants on these tasks.

    Args:
        paper: its name.
        name: the place in the paper.
        statement: the claim in one sentence.
        tasks: all of these have to be run.
        measure: computes the value and the limit of the judgement.
        contestants: all of these have to be run on each task.
        training: which part of training the claim is about. "any": every part, so that shortened trainings are judged.
            "end": a shortened training can support the claim, but not contradict it. "full": only scale `paper` counts.
        complete: which trials must have readings for the claim to hold. "settings": at least one of each setting;
            "trials": all; "readings": any, because the claim is about each reading. Diverged trials never contradict a
            claim, since the papers give no learning rates.
        incomparable: why a measurement outside the limit is no evidence against the paper; empty if it is evidence.
    """

    def judge(results: Results) -> Judgement | None:
        found = evidence_of(results.trials, results.curves, tasks, contestants)
        if found is None:
            return None
        evidence = found.finite(measure.reads)
        missing = _missing(evidence, measure)
        finding = Finding(value=np.nan, limit=np.nan, measured="") if missing else measure.find(evidence)
        obstacle = missing or _unfinished(evidence, complete)
        return Judgement(
            verdict=_verdict(finding, training, obstacle, incomparable, evidence.scale),
            value=finding.value,
            limit=finding.limit,
            measured="; ".join(part for part in (finding.measured, _lost(evidence)) if part),
            num_trials=len(evidence.rows),
            scale=evidence.scale,
        )

    return Claim(paper=paper, name=name, statement=statement, tasks=tasks, judge=judge)


def _untrained(evidence: Evidence) -> bool:
    """Whether all metrics of the weights are the same at the first and the last reading."""
    read = evidence.readings
    names = [name for name in set(evidence.curves["metric"]) if name in read and name not in _NOT_OF_WEIGHTS]
    first, last = (getattr(read.groupby("trial_id")[names], end)() for end in ("first", "last"))
    return bool(((first == last) | first.isna()).all(axis=None))


def _lost(evidence: Evidence) -> str:
    """The trials without readings in words, with the settings for which there are no others."""
    settings = evidence.lost_settings
    named = "; ".join(settings) if len(settings) <= _MOST_NAMED else f"{len(settings)} settings"
    return f"{evidence.losses}, including all of {named}" if settings else evidence.losses


def _missing(evidence: Evidence, measure: Measure) -> str:
    """Why the measure cannot be computed; empty if it can."""
    if not evidence.all_are_read:
        return evidence.losses
    if _untrained(evidence):
        return "the weights did not change in training"
    lacking = evidence.lacks(measure.reads)
    return f"the rows lack what it needs ({', '.join(lacking)})" if lacking else ""


def _unfinished(evidence: Evidence, complete: Complete) -> str:
    """Why the measurement cannot support the claim; empty if it can."""
    lost = {"readings": False, "settings": bool(evidence.lost_settings), "trials": not evidence.lost.empty}
    return evidence.losses if lost[complete] else ""


def _verdict(finding: Finding, training: Training, obstacle: str, incomparable: str, scale: str) -> str:
    if np.isnan(finding.value):
        return f"not comparable: {obstacle or 'the rows lack what it needs'}"
    if finding.too_few:
        return f"{TOO_FEW}: {finding.too_few}"
    if training == "full" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to tell"
    if finding.holds:
        return f"not comparable: {obstacle}" if obstacle else HOLDS
    if incomparable:
        return f"not comparable: {incomparable}"
    if training == "end" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to contradict it"
    return FAILS
