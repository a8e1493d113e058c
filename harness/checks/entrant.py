"""The subject of the laws of contestants: a regularizer, and what several laws need of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints

from torch import Tensor

from harness.checks.tiny_tasks import TINY_TASKS, tasks_for, trained, weights_of, with_pins
from harness.spaces import space_of
from search_spaces.space import Choice, Integer, Range, Space
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer, Scalar
from tasks.runtime.trained import Trained
from tasks.task import Task
from tasks.training import Training


@dataclass(frozen=True)
class Entrant:
    """The subject of these laws: a regularizer's name and class, and results that several laws use."""

    name: str
    cls: type[Any]

    @classmethod
    def of(cls, name: str) -> Entrant:
        """The regularizer of that name in the table."""
        return cls(name, REGULARIZERS[name])

    @property
    def called(self) -> str:
        """The name of its class, for messages."""
        return self.cls.__name__

    @cached_property
    def space(self) -> Space:
        """Its search space."""
        return space_of(self.name)

    @cached_property
    def kinds(self) -> dict[str, object]:
        """Its fields and the types that they are declared with."""
        hints = get_type_hints(self.cls)
        return {field.name: hints[field.name] for field in dataclasses.fields(self.cls)}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tiny tasks that do not skip it with its defaults."""
        return tasks_for(self.cls())

    @property
    def home(self) -> Task:
        """The first of these tasks, on which most laws train.

        Raises:
            LookupError: if all of them skip it.
        """
        if not self.tasks:
            raise LookupError(f"{self.called} is skipped on all of the tasks {', '.join(TINY_TASKS)}")
        return next(iter(self.tasks.values()))

    def on(self, task: Task, **values: Scalar) -> tuple[str, Regularizer]:
        """Its name, and a regularizer with these values, or the task's where the task pins a field."""
        return self.name, with_pins(self.cls(**values), task)

    @cached_property
    def trained(self) -> tuple[Training, Trained]:
        """A training on `home` with its defaults, and its results."""
        return trained(self.home, self.on(self.home))

    @cached_property
    def weights(self) -> Tensor:
        """The weights at the end of that training."""
        return weights_of(self.trained[0].network)

    def complaint(self, field: str, value: object) -> str | None:
        """The message with which it refuses a value; None if it accepts it."""
        try:
            self.cls(**{field: value})
        except ValueError as error:
            return str(error)
        return None


def probes(scope: Range) -> list[Scalar]:
    """Both ends and the middle of a range, or all options."""
    if isinstance(scope, Choice):
        return list(scope.options)
    middle = math.sqrt(scope.low * scope.high) if scope.log else (scope.low + scope.high) / 2
    return [scope.low, round(middle) if isinstance(scope, Integer) else middle, scope.high]


def settings_in_words(values: Mapping[str, object]) -> str:
    """Values of fields as they are written in findings."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())
