"""The message and the exit code of any exception: a sentence on what happened and one on what to do.

Exceptions of `harness.errors` have both in their message. For others, the cause may be the environment (a full disk, no
memory, few file descriptors, a locale, a lost cluster), which is looked up here. Everything else is unexpected,
and its traceback is written to a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import traceback
from collections.abc import Iterator

from harness.errors import BadInput, RegarenaError

_FAILED, _NOT_ALLOWED = RegarenaError.exit_code, BadInput.exit_code

# Groups of errno: what happened, what to do, and the exit code.
_OF_SYSTEM: dict[tuple[int, ...], tuple[str, str, int]] = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): (
        "The disk is full",
        "Free some space, or choose a folder on another disk.",
        _FAILED,
    ),
    (errno.EMFILE, errno.ENFILE): (
        "Too many files are open",
        "Raise the limit with `ulimit -n`, or lower --workers.",
        _FAILED,
    ),
    (errno.ENOMEM,): ("There is not enough memory", "Free some, or lower --workers.", _FAILED),
    (errno.EAGAIN,): (
        "The system allows no further process or thread",
        "Raise the limit with `ulimit -u`, or lower --workers.",
        _FAILED,
    ),
    (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP): (
        "The file system does not support an operation that is needed here",
        "Choose a folder on another one with --results.",
        _FAILED,
    ),
    (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV): (
        "The disk or file server reports an error",
        "Check it, or choose a folder on another one.",
        _FAILED,
    ),
    (errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH): (
        "A network connection failed",
        "Check the network, and run the same command again.",
        _FAILED,
    ),
    (errno.EACCES, errno.EPERM, errno.EROFS): (
        "A file may not be read or written by this user",
        "Change its permissions, or choose another folder.",
        _NOT_ALLOWED,
    ),
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EEXIST): (
        "A file cannot be used",
        "Check the folders and files that the command names.",
        _NOT_ALLOWED,
    ),
}


def in_words(error: BaseException) -> tuple[str, int]:
    """The message for an exception, followed by its notes (such as what is kept), and the exit code."""
    sentence, exit_code = _sentence_of(error)
    return " ".join([sentence, *getattr(error, "__notes__", ())]), exit_code


_ADVICE = {  # of messages of the analysis: for Python code, and for the command
    ", or load the rest with on_damage='warn'": "; `regarena verify` looks at every file",
    "with out (--out)": "with --out",
}


def without_code(error: Exception) -> str:
    """The message of an error of the analysis, with advice for the command instead of that for Python code."""
    text = str(error)
    for for_code, for_command in _ADVICE.items():
        text = text.replace(for_code, for_command)
    return text


def without_traceback(error: BaseException) -> str:
    """The message for an unexpected error; it names the file that the traceback is written to."""
    where = _written(error)
    return (
        f"Unexpected error in regarena or in a package that extends it ({_short(error)}). "
        f"{f'The traceback is in {where}; please report it.' if where else 'Its traceback could not be written.'}"
    )


def _sentence_of(error: BaseException) -> tuple[str, int]:
    if isinstance(error, RegarenaError):
        return str(error), error.exit_code
    from tasks.table import (
        BrokenEntryError,
        UnknownNameError,
    )  # here, since another package named `tasks` may be found first

    if isinstance(error, UnknownNameError | BrokenEntryError):
        return str(error), _NOT_ALLOWED
    for cause in _chain(error):
        known = _of_environment(cause)
        if known is not None:
            what, advice, exit_code = known
            return f"{what} ({_short(cause)}). {advice}", exit_code
    return without_traceback(error), _FAILED


def _of_environment(error: BaseException) -> tuple[str, str, int] | None:
    """What happened, what to do and the exit code, if the environment caused the exception; None otherwise."""
    if isinstance(error, RegarenaError):
        return "The command cannot go on", "", error.exit_code
    if isinstance(error, MemoryError) or _is_mapping_failure(error):
        return _OF_SYSTEM[(errno.ENOMEM,)]
    if isinstance(error, UnicodeError):
        return (
            "A name or text is not valid in the encoding of this environment",
            "Set PYTHONUTF8=1 or a UTF-8 locale, or choose a name in plain letters.",
            _NOT_ALLOWED,
        )
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return _OF_SYSTEM[(errno.EAGAIN,)]
    if isinstance(error, ModuleNotFoundError | ImportError):
        return "A package cannot be imported", "Install regarena again; `regarena doctor` checks it.", _FAILED
    if type(error).__module__.partition(".")[0] == "ray":  # named, not imported: it takes seconds
        return (
            "Ray does not work any more",
            "Look at the machine's or cluster's memory and load; --serial runs without Ray.",
            _FAILED,
        )
    return None


def _is_mapping_failure(error: BaseException) -> bool:
    """Whether a library could not be loaded because memory is limited, as by `ulimit -v`."""
    return isinstance(error, ImportError | OSError) and "failed to map segment" in str(error)


def _of_system(error: OSError) -> tuple[str, str, int]:
    for numbers, known in _OF_SYSTEM.items():
        if error.errno in numbers:
            return known
    if "AWS Error" in str(error) or "HTTP" in str(error):  # pyarrow has no numbers for them
        return "The object store reports an error", "Run the same command again later.", _FAILED
    return "The system refused an operation", "Check the disks, folders and network that the command uses.", _FAILED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and its causes; at most ten, since a chain of causes can be circular."""
    for _ in range(10):
        yield error
        if error.__cause__ is None:
            return
        error = error.__cause__


def _short(error: BaseException) -> str:
    """Type and first line of an exception, with the file that it names."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {os.fsdecode(error.filename)!r}"
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # an exception whose text cannot be made has none
        lines = []
    first = lines[0].strip().rstrip(".") if lines else ""
    is_plain = isinstance(error, OSError | MemoryError) and first
    return first if is_plain else f"{type(error).__name__}{f': {first}' if first else ''}"


def _written(error: BaseException) -> str | None:
    """Write the traceback to a file and return its path; None if that fails."""
    text = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        number, path = tempfile.mkstemp(prefix="regarena-traceback-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path
    return None
