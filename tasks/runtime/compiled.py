"""Loops compiled by numba, where it is installed: an accelerator beside a portable way that gives the same.

Compiled code starts no threads (trials run in forked children, where a thread would be missing) and is kept on disk
from one process to the next. Modules that use it are imported when the first call pays for them, not before.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

# Division by zero as floats do it, and fused multiply-add; sums keep their order, as other fast mathematics would not.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


@cache
def is_available() -> bool:
    """Whether numba is installed; `pip install regarena[fast]` brings it."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: Function) -> Function:
    """`function` of numpy arrays and numbers as machine code."""
    import numba

    with contextlib.suppress(RuntimeError):  # there is no folder to keep it in that can be written to
        kept: Function = numba.njit(cache=True, **OPTIONS)(function)
        return kept
    fresh: Function = numba.njit(**OPTIONS)(function)
    return fresh


def inlined(function: Function) -> Function:
    """`function` as a part of the compiled functions that call it: loops around calls are not vectorised."""
    import numba

    part: Function = numba.njit(inline="always", **OPTIONS)(function)
    return part
