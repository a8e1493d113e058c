"""Selection rules: each picks the tune trial whose hyperparameters are confirmed."""

from __future__ import annotations

import math
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
    values = [(spec, done.validation_value) for spec, done in tuned]
    finite = [(spec, value) for spec, value in values if value is not None and math.isfinite(value)]
    if not finite:
        raise ValueError("None of the tune trials has a validation value that is a finite number.")
    # max returns the first of equals: the earliest trial
    return max(finite, key=lambda item: item[1] if higher_is_better else -item[1])[0]


BEST_VALIDATION = SelectionRule("best_validation", _best_validation)
"""The trial with the best validation value, the earliest of equals. It never sees the test set."""
