"""Selection rules: each picks the tune trial whose hyperparameters are confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.records import TrialSpec
from harness.results.trial_summary import TrialSummary

Tuned = Sequence[tuple[TrialSpec, TrialSummary]]


@dataclass(frozen=True)
class SelectionRule:
    """A named way to pick one of the tune trials that succeeded."""

    name: str
    choose: Callable[[Tuned, bool], TrialSpec]


def _best_validation(tuned: Tuned, higher_is_better: bool) -> TrialSpec:
    def goodness(item: tuple[TrialSpec, TrialSummary]) -> float:
        value = item[1].validation_value
        assert value is not None  # a tune trial that succeeded has one
        return value if higher_is_better else -value

    return max(tuned, key=goodness)[0]  # max returns the first of equals: the earliest trial


BEST_VALIDATION = SelectionRule("best_validation", _best_validation)
"""The trial with the best validation value, the earliest of equals. It never sees the test set."""
