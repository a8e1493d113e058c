"""How the command ends: with one sentence and an exit code, whatever went wrong, and whoever still reads its output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from harness.errors import BadInput, RegarenaError

_OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT)


def run_to_its_end(app: Callable[[], object]) -> NoReturn:
    """Run the app and end the process. An output that takes no more is no reason to forget how the app ended."""
    if sys.stdout is None:  # closed by who called, as `>&-` does
        _discard_output()
    message, exit_code = _end_of(app)
    try:
        sys.stdout.flush()  # here, where what it raises can be told; the interpreter would do it later
    except OSError as error:
        _discard_output()
        if exit_code == 0:
            message, exit_code = _end_of_output(error)
    if message:
        print(f"regarena: {message}", file=sys.stderr)
    raise SystemExit(exit_code)


def _end_of(app: Callable[[], object]) -> tuple[str, int | str]:
    """What there is to say of how the app ended, and its exit code."""
    from tasks.table import UnknownNameError

    try:
        app()
    except SystemExit as end:
        return "", end.code or 0
    except UnknownNameError as error:
        return str(error), BadInput.exit_code
    except RegarenaError as error:
        return str(error), error.exit_code
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        _discard_output()
        return _end_of_output(error)
    return "", 0


def _end_of_output(error: OSError) -> tuple[str, int]:
    """The same where the output takes no more."""
    if isinstance(error, BrokenPipeError):
        return "", 0  # `| head` closed the pipe: nothing to say
    return f"The output cannot be written ({error.strerror}); give it another place.", BadInput.exit_code


def _discard_output() -> None:
    """Send what is still printed, and what waits to be, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(nowhere, "w")
    else:
        os.dup2(nowhere, sys.stdout.fileno())
