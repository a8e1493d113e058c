"""Images that are decoded during training, by worker processes if a trial has more than one processor.

The number of workers does not change results: order, crops and flips depend on (seed, epoch, image) only.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from tasks.datasets.batches import Samples, TrainingData
from tasks.datasets.encoded_images import Encoded, encoded, samples_of
from tasks.datasets.image_decoding import ImageError, decoded
from tasks.datasets.image_files import ImageFiles
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.errors import DataError
from tasks.input_space import InputSpace
from tasks.regularizers.base import Batch
from tasks.runtime.state import State
from tasks.runtime.streams import stream_seed, torch_stream

EVALUATION_BATCH_SIZE = 100
RESIZED_OVER_CROP = 256 / 224  # the short side before the central crop is cut (Krizhevsky et al. 2012, section 2)
_PR_SET_PDEATHSIG = 1

Request = tuple[int, int]  # epoch (0: evaluation) and place in the list of files


@dataclass(frozen=True, kw_only=True, eq=False)
class Streamed(Samples):
    """Image files with class labels; each image becomes `size` x `size` pixels (uint8) when it is read.

    With the augmentation `resized_crop`, training images are cropped at random (8 % to 100 % of the area, aspect ratios
    from 3:4 to 4:3, torchvision's RandomResizedCrop); with `flip` they are mirrored with probability 1/2. All other
    images are scaled so that their short side is 256/224 times the size, and cropped at the centre.

    With `device_decoding` the device decodes JPEG files, else Pillow in the worker processes. Cuts are the same.
    """

    files: ImageFiles
    num_classes: int
    size: int
    preprocessing: ChannelNormalisation
    num_workers: int = 0
    device_decoding: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.files)

    def first(self, num_samples: int | None) -> Self:
        """The first `num_samples` images, or all."""
        if num_samples is None or num_samples >= len(self):
            return self
        return replace(self, files=self.files.at(torch.arange(num_samples)))

    def to(self, device: torch.device) -> Self:
        """The same images, with batches on `device`."""
        return replace(self, device=device)

    def in_order(self, batch_size: int = EVALUATION_BATCH_SIZE) -> Iterator[Batch]:
        """All images once, in order, cropped at the centre and normalised."""
        plan = _Plan()
        parts = torch.split(torch.arange(len(self)), batch_size)
        plan.batches = [[(0, int(place)) for place in part] for part in parts]
        for read, labels in self._loader(plan, seed=0, augmentation=()):
            batch = self.on_device(read, labels)
            yield Batch(self.preprocessing(batch.inputs), batch.targets)

    def batches(self, batch_size: int, seed: int, augmentation: Sequence[str] = ()) -> StreamedBatches:
        """Shuffled, augmented batches for training."""
        return StreamedBatches(self, batch_size, seed, augmentation)

    @property
    def input_space(self) -> InputSpace:
        """That of the preprocessing."""
        return self.preprocessing.input_space

    def on_device(self, read: Tensor | Sequence[Encoded], labels: Tensor) -> Batch:
        """The batch on the device: uint8 images and one-hot targets.

        Raises:
            DataError: when a file cannot be decoded.
        """
        targets = F.one_hot(labels.to(self.device, non_blocking=True), self.num_classes).float()
        if isinstance(read, Tensor):
            return Batch(read.to(self.device, non_blocking=True), targets)
        try:
            return Batch(samples_of(read, self.size, _short_side(self.size), self.device), targets)
        except ImageError as error:
            raise DataError(f"An image cannot be read ({error}); replace or remove it.") from error

    def _loader(self, plan: _Plan, seed: int, augmentation: Sequence[str], keep: bool = False) -> DataLoader[Any]:
        images = _EncodedImages if self.device_decoding else _Images
        return DataLoader(
            images(self.files, self.size, seed, tuple(augmentation)),
            batch_sampler=plan,
            collate_fn=_listed if self.device_decoding else None,
            num_workers=self.num_workers,
            persistent_workers=keep and self.num_workers > 0,
            pin_memory=self.device.type == "cuda",
            # Workers are forked from the trial: they need no second import of torch, and no fork server.
            multiprocessing_context="fork" if self.num_workers and sys.platform == "linux" else None,
            worker_init_fn=_die_with_parent,
            generator=torch.Generator(),  # the loader draws unused seeds for its workers
        )


class StreamedBatches(TrainingData):
    """Shuffled, augmented batches of streamed images."""

    def __init__(self, images: Streamed, batch_size: int, seed: int, augmentation: Sequence[str] = ()) -> None:
        self.num_samples, self.device = len(images), images.device
        self.batch_size = min(batch_size, len(images))
        self._images, self._seed, self._epoch = images, seed, 0
        self._plan = _Plan()
        self._loader = images._loader(self._plan, seed, augmentation, keep=True)

    def epoch(self) -> Iterator[Batch]:
        """One pass over the images in a fresh order."""
        self._epoch += 1
        order = torch.randperm(self.num_samples, generator=torch_stream(self._seed, f"order/{self._epoch}"))
        whole = order[: len(self) * self.batch_size].view(len(self), self.batch_size).tolist()
        self._plan.batches = [[(self._epoch, place) for place in places] for places in whole]
        for read, labels in self._loader:
            yield self._images.on_device(read, labels)

    @property
    def input_space(self) -> InputSpace:
        """That of the images."""
        return self._images.input_space

    def normalised(self, inputs: Tensor) -> Tensor:
        """Bytes as the network takes them."""
        return self._images.preprocessing(inputs) if inputs.dtype == torch.uint8 else inputs

    def state(self) -> State:
        """The number of the last epoch, on which all draws depend."""
        return {"epoch": self._epoch}

    def restore(self, state: State) -> None:
        """Continue with the epoch after the saved one."""
        self._epoch = int(state["epoch"])


class _Plan:
    """Batch sampler of the next epoch. The loader reads it at each epoch and keeps its workers."""

    def __init__(self) -> None:
        self.batches: list[list[Request]] = []

    def __iter__(self) -> Iterator[list[Request]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Files(TorchDataset[Any]):
    """Image files and the draws of their cuts, for worker processes."""

    def __init__(self, files: ImageFiles, size: int, seed: int, augmentation: tuple[str, ...]) -> None:
        self._files, self._size, self._seed, self._augmentation = files, size, seed, augmentation

    @contextmanager
    def _draws(self, epoch: int, place: int) -> Iterator[None]:
        """A context in which torch's global generator, from which torchvision draws, is that of one image."""
        before = torch.get_rng_state()  # for other draws of the trial
        torch.default_generator.manual_seed(stream_seed(self._seed, f"augmentation/{epoch}/{place}"))
        try:
            yield
        except ImageError as error:
            path = self._files.path(place)
            raise DataError(f"The image {path} cannot be read ({error}); replace or remove it.") from error
        finally:
            torch.set_rng_state(before)


class _Images(_Files):
    """Reads, crops and flips one image, in a worker process."""

    def __init__(self, files: ImageFiles, size: int, seed: int, augmentation: tuple[str, ...]) -> None:
        super().__init__(files, size, seed, augmentation)
        centre = [v2.Resize(_short_side(size)), v2.CenterCrop(size)]
        self._plain = v2.Compose([*centre, v2.PILToTensor()])
        cut = [v2.RandomResizedCrop(size)] if "resized_crop" in augmentation else centre
        flip = [v2.RandomHorizontalFlip()] if "flip" in augmentation else []
        self._augmented = v2.Compose([*cut, *flip, v2.PILToTensor()])

    def __getitem__(self, request: Request) -> tuple[Tensor, Tensor]:
        """Image (3, size, size) of bytes, and its label."""
        epoch, place = request
        with self._draws(epoch, place):
            image = decoded(self._files.path(place))
            return (self._augmented if epoch else self._plain)(image), self._files.labels[place]


class _EncodedImages(_Files):
    """Reads one file and draws its cut, in a worker process; the device does the rest."""

    def __getitem__(self, request: Request) -> tuple[Encoded, Tensor]:
        """The file, and its label."""
        epoch, place = request
        with self._draws(epoch, place):
            return encoded(self._files.path(place), self._augmentation if epoch else ()), self._files.labels[place]


def _listed(samples: Sequence[tuple[Encoded, Tensor]]) -> tuple[list[Encoded], Tensor]:
    """A batch of files of different sizes."""
    return [read for read, _ in samples], torch.stack([label for _, label in samples])


def _short_side(size: int) -> int:
    """Of an image that is scaled before its centre is cut."""
    return round(size * RESIZED_OVER_CROP)


def _die_with_parent(worker: int) -> None:
    """Let the kernel kill this worker when its trial's process dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
