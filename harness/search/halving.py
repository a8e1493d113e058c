"""Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): the worse trials of a search stop early.

Proposals are compared in brackets of `BRACKET` trials, in the order in which they were made. All train to the first
rung, after 1/9 of the epochs; one in `KEPT` continues from its checkpoint to the next rung, after 1/3, and one in
`KEPT` of these to the last epoch. A rung is decided only when every trial of its bracket has reached it, so the
decisions depend on the values, not on which trial ends first. (The pruners of Optuna and Tune decide by the values that
have arrived so far, so a resumed search would decide differently.)

A bracket takes 26 % of the epochs of nine whole trainings: (9 * 1/9 + 3 * 2/9 + 1 * 2/3) / 9.

The first proposals of the first bracket, `NUM_SPARED` of them, are not stopped, and the others compete without them:
that is the contestant's default setting, where its space holds it. Values at the first rung favour weak regularization,
so the setting of a paper may be behind there although it ends ahead. The first bracket takes 36 % of the epochs of nine
whole trainings: (9 * 1/9 + 4 * 2/9 + 2 * 2/3) / 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from harness.results.trial_summary import TrialSummary

BRACKET = 9
KEPT = 3  # one in so many continues after a rung
NUM_SPARED = 1  # proposals, the first ones of a search, that train to the end
FRACTIONS = (Fraction(1, 9), Fraction(1, 3))
NAME = " ".join(map(str, FRACTIONS))
"""Name of the rule: the column `halving`, and part of a trial's identity."""


def rung_epochs(num_epochs: int) -> tuple[int, ...]:
    """The numbers of epochs after which trials are compared; short trainings have fewer rungs, or none.

    >>> rung_epochs(160), rung_epochs(3), rung_epochs(1)
    ((18, 53), (1,), ())
    """
    epochs = {max(1, round(num_epochs * fraction)) for fraction in FRACTIONS}
    return tuple(sorted(each for each in epochs if each < num_epochs))


def bracket_epochs(num_epochs: int, num_spared: int = 0) -> int:
    """The most epochs that the trials of a bracket take together, of trainings of `num_epochs` epochs.

    >>> bracket_epochs(9)  # 9 trials for 1 epoch, 3 of them for 2 more, 1 for the last 6
    21
    >>> bracket_epochs(9, num_spared=1)  # 9 trials for 1 epoch, 1 + 3 of them for 2 more, 1 + 1 for the last 6
    29
    """
    total, num_competing, begin = 0, BRACKET - num_spared, 0
    for end in (*rung_epochs(num_epochs), num_epochs):
        total += (num_spared + num_competing) * (end - begin)
        num_competing, begin = _num_promoted(num_competing), end
    return total


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The state of a bracket; trials are named by their index in it."""

    going: dict[int, int] = field(default_factory=dict)  # trial -> rung to train to now; `num_rungs` is the last epoch
    over: frozenset[int] = frozenset()  # trials whose outcome is final


def standing(
    outcomes: Sequence[TrialSummary | None], num_rungs: int, higher_is_better: bool, num_spared: int = 0
) -> Standing:
    """The state of a bracket, from the outcomes so far.

    Args:
        outcomes: the newest one of each trial, in the order of proposals; None if it has not reached a rung.
        num_rungs: number of rungs before the last epoch; with 0 every trial trains to its last epoch.
        higher_is_better: direction of the validation value.
        num_spared: number of trials, the first ones, that no rung stops.
    """
    active, over = list(range(len(outcomes))), set[int]()
    for rung in range(num_rungs):
        behind = [place for place in active if _rung(outcomes[place], num_rungs) < rung]
        if behind:
            return Standing(going=dict.fromkeys(behind, rung), over=frozenset(over))
        further = [place for place in active if _rung(outcomes[place], num_rungs) > rung]
        here = [place for place in active if place not in further]
        stopped = [place for place in here if _is_stopped(outcomes[place])]
        spared, competing = _parted(stopped, num_spared)
        # Trials beyond this rung were promoted here before; only their newest values are stored.
        num_left = _num_promoted(len(_parted(active, num_spared)[1])) - len(_parted(further, num_spared)[1])
        competing.sort(key=lambda place: (_loss(outcomes[place], higher_is_better), place))
        best = [*spared, *competing[: max(0, num_left)]]
        over |= set(here) - set(best)
        active = sorted([*further, *best])
    going = {place: num_rungs for place in active if _rung(outcomes[place], num_rungs) < num_rungs}
    return Standing(going=going, over=frozenset(over | (set(active) - set(going))))


def _num_promoted(num_competing: int) -> int:
    return -(-num_competing // KEPT)


def _parted(places: Sequence[int], num_spared: int) -> tuple[list[int], list[int]]:
    """Those that are spared, and those that compete."""
    return [place for place in places if place < num_spared], [place for place in places if place >= num_spared]


def _rung(finished: TrialSummary | None, num_rungs: int) -> int:
    """The rung to which a trial trained, however it ended; -1 for none, `num_rungs` without halving."""
    if finished is None:
        return -1
    return num_rungs if finished.rung is None else min(finished.rung, num_rungs)


def _is_stopped(finished: TrialSummary | None) -> bool:
    return finished is not None and finished.status == "pruned" and finished.validation_value is not None


def _loss(finished: TrialSummary | None, higher_is_better: bool) -> float:
    assert finished is not None
    assert finished.validation_value is not None
    return -finished.validation_value if higher_is_better else finished.validation_value
