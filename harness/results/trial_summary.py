"""The columns of an ended trial that a campaign needs: to replay a study, select a winner and estimate times."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.records import INTENDED, SUCCESSES, Scalar, TrialRecord

_SECONDS = ("train_seconds", "evaluation_seconds", "setup_seconds")
FINISHED_COLUMNS = (
    "trial_id", "status", "validation_value", "best_validation_value", "test_value", "task", "regularizer", "role",
    "rung", "epochs_run", *_SECONDS,
)  # fmt: skip


class Proposals(dict[str, Mapping[str, Scalar]]):
    """Proposed hyperparameters by a digest of all that they depend on (`harness.search.studies`)."""

    def __init__(self, known: Mapping[str, Mapping[str, Scalar]] | None = None) -> None:
        super().__init__(known or {})
        self._by_value: dict[str, tuple[list[float], list[Mapping[str, Scalar]]]] = {}  # sorted, by hyperparameter

    def near(self, name: str, value: float, difference: float) -> list[Mapping[str, Scalar]]:
        """The proposals in which this hyperparameter differs by at most this share from a value.

        Those that were added after the first question for the hyperparameter are not found.

        >>> Proposals({"a": {"rate": 0.1}, "b": {"rate": 0.2}, "c": {"size": 3}}).near("rate", 0.1001, 0.01)
        [{'rate': 0.1}]
        """
        if name not in self._by_value:
            having = [each for each in self.values() if isinstance(each.get(name), float)]
            having.sort(key=lambda each: float(each[name]))
            self._by_value[name] = [float(each[name]) for each in having], having
        values, having = self._by_value[name]
        width = difference * abs(value)
        return having[bisect_left(values, value - width) : bisect_right(values, value + width)]


@dataclass(frozen=True)
class TrialSummary:
    """One trial that ended, with or without a result."""

    trial_id: str
    status: str
    validation_value: float | None
    task: str = ""
    regularizer: str = ""
    role: str = ""
    best_validation_value: float | None = None
    test_value: float | None = None  # tune trials have it only in the oracle's search
    rung: int | None = None  # the rung to which it trained, if its search uses halving
    epochs_run: int | None = None  # in all, over all parts of its training; None if the trial failed
    seconds: float = 0.0  # of training, evaluation and setup

    @property
    def has_result(self) -> bool:
        """Whether the trial succeeded, with a finite validation value; timing trials need none."""
        value = self.validation_value
        return self.status in SUCCESSES and (value is None or math.isfinite(value))

    @property
    def is_rejection(self) -> bool:
        """Whether it is a tune trial that diverged: for its study that is an outcome, not a failure."""
        return self.role == "tune" and self.status == "diverged"

    @property
    def is_failure(self) -> bool:
        """Whether the trial should have a result and has none."""
        if self.status in SUCCESSES:
            return not self.has_result
        return not (self.is_rejection or self.status in INTENDED)

    @classmethod
    def of(cls, record: TrialRecord) -> TrialSummary:
        """From a record just made."""
        spec = record.spec
        known = {"task": spec.task, "regularizer": spec.regularizer, "role": spec.role, "rung": spec.rung}
        return cls.from_row({**record.values, **known, "trial_id": record.trial_id, "status": record.status})

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> TrialSummary:
        """From the columns FINISHED_COLUMNS of a row; missing times count as 0 seconds."""
        named: dict[str, Any] = {name: row.get(name) for name in FINISHED_COLUMNS if name not in _SECONDS}
        return cls(**named, seconds=sum(row.get(name) or 0.0 for name in _SECONDS))
