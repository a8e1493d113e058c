"""Folders of scratch: gone when their owner ends, and by the next run's hand where the owner was killed."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "ra-"  # short, since the paths of sockets below it must be
_OWNER = "owner.lock"  # locked by who made the folder; the operating system lets go of it however that process ends


@contextlib.contextmanager
def temporary_folder(parent: str) -> Iterator[str]:
    """A new folder in `parent`, removed at the end; what killed processes left there goes first."""
    for left in Path(parent).glob(f"{_PREFIX}*"):
        _remove_if_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where files cannot be locked, nobody tells what was left behind
            unfinished = folder / f"{_OWNER}.unlocked"
            fcntl.flock(stack.enter_context(unfinished.open("w")), fcntl.LOCK_EX)
            unfinished.rename(folder / _OWNER)  # only now, so that nobody takes it for abandoned
        stack.callback(_remove, folder)
        yield str(folder)


def _remove_if_abandoned(folder: Path) -> None:
    # Suppressed: that there is no such file, that it is another user's, that it is locked.
    with contextlib.suppress(OSError), (folder / _OWNER).open("r+") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what can be. The owner's file goes last, for who has to go on where processes still write."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _OWNER:
                path.unlink(missing_ok=True)
        if all(path.name == _OWNER for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
