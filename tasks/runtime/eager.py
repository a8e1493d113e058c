"""Functions that run as they stand in the middle of a network under `torch.compile`.

Masks come from numpy's generators and from streams that keep their place: a compiler that traced them would have to
trace numpy, and compile anew whenever a schedule moves a rate. Instead the compiled graph ends in front of them and a
new one begins behind, so that compiled networks draw the same numbers and train to the same weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def eager(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`function`, outside of compiled graphs. The compiler is imported only where one is at work: it takes seconds."""

    @functools.wraps(function)
    def outside(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not torch.compiler.is_compiling():
            return function(*args, **kwargs)
        untraced: Callable[Arguments, Result] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]  # untyped
        return untraced(*args, **kwargs)

    return outside
