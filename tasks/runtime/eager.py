"""Functions that run eagerly within a network under `torch.compile`.

Masks come from numpy's generators and from streams with a state: a compiler that traced them would have to trace numpy,
and recompile whenever a schedule changes a rate. Instead the compiled graph ends before them and a new one begins after
them, so that compiled networks draw the same numbers and reach the same weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def eager(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Exclude `function` from compiled graphs; imports the compiler, which takes seconds, only during compilation."""

    @functools.wraps(function)
    def outside(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not torch.compiler.is_compiling():
            return function(*args, **kwargs)
        untraced: Callable[Arguments, Result] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]  # untyped
        return untraced(*args, **kwargs)

    return outside
