"""A results folder, local or behind a URI that pyarrow.fs opens: list its files, read one, write one whole."""

from __future__ import annotations

import contextlib
import os
import platform
import posixpath
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs

from harness.errors import BadInput, ResultsError

Results = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Kind = Literal["trials", "curves"]
TRIALS: Kind = "trials"
CURVES: Kind = "curves"
CHECKPOINTS = "checkpoints"  # folder of the checkpoints of running trials

PAUSES_SECONDS = (0.1, 0.5, 2.0)  # before each further try to read; a busy object store needs longer and longer ones
_LASTING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)  # another try changes nothing

_MACHINE = re.sub(r"\W", "_", platform.node(), flags=re.ASCII)
_UNFINISHED = re.compile(r"\..+\.(\w*)-(\d+)", re.ASCII)  # see `unfinished_path`
_STALE_SECONDS = 3600.0  # no file takes that long to write

_Read = TypeVar("_Read")


class UnreadableResultsError(ResultsError):
    """The disk or object store reports errors; the files themselves may be intact, and none was changed."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One results folder. `name` is what the user wrote, `path` what `filesystem` calls it."""

    name: str
    filesystem: pa.fs.FileSystem
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine."""
        return isinstance(self.filesystem, pa.fs.LocalFileSystem)

    def parquet_files(self, kind: Kind) -> list[str]:
        """Sorted paths of the Parquet files of a kind, without those still being written.

        Raises:
            UnreadableResultsError: when the folder cannot be listed.
        """
        selector = pa.fs.FileSelector(posixpath.join(self.path, kind), allow_not_found=True)
        listed = patiently(lambda: self.filesystem.get_file_info(selector), f"{self.name}/{kind}")
        return sorted(
            entry.path
            for entry in listed
            if entry.type == pa.fs.FileType.File
            and entry.base_name.endswith(".parquet")
            and not entry.base_name.startswith((".", "_"))
        )

    def read(self, path: str) -> pa.Buffer:
        """The bytes of a file.

        Raises:
            OSError: when it cannot be read now.
        """
        with self.filesystem.open_input_file(path) as stream:
            return stream.read_buffer()

    def write(self, name: str, content: bytes) -> str:
        """Write a file below the folder, whole or not at all; returns its path.

        Raises:
            ValueError: if the name contains "..".
            OSError: if it cannot be written, or a link in the folder leads out of it.
        """
        if ".." in name.split("/"):
            raise ValueError(f"A file's name in a results folder must not contain '..', got {name!r}.")
        target = posixpath.join(self.path, name)
        check_no_links(self.filesystem, self.path, target)
        if self.is_local:
            self.filesystem.create_dir(posixpath.dirname(target), recursive=True)
        write_whole(self.filesystem, self.path, target, content)
        return target


def open_folder(name: str | os.PathLike[str]) -> Folder:
    """A folder from a local path or from a URI that `pyarrow.fs` opens (`s3://...`, `gs://...`, `file://...`).

    Raises:
        BadInput: when it cannot be opened, or is a file.
    """
    text = os.fspath(name)
    if "://" not in text:
        folder = os.path.abspath(text)
        if os.path.isfile(folder):  # False, not an error, if the parent folder may not be entered
            raise BadInput(f"The results location {text} is a file, but a folder is needed.")
        return Folder(name=text, filesystem=pa.fs.LocalFileSystem(), path=folder)
    try:
        filesystem, path = pa.fs.FileSystem.from_uri(text)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadInput(f"The results location {text!r} cannot be opened: {error}.") from error
    path = re.sub("//+", "/", path).rstrip("/")
    if not path:
        raise BadInput(f"The results location {text!r} names no bucket or folder; give one, as in s3://bucket/folder.")
    return Folder(name=text, filesystem=filesystem, path=path)


def uniform_uri(uri: str) -> str:
    """The URI without slashes that change nothing, so that two names of one folder are equal.

    >>> uniform_uri("s3://bucket//folder/?region=eu")
    's3://bucket/folder?region=eu'
    """
    parts = urlsplit(uri)
    return parts._replace(path=re.sub("//+", "/", parts.path).rstrip("/")).geturl()


def open_folders(results: Results) -> list[Folder]:
    """One folder for a path or URI, several for a list of them."""
    names = [results] if isinstance(results, str | os.PathLike) else list(results)
    if not names:
        raise ValueError("At least one results folder is needed, got an empty list.")
    return [open_folder(name) for name in names]


def patiently(read: Callable[[], _Read], what: str) -> _Read:
    """The result of `read`, which is retried after errors that may pass (too many open files, a busy object store).

    Args:
        read: does the reading.
        what: the file or folder, as messages name it.

    Raises:
        FileNotFoundError, NotADirectoryError, IsADirectoryError: without retries.
        BadInput: without retries, if this user has no permission to read.
        UnreadableResultsError: if the last try fails, too.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            return read()
        except PermissionError as error:
            raise BadInput(f"{what} may not be read by this user ({first_line(error)}).") from error
        except _LASTING:
            raise
        except OSError as error:
            if pause is None:
                raise UnreadableResultsError(
                    f"{what} cannot be read ({first_line(error)}); this was try {len(PAUSES_SECONDS) + 1}. Nothing was "
                    "changed; run the same command again when it can be read."
                ) from error
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def check_no_links(files: pa.fs.FileSystem, root: str, path: str) -> None:
    """Make sure that no folder between the results folder `root` and `path` is a link, which may lead anywhere.

    The results folder itself may be a link: the user chose it. Links in it may come from somebody else.

    Raises:
        PermissionError: if one of them is a link.
    """
    if not isinstance(files, pa.fs.LocalFileSystem):
        return
    for folder in Path(path).relative_to(root).parents:
        if folder != Path(".") and (Path(root) / folder).is_symlink():
            raise PermissionError(f"{Path(root) / folder} is a link, which may lead out of the results folder")


def write_whole(files: pa.fs.FileSystem, root: str, path: str, content: bytes, lasting: bool = True) -> None:
    """Write a file under a name that readers ignore (a leading dot), flush it to the disk, and rename it.

    On an object store it is written directly: a file appears there only when it is complete.

    Args:
        files: the file system.
        root: the results folder.
        path: of the file, which must be below `root`.
        content: of the file.
        lasting: whether the file must survive a crash of the machine; if not, it is not flushed, which is faster.

    Raises:
        OSError: when the disk is full, the folder cannot be written, or a link leads out of it.
    """
    check_no_links(files, root, path)
    if not isinstance(files, pa.fs.LocalFileSystem):
        with files.open_output_stream(path) as stream:
            stream.write(content)
        return
    target = Path(path)
    unfinished = unfinished_path(target)
    try:
        unfinished.unlink(missing_ok=True)  # left by a killed process with the same id, or a link
        with unfinished.open("xb") as stream:
            stream.write(content)
            if lasting:
                stream.flush()
                os.fsync(stream.fileno())
        unfinished.replace(target)
    except BaseException:  # a full disk, or Ctrl-C at this very moment
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    if not lasting:
        return
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unfinished_path(target: Path) -> Path:
    """The path of a file until it is complete; its name contains the machine and the process."""
    return target.with_name(f".{target.name}.{_MACHINE}-{os.getpid()}")


def remove_unfinished(files: pa.fs.FileSystem, root: str) -> None:
    """Remove unfinished files that killed processes of this machine left, and any that are older than an hour."""
    if not isinstance(files, pa.fs.LocalFileSystem):
        return  # an object store has no unfinished files
    below = (path for path in Path(root).iterdir() if path.is_dir() and not path.is_symlink())
    for folder in (Path(root), *below):
        for path in folder.glob(".*"):
            named = _UNFINISHED.fullmatch(path.name)
            with contextlib.suppress(OSError):
                if named and (_is_over(*named.groups()) or time.time() - path.lstat().st_mtime > _STALE_SECONDS):
                    path.unlink()


def _is_over(machine: str, pid: str) -> bool:
    """Whether the process ran on this machine and has ended."""
    if machine != _MACHINE:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # a process of another user; a number that is no process id
        return False
    return False


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
