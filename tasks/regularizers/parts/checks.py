"""Checks of hyperparameters, whose messages name the rule, the value received and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real


def check_number(owner: object, field: str) -> float:
    """The field's value; raises ValueError if it is not a number (a string like "0.5" is not)."""
    value = getattr(owner, field)
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"{type(owner).__name__}.{field} must be a number, got {value!r}.")
    return value  # type: ignore[return-value]  # may be a numpy number; not converted, since messages show it


def check_rate(owner: object, field: str, *, below_one: bool = True) -> None:
    """Raise ValueError unless the field is a rate in [0, 1), or in [0, 1] where `below_one` is False."""
    value = check_number(owner, field)
    inside = 0 <= value < 1 if below_one else 0 <= value <= 1
    if not inside:
        off = getattr(owner, "off", {})
        hint = f" ({off[field]:g} switches it off)" if list(off) == [field] else ""
        allowed = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"{type(owner).__name__}.{field} must lie in {allowed}{hint}, got {value}.")


def check_factor(owner: object, field: str) -> None:
    """Raise ValueError unless the field lies in (0, 1]."""
    value = check_number(owner, field)
    if not 0 < value <= 1:
        raise ValueError(f"{type(owner).__name__}.{field} must lie in (0, 1] (1 switches it off), got {value}.")


def check_at_least(owner: object, field: str, least: float) -> None:
    """Raise ValueError unless the field is finite and not below `least`."""
    value = check_number(owner, field)
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{type(owner).__name__}.{field} must be finite and >= {least:g}, got {value}.")


def check_between(owner: object, field: str, low: float, high: float) -> None:
    """Raise ValueError unless the field lies in [low, high]."""
    value = check_number(owner, field)
    if not low <= value <= high:
        raise ValueError(f"{type(owner).__name__}.{field} must lie in [{low:g}, {high:g}], got {value}.")


def check_count(owner: object, field: str, least: int, most: int | None = None) -> None:
    """Raise ValueError unless the field is an integer, not below `least` and not above `most` if that is given."""
    value = getattr(owner, field)
    fits = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
    if not fits or (most is not None and value > most):
        allowed = f">= {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{type(owner).__name__}.{field} must be a whole number {allowed}, got {value!r}.")


def check_choice(owner: object, field: str, allowed: Iterable[str]) -> None:
    """Raise ValueError unless the field is one of the `allowed` words."""
    value, words = getattr(owner, field), list(allowed)
    if value not in words:
        listed = " or ".join(filter(None, (", ".join(map(repr, words[:-1])), repr(words[-1]))))
        raise ValueError(f"{type(owner).__name__}.{field} must be {listed}, got {value!r}.")
