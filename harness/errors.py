"""The error tree. Each class is an exit code; the message is one sentence for a person.

RegarenaError            1   something of ours went wrong
|- BadInput              2   the command, a name, a value or a file that the user gave
|- CampaignLocked       75   another run works on the same campaign
|- Interrupted         130   Ctrl-C or SIGTERM; what finished is kept
|- ResultsError          1   the results folder cannot be written any more
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class RegarenaError(Exception):
    """Ends the command with one sentence and `exit_code`, without a stack trace."""

    exit_code: ClassVar[int] = 1


class BadInput(RegarenaError):
    """What the user gave is not allowed; the message says what is."""

    exit_code: ClassVar[int] = 2


class CampaignLocked(RegarenaError):
    """Another run holds the campaign."""

    exit_code: ClassVar[int] = 75


class Interrupted(RegarenaError, KeyboardInterrupt):
    """The run was asked to stop before its end; for code that knows no errors of ours, what Ctrl-C raises in Python."""

    exit_code: ClassVar[int] = 130


class ResultsError(RegarenaError):
    """Rows can no longer be written; nothing that was written is lost."""


@contextmanager
def saying(note: str) -> Iterator[None]:
    """Within it, whatever goes wrong gets a note, such as what is kept; the command adds it to its sentence.

    Not so `BadInput` and `CampaignLocked`, which say themselves what to do.
    """
    try:
        yield
    except (BadInput, CampaignLocked):
        raise
    except BaseException as error:
        error.add_note(note)
        raise
