"""Selection rules: each picks the tune trial whose hyperparameters are confirmed.

Rows hold the rule's name (column `selection`): contestants are compared only if the same rule picked all winners.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import BadInput
from harness.records import Selection, TrialSpec
from harness.results.trial_summary import TrialSummary
from tasks.task import Task

Tuned = Sequence[tuple[TrialSpec, TrialSummary]]
Value = Callable[[TrialSummary], float | None]


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """A named way to pick one of the tune trials that succeeded.

    Attributes:
        name: as in `--select` and in the rows.
        value: the value of a trial that it compares.
        within_error: whether all trials within one standard error of the best count as equally good.
        sees_test: whether the value is from the test split; tune trials are then evaluated on it.
    """

    name: Selection
    value: Value
    within_error: bool = False
    sees_test: bool = False

    def choose(self, tuned: Tuned, higher_is_better: bool, num_samples: int | None = None) -> TrialSpec:
        """The trial with the best value; the earliest of equally good ones.

        Within one standard error of the best means `|v - best| <= sqrt(best (1 - best) / n)`, the error of a share of
        n samples (Breiman et al. 1984, section 3.4.3; Hastie et al. 2009, section 7.10). Where these authors take the
        simplest model, the earliest trial is taken here: the first proposal is the paper's own setting.

        Args:
            tuned: in the order of proposals.
            higher_is_better: direction of the value.
            num_samples: n, of the validation split; needed by rules with `within_error`.

        Raises:
            ValueError: if no trial has a finite value.
        """
        values = [(spec, self.value(done)) for spec, done in tuned]
        finite = [(spec, value) for spec, value in values if value is not None and math.isfinite(value)]
        if not finite:
            raise ValueError("None of the tune trials has a validation value that is a finite number.")
        losses = [-value if higher_is_better else value for _, value in finite]
        limit = min(losses)
        if self.within_error:
            assert num_samples is not None, "checked when the campaign was planned"
            limit += math.sqrt(abs(limit) * (1 - abs(limit)) / num_samples)
        return next(spec for (spec, _), loss in zip(finite, losses, strict=True) if loss <= limit)

    def check(self, task: str, metric: str, num_samples: int | None) -> None:
        """Check that the rule can be applied to a task.

        Raises:
            BadInput: if it needs the standard error of a share, and the task's metric is none.
        """
        if self.within_error and not (metric.endswith("accuracy") and num_samples):
            raise BadInput(
                f"--select {self.name} needs tasks whose metric is an accuracy on a known number of samples; {task} "
                f"measures {metric}. Leave the task out with --skip, or use --select best_validation."
            )


BEST_VALIDATION = SelectionRule(name="best_validation", value=lambda done: done.validation_value)
"""The best validation value after the last epoch. It never sees the test set."""

RULES: dict[str, SelectionRule] = {
    rule.name: rule
    for rule in (
        BEST_VALIDATION,
        SelectionRule(name="best_epoch", value=lambda done: done.best_validation_value),
        SelectionRule(name="one_standard_error", value=lambda done: done.validation_value, within_error=True),
        SelectionRule(name="oracle", value=lambda done: done.test_value, sees_test=True),
    )
}
"""The rules by name. `best_epoch` takes each trial's epoch with the best validation value, whose test value is then
ranked. `oracle` looks at the test set: an upper bound for other rules (Gulrajani and Lopez-Paz 2021, section 3)."""


def rule_named(name: str) -> SelectionRule:
    """The rule of this name.

    Raises:
        BadInput: if there is none.
    """
    if name not in RULES:
        raise BadInput(f"--select must be one of {', '.join(RULES)}, got {name!r}.")
    return RULES[name]


def num_validation(task: Task, scale: str) -> int | None:
    """Number of samples in the validation split; None if the task does not know it without its data."""
    workload = task.workload(scale)
    return None if workload is None else workload.num_validation
