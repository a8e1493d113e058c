"""A results folder, local or on an object store, behind one small face: list its Parquet files, write a file."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

Results = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One results folder. `name` is what the user wrote, `path` what `filesystem` calls it."""

    name: str
    filesystem: Any  # pyarrow.fs.FileSystem, which ships no types
    path: str

    def parquet_files(self, kind: str) -> list[str]:
        """Sorted paths of the Parquet files of a kind ("trials", "curves"), without those still being written."""
        selector = fs.FileSelector(posixpath.join(self.path, kind), allow_not_found=True)
        return sorted(
            entry.path
            for entry in self.filesystem.get_file_info(selector)
            if entry.type == fs.FileType.File
            and entry.base_name.endswith(".parquet")
            and not entry.base_name.startswith((".", "_"))
        )

    def write(self, name: str, content: bytes) -> str:
        """Write a file below the folder, whole or not at all; returns where it lies.

        Raises:
            OSError: when it cannot be written, or would lie elsewhere: behind a link that stands in the folder.
        """
        target = posixpath.join(self.path, name)
        if not isinstance(self.filesystem, fs.LocalFileSystem):
            with self.filesystem.open_output_stream(
                target
            ) as stream:  # an object store shows an object when it is whole
                stream.write(content)
            return target
        parent = posixpath.dirname(target)
        if ".." in name.split("/"):
            raise ValueError(f"A file of a report must lie below its folder, got {name!r}.")
        if posixpath.islink(parent) and parent != self.path:
            raise PermissionError(f"{parent} is a link, by which files would leave the folder; remove it.")
        self.filesystem.create_dir(parent, recursive=True)
        unfinished = posixpath.join(parent, f".{posixpath.basename(target)}.{os.getpid()}")
        try:
            with contextlib.suppress(FileNotFoundError):  # of a process with this number that was killed, or a link
                os.unlink(unfinished)
            with open(unfinished, "xb") as stream:
                stream.write(content)
            os.replace(unfinished, target)
        except BaseException:  # a full disk
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise
        return target


def open_folder(name: str | os.PathLike[str]) -> Folder:
    """A folder from a local path or from a URI that `pyarrow.fs` opens (`s3://…`, `gs://…`, `file://…`)."""
    text = os.fspath(name)
    if "://" in text:
        filesystem, path = fs.FileSystem.from_uri(text)
        return Folder(name=text, filesystem=filesystem, path=path)
    return Folder(name=text, filesystem=fs.LocalFileSystem(), path=os.path.abspath(text))


def open_folders(results: Results) -> list[Folder]:
    """One folder for a path or URI, several for a list of them."""
    names = [results] if isinstance(results, str | os.PathLike) else list(results)
    if not names:
        raise ValueError("At least one results folder is needed, got an empty list.")
    return [open_folder(name) for name in names]
