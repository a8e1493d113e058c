"""What a data set is: three splits in memory, a fingerprint of their content, and the files they come from."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.batches import Split
from tasks.streams import torch_stream
from tasks.task import DataError

FETCH_TIMEOUT_SECONDS = 20.0

Raw = tuple[Tensor, Tensor, Tensor, Tensor]  # train images, train labels, test images, test labels


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Training, validation and test data, and the fingerprint of all of it."""

    train: Split
    validation: Split
    test: Split
    fingerprint: str

    def to(self, device: torch.device) -> Splits:
        """All splits on `device`."""
        return Splits(
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
            fingerprint=self.fingerprint,
        )


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images (uint8) with class labels.

    Args:
        load: data folder -> images (N, C, H, W) uint8 and labels (N,) int64 of the official train and test sets.
        shape: (channels, height, width) of one image.
        validation_fraction: share of the official training set held out for selection; the same images for every
            seed and every regularizer.
        mean, std: per channel in [0, 1] units, for normalisation.
        files: paths below the data folder that `load` reads; empty if it needs none.
        fetch: downloads them into the data folder.
    """

    name: str
    load: Callable[[Path | None], Raw]
    num_classes: int
    shape: tuple[int, int, int]
    validation_fraction: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: tuple[str, ...] = ()
    fetch: Callable[[Path], object] | None = None

    def check(self, data_dir: Path | None) -> None:
        """Make sure that the files are there, fetching them where the machine has a network.

        Raises:
            DataError: naming the folder and the files expected.
        """
        wanted = f"{', '.join(self.files)} below the folder given by --data"
        if self.files and data_dir is None:
            raise DataError(f"The data set {self.name} is read from files: {wanted}; no --data was given.")
        if data_dir is None or not self._missing(data_dir):
            return
        why = "it cannot be fetched automatically"
        if self.fetch is not None:
            try:
                self._fetch(data_dir)
            except Exception as error:
                why = f"and fetching it failed ({type(error).__name__})"
        if missing := self._missing(data_dir):
            raise DataError(
                f"The data set {self.name} needs {wanted}; missing in {data_dir}: {', '.join(missing)}, {why}. "
                "Put the files there."
            )

    def _missing(self, data_dir: Path) -> list[str]:
        return [file for file in self.files if not (data_dir / file).exists()]

    def _fetch(self, data_dir: Path) -> None:
        """Fetch quietly, and give up on a network that does not answer."""
        assert self.fetch is not None
        previous = socket.getdefaulttimeout()
        socket.setdefaulttimeout(FETCH_TIMEOUT_SECONDS)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                self.fetch(data_dir)
        finally:
            socket.setdefaulttimeout(previous)

    def splits(self, data_dir: Path | None) -> Splits:
        """Read, fingerprint and split the data.

        Raises:
            DataError: when files are missing or damaged.
        """
        if self.files and (data_dir is None or self._missing(data_dir)):
            self.check(data_dir)
        return _splits(self, data_dir)


@lru_cache(maxsize=4)
def _splits(dataset: Dataset, data_dir: Path | None) -> Splits:
    try:
        train_images, train_labels, test_images, test_labels = dataset.load(data_dir)
        for images, labels in ((train_images, train_labels), (test_images, test_labels)):
            _check_content(dataset, images, labels)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The files of the data set {dataset.name} in {data_dir} cannot be read, probably because one of them is "
            f"truncated or damaged ({type(error).__name__}: {error}). Replace: {', '.join(dataset.files)}."
        ) from error
    order = torch.randperm(len(train_images), generator=torch_stream(0, f"split/{dataset.name}"))
    held_out = round(len(order) * dataset.validation_fraction)
    validation, train = order[:held_out], order[held_out:]
    return Splits(
        train=_split(dataset, train_images[train], train_labels[train]),
        validation=_split(dataset, train_images[validation], train_labels[validation]),
        test=_split(dataset, test_images, test_labels),
        fingerprint=fingerprint(train_images, train_labels, test_images, test_labels),
    )


def _check_content(dataset: Dataset, images: Tensor, labels: Tensor) -> None:
    if tuple(images.shape[1:]) != dataset.shape or len(images) != len(labels):
        raise ValueError(
            f"{len(labels)} labels and images of shape {tuple(images.shape)}, where one image has shape {dataset.shape}"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < dataset.num_classes:
        raise ValueError(
            f"labels run from {int(labels.min())} to {int(labels.max())}, not from 0 to {dataset.num_classes - 1}"
        )


def _split(dataset: Dataset, images: Tensor, labels: Tensor) -> Split:
    targets = F.one_hot(labels, dataset.num_classes).float()
    return Split(inputs=images, targets=targets, mean=dataset.mean, std=dataset.std)


def fingerprint(*tensors: Tensor) -> str:
    """16 hexadecimal digits of SHA-256 over the bytes and shapes of `tensors`."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]
