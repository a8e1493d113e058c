"""Checks of a regularizer's class from another package, run when the table loads it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_type_hints

from tasks.regularizers.base import Regularizer

KINDS = (bool, int, float, str)


def fault_of_regularizer(regularizer: object) -> str | None:
    """What is wrong with a regularizer's class, as the end of a sentence; None if nothing is."""
    if not (isinstance(regularizer, type) and issubclass(regularizer, Regularizer)):
        return f"it must be a subclass of tasks.regularizers.base.Regularizer, got {regularizer!r:.200}"
    cls: type[Any] = regularizer
    name = cls.__name__
    parameters = vars(regularizer).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        return f"{name} must be a frozen dataclass; put @dataclass(frozen=True, kw_only=True) above it"
    fields = dataclasses.fields(cls)
    if without := [field.name for field in fields if field.default is dataclasses.MISSING]:
        return (
            f"every field needs the paper's value as its default, a number, text or boolean; {name} has none for "
            f"{', '.join(without)}"
        )
    for field in fields:
        if fault := _fault_of_default(regularizer, field):
            return fault
    if strange := sorted(set(regularizer.off) - {field.name for field in fields}):
        return f"{name}.off names {', '.join(strange)}, and {name} has no such field"
    regularizer()  # the caller reports what it raises
    return None


def _fault_of_default(regularizer: type[Any], field: dataclasses.Field[Any]) -> str | None:
    name, default = f"{regularizer.__name__}.{field.name}", field.default
    if type(default) not in KINDS or (isinstance(default, float) and not math.isfinite(default)):
        return f"the default of {name} must be a finite number, text or a boolean, got {default!r:.200}"
    declared = get_type_hints(regularizer).get(field.name)
    if declared in KINDS and type(default) is not declared:
        return f"{name} is declared as {declared.__name__}, and its default is {default!r}; give it one of that type"
    return None
