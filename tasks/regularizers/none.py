"""The baseline: no regularizer. It tunes the shared settings like all regularizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tasks.regularizers.base import Regularizer


@dataclass(frozen=True, kw_only=True)
class Unregularized(Regularizer):
    """Trains the network without a regularizer: the baseline of every comparison."""

    formula: ClassVar[str] = "the loss alone"
    source: ClassVar[str] = "every paper's first row"
