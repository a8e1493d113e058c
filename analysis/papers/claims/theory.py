"""Claims of the theory: measured on readings of the weights, whose optima are known."""

from __future__ import annotations

from typing import Literal

import numpy as np

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Claim, Judgement, Results
from analysis.papers.claims.evidence import Evidence, evidence_of
from analysis.papers.claims.theory_measures import Finding, Measure

Training = Literal["any", "end", "full"]
Complete = Literal["readings", "settings", "trials"]
_NO_READINGS = ("steps_per_epoch", "sampling_error")  # of the schedule and of the sampling, not of the weights
_MOST_NAMED = 3  # settings in one sentence


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
    """A claim that `measure` decides on the trials of these contestants on these tasks.

    `training` says how much of it the claim is about: `any` part, or its `end`, which a shortened training can reach
    but not miss, or its `full` length, without which nothing can be said. `complete` says what must have come to an end
    before the claim can hold: some trial of each of the `settings`, all `trials`, or, where it speaks of each reading,
    no more than the `readings` that there are; a trial that diverged cannot contradict a paper that gives no learning
    rate. `incomparable` is the reason why a measurement that differs says nothing against the paper.
    """

    def judge(results: Results) -> Judgement | None:
        found = evidence_of(results.trials, results.curves, tasks, contestants)
        if found is None:
            return None
        evidence = found.finite(measure.reads)
        missing = _missing(evidence, measure)
        finding = Finding(value=np.nan, limit=np.nan, measured="") if missing else measure.find(evidence)
        open_question = missing or _unfinished(evidence, complete)
        return Judgement(
            verdict=_verdict(finding, training, open_question, incomparable, evidence.scale),
            value=finding.value,
            limit=finding.limit,
            measured="; ".join(part for part in (finding.measured, _lost(evidence)) if part),
            num_trials=len(evidence.rows),
            scale=evidence.scale,
        )

    return Claim(paper=paper, name=name, statement=statement, tasks=tasks, judge=judge)


def _untrained(evidence: Evidence) -> bool:
    """Whether nothing that was read of the weights is other than before training."""
    read = evidence.readings
    names = [name for name in set(evidence.curves["metric"]) if name in read and name not in _NO_READINGS]
    first, last = (getattr(read.groupby("trial_id")[names], end)() for end in ("first", "last"))
    return bool(((first == last) | first.isna()).all(axis=None))


def _lost(evidence: Evidence) -> str:
    """What is lost, with the settings of which all is."""
    settings = evidence.lost_settings
    named = "; ".join(settings) if len(settings) <= _MOST_NAMED else f"{len(settings)} settings"
    return f"{evidence.losses}, among them all of {named}" if settings else evidence.losses


def _missing(evidence: Evidence, measure: Measure) -> str:
    """Why the measure cannot be taken at all; empty where it can."""
    if not evidence.all_are_read:
        return evidence.losses
    if _untrained(evidence):
        return "the weights are those before training"
    lacking = evidence.lacks(measure.reads)
    return f"the rows lack what it needs ({', '.join(lacking)})" if lacking else ""


def _unfinished(evidence: Evidence, complete: Complete) -> str:
    """Why what was measured cannot bear the claim out; empty where it can."""
    lost = {"readings": False, "settings": bool(evidence.lost_settings), "trials": not evidence.lost.empty}
    return evidence.losses if lost[complete] else ""


def _verdict(finding: Finding, training: Training, open_question: str, incomparable: str, scale: str) -> str:
    if np.isnan(finding.value):
        return f"not comparable: {open_question or 'the rows lack what it needs'}"
    if finding.too_few:
        return f"{TOO_FEW}: {finding.too_few}"
    if training == "full" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to tell"
    if finding.holds:
        return f"not comparable: {open_question}" if open_question else HOLDS
    if incomparable:
        return f"not comparable: {incomparable}"
    if training == "end" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to contradict it"
    return FAILS
