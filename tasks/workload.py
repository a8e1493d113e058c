"""The amount of work of one training, known before it begins: the basis of time estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tasks.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Steps and evaluations of one training at one scale.

    Evaluations are counted in samples. A task whose evaluation takes the same time for any number of samples counts 1
    for each, and so does its `rehearse`.
    """

    num_epochs: int
    steps_per_epoch: int
    batch_size: int
    num_evaluations: int  # the network before training included
    num_validation: int  # validation samples of one evaluation
    num_test: int  # test samples of one evaluation, if the test split is evaluated
    num_train_evaluated: int = 0  # training samples of the evaluation at the end
    num_train_seen: int = 0  # training samples of one evaluation, if the test split is evaluated

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
        """The workload of a protocol (at its scale), from the numbers of samples before the protocol's limits."""
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
        """Number of samples in all evaluations together."""
        each = self.num_validation + (self.num_test + self.num_train_seen if with_test else 0)
        return self.num_evaluations * each + self.num_train_evaluated


def _at_most(number: int, limit: int | None) -> int:
    return number if limit is None else min(number, limit)
