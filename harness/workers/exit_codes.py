"""How a process ended, in words."""

from __future__ import annotations

import signal


def how_it_ended(exit_code: int | None) -> str:
    """The exit code of a `multiprocessing` process in words; a negative one is the number of a signal.

    >>> how_it_ended(3), how_it_ended(-9), how_it_ended(-40)
    ('exit code 3', 'killed by SIGKILL', 'killed by signal 40')
    """
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # most real-time signals have no name
        return f"killed by signal {-exit_code}"
