"""Folders, local or behind a URI that pyarrow.fs opens, in which a file is either whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.fs

from harness.errors import BadInput

CHECKPOINTS = "checkpoints"  # folder of what running trials leave, in case they are cut off


def opened(location: str) -> tuple[pa.fs.FileSystem, str]:
    """The file system of a local folder or URI, and the folder's path in it.

    Raises:
        BadInput: when it cannot be opened, or is a file.
    """
    if "://" not in location:
        folder = Path(location).absolute()
        if os.path.isfile(folder):  # no error where the folder above may not be entered
            raise BadInput(f"The results location {location} is a file; choose a folder, which need not exist yet.")
        return pa.fs.LocalFileSystem(), str(folder)
    try:
        found: tuple[pa.fs.FileSystem, str] = pa.fs.FileSystem.from_uri(location)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadInput(f"The results location {location!r} cannot be opened: {error}.") from error
    return found


def check_no_links(files: pa.fs.FileSystem, root: str, path: str) -> None:
    """Make sure that no folder between the results folder `root` and `path` is a link, which may lead anywhere.

    The results folder itself may be one: the user named it. What lies in it may come from somebody else.

    Raises:
        PermissionError: when one is.
    """
    if not isinstance(files, pa.fs.LocalFileSystem):
        return
    for folder in Path(path).relative_to(root).parents:
        if folder != Path(".") and (Path(root) / folder).is_symlink():
            raise PermissionError(f"{Path(root) / folder} is a link, by which files would leave the results folder")


def write_whole(files: pa.fs.FileSystem, root: str, path: str, content: bytes) -> None:
    """Write a file under a name that readers ignore (a leading dot), flush it to the disk, and give it its name.

    An object store makes it visible at once.

    Args:
        files: where.
        root: the results folder, below which the file must lie.
        path: of the file.
        content: of the file.

    Raises:
        OSError: when the disk is full, the folder cannot be written, or a link leads out of it.
    """
    check_no_links(files, root, path)
    if not isinstance(files, pa.fs.LocalFileSystem):
        with files.open_output_stream(path) as stream:
            stream.write(content)
        return
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.unlink(missing_ok=True)  # of a killed process with this number, or a link
        with unfinished.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)
    except BaseException:  # a full disk, or Ctrl-C at this very moment
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
