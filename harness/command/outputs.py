"""Standard streams that never raise: a closed pipe, a full disk or a limited encoding does not end the command."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO


class PatientFile(io.FileIO):
    """A file that stores its first error instead of raising it, and then ignores further output."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes; if the file is in non-blocking mode and its reader is slow, wait until it takes more."""
        while self.error is None:
            try:
                written = super().write(data)
                if written is not None:
                    return written
                select.select([], [self], [])
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


def make_patient() -> PatientFile | None:
    """Replace stdout and stderr by streams that never raise; open closed ones. Returns the file below stdout.

    A stream that a calling program has replaced stays as it is; for stdout the result is then None.
    """
    for number in (0, 1, 2):  # a file that is opened later must not get the number of a stream that is closed
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = sys.__stdin__ = open(os.devnull)  # type: ignore[misc]  # noqa: SIM115  # for the life of the process
    ours = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO | None = getattr(sys, name)
        is_own = stream is getattr(sys, f"__{name}__")
        ours.append(PatientFile(number) if is_own else None)
        if is_own:
            patient = _text_over(ours[-1], stream)
            setattr(sys, name, patient)
            setattr(sys, f"__{name}__", patient)
    return ours[0]


def _text_over(file: Any, before: Any) -> TextIO:
    """A text stream like `before` over another file, which writes characters outside its encoding as escapes."""
    is_unbuffered = getattr(before, "write_through", False)  # PYTHONUNBUFFERED
    return io.TextIOWrapper(
        file if is_unbuffered else io.BufferedWriter(file),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=getattr(before, "line_buffering", False),
        write_through=is_unbuffered,
    )
