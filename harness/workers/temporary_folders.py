"""Temporary folders: removed when their owner ends, or by the next run if the owner was killed.

The parent folder (usually `/tmp`) is shared by all users of the machine, so its content is not trusted: only real
folders of this user are opened, through a file descriptor of the folder itself, and no link is followed. The parent
needs the sticky bit, as `/tmp` has; otherwise other users could replace a folder that is in use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import multiprocessing.util
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "ra-"  # short, since the paths of sockets below it must be
_OWNER = "owner.lock"  # locked by the process that made the folder; the operating system releases the lock when it ends
_MAX_FOLDER_CHARACTERS = 24
_REMOVAL_SECONDS = 5.0
_ABANDONED_SECONDS = 0.2
_SECONDS_TO_LOCK = 10.0  # far more than a new folder is without its lock file


def short_folder() -> str:
    """The parent for folders of sockets, with a short path: a socket's has at most 107 characters, Ray uses many."""
    folder = tempfile.gettempdir()
    return "/tmp" if len(folder) > _MAX_FOLDER_CHARACTERS and os.access("/tmp", os.W_OK) else folder


@contextlib.contextmanager
def temporary_folder(parent: str) -> Iterator[str]:
    """A context with a new folder in `parent`, removed at its end; first, folders of killed processes are removed."""
    remove_abandoned(parent)
    folder, owner = new_folder(parent)
    try:
        yield folder
    finally:
        remove(folder)
        if owner is not None:
            os.close(owner)
        remove_abandoned(parent)  # processes that a killed run had left have ended since


def folder_of_this_process() -> str:
    """The temporary folder of this process, created at the first call and removed when the process ends."""
    return _folder_of_process(os.getpid())


@functools.cache
def _folder_of_process(pid: int) -> str:
    remove_abandoned(short_folder())
    folder, _ = new_folder(short_folder())  # the lock is held until the process ends, however it does
    # After multiprocessing has removed its own folder in it, at -100; and not when a fork of this process ends.
    multiprocessing.util.Finalize(None, remove, args=(folder,), exitpriority=-101)
    return folder


@contextlib.contextmanager
def temporary_files_in(folder: str) -> Iterator[None]:
    """A context in which this process creates its temporary files and sockets in `folder`."""
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = before


def new_folder(parent: str) -> tuple[str, int | None]:
    """A new folder, and the descriptor of its lock file, which this process holds (None where files have no locks)."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    unfinished = folder / f"{_OWNER}.unlocked"
    owner = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        unfinished.rename(folder / _OWNER)  # after locking, so that no other run takes the folder for abandoned
    except OSError:  # without locks, abandoned folders cannot be told from used ones
        os.close(owner)
        return str(folder), None
    return str(folder), owner


def remove_abandoned(parent: str) -> None:
    """Remove the folders in `parent` whose owner, a process of this user, has ended."""
    for left in Path(parent).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _opened(left) as folder:
            if _was_made_again(folder):
                _remove_emptied(left, folder, _ABANDONED_SECONDS)
                continue
            owner = os.open(_OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                _check_is_own(owner)
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_emptied(left, folder, _ABANDONED_SECONDS)
            finally:
                os.close(owner)


def remove(path: str) -> None:
    """Remove a folder of this user with its content; errors are ignored."""
    with contextlib.suppress(OSError), _opened(Path(path)) as folder:
        _remove_emptied(path, folder, _REMOVAL_SECONDS)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a folder of this user; OSError if it is a link, no folder, or another user's."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_is_own(folder)
        yield folder
    finally:
        os.close(folder)


def _check_is_own(handle: int) -> None:
    if os.fstat(handle).st_uid != os.geteuid():
        raise PermissionError("it belongs to another user")


def _was_made_again(folder: int) -> bool:
    """Whether a process of a killed run made the folder again after its removal, so that it has no lock file."""
    is_old = time.time() - os.fstat(folder).st_mtime > _SECONDS_TO_LOCK
    return is_old and not any(name.startswith(_OWNER) for name in os.listdir(folder))


def _remove_emptied(path: str | Path, folder: int, seconds: float) -> None:
    """Empty a folder and remove it, again and again for some seconds: processes that end may still write into it.

    Raises:
        OSError: if something is left, or if a link has taken the folder's place.
    """
    latest = time.monotonic() + seconds
    while True:
        _empty(folder)
        try:
            return os.rmdir(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > latest:
                raise
        time.sleep(0.05)


def _empty(folder: int) -> None:
    """Remove all that can be removed. The lock file goes last, so that a later run can continue the removal."""
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # a process that ends removes its own sockets
            if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder)  # follows no links
            elif name != _OWNER:
                os.unlink(name, dir_fd=folder)
    if os.listdir(folder) == [_OWNER]:
        os.unlink(_OWNER, dir_fd=folder)
