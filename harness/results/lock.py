"""The lock of a campaign, which keeps two runs from using one results folder at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import CampaignLocked
from harness.records.folders import uniform_uri

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # NFS without its lock service, Lustre without flock


@contextlib.contextmanager
def campaign_lock(location: str, folder: Path | None) -> Iterator[str | None]:
    """Lock the campaign for this process; the operating system releases the lock however the process ends.

    Args:
        location: the results folder as the user wrote it.
        folder: the results folder, or None if it is not on a file system of this machine.

    Yields:
        None, or a sentence for the user if the folder's file system has no locks: then, as always without a folder,
        only other runs on this machine are locked out.

    Raises:
        CampaignLocked: if another process holds the lock.
        OSError: if the lock's file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        notice = None
        if folder is None:
            stack.enter_context(_held(_on_this_machine(uniform_uri(location)), location, removed=True))
        else:
            try:
                stack.enter_context(_held(folder / ".lock", location, removed=False))
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
                stack.enter_context(_held(_on_this_machine(os.path.realpath(folder)), location, removed=True))
                notice = (
                    f"The file system of {location} has no locks ({error.strerror}): do not start a second run of this "
                    "campaign on another machine."
                )
        yield notice


@contextlib.contextmanager
def _held(path: Path, location: str, *, removed: bool) -> Iterator[None]:
    """Lock a file. If it is `removed` afterwards, another process may have opened it before: so check, and retry."""
    while True:
        handle = _opened(path)
        try:
            _lock(handle, location)
            if _is_at(path, handle):
                try:
                    yield
                finally:
                    if removed:
                        path.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _lock(handle: int, location: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CampaignLocked(
            f"Another run is working on the campaign in {location}; wait for it, or end it (`regarena stop`)."
        ) from None


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    """Open or create the file, without following links: other users can write to the temporary folder."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def _on_this_machine(place: str) -> Path:
    """The lock's file on this machine, the same for all runs of this user on this place."""
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"regarena-{os.getuid()}-{name}.lock"
