"""Parameters of a test of which only some are for quick runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest


def slow_but(values: Iterable[Any], quick: Sequence[Any] | Callable[[Any], bool]) -> list[Any]:
    """The values, marked as slow but for those in `quick`, or for which it is true; tuples are several parameters."""
    is_quick = quick if callable(quick) else quick.__contains__
    return [
        value
        if is_quick(value)
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in values
    ]
