"""The error tree. Each class has an exit code; the message is one sentence for the user.

RegarenaError            1   the command failed
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
    """The run was stopped before its end. Also a KeyboardInterrupt, so that other packages treat it like Ctrl-C."""

    exit_code: ClassVar[int] = 130


class ResultsError(RegarenaError):
    """Rows can no longer be written; nothing that was written is lost."""


@contextmanager
def saying(note: str) -> Iterator[None]:
    """A context that adds a note to any error raised within it; the command prints the note after the message.

    `BadInput` and `CampaignLocked` get no note: their messages already say what to do.
    """
    try:
        yield
    except (BadInput, CampaignLocked):
        raise
    except BaseException as error:
        error.add_note(note)
        raise
