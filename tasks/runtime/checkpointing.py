"""The interface by which a training saves and loads checkpoints, independent of how they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasks.runtime.state import State


class Checkpoints(Protocol):
    """The checkpoints of one training."""

    def load(self) -> State | None:
        """The state from which to resume; None to start from the beginning."""

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        """Called between two epochs, after `epoch` of them; saves the state if a checkpoint is due."""

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        """Called when the training pauses after `epoch` epochs; saves the state."""


class _Nowhere:
    """No checkpoints, for short trainings, which start again from the beginning."""

    def load(self) -> State | None:
        return None

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        return None

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        return None


NOWHERE: Checkpoints = _Nowhere()
