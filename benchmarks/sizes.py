"""How much a benchmark measures: by default as much as a figure needs, or as little as shows that it runs to its end.

`REGARENA_BENCHMARK_SIZE=tiny` is for the tests. The variable reaches the processes that a benchmark starts.
"""

from __future__ import annotations

import os
from typing import TypeVar

VARIABLE = "REGARENA_BENCHMARK_SIZE"
IS_TINY = os.environ.get(VARIABLE) == "tiny"

T = TypeVar("T")


def sized(full: T, tiny: T) -> T:
    """The one of the two that this run takes."""
    return tiny if IS_TINY else full
