"""How the command ends: with one sentence and an exit code, whatever went wrong, even if nobody reads its output.

Exit codes are those of `harness.errors`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from harness.command.causes import in_words, without_traceback
from harness.command.outputs import make_patient
from harness.command.own_packages import check_own_packages
from harness.errors import BadInput, Interrupted
from harness.terminal.text import say, tell
from harness.workers.interrupts import interruptible

_USAGE_ERROR: type[typer.BadParameter] = typer.BadParameter.__mro__[1]  # its base, which Typer does not export


class _Stopped(Exception):
    """Carries an interruption through Typer, which would end the process silently on a KeyboardInterrupt."""

    def __init__(self, interruption: Interrupted) -> None:
        super().__init__(str(interruption))
        self.interruption = interruption


class Commands(TyperGroup):
    """The commands; an interruption of a run reaches `run_to_its_end` with its message and notes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            raise _Stopped(error) from error


def run_to_its_end(app: Callable[..., object]) -> NoReturn:
    """Run the app and end the process. Keep the exit code when stdout was closed by its reader.

    Raises:
        SystemExit: always, with the exit code.
    """
    output = make_patient()
    os.environ["MPLBACKEND"] = "agg"  # figures become files; a notebook's own choice may not be installed here
    if output is not None:  # the command has the process to itself
        sys.unraisablehook = lambda _: None  # errors in destructors: the user can do nothing about them
        threading.excepthook = _tell_of_thread
    message, exit_code = _end_of(app)
    sys.stdout.flush()
    if exit_code == 0 and output is not None and output.error is not None:
        message, exit_code = _end_of_output(output.error)
    if message:
        tell(f"regarena: {message}", sys.stderr, flush=True)
    raise SystemExit(exit_code)


def _end_of(app: Callable[..., object]) -> tuple[str, int | str]:
    """Run the app; returns the message to print, or "", and the exit code."""
    try:
        _check_arguments()
        _check_folder()
        check_own_packages()
        with interruptible():
            ended = app(standalone_mode=False)  # otherwise Typer prints usage errors itself, in four lines
    except SystemExit as end:
        return "", end.code or 0
    except _Stopped as error:
        return in_words(error.interruption)
    except _USAGE_ERROR as error:
        return _end_of_usage(error)
    except BaseException as error:
        return in_words(error)
    return "", ended if isinstance(ended, int) else 0


def _end_of_usage(error: typer.BadParameter) -> tuple[str, int]:
    """Message and exit code for a command line that Typer refuses."""
    command = error.ctx.command_path if error.ctx else "regarena"
    if len(sys.argv) < 2 and error.ctx:
        say(error.ctx.get_help())
        return "", BadInput.exit_code
    message = " ".join(error.format_message().split()).rstrip(".").replace(": Value error, ", ": ")  # pydantic's words
    return f"{message}; `{command} --help` says what is allowed.", BadInput.exit_code


def _end_of_output(error: OSError) -> tuple[str, int]:
    """Message and exit code if stdout could not be written."""
    if isinstance(error, BrokenPipeError):
        return "", 0  # `| head` closed the pipe: nothing to say
    return f"The output cannot be written ({error.strerror}); redirect it elsewhere.", BadInput.exit_code


def _check_arguments() -> None:
    """Make sure that every argument is valid text; it is not if the locale lacks characters that were typed.

    Raises:
        BadInput: for the first argument that is not.
    """
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise BadInput(
                f"The argument {argument!r} is not valid text in the encoding of this environment "
                f"({sys.getfilesystemencoding()}); set PYTHONUTF8=1 or a UTF-8 locale, or use plain letters."
            ) from None


def _check_folder() -> None:
    """Make sure that the current folder exists: some libraries end the process without it.

    Raises:
        BadInput: if it does not.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise BadInput(f"The current folder cannot be used ({error.strerror}); change to another one.") from error


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Print that a thread failed; the command itself goes on."""
    if failed.exc_value is not None:
        tell(f"regarena: {without_traceback(failed.exc_value)}", sys.stderr, flush=True)
