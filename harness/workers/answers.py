"""The answer of a trial's process, sent through a pipe and read piece by piece.

`Connection.recv` blocks until the whole message is there; if the process stopped in the middle of it, the reader would
block forever. Here the reader gets control back after each piece, and can check its time limit.
"""

from __future__ import annotations

import os
import pickle
import struct
from multiprocessing.connection import Connection

from harness.records import TrialRecord

_HEADER = struct.Struct("!Q")  # bytes of the answer that follows
_BYTES_AT_ONCE = 2**16  # what a pipe holds
_MAX_READS = 1000  # before `poll` returns, so that the caller can check its time limit


def send_answer(sender: Connection, records: list[TrialRecord]) -> None:
    """Write the whole answer to the pipe."""
    content = pickle.dumps(records)
    with open(sender.fileno(), "wb", closefd=False) as pipe:
        pipe.write(_HEADER.pack(len(content)) + content)


class Answer:
    """The answer of one process."""

    def __init__(self, receiver: Connection) -> None:
        self._receiver = receiver
        self._received = bytearray()

    def poll(self, seconds: float) -> list[TrialRecord] | None:
        """The records once all have arrived, else None; waits at most `seconds` for the next piece.

        Raises:
            EOFError: if the other end is closed.
            OSError, ValueError: if the pipe cannot be read, or its content is not an answer.
        """
        for _ in range(_MAX_READS):
            if not self._receiver.poll(seconds):
                break
            seconds = 0.0
            part = os.read(self._receiver.fileno(), _BYTES_AT_ONCE)
            if not part:
                raise EOFError
            self._received += part
            if (content := self._content()) is not None:
                return _records(content)
        return None

    def _content(self) -> bytes | None:
        if len(self._received) < _HEADER.size:
            return None
        end = _HEADER.size + _HEADER.unpack_from(self._received)[0]
        return bytes(self._received[_HEADER.size : end]) if len(self._received) >= end else None


def _records(content: bytes) -> list[TrialRecord]:
    try:
        records = pickle.loads(content)  # safe: it comes from a child of this process
    except Exception as error:
        raise ValueError(f"The answer cannot be read: {type(error).__name__}.") from error
    if not isinstance(records, list):
        raise ValueError(f"The answer must be records, got {type(records).__name__}.")
    return records
