"""Commands on a pseudo-terminal: what a person sees who types them."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_SECONDS = 600  # before a test gives up; no test waits this long if all is well
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][0-9A-Za-z]|\x1b[=>]")


@dataclass
class Terminal:
    """A running command and the pseudo-terminal that is its standard input, output, error and controlling terminal."""

    process: subprocess.Popen[bytes]
    main: int
    chunks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to read: a command that writes more than the terminal holds would wait for a reader."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.main, 65536)
            except OSError as error:  # EIO: nobody holds the other end any more; EBADF: this one is closed
                if error.errno not in (errno.EIO, errno.EBADF):
                    raise
                return
            if not chunk:
                return
            self.chunks.append(chunk)

    @property
    def raw(self) -> str:
        """All that was written, with its escape sequences."""
        return b"".join(self.chunks).decode(errors="replace")

    @property
    def text(self) -> str:
        """All that was written, without escape sequences and carriage returns."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def press(self, keys: bytes) -> None:
        """Type; `b"\\x03"` is Ctrl-C."""
        os.write(self.main, keys)

    def close(self) -> None:
        """Close the window."""
        os.close(self.main)

    def await_text(self, pattern: str) -> None:
        """Wait until the output matches."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.text):
            assert self.process.poll() is None, f"{pattern!r} was never written:\n{self.text}"
            assert time.monotonic() < deadline, f"{pattern!r} was not written in time:\n{self.text}"
            time.sleep(0.02)

    def finish(self) -> int:
        """Wait for the end of the command; its exit code."""
        try:
            code = self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._reader.is_alive() and select.select([self.main], [], [], 0)[0] and time.monotonic() < deadline:
            self._reader.join(0.1)  # what the command wrote last is still there
        self._reader.join(5)  # processes that it has left may hold the terminal
        os.close(self.main)
        return code


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the caller of the tests ignores


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 80, lines: int = 24
) -> Terminal:
    """Start a command on a terminal of this size, in a session of its own."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    shown = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        list(arguments),
        cwd=folder,
        env={**shown, "TERM": "xterm-256color"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(other)
    return Terminal(process, main)
