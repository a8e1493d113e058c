"""From a contestant's name to its hyperparameters, its search space and its regularizers.

A name is an entry of REGULARIZERS, or several joined by "+", which is one contestant with the union of their fields.
A field keeps its plain name; where two parts have fields of one name, both are qualified by the part ("dropout.where").
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import BadInput
from harness.records import Scalar, Scale
from search_spaces import space_of
from search_spaces.shared import LEARNING_RATE, shared_space
from search_spaces.space import Space
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.task import Task

BASELINE = "none"


class _Field(NamedTuple):
    part: str
    name: str
    key: str  # what the hyperparameter is called in rows
    default: Scalar


@dataclass(frozen=True)
class Contestant:
    """A regularizer, or a combination of several, by name.

    Raises:
        UnknownNameError: if a part is not in the table.
        BadInput: if a part stands in the name twice, or the baseline beside others.
    """

    name: str

    def __post_init__(self) -> None:
        """Look every part up once."""
        for part in self.parts:
            REGULARIZERS.target(part)
        if len(set(self.parts)) < len(self.parts):
            raise BadInput(f"A combination names each regularizer once, got {self.name!r}.")
        if len(self.parts) > 1 and BASELINE in self.parts:
            raise BadInput(f"A combination is of regularizers, and {BASELINE!r} is none, got {self.name!r}.")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the regularizers, in the order in which they are attached."""
        return tuple(self.name.split("+"))

    @property
    def qualified(self) -> tuple[str, ...]:
        """The hyperparameters that several parts have, each by its qualified name."""
        return tuple(field.key for field in self._fields() if field.key != field.name)

    def resolve(self, task: Task, scale: Scale, overrides: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
        """Every hyperparameter of a trial: the regularizer's defaults, the task's, `overrides`, what the task pins.

        Each takes the place of the one before it.

        Raises:
            BadInput: for an override that is no hyperparameter here, or that is not of its kind.
        """
        overrides = dict(overrides or {})
        resolved: dict[str, Scalar] = {}
        for field in self._fields():
            default = task.defaults.get(f"{field.part}.{field.name}", task.defaults.get(field.name, field.default))
            value = task.pins.get(field.name, overrides.pop(field.key, default))
            resolved[field.key] = self._as_kind(field, value)
        resolved[LEARNING_RATE] = float(overrides.pop(LEARNING_RATE, task.default_learning_rate(scale)))
        if overrides:
            raise BadInput(
                f"{self.name} has no hyperparameter {', '.join(map(repr, overrides))}; it has {', '.join(resolved)}."
            )
        return resolved

    def space(self, task: Task, scale: Scale) -> Space:
        """What is tuned: the parts' own ranges, but for what the task pins, and the shared settings."""
        spaces = {part: space_of(part) for part in self.parts}
        own = {
            field.key: spaces[field.part][field.name]
            for field in self._fields()
            if field.name in spaces[field.part] and field.name not in task.pins
        }
        return {**own, **shared_space(task.default_learning_rate(scale))}

    def build(self, hyperparameters: Mapping[str, Scalar]) -> list[tuple[str, Regularizer]]:
        """The (name, regularizer) pairs of a trial.

        Raises:
            ValueError: when a regularizer refuses a value.
        """
        values: dict[str, dict[str, Scalar]] = {part: {} for part in self.parts}
        for field in self._fields():
            values[field.part][field.name] = hyperparameters.get(field.key, field.default)
        return [(part, REGULARIZERS[part](**values[part])) for part in self.parts]

    def skip_reason(self, task: Task, scale: Scale) -> str | None:
        """Why this contestant makes no sense on `task`: the first part's reason, or None."""
        try:
            parts = self.build(self.resolve(task, scale))
        except ValueError as error:
            if not task.pins:
                raise
            return f"What the task pins, this contestant refuses. {error}"
        for _, regularizer in parts:
            reason = task.skip_reason(regularizer)
            if reason is not None:
                return reason
        return None

    def _as_kind(self, field: _Field, value: Scalar) -> Scalar:
        """The value in the type of the field's default; 2.0 may stand for 2, and nothing else is bent."""
        kind = type(field.default)
        try:
            converted = kind(value)
        except (TypeError, ValueError):
            converted = None
        if converted is None or (kind is not str and converted != value):
            what = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a word")
            raise BadInput(f"{field.part}.{field.name} must be {what}, got {value!r}.")
        return converted

    def _fields(self) -> Iterator[_Field]:
        defaults = [(part, name, value) for part in self.parts for name, value in _defaults(part).items()]
        counts = Counter(name for _, name, _ in defaults)
        for part, name, value in defaults:
            yield _Field(part, name, f"{part}.{name}" if counts[name] > 1 else name, value)


def _defaults(part: str) -> dict[str, Scalar]:
    """Fields of a regularizer and their defaults."""
    regularizer = REGULARIZERS[part]
    if not dataclasses.is_dataclass(regularizer):
        raise BadInput(f"The regularizer {part!r} must be a frozen dataclass; {regularizer!r} is none.")
    without = [field.name for field in dataclasses.fields(regularizer) if field.default is dataclasses.MISSING]
    if without:
        raise BadInput(f"Every field of a regularizer needs the paper's value as default; {part!r} lacks {without}.")
    return {field.name: field.default for field in dataclasses.fields(regularizer)}
