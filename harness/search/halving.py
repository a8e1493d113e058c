"""Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): the worse trials of a search stop early.

Proposals are compared in brackets of `BRACKET`, in the order of asking. All train to the first rung, a share of the
epochs; there one in `KEPT` goes on, from its checkpoint, to the next rung, and in the end to the whole training. A rung
is decided when every trial of its bracket has reached it, never before: so the decisions are a function of the values
alone, whatever ends first. Optuna's and Tune's own pruners decide by what has arrived, which no resumption repeats.

A bracket takes 26 % of the epochs of as many whole trainings: 9 of 1/9, 3 of 2/9 more, 1 of 2/3 more, over 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from harness.results.trial_summary import TrialSummary

BRACKET = 9
KEPT = 3
FRACTIONS = (Fraction(1, 9), Fraction(1, 3))
NAME = " ".join(map(str, FRACTIONS))
"""Of the rule, as rows and identities of trials hold it."""


def rung_epochs(num_epochs: int) -> tuple[int, ...]:
    """After how many epochs trials are compared; shorter trainings have fewer rungs, or none.

    >>> rung_epochs(160), rung_epochs(3), rung_epochs(1)
    ((18, 53), (1,), ())
    """
    epochs = {max(1, round(num_epochs * fraction)) for fraction in FRACTIONS}
    return tuple(sorted(each for each in epochs if each < num_epochs))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Of a bracket's trials, by their places in it."""

    going: dict[int, int] = field(default_factory=dict)  # to which rung they are to train now; the last is the end
    over: frozenset[int] = frozenset()  # whose outcome is final


def standing(outcomes: Sequence[TrialSummary | None], num_rungs: int, higher_is_better: bool) -> Standing:
    """Where a bracket stands.

    Args:
        outcomes: of its trials in the order of asking, the newest of each; None for one that has not reached a rung.
        num_rungs: before the end; with 0 every trial trains to its end.
        higher_is_better: direction of the values at the rungs.
    """
    active, over = list(range(len(outcomes))), set[int]()
    for rung in range(num_rungs):
        behind = [place for place in active if _rung(outcomes[place], num_rungs) < rung]
        if behind:
            return Standing(going=dict.fromkeys(behind, rung), over=frozenset(over))
        further = [place for place in active if _rung(outcomes[place], num_rungs) > rung]
        here = [place for place in active if place not in further]
        stopped = [place for place in here if _is_stopped(outcomes[place])]
        # What went further was promoted, and its value here is no longer known: the best of the others join it.
        num_promoted = max(0, -(-len(active) // KEPT) - len(further))
        best = sorted(stopped, key=lambda place: (_loss(outcomes[place], higher_is_better), place))[:num_promoted]
        over |= set(here) - set(best)
        active = sorted([*further, *best])
    going = {place: num_rungs for place in active if _rung(outcomes[place], num_rungs) < num_rungs}
    return Standing(going=going, over=frozenset(over | (set(active) - set(going))))


def _rung(finished: TrialSummary | None, num_rungs: int) -> int:
    """The rung to which a trial trained, whatever became of it; that of whole trainings is the end."""
    if finished is None:
        return -1
    return num_rungs if finished.rung is None else min(finished.rung, num_rungs)


def _is_stopped(finished: TrialSummary | None) -> bool:
    return finished is not None and finished.status == "pruned" and finished.validation_value is not None


def _loss(finished: TrialSummary | None, higher_is_better: bool) -> float:
    assert finished is not None
    assert finished.validation_value is not None
    return -finished.validation_value if higher_is_better else finished.validation_value
