"""Turn Ctrl-C and SIGTERM into an exception, so that finished trials are kept and the command can say how to resume."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Interrupted

_POLL_SECONDS = 0.005
_OF_A_GROUP = (-signal.SIGTERM, -signal.SIGHUP)  # exit codes of the watching child when its group is signalled
_ENDED = "regarena: Ray or the system ended this command. What is finished is kept; the same command resumes."
# Ends when its standard input is closed, and prints the message unless the parent wrote to it before.
_MONITOR_CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
if not sys.stdin.read():
    print(sys.argv[1], file=sys.stderr)
"""
_MONITOR = (sys.executable, "-I", "-S", "-c", _MONITOR_CODE, _ENDED)


@contextmanager
def interruptible() -> Iterator[None]:
    """A context in which SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread.

    SIGHUP, which a closing terminal sends, counts as SIGTERM. If it is ignored, as with `nohup`, it stays ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(f"Stopped by {signal.Signals(number).name}.")

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """A context that defers SIGINT and SIGTERM to its end, for work that must not be interrupted half-way.

    To block them for this thread would not suffice: another thread would receive them, and Python would call the
    handler in the main thread at once.
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
    """A child process that detects how this process ends; see `ended_within`."""

    def __init__(self) -> None:
        self._monitor: subprocess.Popen[bytes] | None = None
        self._ends_with_group = False

    @contextmanager
    def watched(self, *, ends_with_group: bool) -> Iterator[None]:
        """A context in which the child prints a message if this process, ended by Ray's code for example, prints none.

        With `ends_with_group`, a SIGTERM or SIGHUP to the whole process group ends this process at once, without a
        clean shutdown. Such a signal also ends the processes of Ray that a clean shutdown would talk to; Ray's code
        would then end this process with an exit code of its own. By the child the two cases can be told apart: it ends
        at once if the group is signalled, and not if only this process is.
        """
        with subprocess.Popen(_MONITOR, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as self._monitor:
            self._ends_with_group = ends_with_group
            try:
                yield
            finally:
                self.part()

    def part(self) -> None:
        """Tell the child that this process ends by itself, so that the child prints nothing."""
        if self._monitor is not None and self._monitor.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._monitor.stdin.fileno(), b".")

    def group_was_signalled(self) -> bool:
        """Whether the group was signalled."""
        return self._ends_with_group and self._monitor is not None and self._monitor.poll() in _OF_A_GROUP


@contextmanager
def ended_within(seconds: float) -> Iterator[ProcessGroupWatch]:
    """A context in which SIGTERM ends this process after at most `seconds`, whatever the main thread is doing.

    The signal may also have ended processes that a clean end waits for. The rows are stored by then, and everything
    else is temporary. Python runs signal handlers in the main thread, which may be inside a call that returns too
    late, so a second thread reads the signal from a pipe that the interpreter's own handler writes to.
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
                    ending.part()
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


@contextmanager
def ended_by_signals() -> Iterator[Callable[[], bool]]:
    """A context in which SIGTERM ends a Tune run as SIGINT does; it yields a function that tells whether it came.

    Tune saves its state and returns normally on SIGINT and SIGUSR1, but dies at once on SIGTERM.
    """
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:  # Tune's own handler is not installed now
            raise Interrupted("Stopped by SIGTERM.")
        os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in previous.items():  # Tune leaves its own in place
            signal.signal(number, handler)
