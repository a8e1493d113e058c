"""What a trial's process answers through its pipe, read as it comes.

`Connection.recv` waits until the whole answer is there, and a process that stops in the middle of its own would hold
its reader for ever. Here a part of an answer keeps nobody from looking at the clock.
"""

from __future__ import annotations

import os
import pickle
import struct
from multiprocessing.connection import Connection

from harness.records import TrialRecord

_HEADER = struct.Struct("!Q")  # bytes of the answer that follows
_BYTES_AT_ONCE = 2**16  # what a pipe holds
_MAX_READS = 1000  # before the reader looks at the clock again


def send_answer(sender: Connection, records: list[TrialRecord]) -> None:
    """Write the whole answer."""
    content = pickle.dumps(records)
    with open(sender.fileno(), "wb", closefd=False) as pipe:
        pipe.write(_HEADER.pack(len(content)) + content)


class Answer:
    """The answer of one process."""

    def __init__(self, receiver: Connection) -> None:
        self._receiver = receiver
        self._received = bytearray()

    def poll(self, seconds: float) -> list[TrialRecord] | None:
        """The records, once all of them have come; waits so long for the next part of them.

        Raises:
            EOFError: when the other end is closed.
            OSError, ValueError: when the pipe cannot be read, or does not hold an answer.
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
        records = pickle.loads(content)  # from a process of ours, which runs what this one runs
    except Exception as error:
        raise ValueError(f"The answer cannot be read: {type(error).__name__}.") from error
    if not isinstance(records, list):
        raise ValueError(f"The answer must be records, got {type(records).__name__}.")
    return records
