"""Samples and their batches, as the training loop reads them, in memory or streamed.

A `Split` holds its samples in memory, on the training device. Images stay uint8 until the training step: a quarter of
the memory, and one pass turns bytes into floats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from tasks.datasets.augmentation import Moves, draw_moves, moved
from tasks.datasets.preprocessing import ChannelNormalisation, Preprocessing
from tasks.input_space import InputSpace
from tasks.regularizers.base import Batch
from tasks.runtime import compiled
from tasks.runtime.state import State
from tasks.runtime.streams import torch_stream

EVALUATION_BATCH_SIZE = 250  # larger ones exceed the processor's caches and take twice as long
MOST_NORMALISED_BYTES = 2**26  # memory of the floats if all images of a split are normalised once
MIN_COMPILED = 10_000  # images: with fewer, a usual training does not make up for numba's import, half a second


class Samples(ABC):
    """One part of a data set (training, validation or test), in memory or on disk."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def first(self, num_samples: int | None) -> Self:
        """The first `num_samples` samples, or all."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The same samples, with batches on `device`."""

    @abstractmethod
    def in_order(self, batch_size: int = EVALUATION_BATCH_SIZE) -> Iterator[Batch]:
        """All samples once, in order, without augmentation, as the network takes them: for evaluation."""

    @abstractmethod
    def batches(self, batch_size: int, seed: int, augmentation: Sequence[str] = ()) -> TrainingData:
        """Shuffled, augmented batches for training."""

    @property
    def input_space(self) -> InputSpace | None:
        """The units of the inputs; None where they are unknown."""
        return None


@dataclass(frozen=True, kw_only=True)
class Split(Samples):
    """Inputs (N, ...) as uint8 images (N, C, H, W) or floats, and targets (N, K) as floats.

    `preprocessing` says how uint8 images become floats; floats are used as they are.
    """

    inputs: Tensor
    targets: Tensor
    preprocessing: Preprocessing | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, num_samples: int | None) -> Self:
        """The first `num_samples` samples, or all."""
        if num_samples is None or num_samples >= len(self):
            return self
        return replace(self, inputs=self.inputs[:num_samples], targets=self.targets[:num_samples])

    def to(self, device: torch.device) -> Self:
        """The split on `device`."""
        preprocessing = self.preprocessing and self.preprocessing.to(device)
        return replace(
            self, inputs=self.inputs.to(device), targets=self.targets.to(device), preprocessing=preprocessing
        )

    def normalised(self, inputs: Tensor) -> Tensor:
        """Raw inputs as the network takes them: preprocessed for uint8, unchanged for floats."""
        if inputs.dtype != torch.uint8 or self.preprocessing is None:
            return inputs
        return self.preprocessing(inputs)

    def in_order(self, batch_size: int = EVALUATION_BATCH_SIZE) -> Iterator[Batch]:
        """All samples once, in order, without augmentation: for evaluation."""
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield Batch(self.normalised(self.inputs[part]), self.targets[part])

    def batches(self, batch_size: int, seed: int, augmentation: Sequence[str] = ()) -> Batches:
        """Shuffled, augmented batches for training."""
        return Batches(self, batch_size, seed, augmentation)

    @property
    def input_space(self) -> InputSpace | None:
        """That of the preprocessing for uint8 images; the identity without bounds for floats; None for indices."""
        if self.inputs.dtype != torch.uint8:
            return InputSpace() if self.inputs.is_floating_point() else None
        return self.preprocessing.input_space if self.preprocessing else InputSpace(low=0.0, high=255.0)


class TrainingData(ABC):
    """The training batches, epoch by epoch, from memory or streamed.

    Attributes:
        num_samples: samples of the training split.
        batch_size: samples of one step; a last, smaller batch of an epoch is dropped, so that all steps cost the same.
        device: the device of the batches.
        have_labels: whether all targets are known to be one-hot.
    """

    have_labels: bool = False

    num_samples: int
    batch_size: int
    device: torch.device

    @property
    def input_space(self) -> InputSpace | None:
        """The units of the inputs; None where they are unknown."""
        return None

    def __len__(self) -> int:
        """Steps of one epoch."""
        return self.num_samples // self.batch_size

    @abstractmethod
    def epoch(self) -> Iterator[Batch]:
        """One pass in a fresh order; the inputs are raw and already augmented as the protocol says."""

    @abstractmethod
    def normalised(self, inputs: Tensor) -> Tensor:
        """Raw inputs as the network takes them."""

    def normalise_ahead(self) -> None:  # noqa: B027  # optional
        """Normalise all inputs once, if that takes little memory and bytes are not augmented first."""

    @abstractmethod
    def state(self) -> State:
        """The state between two epochs that the next epochs depend on, on the CPU."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Set a state; the next epochs are then bit for bit those of the data that returned it."""


class Batches(TrainingData):
    """Shuffled batches of a split that is held in memory, on the training device."""

    def __init__(self, split: Split, batch_size: int, seed: int, augmentation: Sequence[str] = ()) -> None:
        self.split = split
        self.num_samples, self.device = len(split), split.inputs.device
        self.batch_size = min(batch_size, len(split))
        self.augmentation = tuple(augmentation)
        self._order = torch_stream(seed, "order")
        self._draws = torch_stream(seed, "augmentation", split.inputs.device)
        self._loops = _loops_for(split.inputs) if self.augmentation else None
        self._inputs = split.inputs
        self.have_labels = _are_one_hot(split.targets)

    def normalise_ahead(self) -> None:
        """Normalise all images of a small split that is not augmented, once."""
        if self._inputs is not self.split.inputs:
            return
        is_small = 4 * self.split.inputs.numel() <= MOST_NORMALISED_BYTES
        if is_small and not self.augmentation and isinstance(self.split.preprocessing, ChannelNormalisation):
            self._inputs = self.split.normalised(self.split.inputs)

    def state(self) -> State:
        """The states of the generators of the order and of the augmentation."""
        return {name: generator.get_state() for name, generator in self._generators().items()}

    def restore(self, state: State) -> None:
        """Set the states of the generators."""
        for name, generator in self._generators().items():
            generator.set_state(state[name].cpu())

    def _generators(self) -> dict[str, torch.Generator]:
        return {"order": self._order, "augmentation": self._draws}

    @property
    def input_space(self) -> InputSpace | None:
        """That of the split."""
        return self.split.input_space

    def normalised(self, inputs: Tensor) -> Tensor:
        """Raw inputs as the network takes them, by the split's preprocessing."""
        return self.split.normalised(inputs)

    def epoch(self) -> Iterator[Batch]:
        """One pass over the split in a fresh order."""
        order = torch.randperm(len(self.split), generator=self._order).to(self.split.inputs.device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield Batch(self._moved(chosen), self.split.targets.index_select(0, chosen))

    def _moved(self, chosen: Tensor) -> Tensor:
        """The images at these indices, augmented."""
        if not self.augmentation:
            return self._inputs.index_select(0, chosen)  # which copies whole images, unlike an index in brackets
        moves = draw_moves(self.augmentation, len(chosen), self._draws)
        if self._loops is not None:
            return self._loops(self.split.inputs, chosen, moves)
        return moved(self.split.inputs.index_select(0, chosen), moves)


def _are_one_hot(targets: Tensor) -> bool:
    """Whether each row has a 1 in one place of several, and 0 elsewhere."""
    if targets.is_meta or targets.dim() != 2 or targets.shape[1] < 2 or not targets.is_floating_point():
        return False
    return bool(((targets == 0) | (targets == 1)).all() & (targets.sum(1) == 1).all())


def _loops_for(images: Tensor) -> Callable[[Tensor, Tensor, Moves], Tensor] | None:
    """The compiled augmentation if it applies (numba installed, many uint8 images in CPU memory); else None."""
    fit = images.dtype == torch.uint8 and images.device.type == "cpu" and images.is_contiguous()
    if not (fit and len(images) >= MIN_COMPILED and compiled.is_available()):
        return None
    from tasks.datasets import augmentation_compiled as image_loops  # imports numba

    image_loops.load()
    return image_loops.moved
