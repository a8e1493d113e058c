"""Epochs of a fixed number of steps, independent of the size of the data, for evaluation by steps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tasks.datasets.batches import TrainingData
from tasks.input_space import InputSpace
from tasks.regularizers.base import Batch
from tasks.runtime.state import State


class PseudoEpochs(TrainingData):
    """The batches of consecutive passes over `data`, in epochs of `num_steps` steps.

    Args:
        data: the training data.
        num_steps: steps of an epoch, >= 1.
    """

    def __init__(self, data: TrainingData, num_steps: int) -> None:
        if num_steps < 1:
            raise ValueError(f"steps_per_epoch must be >= 1 (None: a pass over the training data), got {num_steps}.")
        self.num_samples, self.batch_size, self.device = data.num_samples, data.batch_size, data.device
        self._data, self._num_steps, self.have_labels = data, num_steps, data.have_labels
        self._begin_pass()

    def __len__(self) -> int:
        """Steps of one epoch."""
        return self._num_steps

    def epoch(self) -> Iterator[Batch]:
        """The next `num_steps` batches."""
        for _ in range(self._num_steps):
            if self._position == len(self._data):
                self._begin_pass()
            self._position += 1
            yield next(self._batches)

    @property
    def input_space(self) -> InputSpace | None:
        """That of the data."""
        return self._data.input_space

    def normalised(self, inputs: Tensor) -> Tensor:
        """Raw inputs as the network takes them."""
        return self._data.normalised(inputs)

    def normalise_ahead(self) -> None:
        """Normalise the inputs of the data."""
        self._data.normalise_ahead()

    def state(self) -> State:
        """The state at the beginning of the current pass, and the number of its batches that were used."""
        return {"pass": self._at_its_beginning, "position": self._position}

    def restore(self, state: State) -> None:
        """Begin the pass again and skip the batches that were used; its order and augmentation are drawn as before."""
        self._data.restore(state["pass"])
        self._begin_pass()
        for _ in range(int(state["position"])):
            next(self._batches)
        self._position = int(state["position"])

    def _begin_pass(self) -> None:
        self._at_its_beginning = self._data.state()
        self._batches, self._position = self._data.epoch(), 0
