"""Epochs of so many steps, whatever a pass over the data holds: for readings by step."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tasks.datasets.batches import TrainingData
from tasks.input_space import InputSpace
from tasks.regularizers.base import Batch
from tasks.runtime.state import State


class PseudoEpochs(TrainingData):
    """The batches of `data`, pass after pass, in epochs of `num_steps` steps; the batches themselves do not change.

    Args:
        data: whose passes they are.
        num_steps: steps of an epoch, >= 1.
    """

    def __init__(self, data: TrainingData, num_steps: int) -> None:
        if num_steps < 1:
            raise ValueError(f"steps_per_epoch must be >= 1 (None: a pass over the training data), got {num_steps}.")
        self.num_samples, self.batch_size, self.device = data.num_samples, data.batch_size, data.device
        self._data, self._num_steps = data, num_steps
        self._begin_pass()

    def __len__(self) -> int:
        """Steps of one epoch."""
        return self._num_steps

    def epoch(self) -> Iterator[Batch]:
        """The next so many batches."""
        for _ in range(self._num_steps):
            if self._position == len(self._data):
                self._begin_pass()
            self._position += 1
            yield next(self._batches)

    @property
    def input_space(self) -> InputSpace | None:
        """Of the data."""
        return self._data.input_space

    def normalised(self, inputs: Tensor) -> Tensor:
        """As the data says."""
        return self._data.normalised(inputs)

    def state(self) -> State:
        """Where the pass began, and how many of its batches are gone."""
        return {"pass": self._at_its_beginning, "position": self._position}

    def restore(self, state: State) -> None:
        """Begin the pass anew and skip what is gone: its order and augmentation are drawn as before."""
        self._data.restore(state["pass"])
        self._begin_pass()
        for _ in range(int(state["position"])):
            next(self._batches)
        self._position = int(state["position"])

    def _begin_pass(self) -> None:
        self._at_its_beginning = self._data.state()
        self._batches, self._position = self._data.epoch(), 0
