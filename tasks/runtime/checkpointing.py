"""What a training asks of whoever keeps its checkpoints; where and how they are kept is not its business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasks.runtime.state import State


class Checkpoints(Protocol):
    """Where one training leaves its state between epochs, in case it is cut off, and finds it when it starts again."""

    def load(self) -> State | None:
        """The state to go on from; None to begin."""

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        """The training stands between two epochs, `epoch` of them done; keep its state now if it is time."""

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        """The training pauses after that epoch, and goes on later; keep its state."""


class _Nowhere:
    """For short trainings, which begin again."""

    def load(self) -> State | None:
        return None

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        return None

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        return None


NOWHERE: Checkpoints = _Nowhere()
