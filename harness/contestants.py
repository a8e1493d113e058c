"""From a contestant's name to its hyperparameters, its search space and its regularizers.

A name is an entry of REGULARIZERS, or several joined by "+": one contestant with the fields of all of them. A field
keeps its own name; where two parts have a field of the same name, each gets the part as prefix ("dropout.where").
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from harness.errors import BadInput
from harness.records import HYPERPARAMETER_PREFIX, Scalar, Scale
from harness.spaces import space_of
from search_spaces.shared import LEARNING_RATE, shared_space
from search_spaces.space import Integer, Range, Space
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.task import Task

BASELINE = "none"


class _Field(NamedTuple):
    part: str
    name: str
    key: str  # name of the hyperparameter in rows
    default: Scalar


@dataclass(frozen=True)
class Contestant:
    """A regularizer, or a combination of several, by name.

    Raises:
        UnknownNameError: if a part is not in the table.
        BadInput: if the name contains a part twice, or the baseline together with other parts.
    """

    name: str

    def __post_init__(self) -> None:
        """Check that every part exists, and that the parts may be combined."""
        for part in self.parts:
            REGULARIZERS.target(part)
        if len(set(self.parts)) < len(self.parts):
            raise BadInput(f"A combination names each regularizer once, got {self.name!r}.")
        if len(self.parts) > 1 and BASELINE in self.parts:
            raise BadInput(f"A combination must not contain the baseline {BASELINE!r}, got {self.name!r}.")

    def check(self) -> None:
        """Check the fields and search spaces of all parts.

        Raises:
            BrokenEntryError: if a part, or its search space, comes from another package and cannot be used.
        """
        for part in self.parts:
            _defaults(part)
            space_of(part)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the regularizers, in the order in which they are attached."""
        return tuple(self.name.split("+"))

    @property
    def only_measures(self) -> bool:
        """Whether all parts only log and do not change training; such a contestant is not ranked."""
        return all(REGULARIZERS[part].only_measures for part in self.parts)

    @property
    def qualified(self) -> tuple[str, ...]:
        """The hyperparameters that several parts have, each by its qualified name."""
        return tuple(field.key for field in self._fields() if field.key != field.name)

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of values of each hyperparameter, in words; a column of the rows can hold only one kind."""
        return {field.key: _kind(field.default) for field in self._fields()}

    def resolve(self, task: Task, scale: Scale, overrides: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
        """Every hyperparameter of a trial, and the learning rate.

        In increasing priority: the regularizer's defaults, the task's defaults, `overrides`, the task's pins.

        Raises:
            BadInput: if an override is not a hyperparameter of this contestant, or has a value of another type or one
                that rows cannot hold.
        """
        overrides = dict(overrides or {})
        resolved: dict[str, Scalar] = {}
        for field in self._fields():
            default = task.defaults.get(f"{field.part}.{field.name}", task.defaults.get(field.name, field.default))
            value = task.pins.get(field.name, overrides.pop(field.key, default))
            resolved[field.key] = _as_kind(f"{field.part}.{field.name}", type(field.default), value)
        learning_rate: float = _as_kind(
            LEARNING_RATE, float, overrides.pop(LEARNING_RATE, task.default_learning_rate(scale))
        )
        if learning_rate < 0:
            raise BadInput(f"{LEARNING_RATE} must be at least 0, got {learning_rate}.")
        resolved[LEARNING_RATE] = learning_rate
        if overrides:
            raise BadInput(
                f"{self.name} has no hyperparameter {', '.join(map(repr, overrides))}; it has {', '.join(resolved)}."
            )
        return resolved

    def space(self, task: Task, scale: Scale) -> Space:
        """The search space: the ranges of the parts' fields, and the shared ones.

        Fields that the task pins are left out, and those without effect at the value of a field that is not tuned.
        Periods in epochs are tuned up to the epochs of the task.
        """
        spaces = {part: _space_on(task, part) for part in self.parts}
        without_effect = self._without_effect(task, scale)
        own = {
            field.key: spaces[field.part][field.name]
            for field in self._fields()
            if field.name in spaces[field.part]
            and without_effect[field.part].get(field.name, field.name) in spaces[field.part]
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
        """Why this contestant is skipped on `task`: the first reason among its parts, or None."""
        try:
            parts = self.build(self.resolve(task, scale))
        except ValueError as error:
            if not task.pins:
                raise
            return f"This task fixes hyperparameters at values that {self.name} does not take. {error}"
        for _, regularizer in parts:
            reason = task.skip_reason(regularizer)
            if reason is not None:
                return reason
        return None

    def idle_reason(self, task: Task, scale: Scale) -> str | None:
        """Why default trials on `task` equal the baseline's bit for bit; None if they differ, and for the baseline.

        Only what the regularizers' `idle_reason` declares is known here; `regarena check` finds more by training.
        """
        if self.name == BASELINE:
            return None
        parts = self.build(self.resolve(task, scale))
        reasons = [regularizer.idle_reason(task.epochs(scale)) for _, regularizer in parts]
        return None if None in reasons else f"Changes nothing here. {' '.join(filter(None, reasons))}"

    def _without_effect(self, task: Task, scale: Scale) -> dict[str, Mapping[str, str]]:
        """Of each part: the fields without effect by default, and the field that makes it so."""
        try:
            return {part: each.fields_without_effect() for part, each in self.build(self.resolve(task, scale))}
        except ValueError:  # for the values that the task pins; the contestant is skipped there
            return {part: {} for part in self.parts}

    def _fields(self) -> tuple[_Field, ...]:
        return _fields_of(self.parts)


def _space_on(task: Task, part: str) -> Space:
    """The ranges of one regularizer's fields that `task` does not pin."""
    epochs, space = task.epochs("paper"), dict[str, Range]()
    for name, scope in space_of(part).items():
        if name in task.pins:
            continue
        if not (isinstance(scope, Integer) and scope.in_epochs):
            space[name] = scope
        elif epochs > scope.low:
            space[name] = dataclasses.replace(scope, high=min(scope.high, epochs))
    return space


@cache
def _fields_of(parts: tuple[str, ...]) -> tuple[_Field, ...]:
    """The fields of regularizers that train together."""
    defaults = [(part, name, value) for part in parts for name, value in _defaults(part).items()]
    counts = Counter(name for _, name, _ in defaults)
    return tuple(
        _Field(part, name, f"{part}.{name}" if counts[name] > 1 else name, value) for part, name, value in defaults
    )


@cache
def _defaults(part: str) -> dict[str, Any]:
    """Fields of a regularizer and their defaults.

    Raises:
        BrokenEntryError: if a field of another package's regularizer would mix, say, text and numbers in one column.
    """
    regularizer: type[Any] = REGULARIZERS[part]
    defaults = {field.name: field.default for field in dataclasses.fields(regularizer)}
    if part not in REGULARIZERS.own:
        known = _kinds_of_our_fields()
        for name, default in defaults.items():
            if name == LEARNING_RATE:
                raise REGULARIZERS.broken(part, f"its field {name!r} is tuned for all contestants alike; rename it")
            kind, owner = known.get(name, (_kind(default), ""))
            if kind != _kind(default):
                raise REGULARIZERS.broken(
                    part,
                    f"its field {name!r} holds {_kind(default)}, and that of {owner} holds {kind}, in one column "
                    f"{HYPERPARAMETER_PREFIX}{name} of all rows; rename the field, or give it a default of that type",
                )
    return defaults


@cache
def _kinds_of_our_fields() -> dict[str, tuple[str, str]]:
    """The kind of values of each field of regarena's own regularizers, and a regularizer that has the field."""
    own: dict[str, type[Any]] = {name: REGULARIZERS[name] for name in REGULARIZERS.own}
    return {field.name: (_kind(field.default), name) for name, cls in own.items() for field in dataclasses.fields(cls)}


def _as_kind(name: str, kind: type[Any], value: Scalar) -> Any:
    """The value in the type of the field's default; 2.0 is accepted for 2, no other conversion is made.

    Raises:
        BadInput: if it is of another type, not finite, or a whole number of more than 64 bits.
    """
    try:
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        converted = None
    is_other = kind is not str and (converted != value or (isinstance(value, bool) and kind is not bool))
    if converted is None or is_other:
        what = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a word")
    elif isinstance(converted, float) and not math.isfinite(converted):
        what = "a finite number"
    elif isinstance(converted, int) and not -(2**63) <= converted < 2**63:
        what = "a whole number of at most 64 bits"
    else:
        return converted
    raise BadInput(f"{name} must be {what}, got {value!r}.")


def _kind(value: object) -> str:
    return "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "numbers"
