"""Data sets of image files in one folder per class, too large for memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tasks.datasets.cache import Tensors, cached
from tasks.datasets.dataset import Dataset, Splits, held_out, used_as_it_is
from tasks.datasets.image_decoding import faults_of
from tasks.datasets.image_files import ImageFiles, Index, index_of, raise_for
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.datasets.streamed import Streamed
from tasks.errors import DataError
from tasks.protocols import Augmentation, Protocol

_COUNTED = ("classes", "training images", "validation images")


@dataclass(frozen=True, kw_only=True)
class ImageFolders(Dataset):
    """Image files below FOLDER/train/CLASS/ and FOLDER/val/CLASS/. The official validation set is the test set here.

    Args:
        folders: names that FOLDER may have below the data folder; the first that exists is read.
    """

    folders: tuple[str, ...]
    augmentations: tuple[Augmentation, ...] = ("resized_crop", "flip")

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        *others, last = self.folders
        return f"streamed from files; their folder may be called {', '.join(others)} or {last}"

    @property
    def is_streamed(self) -> bool:
        """True: the images do not fit into memory."""
        return True

    @property
    def splits_in_words(self) -> str:
        """The training, validation and test splits, in words; the labels of the official test set are not public."""
        return f"{super().splits_in_words.partition(';')[0]}; official validation set as test"

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """List the files and split the list; images are read when their batch is needed."""
        if protocol is not None:
            self._check_offers(protocol)
        _, index = self._index(data_dir)
        split = protocol.split_of(self.name) if protocol else self.name
        train, validation = held_out(split, index.train.labels, self.held_out_fraction(protocol))

        def streamed(files: ImageFiles) -> Streamed:
            return Streamed(
                files=files,
                num_classes=self.num_classes,
                size=self.shape[1],
                preprocessing=ChannelNormalisation(mean=self.mean, std=self.std),
                num_workers=num_workers,
                device_decoding=protocol is not None and protocol.switches.device_decoding,
            )

        return Splits(
            train=streamed(index.train.at(train)),
            validation=streamed(index.train.at(validation)),
            test=streamed(index.val),
            fingerprint=index.fingerprint,
        )

    def num_images(self, data_dir: Path | None) -> tuple[int, int] | None:
        """Numbers of training and test files in `data_dir`; those of the official release if it has no copy."""
        if data_dir is None or self._folder(data_dir) is None:
            return super().num_images(data_dir)
        _, index = self._index(data_dir)
        return len(index.train), len(index.val)

    def notice(self, data_dir: Path | None) -> str | None:
        """Compare the numbers of classes and images with the official release; check once that images can be decoded.

        Raises:
            DataError: when images cannot be decoded; the message names them.
        """
        folder, index = self._index(data_dir)
        check_images(index, data_dir)
        found = len(index.classes), len(index.train), len(index.val)
        official = self.num_classes, self.num_train, self.num_test
        if found == official:
            return None
        counts = zip(found, official, _COUNTED, strict=True)
        difference = "it has " + ", ".join(f"{here:,} of {there:,} {what}" for here, there, what in counts)
        if found[0] != self.num_classes:
            difference += f" (networks keep {self.num_classes:,} outputs, the first {found[0]:,} are its classes)"
        return used_as_it_is(self.name, folder, difference, index.fingerprint)

    def _index(self, data_dir: Path | None) -> tuple[Path, Index]:
        self.check(data_dir)
        assert data_dir is not None  # `check` has refused None
        folder = self._folder(data_dir)
        assert folder is not None
        index = index_of(folder)
        if len(index.classes) > self.num_classes:
            raise DataError(
                f"{folder / 'train'} holds {len(index.classes):,} class folders, where {self.name} has "
                f"{self.num_classes:,} classes; remove what does not belong there."
            )
        return folder, index

    def _missing(self, data_dir: Path) -> list[str]:
        return list(self.files) if self._folder(data_dir) is None else []

    def _folder(self, data_dir: Path) -> Path | None:
        """The first of `folders` that exists."""
        return next((data_dir / name for name in self.folders if (data_dir / name / "train").is_dir()), None)


def check_images(index: Index, data_dir: Path | None) -> None:
    """Check every image, unless a copy with this fingerprint passed the check before.

    Raises:
        DataError: when images cannot be decoded; the message names them.
    """

    def look() -> Tensors:
        faults = [fault for files in (index.train, index.val) for fault in faults_of(files)]
        raise_for(faults, "Replace or remove them.")
        return {"num_images": torch.tensor(len(index.train) + len(index.val))}

    cached("images", str(index.train.root), index.fingerprint, data_dir=data_dir, compute=look)
