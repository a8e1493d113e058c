"""Loops compiled by numba, if it is installed: faster versions of portable functions, with the same results.

Compiled code starts no threads (trials run in forked child processes, which have none of the parent's threads) and is
cached on disk. Modules that use it are imported at the first call only, since importing numba takes time.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

# Division by zero as in numpy, and fused multiply-add; other "fastmath" flags would change the order of sums.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


@cache
def is_available() -> bool:
    """Whether numba is installed (`pip install regarena[fast]`)."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: Function) -> Function:
    """Compile a function of numpy arrays and numbers."""
    numba = _whole_numba()
    with contextlib.suppress(RuntimeError):  # numba found no writable cache folder
        kept: Function = numba.njit(cache=True, **OPTIONS)(function)
        return kept
    fresh: Function = numba.njit(**OPTIONS)(function)
    return fresh


def inlined(function: Function) -> Function:
    """Compile a function that is inlined into its callers, since loops with calls are not vectorised."""
    part: Function = _whole_numba().njit(inline="always", **OPTIONS)(function)
    return part


@cache
def _whole_numba() -> Any:
    """Import numba and the parts that it would import at the first call, so that a fork server imports them once."""
    import numba
    from numba.core.registry import cpu_target

    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    return numba
