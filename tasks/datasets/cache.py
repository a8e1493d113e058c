"""A file cache for slow computations on a data set: computed once, then read by every trial.

The file is in `.regarena` in the data folder, or in the user's cache folder if that is not writable or the data set has
no folder. Its name contains a hash of everything that its content depends on; it holds plain arrays.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = ".regarena"

Tensors = dict[str, Tensor]


def cached(what: str, *follows_from: object, data_dir: Path | None, compute: Callable[[], Tensors]) -> Tensors:
    """The result of `compute`, from a file if an earlier call wrote one. A damaged file is recomputed and replaced.

    Args:
        what: first part of the file's name.
        follows_from: all values that the result depends on; the file's name contains a hash of their `repr`.
        data_dir: the data folder, or None.
        compute: called if there is no file.
    """
    digest = hashlib.sha256(repr(follows_from).encode()).hexdigest()[:16]
    name = f"{what}-{digest}.npz"
    folders = list(_folders(data_dir))
    for folder in folders:
        found = _read(folder / name)
        if found is not None:
            return found
    tensors = compute()
    for folder in folders:
        with contextlib.suppress(OSError):  # not writable, or the disk is full: try the next folder
            _write(folder, name, tensors)
            break
    return tensors


def _folders(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None and not (data_dir / FOLDER).is_symlink():  # a link may point outside of the data folder
        yield data_dir / FOLDER
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not cache.startswith("~"):  # expanduser keeps "~" for a user without a home folder
        yield Path(cache) / "regarena"


def _read(path: Path) -> Tensors | None:
    """The arrays of a file, or None if it is missing or damaged (zip files have a checksum of each entry)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def _write(folder: Path, name: str, tensors: Tensors) -> None:
    """Write a file atomically, since other processes may read or write it at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            np.savez(file, allow_pickle=False, **{name: tensor.numpy() for name, tensor in tensors.items()})
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
