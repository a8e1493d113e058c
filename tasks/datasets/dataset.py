"""The base class of data sets: training, validation and test samples, their fingerprint, and their files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import torch
from torch import Tensor

from tasks.datasets.batches import Samples
from tasks.datasets.preprocessing import FITTED, normalisation_of
from tasks.errors import DataError
from tasks.input_space import InputSpace
from tasks.protocols import Augmentation, Preprocessing, Protocol
from tasks.runtime.streams import torch_stream

FETCH_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Training, validation and test data, and the fingerprint of all of it."""

    train: Samples
    validation: Samples
    test: Samples
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Images with class labels, in memory or streamed from folders; or ratings (`tasks.datasets.ratings`).

    Args:
        name: its name in the table.
        num_classes: outputs of a network for it.
        shape: (channels, height, width) of an image as the network sees it.
        validation_fraction: fraction of the official training set held out for selection, unless a protocol says
            otherwise; the same images for every seed and every regularizer.
        mean, std: per channel in [0, 1] units, for normalisation.
        num_train, num_test: numbers of images of the official sets; None if they are unknown without the files.
        files: paths below the data folder that are read; empty if there are none.
        fetch: downloads the files into the data folder.
        augmentations, preprocessings: those that a protocol may use.
        holds_bytes: whether inputs are grey levels from 0 to 255; otherwise they are floats, used unchanged.
    """

    name: str
    num_classes: int
    shape: tuple[int, int, int]
    validation_fraction: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_train: int | None = None
    num_test: int | None = None
    files: tuple[str, ...] = ()
    fetch: Callable[[Path], object] | None = None
    augmentations: tuple[Augmentation, ...] = ()
    preprocessings: tuple[Preprocessing, ...] = ("standard",)
    holds_bytes: bool = True
    holds_images: ClassVar[bool] = True  # whether inputs are images and targets class probabilities

    @abstractmethod
    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """The samples on the CPU, split and preprocessed as `protocol` says (None: the data set's defaults).

        `num_workers` processes load streamed samples; they do not change results.

        Raises:
            DataError: when files are missing or damaged.
            ValueError: when the data set does not offer the protocol's augmentation, preprocessing or split.
        """

    def splits_of(
        self, seed: int, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0
    ) -> Splits:
        """The samples of a training with this seed; the same for all seeds, unless a subclass draws them by seed."""
        return self.splits(data_dir, protocol, num_workers)

    @abstractmethod
    def notice(self, data_dir: Path | None) -> str | None:
        """One sentence on how the copy in `data_dir` differs from the official release; None if it is not known to."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Where the samples are kept, in words."""

    @property
    def content(self) -> str:
        """Size and classes, in words."""
        channels, height, width = self.shape
        return f"{height}x{width}, {channels} channel{'s' * (channels > 1)}, {self.num_classes} classes"

    @property
    def is_streamed(self) -> bool:
        """Whether samples are read and decoded during training."""
        return False

    @property
    def label_noise(self) -> float:
        """Share of the training samples that were given a wrong label, in [0, 1]."""
        return 0.0

    @property
    def splits_in_words(self) -> str:
        """The training, validation and test splits, in words."""
        share = f"{100 * self.validation_fraction:.3g} %"
        return f"official training set, {share} of it held out for validation; official test set"

    def held_out_fraction(self, protocol: Protocol | None) -> float:
        """Fraction of the official training set that is held out: the protocol's if it has one, else the data set's."""
        asked = None if protocol is None else protocol.validation_fraction
        return self.validation_fraction if asked is None else asked

    def input_space(self, preprocessing: Preprocessing = "standard") -> InputSpace | None:
        """The units of the inputs that a network takes; None where pixels are mixed with each other."""
        if not self.holds_bytes:
            return InputSpace()
        return None if preprocessing in FITTED else normalisation_of(self.mean, self.std, preprocessing).input_space

    def num_images(self, data_dir: Path | None) -> tuple[int, int] | None:
        """Numbers of training and test images, without reading them; None if they are unknown."""
        return None if self.num_train is None or self.num_test is None else (self.num_train, self.num_test)

    def check(self, data_dir: Path | None, download: bool = False) -> None:
        """Check that the files exist; `download` fetches missing ones.

        Raises:
            DataError: when files are missing; the message names them and the folder.
        """
        wanted = f"{', '.join(self.files)} below the folder given by --data"
        if self.files and data_dir is None:
            raise DataError(f"The data set {self.name} is read from files: {wanted}; no --data was given.")
        if data_dir is None or not self._missing(data_dir):
            return
        advice = f"Put the files there{', or let --download fetch them where there is a network' * bool(self.fetch)}."
        if download and self.fetch is None:
            advice = "They cannot be fetched automatically: put the files there."
        elif download:
            try:
                self._fetch(data_dir)
                advice = "Fetching them did not bring all: put the files there."
            except Exception as error:
                advice = f"Fetching them failed ({type(error).__name__}): put the files there."
        if missing := self._missing(data_dir):
            raise DataError(
                f"The data set {self.name} needs {wanted}; missing in {data_dir}: {', '.join(missing)}. {advice}"
            )

    def _missing(self, data_dir: Path) -> list[str]:
        return [file for file in self.files if not (data_dir / file).exists()]

    def _fetch(self, data_dir: Path) -> None:
        """Fetch without output, with a timeout for a network that does not answer."""
        assert self.fetch is not None
        previous = socket.getdefaulttimeout()
        socket.setdefaulttimeout(FETCH_TIMEOUT_SECONDS)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                self.fetch(data_dir)
        finally:
            socket.setdefaulttimeout(previous)

    def _check_offers(self, protocol: Protocol) -> None:
        """Raise ValueError for an augmentation or preprocessing that the data set does not offer."""
        for name in protocol.augmentation:
            if name not in self.augmentations:
                raise ValueError(
                    f"The data set {self.name} offers the augmentations {_listed(self.augmentations)}, got {name!r} "
                    f"(known are {', '.join(get_args(Augmentation))}); change the task's protocol."
                )
        if protocol.preprocessing not in self.preprocessings:
            raise ValueError(
                f"The data set {self.name} offers the preprocessing {_listed(self.preprocessings)}, got "
                f"{protocol.preprocessing!r}; change the task's protocol."
            )


def held_out(name: str, labels: Tensor, fraction: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split the official training images: indices of those to train on, and of those held out for validation.

    The split is stratified: each class has its share of the held-out images, up to one image. It depends only on the
    name, the labels, the fraction and the seed. With fraction 0 nothing is held out, and both results are all images:
    validation then uses the training images.

    Args:
        name: of the data set and the split.
        labels: (N,) classes of the official training images.
        fraction: in [0, 1).
        seed: of the draw; data sets with a fixed split use 0.

    Raises:
        ValueError: for a fraction outside [0, 1).

    Example:
        >>> train, validation = held_out("example", torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), 0.25)
        >>> sorted(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])[validation].tolist()), len(train)
        ([0, 1], 6)
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"validation_fraction must lie in [0, 1), got {fraction}.")
    order = torch.randperm(len(labels), generator=torch_stream(seed, f"split/{name}"))
    if fraction == 0:
        return order, order
    counts = torch.bincount(labels)
    quotas = _quotas(counts, total=max(1, round(len(labels) * fraction)))
    shuffled = labels[order]
    by_class = shuffled.argsort(stable=True)
    place_in_class = torch.empty_like(order)
    place_in_class[by_class] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[shuffled[by_class]]
    is_held_out = place_in_class < quotas[shuffled]
    return order[~is_held_out], order[is_held_out]


def _quotas(counts: Tensor, total: int) -> Tensor:
    """Integers in proportion to `counts` whose sum is `total`, by the largest remainder method."""
    whole, rest = total * counts // counts.sum(), total * counts % counts.sum()
    whole[rest.argsort(descending=True, stable=True)[: total - int(whole.sum())]] += 1
    return whole


def fingerprint(*tensors: Tensor) -> str:
    """16 hexadecimal digits of SHA-256 over the bytes and shapes of `tensors`."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def used_as_it_is(name: str, data_dir: Path | None, difference: str, print_: str) -> str:
    """The sentence of a notice; `print_` is the fingerprint of the copy."""
    return (
        f"The copy of {name} in {data_dir} differs from the official release: {difference}; it is used as it is, and "
        f"the column dataset_fingerprint ({print_}) tells its rows from those of other copies."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "(none)"
