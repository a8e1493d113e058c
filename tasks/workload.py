"""The amount of work of one training, known before it begins: the basis of time estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tasks.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Steps and evaluations of one training at one scale.

    Evaluations are counted in samples; a task whose evaluation is one reading of the network, whatever the number of
    samples in it, counts 1 for it (and `rehearse` likewise).
    """

    num_epochs: int
    steps_per_epoch: int
    batch_size: int
    num_evaluations: int  # the network before training included
    num_validation: int  # samples of one evaluation
    num_test: int  # further samples of one evaluation, where the test split is seen
    num_train_evaluated: int = 0  # once, at the very end
    num_train_seen: int = 0  # training samples of one evaluation, where the test split is seen

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        *,
        num_train: int,
        num_validation: int,
        num_test: int,
        num_train_evaluated: int = 0,
    ) -> Self:
        """What the training loop makes of a protocol (at its scale) and of so many samples, before its limits."""
        num_train = _at_most(num_train, protocol.max_train_samples)
        num_train_evaluated = _at_most(min(num_train_evaluated, num_train), protocol.max_evaluation_samples)
        batch_size = min(protocol.batch_size, num_train)
        return cls(
            num_epochs=protocol.epochs,
            steps_per_epoch=protocol.steps_per_epoch or num_train // batch_size,
            batch_size=batch_size,
            num_evaluations=1 + len(protocol.evaluated_epochs()),
            num_validation=_at_most(num_validation, protocol.max_evaluation_samples),
            num_test=_at_most(num_test, protocol.max_evaluation_samples),
            num_train_evaluated=num_train_evaluated,
            num_train_seen=num_train_evaluated if protocol.evaluate_train else 0,
        )

    @property
    def num_steps(self) -> int:
        """Steps of the whole training."""
        return self.num_epochs * self.steps_per_epoch

    def num_evaluated(self, with_test: bool) -> int:
        """Samples of all evaluations."""
        each = self.num_validation + (self.num_test + self.num_train_seen if with_test else 0)
        return self.num_evaluations * each + self.num_train_evaluated


def _at_most(number: int, limit: int | None) -> int:
    return number if limit is None else min(number, limit)
