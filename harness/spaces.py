"""The search spaces of contestants, and the check that a space fits its regularizer's fields."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

import search_spaces
from search_spaces.shared import shared_space
from search_spaces.space import Choice, Integer, Range, Real, Space
from tasks.regularizers import REGULARIZERS
from tasks.table import Table, unknown_name_message

SPACES: Table[Space] = Table(
    "search space",
    "regarena.search_spaces",
    {name: f"search_spaces.{name}:SPACE" for name in search_spaces.SPACES},
)


@cache
def space_of(name: str) -> Space:
    """The space of one regularizer. A regularizer without a space has nothing of its own to tune.

    Raises:
        UnknownNameError: if there is no regularizer of this name.
        BrokenEntryError: if the space comes from another package and does not fit the regularizer; or if another
            package's regularizer has no space, while that package registers a space for an unknown regularizer (most
            likely a misspelt name).
    """
    REGULARIZERS.target(name)
    if name in SPACES:
        space = SPACES[name]
        if fault := fault_of_space(space, REGULARIZERS[name]):
            raise SPACES.broken(name, fault)
        return space
    for other in SPACES.of_package(REGULARIZERS.package(name)):
        if other not in REGULARIZERS:
            raise SPACES.broken(other, unknown_name_message("regularizer", other, list(REGULARIZERS)))
    return {}


def fault_of_space(space: object, regularizer: type[Any]) -> str | None:
    """Why `space` cannot be searched for `regularizer`, as the end of a sentence; None if it can."""
    if not isinstance(space, Mapping):
        return f"it must map fields of {regularizer.__name__} to Real, Integer or Choice, got {space!r:.200}"
    defaults = {field.name: field.default for field in dataclasses.fields(regularizer)}
    for key, scope in space.items():
        if key not in defaults:
            near = difflib.get_close_matches(str(key), defaults, n=1)
            advice = f"the nearest is {near[0]!r}" if near else f"it has {', '.join(defaults) or 'none'}"
            return f"its key {key!r} is no field of {regularizer.__name__}; {advice}"
        if fault := _fault_of_range(scope, defaults[key]):
            return f"its key {key!r} {fault}"
    if shared := sorted(set(space) & set(shared_space(1.0))):
        return f"its key {shared[0]!r} is tuned for all contestants alike; give the field another name"
    return None


def _fault_of_range(scope: object, default: object) -> str | None:
    if not isinstance(scope, Range):
        return f"must be given a range (Real, Integer or Choice of search_spaces.space), got {scope!r:.200}"
    if not isinstance(scope.source, str) or not scope.source.strip():
        return "has a range without a source; say in `source` where the range comes from"
    if isinstance(scope, Choice):
        if not isinstance(scope.options, tuple) or not scope.options:
            return f"needs a tuple of options that is not empty, got {scope.options!r:.200}"
        strange = [option for option in scope.options if not _is_of_kind(option, default)]
        return f"has the option {strange[0]!r}, and the field's default is {default!r}" if strange else None
    kinds: dict[type, type] = {Real: float, Integer: int}
    wanted = kinds[type(scope)]
    if type(default) is not wanted:
        return f"has a range of type {type(scope).__name__}, and the field's default is {default!r}"
    return None


def _is_of_kind(option: object, default: object) -> bool:
    """Whether an option has the type of the default; an int is allowed where the default is a float."""
    return type(option) is type(default) or (type(default) is float and type(option) is int)
