"""Ctrl-C and SIGTERM as an exception, so that what is finished is kept and the way to resume can be said."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Interrupted


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


class Watchdog:
    """Ends this process some seconds after it was armed, come what may, unless it is called off.

    For a signal that also ended those whom a clean end would wait for: the rows are safe, the rest is scratch.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _leave)
        self._timer.daemon = True

    def arm(self) -> None:
        """Start to count."""
        if self._timer.ident is None:
            self._timer.start()

    def call_off(self) -> None:
        """All is well."""
        self._timer.cancel()


def _leave() -> None:
    os.write(2, b"regarena: Stopped by a signal. What is finished is kept; the same command resumes.\n")
    os._exit(Interrupted.exit_code)
