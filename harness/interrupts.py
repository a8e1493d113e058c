"""Ctrl-C and SIGTERM as an exception, so that what is finished is kept and the way to resume can be said."""

from __future__ import annotations

import signal
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
