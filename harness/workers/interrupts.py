"""Ctrl-C and SIGTERM as an exception, so that what is finished is kept and the way to resume can be said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Interrupted

_POLL_SECONDS = 0.005
_WITNESS = (sys.executable, "-S", "-c", "import sys; sys.stdin.read()")  # ends with whoever holds its standard input


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise `Interrupted` in the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(f"Stopped by {signal.Signals(number).name}.")

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM wait: for what must not be left half done. Other threads never hear them anyway.

    Blocking them by the thread's mask would not do: another thread takes them then, and the main one is told at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: heard.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    for waiting in heard:
        signal.raise_signal(waiting)


class ProcessGroupWatch:
    """What a SIGTERM does to this process in the end; see `ended_within`."""

    def __init__(self) -> None:
        self._witness: subprocess.Popen[bytes] | None = None

    @contextmanager
    def at_once_with_its_group(self) -> Iterator[None]:
        """Within it, a SIGTERM to the whole process group ends this process too, without a clean end.

        Whoever signals a whole group also ends the processes of Ray that a clean end would talk to, and Ray's own code
        ends the process that misses them, with an exit code of its own. A child that does nothing else tells the two
        cases apart: it ends when the group is signalled, long before those which have something to wind up.
        """
        none = subprocess.DEVNULL
        with subprocess.Popen(_WITNESS, stdin=subprocess.PIPE, stdout=none, stderr=none) as self._witness:
            yield

    def group_was_signalled(self) -> bool:
        """Whether the group was signalled."""
        return self._witness is not None and self._witness.poll() == -signal.SIGTERM


@contextmanager
def ended_within(seconds: float) -> Iterator[ProcessGroupWatch]:
    """Within it, SIGTERM ends this process after `seconds` at the latest, come what may.

    For a signal that also ended those whom a clean end waits for: the rows are safe, the rest is scratch. A thread
    hears of the signal through a pipe that the interpreter's own handler writes to, since handlers in Python run in
    the main thread, which may be waiting inside a call that returns only when it is too late.
    """
    over, ending = threading.Event(), ProcessGroupWatch()
    hears, tells = os.pipe()
    os.set_blocking(tells, False)

    def watch() -> None:
        while number := os.read(hears, 1):
            if number[0] != signal.SIGTERM:
                continue
            latest = time.monotonic() + seconds
            while not over.wait(_POLL_SECONDS):
                if time.monotonic() > latest or ending.group_was_signalled():
                    os.write(2, b"regarena: Stopped by SIGTERM. What is finished is kept; the same command resumes.\n")
                    os._exit(Interrupted.exit_code)

    previous = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield ending
    finally:
        over.set()
        signal.set_wakeup_fd(previous)
        os.close(tells)
        watcher.join()
        os.close(hears)
