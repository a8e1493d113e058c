"""The lock of a campaign, so that two runs do not work on one results folder at once."""

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

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # NFS without its lock service, Lustre without flock


@contextlib.contextmanager
def campaign_lock(location: str, folder: Path | None) -> Iterator[str | None]:
    """Hold the campaign for this process; the operating system lets go of it however the process ends.

    Args:
        location: what the user calls the results folder.
        folder: the results folder, or None for a URI.

    Yields:
        None, or a sentence that says that other machines are not kept away: so it is where the folder's file system has
        no locks. For a URI it is always so, and nothing is said.

    Raises:
        CampaignLocked: when another process holds it.
        OSError: when the lock's file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        notice = None
        if folder is None:
            stack.enter_context(_held(_on_this_machine(location), location, removed=True))
        else:
            try:
                stack.enter_context(_held(folder / ".lock", location, removed=False))
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
                stack.enter_context(_held(_on_this_machine(str(folder)), location, removed=True))
                notice = (
                    f"The file system of {location} has no locks ({error.strerror}): start no second run of this "
                    "campaign on another machine."
                )
        yield notice


@contextlib.contextmanager
def _held(path: Path, location: str, *, removed: bool) -> Iterator[None]:
    """Hold the lock of a file. Where it is `removed` in the end, who opened it before finds it gone, and tries anew."""
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
            f"Another run is working on the campaign in {location}; wait for it, or end it first."
        ) from None


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    """The open file; a link is not followed, since the temporary folder is open to other users."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def _on_this_machine(location: str) -> Path:
    """A file that all runs of this user on this machine find."""
    name = hashlib.sha256(location.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"regarena-{os.getuid()}-{name}.lock"
