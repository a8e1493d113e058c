"""The image files of a data set: FOLDER/train/CLASS/FILE and FOLDER/val/CLASS/FILE, or FOLDER/CLASS/FILE, listed only.

Names that begin with a dot are ignored: `.ipynb_checkpoints`, `.DS_Store`, and the `._` files that macOS creates on
other file systems. Files and folders that would change the labels or cannot be read raise an error that names them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png")
_MOST_NAMED = 10
_HIDDEN = (".", "__MACOSX")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFiles:
    """Paths below `root` with their labels. An array of bytes takes 100 MB less than a million Python strings."""

    root: Path
    paths: NDArray[np.bytes_]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.paths)

    def at(self, places: Tensor) -> ImageFiles:
        """The files at these indices."""
        return replace(self, paths=self.paths[places.numpy()], labels=self.labels[places])

    def path(self, place: int) -> Path:
        """The path of one file."""
        return self.root / os.fsdecode(self.paths[place])


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """The files of a data set's folder; the fingerprint is a hash of all relative paths and file sizes, sorted."""

    classes: tuple[str, ...]
    train: ImageFiles
    val: ImageFiles
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """The entries of one folder, without hidden ones."""

    folders: tuple[str, ...]
    images: tuple[tuple[str, int], ...]  # name and size in bytes
    faults: tuple[str, ...]


@lru_cache(maxsize=16)
def index_of(folder: Path, train_part: str = "train", val_part: str | None = "val") -> Index:
    """List a folder, once per process. Labels are indices in the sorted list of the class folders of `train_part`.

    Args:
        folder: holds the folders `train_part` and `val_part`, in which there is a folder for each class.
        train_part: "" if the folders of the classes are in `folder` itself.
        val_part: None if there is none; `Index.val` is empty then.

    Raises:
        DataError: when there are no images, `val` has a class that `train` does not have, a class has no training
            images, or a file is empty or a broken link; one message names all of them.
    """
    train = _listed(folder / train_part)
    val = _Listed(folders=(), images=(), faults=()) if val_part is None else _listed(folder / val_part)
    faults = [*train.faults, *val.faults]
    faults += [
        f"{folder / str(val_part) / name}: {val_part} has the class {name}, of which {folder / train_part} has no "
        "folder"
        for name in sorted(set(val.folders) - set(train.folders))
    ]
    digest, found = hashlib.sha256(), dict[str, ImageFiles]()
    for part, classes in ((train_part, train.folders), (val_part, val.folders)):
        if part is None:
            found["val"] = ImageFiles(
                root=folder, paths=np.array([], np.bytes_), labels=torch.tensor([], dtype=torch.int64)
            )
            continue
        paths, labels = list[str](), list[int]()
        empty = []
        for label, name in enumerate(train.folders):
            listed = _listed(folder / part / name) if name in classes else _Listed(folders=(), images=(), faults=())
            faults += listed.faults
            empty += [] if listed.images or listed.faults else [name]
            for file, size in listed.images:
                path = "/".join(filter(None, (part, name, file)))
                digest.update(f"{path} {size}\n".encode("utf-8", "surrogateescape"))
                paths.append(path)
                labels.append(label)
        if not paths and not faults:
            raise DataError(f"{folder / part} holds no images ({', '.join(SUFFIXES)}) in a folder for each class.")
        if part == train_part:
            faults += [f"{folder / part / name}: the class has no training images" for name in empty]
        encoded = np.array([os.fsencode(path) for path in paths])
        which = "train" if part == train_part else "val"
        found[which] = ImageFiles(root=folder, paths=encoded, labels=torch.tensor(labels))
    raise_for(faults, "Remove or replace them; a class folder that does not count can be given a name with a dot.")
    return Index(classes=train.folders, train=found["train"], val=found["val"], fingerprint=digest.hexdigest()[:16])


def raise_for(faults: Sequence[str], advice: str) -> None:
    """Raise one error for all `faults`.

    Raises:
        DataError: if there are any; the message names the first of them and ends in `advice`.
    """
    if not faults:
        return
    more = f"; and {len(faults) - _MOST_NAMED:,} more" if len(faults) > _MOST_NAMED else ""
    raise DataError(
        f"{len(faults):,} file(s) or folder(s) cannot be used: {'; '.join(faults[:_MOST_NAMED])}{more}. {advice}"
    )


def _listed(folder: Path) -> _Listed:
    """The entries of a folder, sorted by name; links are followed."""
    folders, images, faults = list[str](), list[tuple[str, int]](), list[str]()
    if not folder.is_dir():
        return _Listed(folders=(), images=(), faults=())
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(_HIDDEN):
                continue
            if entry.is_dir():
                folders.append(entry.name)
                continue
            is_image = entry.name.lower().endswith(SUFFIXES)
            if entry.is_symlink() and not os.path.exists(entry.path):
                # Without a suffix it may have been a link to a class folder, without which the labels would change.
                if is_image or "." not in entry.name:
                    faults.append(f"{entry.path} is a link that leads nowhere")
            elif is_image and (size := entry.stat().st_size) == 0:
                faults.append(f"{entry.path} is empty")
            elif is_image:
                images.append((entry.name, size))
    return _Listed(folders=tuple(folders), images=tuple(images), faults=tuple(faults))
