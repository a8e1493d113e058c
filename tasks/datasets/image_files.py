"""The image files of a data set: FOLDER/train/CLASS/FILE and FOLDER/val/CLASS/FILE, listed but not read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFiles:
    """Paths below `root` with their labels; one array of bytes, since a million Python texts would take 100 MB more."""

    root: Path
    paths: NDArray[np.bytes_]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.paths)

    def at(self, places: Tensor) -> ImageFiles:
        """The files at these places."""
        return replace(self, paths=self.paths[places.numpy()], labels=self.labels[places])

    def path(self, place: int) -> Path:
        """The path of one file."""
        return self.root / os.fsdecode(self.paths[place])


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """What lies in the folder of a data set; the fingerprint is a hash of all relative paths and file sizes, sorted."""

    classes: tuple[str, ...]
    train: ImageFiles
    val: ImageFiles
    fingerprint: str


@lru_cache(maxsize=4)
def index_of(folder: Path) -> Index:
    """List a folder, once in a process. Labels are places in the sorted list of the class folders of `train`.

    Raises:
        DataError: when there are no images, or when `val` has a class that `train` has not.
    """
    classes = _folders(folder / "train")
    unknown = sorted(set(_folders(folder / "val")) - set(classes))
    if unknown:
        raise DataError(f"{folder / 'val'} has the class {unknown[0]}, of which {folder / 'train'} has no folder.")
    digest, parts = hashlib.sha256(), {}
    for part in ("train", "val"):
        paths, labels = list[str](), list[int]()
        for label, name in enumerate(classes):
            for path, size in _images(folder, f"{part}/{name}"):
                digest.update(f"{path} {size}\n".encode("utf-8", "surrogateescape"))
                paths.append(path)
                labels.append(label)
        if not paths:
            raise DataError(f"{folder / part} holds no images ({', '.join(SUFFIXES)}) in a folder for each class.")
        encoded = np.array([os.fsencode(path) for path in paths])
        parts[part] = ImageFiles(root=folder, paths=encoded, labels=torch.tensor(labels))
    return Index(classes=classes, **parts, fingerprint=digest.hexdigest()[:16])


def _folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir()))


def _images(folder: Path, below: str) -> Iterator[tuple[str, int]]:
    """Relative path and size of each image of one class, by name."""
    if not (folder / below).is_dir():
        return
    with os.scandir(folder / below) as entries:
        found = sorted((e.name, e.stat().st_size) for e in entries if e.name.lower().endswith(SUFFIXES))
    for name, size in found:
        yield f"{below}/{name}", size
