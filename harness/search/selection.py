"""Selection rules: each picks the tune trial whose hyperparameters are confirmed.

A rule has a name that stands in the rows (column `selection`): contestants meet only where one rule picked all winners.
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
        name: as `--select` takes it and rows hold it.
        value: what it looks at in a trial.
        within_error: whether all trials within one standard error of the best count as equally good.
        sees_test: whether that is the test split; its tune trials are evaluated on it.
    """

    name: Selection
    value: Value
    within_error: bool = False
    sees_test: bool = False

    def choose(self, tuned: Tuned, higher_is_better: bool, num_samples: int | None = None) -> TrialSpec:
        """The trial with the best value, of equally good ones the earliest.

        Within one standard error of the best means `|v - best| <= sqrt(best (1 - best) / n)`, the error of a share of
        n samples (Breiman et al. 1984, section 3.4.3; Hastie et al. 2009, section 7.10). The earliest trial stands for
        their simplest model: the first proposal is the paper's own setting, which is left only for a difference that
        shows.

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
        """Make sure that the rule can be applied to a task.

        Raises:
            BadInput: if not, with the reason.
        """
        if self.within_error and not (metric.endswith("accuracy") and num_samples):
            raise BadInput(
                f"--select {self.name} needs tasks whose validation value is a share of a known number of samples; "
                f"{task} measures {metric}. Leave the task out with --skip, or select by best_validation."
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
"""By name. `best_epoch` looks at the epoch that was best in validation, whose test value then is ranked; `oracle`
looks at the test set, and says at most how well a better rule could do (Gulrajani and Lopez-Paz 2021, section 3)."""


def rule_named(name: str) -> SelectionRule:
    """The rule of this name.

    Raises:
        BadInput: if there is none.
    """
    if name not in RULES:
        raise BadInput(f"--select must be one of {', '.join(RULES)}, got {name!r}.")
    return RULES[name]


def num_validation(task: Task, scale: str) -> int | None:
    """Samples of one evaluation on the validation split; None where the task cannot tell without its data."""
    workload = task.workload(scale)
    return None if workload is None else workload.num_validation
