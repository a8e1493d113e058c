"""Data sets that are held in memory as uint8 images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from tasks.datasets.batches import Split
from tasks.datasets.cache import cached
from tasks.datasets.dataset import Dataset, Splits, fingerprint, held_out, used_as_it_is
from tasks.datasets.preprocessing import (
    FITTED,
    ZCA_BIAS,
    ChannelNormalisation,
    Whitening,
    fit_whitening,
    normalisation_of,
)
from tasks.errors import DataError
from tasks.protocols import Augmentation, Preprocessing, Protocol


class Raw(NamedTuple):
    """Images (N, C, H, W) uint8 and labels (N,) int64 of the official training and test sets."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True, kw_only=True)
class InMemory(Dataset):
    """A data set of uint8 images in memory.

    Args:
        load: data folder -> images and labels.
        official_fingerprint: of the official release's images and labels; "" if it is unknown.
        official_md5: MD5 of the official release's files, by path; used if `official_fingerprint` is unknown.
    """

    load: Callable[[Path | None], Raw]
    official_fingerprint: str = ""
    official_md5: Mapping[str, str] = field(default_factory=dict, hash=False)
    augmentations: tuple[Augmentation, ...] = ("crop", "flip", "rotation")
    preprocessings: tuple[Preprocessing, ...] = ("standard", "unit", "gcn_zca", "mean_zca")

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        return "in memory, on the device of training, as bytes"

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """Read, fingerprint, split and preprocess the data; once per process."""
        if protocol is not None:
            self._check_offers(protocol)
        if self.files and (data_dir is None or self._missing(data_dir)):
            self.check(data_dir)
        fraction = self.held_out_fraction(protocol)
        split = protocol.split_of(self.name) if protocol else self.name
        preprocessing = protocol.preprocessing if protocol else "standard"
        return _preprocessed(self, data_dir, fraction, split, preprocessing)

    def notice(self, data_dir: Path | None) -> str | None:
        """Compare the fingerprint with the official release's, or the MD5 sums of the files if it is unknown."""
        if self.official_fingerprint:
            found = self.splits(data_dir).fingerprint
            if found == self.official_fingerprint:
                return None
            return used_as_it_is(self.name, data_dir, "some of its pixels or labels are different", found)
        if data_dir is None:
            return None
        others = [file for file, md5 in self.official_md5.items() if _md5(data_dir / file) != md5]
        if not others:
            return None
        names = ", ".join(Path(file).name for file in others)
        what = f"{len(others)} of its {len(self.official_md5)} files ({names}) have other MD5 sums"
        return used_as_it_is(self.name, data_dir, what, self.splits(data_dir).fingerprint)


@lru_cache(maxsize=8)
def _splits(
    dataset: InMemory, data_dir: Path | None, validation_fraction: float, split: str
) -> tuple[Mapping[str, Split], str]:
    """Training, validation and test images, and the fingerprint of all of them."""
    try:
        raw = dataset.load(data_dir)
        _check_content(dataset, raw.train_images, raw.train_labels)
        _check_content(dataset, raw.test_images, raw.test_labels)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The files of the data set {dataset.name} in {data_dir} cannot be read, probably because one of them is "
            f"truncated or damaged ({type(error).__name__}: {error}). Replace: {', '.join(dataset.files)}."
        ) from error
    train, validation = held_out(split, raw.train_labels, validation_fraction)
    splits = {
        "train": _split(dataset, raw.train_images[train], raw.train_labels[train]),
        "validation": _split(dataset, raw.train_images[validation], raw.train_labels[validation]),
        "test": _split(dataset, raw.test_images, raw.test_labels),
    }
    return splits, fingerprint(*raw)


@lru_cache(maxsize=8)
def _preprocessed(
    dataset: InMemory, data_dir: Path | None, validation_fraction: float, split: str, preprocessing: Preprocessing
) -> Splits:
    """The preprocessed splits; whitening is fitted to the whole training split, at every scale."""
    splits, content = _splits(dataset, data_dir, validation_fraction, split)
    if preprocessing in FITTED:
        norm, train = FITTED[preprocessing], splits["train"]
        fitted = cached(
            preprocessing,
            *(content, split, validation_fraction, fingerprint(train.targets), norm, ZCA_BIAS),
            data_dir=data_dir if dataset.files else None,
            compute=lambda: fit_whitening(train.inputs, norm).tensors(),
        )
        whitening = Whitening.of(fitted, norm)
        splits = {name: replace(split, preprocessing=whitening) for name, split in splits.items()}
    elif preprocessing != "standard":
        other = normalisation_of(dataset.mean, dataset.std, preprocessing)
        splits = {name: replace(split, preprocessing=other) for name, split in splits.items()}
    return Splits(**splits, fingerprint=content)


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
    preprocessing = ChannelNormalisation(mean=dataset.mean, std=dataset.std)
    return Split(inputs=images, targets=targets, preprocessing=preprocessing)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
