"""A file cache for slow computations on a data set: computed once, then read by every trial.

The file lies in `.regarena` in the data folder, or in the user's cache folder where that cannot be written or where
the data set has no folder. It is named by a hash of all that its content follows from, and holds plain arrays.
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
    """What `compute` returns, from a file if an earlier call left one.

    A file that is damaged is computed anew, and replaced.
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
        with contextlib.suppress(OSError):  # not to be written, or full: the next folder
            _write(folder, name, tensors)
            break
    return tensors


def _folders(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None and not (data_dir / FOLDER).is_symlink():  # which may lead out of the data folder
        yield data_dir / FOLDER
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not cache.startswith("~"):  # as it does for a user without a home
        yield Path(cache) / "regarena"


def _read(path: Path) -> Tensors | None:
    """The arrays of a file, or None if it is not there or not whole; zip files hold a check sum of each entry."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def _write(folder: Path, name: str, tensors: Tensors) -> None:
    """Write a file whole or not at all: others may read, or write the same, meanwhile."""
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
